"""One worker of a migration, wired from the real engines, to be run as a whole or engine by engine.

What `service.worker` does for a process, without process, web server and signals: `Crew.lead` takes the lease,
`working` runs everything, `following` only the streams, and every engine can be called by itself through `engines`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from apply.door import Door
from apply.returns import ReturnDoor
from backfill.runner import Backfill
from backfill.walk import CopyPorts, CopySettings, Walk
from cutover.acting import Acting
from cutover.actuators import Act
from cutover.gates import Limits
from cutover.marking import Marker
from cutover.runner import Director, DirectorPorts
from cutover.sequence import SwitchPorts, SwitchSettings
from domain.clock import Clock
from domain.phases import Phase, Side
from dynamo.ports import Database
from ledger.book import Ledger, leader_ledger, operator_ledger
from ledger.hints import Bell, Touched
from ledger.lease import Lease, LeaseGuard, LeaseTimes
from ledger.migration import UNCHANGED, StateChange
from ledger.streams import StreamRow
from mapping.plan import Plan
from reconcile.generation import Comparison, Generation
from reconcile.manner import ComparePorts, CompareSettings, Manner
from reconcile.mending import MendPorts
from reconcile.rechecks import Patience
from reconcile.repairs import RepairPorts
from reconcile.returning import ReturnPorts
from reconcile.runner import Reconciler, Wake
from service.supervisor import supervise
from service.worker import COPY_POLL
from sync.followers import Handler, Pace, Surroundings
from sync.forward import Counts, ForwardHandler, ForwardPorts
from sync.purging import PurgePorts, Purger
from sync.reverse import ReverseHandler, ReversePorts
from sync.runner import Meaning, Sync
from sync.strays import Alarm, Strays
from tests.seams import Crashed, Seam, SeamedDatabase

_GRACE = 8.0
_LOOK = 0.1
_PATIENCE = 60.0
"""Seconds, real or virtual, until a crash that does not come is a failure."""

_IDS_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Tempo:
    """How fast everything goes: the product's own times on the twin, short ones where time is real."""

    lease: LeaseTimes = field(default_factory=LeaseTimes)
    pace: Pace = field(default_factory=Pace)
    switch: SwitchSettings = field(default_factory=SwitchSettings)
    compare: CompareSettings = field(default_factory=CompareSettings)
    copying: CopySettings = field(default_factory=lambda: CopySettings(least_segments=2))
    poll: float = 1.0
    limits: Limits = field(default_factory=lambda: Limits(bake_ms=0, stable_ms=0))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a crew works: which database, plan and ledger table, by which clock."""

    database: Database
    plan: Plan
    ledger_table: str
    clock: Clock
    tempo: Tempo


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one leader over one ledger, one guard, one door."""

    sync: Sync
    purger: Purger
    backfill: Backfill
    copying: CopyPorts
    comparison: Comparison
    reconciler: Reconciler
    director: Director
    door: Door
    marker: Marker
    repairs: RepairPorts
    switch: SwitchPorts


class Crew:
    """One worker. Its database has seams; ``ledger`` and ``engines`` are there once it leads."""

    ledger: Ledger
    engines: Engines

    def __init__(self, place: Place, name: str) -> None:
        """Nothing is read or written before `lead`."""
        self.place = place
        self.name = name
        self.database = SeamedDatabase(place.database)
        self.bell = Bell()
        self.stopping = asyncio.Event()
        self.counts: Counts = Counter()
        self.touched = Touched()
        self.acts: list[Act] = []
        self.held: list[Seam] = []
        self.gaps: list[str] = []
        self.alarms: list[Alarm] = []
        self._kept = False
        self.guard = LeaseGuard(place.clock, place.tempo.lease)
        self._plain = operator_ledger(self.database, place.ledger_table, place.clock, who=name)
        self.lease = Lease(self._plain.rows, place.clock, self.guard, owner=name)

    async def lead(self, *, wait: bool = False) -> "Crew":
        """Take the lease and wire the engines. Raises RefusedError when another crew leads."""
        epoch = await self.lease.acquire(wait=wait)
        place = self.place
        self.ledger = leader_ledger(
            self.database, place.ledger_table, place.clock, who=self.name, guard=self.guard, epoch=epoch
        )
        self.engines = self._wired()
        return self

    @asynccontextmanager
    async def working(self) -> AsyncIterator["Crew"]:
        """Run everything, as `service.worker` does, for the length of the block."""
        engines, random = self.engines, Random(0)
        supervised: dict[str, Callable[[], Awaitable[object]]] = {
            "sync": engines.sync.run,
            "backfill": self._copy,
            "purger": engines.purger.run,
            "reconciler": engines.reconciler.run,
            "director": engines.director.run,
        }
        runs = [supervise(name, engine, random=random) for name, engine in supervised.items()]
        async with self._running(*runs):
            yield self

    @asynccontextmanager
    async def following(self) -> AsyncIterator["Crew"]:
        """Follow the streams and renew the lease, and do nothing else."""
        async with self._running(self.engines.sync.run()):
            yield self

    async def follow_until_crash(self, *, patience: float = _PATIENCE) -> None:
        """Follow the streams until the crash that a seam has planned; fails when none comes."""
        with suppressed_crash():
            async with asyncio.timeout(patience), self.following():
                await asyncio.Event().wait()

    async def work_until_crash(self) -> None:
        """Run everything until the crash that a seam has planned; fails when none comes."""
        with suppressed_crash():
            async with asyncio.timeout(_PATIENCE), self.working():
                await asyncio.Event().wait()

    async def retire(self) -> None:
        """Give the lease back."""
        await self.lease.release()

    async def enter(self, phase: Phase, change: StateChange = UNCHANGED) -> None:
        """Move the phase by hand along the table, as the director would; ``change`` comes with the last step."""
        migration, phases = self.ledger.migration, list(Phase)
        state = await migration.state()
        for each in phases[phases.index(state.phase) + 1 : phases.index(phase)]:
            state = await migration.move(state, each, why="a test says so")
        await migration.move(state, phase, why="a test says so", change=change)
        self.bell.ring()

    async def copy(self) -> None:
        """Copy everything that is left to copy."""
        await self.engines.backfill.run()

    async def copy_page(self, source: str) -> bool:
        """Copy the next page of a source; tell whether there was one."""
        walk = Walk(self.engines.copying)
        scan = self.engines.backfill.scan(await self.ledger.streams.get(source))
        for segment in await walk.segments(scan):
            if not segment.done:
                await walk.page(scan, segment)
                return True
        return False

    async def purge(self) -> int:
        """Purge what may go, once nothing of ours can land any more; return how many tombstones are left."""
        if self._kept:
            await self.engines.purger.round()
        else:
            async with self._running():
                await self.engines.purger.round()
        return await self.ledger.tombstones.count(self.place.plan.sources, at_most=1000)

    async def compare(self, serving: Side = Side.SOURCE) -> Generation:
        """Compare both sides once, without patience and without a trace in the ledger."""
        return await self.engines.comparison.generation(serving, Manner(Patience(rounds=1, pause=0)))

    @asynccontextmanager
    async def _running(self, *engines: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
        """Run engines and the lease's keeper; told to stop, each finishes what it has in hand."""
        self.stopping.clear()
        self._kept = True
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(engine) for engine in (*engines, self.lease.keep())]
                yield
                self.stopping.set()
                await self._ended(tasks[:-1])
                for task in tasks:
                    task.cancel()
        finally:
            self._kept = False

    async def _ended(self, tasks: Collection[asyncio.Task[object]]) -> None:
        """Wait until engines that were told to stop have ended, and a while at most."""
        for _ in range(int(_GRACE / _LOOK)):
            self.bell.ring()
            if not tasks or not (await asyncio.wait(tasks, timeout=_LOOK))[1]:
                return

    async def _copy(self) -> None:
        """Copy whenever its phase has come (`service.worker`)."""
        while not self.stopping.is_set():
            phase = (await self.ledger.migration.state()).phase
            if phase is Phase.BACKFILL:
                await self.copy()
            await self.bell.wait(COPY_POLL)

    def _wired(self) -> Engines:
        place, tempo, ledger, guard = self.place, self.place.tempo, self.ledger, self.guard
        database, plan, clock, bell, stopping = self.database, place.plan, place.clock, self.bell, self.stopping
        door = Door(database, plan.target, guard=guard)
        around = Surroundings(database, ledger, clock, bell, tempo.pace, stopping)
        marker = Marker(database, ledger, bell, guard=guard)
        acting = Acting(self.acts, ledger, guard)
        switch = SwitchPorts(plan, ledger, marker, guard, clock, bell, tempo.switch, acting)
        compare = ComparePorts(database, plan, clock, tempo.compare)
        comparison = Comparison(compare)
        copying = CopyPorts(database, plan, door, ledger, guard, clock, bell, stopping, tempo.copying)
        repairs = RepairPorts(plan, door, ledger, guard, comparison.rechecker)
        back = ReturnPorts(plan, ReturnDoor(database, guard=guard), ledger, guard, comparison.rechecker)
        return Engines(
            sync=Sync(database, around, Meaning(self._handlers(door), lambda stream, _: self.gaps.append(stream.name))),
            purger=Purger(PurgePorts(plan, door, ledger, guard, bell, stopping)),
            backfill=Backfill(copying),
            copying=copying,
            comparison=comparison,
            reconciler=Reconciler(
                comparison, compare, Wake(bell, self.touched, stopping), MendPorts(repairs, back, guard)
            ),
            director=Director(DirectorPorts(switch, database, tempo.limits, stopping, tempo.poll)),
            door=door,
            marker=marker,
            repairs=repairs,
            switch=switch,
        )

    def _handlers(self, door: Door) -> Callable[[StreamRow], Handler]:
        limit = asyncio.Semaphore(_IDS_AT_ONCE)
        strays = Strays(self.ledger.quarantine, self.alarms.append)
        forward = ForwardPorts(self.place.plan, door, self.ledger, self.counts, self.touched, limit, strays)
        back = ReturnDoor(self.database, guard=self.guard)
        reverse = ReversePorts(
            self.place.plan, back, self.database, self.ledger, self.counts, self.touched, limit, strays
        )

        def handler_of(stream: StreamRow) -> Handler:
            return ForwardHandler(forward, stream) if stream.side is Side.SOURCE else ReverseHandler(reverse, stream)

        return handler_of


@contextmanager
def suppressed_crash() -> Iterator[None]:
    """Go on after a crew's planned crash, and only after that."""
    crashed = False
    try:
        yield
    except* Crashed:
        crashed = True
    assert crashed, "the planned crash did not come"
