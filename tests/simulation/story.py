"""One seed, one run: a whole migration under chaos, from `init` to rest, held against every law.

`simulate` is the main path. The operator of `_operate` cuts over, rolls back and cuts over again as the seed says,
asking until the gates let it pass; then the weather clears, the applications stop, and what stands is compared.
"""

import asyncio
import gc
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random

from cutover.gates import Limits
from cutover.sequence import SwitchSettings
from domain.errors import TableturnError
from domain.phases import Phase
from dynamo.memory import MemoryDatabase
from dynamo.retries import RetryPolicy
from dynamo.witness import Effect
from ledger.lease import LeaseTimes
from ledger.requests import Request, RequestKind, RequestState
from reconcile.manner import CompareSettings
from sync.followers import Pace
from tests.crew import Tempo
from tests.simulation import virtual
from tests.simulation.actors import ACTOR, NATURE, Actor, Kind
from tests.simulation.applications import LONGEST_REQUEST, STALENESS, Application
from tests.simulation.cast import CASTS
from tests.simulation.chaos import Chaos
from tests.simulation.checkers import Checkpoints, Fences, Forwards, OneWriter, Origin, Phases, Switches
from tests.simulation.counting import Alarms, Clock
from tests.simulation.law import Broken, Law
from tests.simulation.mending import Mender
from tests.simulation.pods import Fleet, Pod, at_pace
from tests.simulation.standing import Standing, at_rest
from tests.simulation.storms import LATEST_LANDING, Flight, Rates, Storm
from tests.simulation.truth import Deed, Truth, row
from tests.world import LoopClock, Venue, World, plan_named

_TEMPO = Tempo(
    lease=LeaseTimes(lease=6.0, request=2.0, margin=0.5),
    pace=Pace(tip=1.5, shards=4.0, mark=0.25, idle_checkpoint=6.0),
    switch=SwitchSettings(staleness=STALENESS, longest_request=LONGEST_REQUEST, max_blocked=12.0, verify=6.0),
    compare=CompareSettings(interval=30.0, segments=2, poll=1.5),
    poll=2.0,
    limits=Limits(bake_ms=60_000, tombstones=5, evidence_age_ms=60_000),
)
_WRITES = 200
"""At least so many writes of applications a seed."""

_PATIENCE = 900.0
"""Virtual seconds for one goal of the operator; after them the system is stuck."""

_STRAYS = 0.4
"""Share of the runs ending on the target in which somebody then ignores the flag."""

_TOO_EARLY, _ENDLESS = 0.2, 0.6
"""Shares of the runs in which something is asked for too early; and that nobody completes or aborts."""

_FEW_UNITS = 3
"""Read units a second of a run whose scheduled comparisons take so long that a switch verifies what changed."""

_LONG_PASS_MS = 300_000
"""How old such a comparison may be."""

_DELETES = 0.75
"""Share of the runs in which the applications delete."""

_VANDAL = 0.4
"""Share of the runs in which somebody else writes the target while it is ours."""

_LOSES = 0.3
"""Share of the runs in which stream records may be lost for good."""

_SWITCHES = (
    (RequestKind.CUTOVER,),
    (RequestKind.CUTOVER, RequestKind.ROLLBACK),
    (RequestKind.CUTOVER, RequestKind.ROLLBACK),
    (RequestKind.CUTOVER, RequestKind.ROLLBACK, RequestKind.CUTOVER),
)
_GOALS = {RequestKind.CUTOVER: Phase.READY, RequestKind.ROLLBACK: Phase.BAKE}


@dataclass(slots=True)
class Report:
    """What a run showed; everything in it is a function of the seed.

    ``broken`` tells what went wrong, ``law`` names the law; a run that ended by an error of Python has broken none.
    """

    seed: int
    broken: str = ""
    law: str = ""
    writes: int = 0
    seconds: float = 0.0
    digest: int = 0
    shards: int = 0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)


class Court:
    """The witness: tells the truth and every law of each effect, and keeps the first law that was broken."""

    def __init__(self, truth: Truth, storm: Storm, *, trace: bool) -> None:
        self.truth = truth
        self.standing = Standing(truth)
        forwards, self._fences = Forwards(truth), Fences(truth)
        checkpoints, switches = Checkpoints(truth, forwards), Switches(truth, storm.flying, self.standing)
        self._laws: list[Law] = [
            OneWriter(truth), Origin(truth), forwards, checkpoints, self._fences, Phases(truth), switches,
            Alarms(truth), Clock(truth),
        ]  # fmt: skip
        self.broken: Broken | None = None
        self.digest = 0
        self.phases: Counter[str] = Counter()
        self._trace = trace
        self.look: Callable[[], None] = lambda: None

    def saw(self, effect: Effect) -> None:
        """Take an effect in."""
        deed = self.truth.take(effect)
        self.standing.take(deed)
        written = row(effect.new) if effect.table == self.truth.ledger and effect.new is not None else None
        told = f"{deed.at} {deed.actor.name} {effect.table} {effect.key} {effect.new}"
        self.digest = zlib.crc32(told.encode(), self.digest)
        if self._trace:
            print(_line(deed))
        if written is not None and (written.partition, written.name) == ("migration", "state"):
            self.phases[self.truth.phase] += 1
        for law in self._laws:
            self._ask(partial(law.saw, deed) if written is None else partial(law.wrote, deed, written))
        self.look()

    def sent(self, flight: Flight) -> None:
        """Take a request in."""
        self._ask(partial(self._fences.sent, flight))

    def _ask(self, law: Callable[[], None]) -> None:
        try:
            law()
        except Broken as broken:
            self.broken = self.broken or broken


def simulate(seed: int, *, trace: bool = False) -> Report:
    """Run one seed; the report says which law was broken, if any."""
    report = Report(seed)
    gc.set_threshold(100_000, 50, 1_000_000)  # a run is short and makes millions of small things: they go at its end
    try:
        virtual.run(lambda: _tell(seed, report, trace=trace), random=Random(f"{seed} secrets"))
    except virtual.Stuck:
        report.broken, report.law = "stuck: nothing happens any more", "everything comes to its end"
    except (BaseExceptionGroup, TableturnError, Broken) as error:
        known = [each for each in _leaves(error) if isinstance(each, Broken | TableturnError)]
        broken = next((each for each in known if isinstance(each, Broken)), None)
        report.broken = str(broken) if broken else _last_words(error)
        report.law = broken.law if broken else "no worker ends for good" if known else ""
    gc.collect()
    return report


def _last_words(error: BaseException) -> str:
    last = list(_leaves(error))[-1]
    return "".join(traceback.format_exception(last)[-4:])


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors of a group, however deep."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


async def _tell(seed: int, report: Report, *, trace: bool) -> None:
    await _Story(seed, report, trace=trace).run()


class _Story:
    """The parts of one run."""

    def __init__(self, seed: int, report: Report, *, trace: bool) -> None:
        self.report = report
        self.random = Random(f"{seed} story")
        plan_name, self.parts = CASTS[seed % len(CASTS)]
        plan = plan_named(plan_name, "twin", tuple(part.source for part in self.parts))
        loop = asyncio.get_running_loop()
        self.truth = Truth(plan, f"{plan.target.name}-tableturn", loop.time)
        severity = self.random.choice([0.3, 1.0, 1.0, 2.0])
        rates = Rates(**{name: chance * severity for name, chance in vars_of(Rates()).items()})
        self.storm = Storm(Random(f"{seed} storm"), rates, lambda: self.truth.where)
        self.court = Court(self.truth, self.storm, trace=trace)
        self.storm.sent = self.court.sent
        report.shards = self.random.choice([3, 4])
        clock = LoopClock()
        twin = MemoryDatabase(
            clock,
            shards=report.shards,
            weather=self.storm,
            random=Random(f"{seed} jitter"),
            retry=RetryPolicy(budget_s=30),
        )
        twin.show_to(self.court)
        self.world = World(Venue(twin, clock, _TEMPO, "twin", twin), plan)
        tempo = at_pace(_TEMPO, self.random)
        ceiling = Random(f"{seed} ceiling").choice([None, _FEW_UNITS])
        tempo = replace(tempo, compare=replace(tempo.compare, read_units=ceiling))
        if ceiling is not None:  # so that it lasts no longer than it may
            tempo = replace(tempo, limits=replace(tempo.limits, evidence_age_ms=_LONG_PASS_MS))
        self.over = asyncio.Event()
        pods = [Pod(name, self.world, tempo, Random(f"{seed} {name}"), report.ends) for name in ("left", "right")]
        self.fleet = Fleet(pods)
        self.storm.leaving = self.fleet.leaving
        self.chaos = Chaos(self.world, self.truth, self.storm, self.fleet, Random(f"{seed} chaos"))
        self.court.look = self.chaos.look
        mischief, deletes = self.random.choice([0.0, 0.1]), self.random.random() < _DELETES
        self.applications = [
            Application(
                self.world, self.parts, Random(f"{seed} application {number}"), pace, mischief=mischief, deletes=deletes
            )
            for number, pace in enumerate(self.random.choice([(0.6, 1.2, 1.2), (1.2, 1.5, 2.0)]))
        ]
        if self.random.random() < _LOSES:
            target = plan.target.name
            self.chaos.loses = self.random.choice([(target,), (*self.truth.sources, target)])
        self.written_enough = False
        vandal = self.random.random() < _VANDAL
        self.mender = Mender(self.world, self.truth, Random(f"{seed} mender"), vandal=vandal, gust=self.storm.gust)

    async def run(self) -> None:
        """Live through it all."""
        ACTOR.set(Actor(Kind.LEGACY, "in the old days"))
        await self.world.build()
        await self._fill()
        await self.world.initialise()
        try:
            async with asyncio.TaskGroup() as group:
                for pod in self.fleet.pods:
                    group.create_task(pod.run(self.over))
                chaos = group.create_task(self.chaos.run())
                writers = [group.create_task(each.run(lambda: self.written_enough)) for each in self.applications]
                watching = group.create_task(self._watch())
                mending = group.create_task(self.mender.run())
                await self._operate()
                await self._until(lambda: self.truth.writes >= _WRITES, "the applications have written enough")
                await self._rest(writers)
                await self._end()
                for task in (chaos, watching, mending, *writers):
                    task.cancel()
                self.over.set()
        finally:
            self._report()

    async def _fill(self) -> None:
        """Put the items that were there before anybody thought of a migration."""
        for part in self.parts:
            for number in range(self.random.randrange(10, 25)):
                await self.world.put(part.source, part.make(self.random, number))
        ACTOR.set(Actor(Kind.OPERATOR))

    async def _operate(self) -> None:
        """Carry the switches out, each asked for until it is done, with some life in between."""
        if self.random.random() < _TOO_EARLY:
            await self._refused(RequestKind.ROLLBACK)
        for kind in self.random.choice(_SWITCHES):
            await self._switch(kind)
            if self.random.random() < _TOO_EARLY:
                await self._refused(RequestKind.COMPLETE if kind is RequestKind.CUTOVER else RequestKind.ROLLBACK)
            await asyncio.sleep(self.random.uniform(3, 15))

    async def _refused(self, kind: RequestKind) -> None:
        """Ask for what it is too early for: not even begun, not baked, or not cut over."""
        answer = await self._ask(kind)
        self._count(kind, answer)
        if answer.state is not RequestState.REFUSED:
            raise Broken("gates refuse", f"{kind} was {answer.state} in phase {self.truth.phase}")

    def _count(self, kind: RequestKind, answer: Request) -> None:
        self.report.outcomes[f"{kind} {answer.state}"] += 1
        if verified := answer.answer.get("verified"):
            self.report.outcomes[f"verified {verified}"] += 1
        for gate in answer.answer.get("gates", ()):
            self.report.outcomes[f"gate {gate['name']}"] += 1

    async def _end(self) -> None:
        """End the migration for good, now and then: complete it, or give it up. Neither changes an item."""
        kind = RequestKind.COMPLETE if self.truth.served == "target" else RequestKind.ABORT
        waiting = any(self.truth.quarantined.values())
        if self.random.random() < _ENDLESS or (waiting and kind is RequestKind.COMPLETE):
            return

        began = asyncio.get_running_loop().time()
        answer = await self._ask(kind)
        while answer.state is RequestState.REFUSED and asyncio.get_running_loop().time() < began + _PATIENCE:
            self._count(kind, answer)
            await asyncio.sleep(5)
            answer = await self._ask(kind)
        self._count(kind, answer)
        if self.truth.phase not in {"DONE", "ABORTED"}:
            raise Broken("everything comes to its end", f"no {kind}: {answer.answer}")
        self._hold()

    async def _switch(self, kind: RequestKind) -> None:
        """Ask until it is done; an operator who has tried for long waits for a day without trouble."""
        began, why = asyncio.get_running_loop().time(), ""
        while asyncio.get_running_loop().time() < began + _PATIENCE:
            self.storm.calm = asyncio.get_running_loop().time() > began + _PATIENCE / 2
            await self._until(lambda: self.truth.phase == _GOALS[kind], f"the phase allows a {kind}")
            answer = await self._ask(kind)
            self._count(kind, answer)
            if answer.state is RequestState.DONE:
                self.storm.calm = False
                return
            self._is_back(kind)
            why = answer.answer["why"]
            await asyncio.sleep(self.random.uniform(2, 8))
        raise Broken("everything comes to its end", f"no {kind} within {_PATIENCE:.0f} s: {why}")

    async def _ask(self, kind: RequestKind) -> Request:
        request = await self.world.ledger.requests.ask(kind)
        while not request.over:
            await asyncio.sleep(0.5)
            request = await self.world.ledger.requests.get(request)
        return request

    def _is_back(self, kind: RequestKind) -> None:
        """After a refusal or an abort the side that served serves, and may be written."""
        serving = "source" if kind is RequestKind.CUTOVER else "target"
        if (self.truth.served, self.truth.writable) != (serving, True):
            raise Broken("the exact earlier state is back", f"{self.truth.served} {self.truth.writable} after {kind}")

    async def _rest(self, writers: list[asyncio.Task[None]]) -> None:
        """Let everything come to rest, and hold it against what was wanted."""
        self.chaos.loses = ()  # a stray that nobody was told of would be nobody's fault
        await self._until(self._is_told, "every gap is mended")
        if self.truth.served == "target" and self.random.random() < _STRAYS:
            await self._stray()
        self.chaos.over = True
        self.mender.vandal = False
        self.storm.clear()
        self.written_enough = True
        await asyncio.wait(writers)
        ACTOR.set(NATURE)
        self.world.twin.expire(1_795_438_000 + asyncio.get_running_loop().time())
        await self._until(self._agree, "both sides agree", at_last=self._hold)
        await asyncio.sleep(2 * LATEST_LANDING)
        self._hold()

    def _is_told(self) -> bool:
        """Tell whether every stream is on, and is the one that is followed: else nothing tells of what happens."""
        tables = self.world.twin._server.tables
        logs = {name: tables[name].log for name in self.truth.arns}
        return not self.truth.gaps and all(log and log.arn == self.truth.arns[name] for name, log in logs.items())

    def _agree(self) -> bool:
        differences = self.court.standing.differences(serving=self.truth.served, excused=self._excused())
        return not (differences or self.truth.gaps) and (self.mender.done or self.truth.served == "target")

    def _hold(self) -> None:
        at_rest(self.court.standing, self.truth.served, self._excused())

    def _excused(self) -> set[str]:
        """Return the ids that wait for a human: somebody ignored the flag, or a change has no way back."""
        return self.truth.strays | self.truth.quarantined["reverse"]

    async def _stray(self) -> None:
        """Write the legacy table although the target serves: it cannot be prevented, and must be found."""
        part = self.parts[0]
        await self.mender.stray(part)
        await self._until(lambda: self.truth.strays <= self.truth.quarantined["stray"], "every stray is found")
        self.report.outcomes["stray found"] += len(self.truth.strays)

    async def _until(
        self, condition: Callable[[], bool], what: str, *, at_last: Callable[[], None] = lambda: None
    ) -> None:
        """Wait for a condition; ``at_last`` may say better what is wrong when it does not come."""
        try:
            async with asyncio.timeout(_PATIENCE):
                while not condition():
                    await asyncio.sleep(0.5)
        except TimeoutError:
            at_last()
            how = f"not within {_PATIENCE:.0f} s: {what}; {self.truth.where}"
            raise Broken("everything comes to its end", how) from None

    async def _watch(self) -> None:
        """End the run at the first law that was broken, or worker that cannot go on."""
        while True:
            await asyncio.sleep(0.2)
            if self.court.broken is not None:
                raise self.court.broken
            for fatal in self.fleet.fatal():
                raise fatal

    def _report(self) -> None:
        report = self.report
        report.writes, report.seconds = self.truth.writes, asyncio.get_running_loop().time()
        report.digest, report.phases = self.court.digest, self.court.phases
        report.faults = self.storm.faults + self.chaos.done
        for reason, count in self.truth.reasons.items():
            report.outcomes[f"quarantined {reason}"] += count
        report.outcomes.update({f"recapture {state}": count for state, count in self.mender.answers.items()})
        for crew in self.world._crews:
            report.outcomes["gap found"] += len(crew.gaps)
            for (_, direction, outcome), count in crew.counts.items():
                report.outcomes[f"{direction} {outcome}"] += count


def vars_of(rates: Rates) -> dict[str, float]:
    """Return the fields of a slotted dataclass."""
    return {name: getattr(rates, name) for name in Rates.__slots__}


def _line(deed: Deed) -> str:
    effect, who = deed.effect, deed.actor.name or deed.actor.kind
    place = "" if effect.place is None else f" @{effect.place[1] % 10**9}"
    table = effect.table.removeprefix("twin-")
    return f"{deed.at:9.3f} {deed.phase:11} {who:22} {table}{place} {effect.key} → {effect.new}"
