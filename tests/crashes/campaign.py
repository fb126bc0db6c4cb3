"""Kill the leader again and again, in every phase and in every step of a switch, while applications write.

A tour is one migration: copied, cut over, rolled back. A standby takes each kill over, and the killed one comes back as
the standby. What is right is said by `tests.acceptance`'s own reading of both sides, with the application at rest:
at once on the side that serves, in the end on both.
"""

import threading
import time
from dataclasses import dataclass, field
from random import Random
from subprocess import Popen

from tests.acceptance.legacy import differences, user
from tests.acceptance.program import Worker, eventually
from tests.acceptance.scene import Plain, Scene
from tests.crashes.people import Application, legacy_differences
from tests.crashes.proxy import FaultProxy
from tests.crashes.tally import PLACES, Tally

SOURCES = ("users", "contractors", "refresh-tokens", "audit", "config")
USERS = 240
LONGEST_REQUEST = 3.0
FENCED = 4
"""Exit code of a worker that lost its lease: the only end that nobody ordered and that is right."""

_PATIENCE = 100.0
"""Leases until something must have moved: the machine is busy, the network broken, the leader just killed."""

_ROLLING = 900.0
"""Seconds in which shards must have rolled on an accelerated database."""

SETTINGS = {
    "TABLETURN_PAGE_ITEMS": "10",
    "TABLETURN_RECONCILE_INTERVAL_SECONDS": "15",
    "TABLETURN_FLAG_STALENESS_SECONDS": "0.1",
    "TABLETURN_LONGEST_REQUEST_SECONDS": str(LONGEST_REQUEST),
    "TABLETURN_MAX_BLOCKED_SECONDS": "30",
}


@dataclass(slots=True)
class Tour:
    """One migration under fire; ``lease``: its seconds, ``todo``: where somebody still has to be killed."""

    scene: Scene
    proxy: FaultProxy
    random: Random
    tally: Tally
    lease: float
    todo: list[str] = field(default_factory=list)
    _asked: Popen[str] | None = None
    _moved: float = 0.0
    _counted: set[int] = field(default_factory=set)

    def run(self, kills: tuple[str, ...] = PLACES, *, rolls: int = 0) -> None:
        """Do a whole migration, killing once at each place named, and hold both sides against what was written.

        ``rolls``: how often each source's shard must have rolled before the rollback, and all but once before the
        cutover.
        """
        self.todo = list(kills)
        self._prepare()
        seed = self.random.randrange(10**6)
        with Application(self.scene, seed=seed, longest=LONGEST_REQUEST) as application:
            self._until("READY")
            self._roll(rolls - 1)
            self._switch("cutover", "READY", "BAKE")
            with application.resting():
                self._found(differences(self.scene.legacy))
            self._roll(rolls)
            self._switch("rollback", "BAKE", "ROLLED_BACK")
            with application.resting():
                self._found(legacy_differences(self.scene.legacy))
            self._until("READY")
            self.proxy.blows = False
        self.tally.writes += application.writes
        self._settled()

    def _prepare(self) -> None:
        prepare(self.scene, self.proxy.url, self.lease)
        self.proxy.blows = True
        for _ in range(2):
            self.scene.program.work("--standby")
        self._moved = time.monotonic()

    # ---- getting on -------------------------------------------------------------------------------------------------

    def _switch(self, command: str, start: str, end: str) -> None:
        """Ask for a switch again and again, each time with a kill in another step, until none is left to be done."""
        self._until(start)
        while self.scene.phase != end:
            if self._asked is not None and self._asked.poll() is not None:
                self._end_of_asking()
            if self._asked is None and self.scene.phase == start and self._is_settled():
                self._asked = self.scene.program.begin(command)
            self._look(self._next_step(command))
        if self._asked is not None:
            self._end_of_asking()
        self.tally.switches[command] += 1
        self._moved = time.monotonic()

    def _until(self, phase: str) -> None:
        """Get to a phase, and kill in it where that is due."""
        while self.scene.phase != phase or self.scene.phase in self.todo:
            self._look(self.scene.phase)
        self._moved = time.monotonic()

    def _roll(self, wanted: int) -> None:
        """Wait until the shard of every source has rolled so many times, and its child is read."""
        began = time.monotonic()
        while any(self._rolled(source) < wanted for source in SOURCES):
            assert time.monotonic() - began < _ROLLING, f"no roll in {_ROLLING:.0f} s: {self._told()}"
            self._moved = time.monotonic()
            self._look("")
        for stream in (*SOURCES, "target") if wanted > 0 else ():
            self.tally.rolls[stream] = max(self.tally.rolls[stream], self._rolled(stream))

    def _next_step(self, command: str) -> str:
        """Return the next place in this switch where somebody has to be killed."""
        return next((place for place in self.todo if place.startswith(f"{command}: ")), "")

    def _look(self, aim: str) -> None:
        """Keep two workers alive; where a kill is due, do it a moment later."""
        quiet = time.monotonic() - self._moved
        assert quiet < _PATIENCE * self.lease, f"nothing moves at {self._place()}: {self._told()}"
        self._revive()
        leader = self._leader() if aim in self.todo and self._place() == aim else None
        if leader is None:
            threading.Event().wait(0.005)
            return
        if self.random.random() < 0.7:
            threading.Event().wait(self.random.expovariate(1 / self._linger(aim)))
        self._kill(leader, aim)

    def _linger(self, aim: str) -> float:
        """Return the mean of the seconds until a kill: steps are over soon, some phases last as long as one likes."""
        if ":" in aim:
            return 0.03
        return 1.0 if aim in {"READY", "BAKE"} else 0.15

    def _kill(self, leader: Worker, aim: str) -> None:
        """Kill, note where it struck, and wait until the standby is at work."""
        epoch, before = self._epoch(), self._journal()
        leader.kill()
        began = time.monotonic()
        after = self._journal()
        same = before.get("id") == after.get("id") and (before.get("open") or after.get("open"))
        struck = f"{aim.partition(':')[0]}: {after['step']}" if ":" in aim and same else self._place()
        self.scene.program.work("--standby")
        self.tally.kills[struck] += 1
        for done in {aim, struck} & set(self.todo):  # a step that is over too soon is tried once in each tour
            self.todo.remove(done)
        eventually("the next leader is at work", lambda: self._works_since(epoch), seconds=60, pause=0.05)
        self._moved = time.monotonic()
        self.tally.resumed.append(self._moved - began)
        print(f"kill {self.tally.killed}: {struck}, at work again after {self._moved - began:.1f} s", flush=True)

    def _revive(self) -> None:
        """Start workers that ended, so that there are always two; whoever ended by itself must have been fenced."""
        workers = self.scene.program.workers
        ended = [worker for worker in workers if worker.process.poll() is not None]
        for worker in ended:
            code = worker.process.returncode
            if code < 0 or worker.process.pid in self._counted:
                continue
            self._counted.add(worker.process.pid)
            self.tally.ended[code] += 1
            assert code == FENCED, f"a worker ended with {code}:\n{worker.said[-2000:]}"
        for _ in range(2 - (len(workers) - len(ended))):
            self.scene.program.work("--standby")

    # ---- what stands in the ledger ----------------------------------------------------------------------------------

    def _place(self) -> str:
        """Return the phase, or the switch under way and its step."""
        switch = self._journal()
        if switch.get("open"):
            return f"{'cutover' if switch['to'] == 'target' else 'rollback'}: {switch['step']}"
        return self.scene.phase

    def _journal(self) -> Plain:
        return self.scene.row("switch", "current") or {}

    def _leader(self) -> Worker | None:
        """Return the process that holds the lease, by the process id in its name."""
        owner = str((self.scene.row("leases", "leader") or {}).get("owner", ""))
        alive = [worker for worker in self.scene.program.workers if worker.process.poll() is None]
        return next((worker for worker in alive if f":{worker.process.pid}:" in owner), None)

    def _epoch(self) -> int:
        return int((self.scene.row("leases", "leader") or {}).get("epoch", 0))

    def _worker(self) -> Plain:
        return self.scene.row("evidence", "worker") or {}

    def _works_since(self, epoch: int) -> bool:
        """Tell whether a leader of a later epoch has written its sign of life, which it does after taking back."""
        return int(self._worker().get("epoch", 0)) > epoch

    def _is_settled(self) -> bool:
        """Tell whether the leader of now says that nothing older can still land: else asking would be in vain."""
        worker = self._worker()
        return bool(worker.get("settled")) and int(worker["epoch"]) == self._epoch()

    def _rolled(self, stream: str) -> int:
        """Return how many shards of a stream have ended whose child is read."""
        shards = self._shards(stream)
        read = {str(shard["parent"]) for shard in shards if shard["through_ms"] or shard["checkpoint"]}
        return sum(bool(shard["ended"]) and str(shard["SK"]) in read for shard in shards)

    def _shards(self, stream: str) -> list[Plain]:
        return self.scene.rows(f"shards/{stream}/1") or self.scene.rows(f"shards/{stream}")

    def _told(self) -> str:
        """Return what was said last, for whoever has to find out why."""
        told = [done.said[-300:] for done in self.scene.program.done[-2:]]
        told += [str(row) for stream in (*SOURCES, "target") for row in self._shards(stream)]
        return "\n".join([*told, *(worker.said[-1500:] for worker in self.scene.program.workers[-6:])])

    def _end_of_asking(self) -> None:
        assert self._asked is not None
        done = self.scene.program.ended(self._asked)
        self.tally.taken_back += "the earlier state is back" in done.err
        self._asked = None

    # ---- at rest ----------------------------------------------------------------------------------------------------

    def _found(self, wrong: list[str]) -> None:
        """Note what a look at both sides found."""
        self.tally.checked += 1
        self.tally.wrong += wrong

    def _settled(self) -> None:
        """Nothing is lost, stale or resurrected on either side; what the new application did has come back."""
        legacy = self.scene.legacy

        def agrees() -> bool:
            return not differences(legacy) and not legacy_differences(legacy)

        try:
            eventually("both sides agree", agrees, seconds=60, pause=0.5)
        except AssertionError:
            self._found(differences(legacy) + legacy_differences(legacy))
            raise
        self._found([])
        assert self.scene.program.good("reconcile", "--json").document["mismatches"] == 0
        for lane in ("forward", "reverse", "stray"):
            assert self.scene.rows(f"quarantine/{lane}") == []
        for worker in self.scene.program.workers:
            if worker.process.poll() is None:
                assert worker.terminate() == 0, worker.said[-2000:]


def prepare(scene: Scene, endpoint_url: str, lease: float) -> None:
    """Create and fill the tables and the ledger; the program's workers are to reach the database by this address."""
    scene.legacy.create_all()
    scene.legacy.fill("users", [user(number) for number in range(USERS)])
    scene.legacy.fill_sample()
    scene.initialised()
    scene.legacy.wake()
    told = {
        "TABLETURN_LEASE_SECONDS": str(lease),
        "TABLETURN_REQUEST_SECONDS": str(lease / 3),
        "TABLETURN_ENDPOINT_URL": endpoint_url,
    }
    scene.program.environment |= {**SETTINGS, **told}
