"""``tableturn run``: take the lease, wire the engines, keep them running until told to stop or the migration is over.

The newcomer's map: `Worker.run` starts everything; each engine's own `run` is where its work is.
"""

import asyncio
import logging
import os
import secrets
import signal
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from apply.door import Door
from apply.returns import ReturnDoor
from backfill.runner import Backfill
from backfill.walk import CopyPorts, CopySettings
from cutover.acting import Acting
from cutover.facts import gather
from cutover.marking import Marker
from cutover.runner import Director, DirectorPorts
from cutover.sequence import SwitchPorts, SwitchSettings
from domain.errors import FatalError
from domain.phases import Phase, Side
from dynamo.ports import Database
from ledger.book import Ledger, leader_ledger, operator_ledger
from ledger.hints import Bell, Touched
from ledger.lease import Lease, LeaseGuard, LeaseTimes
from ledger.streams import StreamRow
from mapping.plan import Plan
from reconcile.comparison import Kind
from reconcile.generation import Comparison
from reconcile.manner import ComparePorts, CompareSettings
from reconcile.mending import MendPorts
from reconcile.repairs import RepairPorts
from reconcile.returning import ReturnPorts
from reconcile.runner import Reconciler, Wake
from service import rollbackclock
from service.herald import Heralds
from service.levers import Levers
from service.metrics import Meter, Snapshot
from service.settings import Settings
from service.status import progress
from service.supervisor import supervise
from service.systemclock import SystemClock
from service.triggers import keep_looking
from service.web import Pages, listen, serve
from sync.followers import Handler, Pace, Surroundings
from sync.forward import Counts, ForwardHandler, ForwardPorts
from sync.purging import PurgePorts, Purger
from sync.reverse import ReverseHandler, ReversePorts
from sync.runner import Meaning, Sync
from sync.strays import Alarm, Strays

_LOG = logging.getLogger("tableturn")
_Result = TypeVar("_Result")
_GRACE = 8.0
"""Seconds the engines get to finish their page when the process is told to stop."""

COPY_POLL = 2.0
"""Seconds between looks whether there is something to copy; the bell shortens them."""

_IDS_AT_ONCE = 64
"""Source ids written at the same time by each direction of the stream."""

_STRAYS_SHOWN = 5
"""Items, masked, that one line of the log names; quarantine lists all."""


def process_name() -> str:
    """Return a name for this process that no other has: host, process id, nonce."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"


def _cry(stream: StreamRow, lost: str) -> None:
    """Say aloud that changes are lost; status, gate and metric go on saying it."""
    _LOG.error("gap", extra={"stream": stream.name, "lost": lost, "hint": "run `tableturn recapture`"})


def _alarm(plan: Plan) -> Callable[[Alarm], None]:
    """Return what says aloud that somebody ignored the flag; status, gate and quarantine go on saying it."""

    def tell(found: Alarm) -> None:
        items = [plan.masked(source_id) for source_id in found.source_ids[:_STRAYS_SHOWN]]
        facts = {"side": found.side.value, "source": found.source, "strays": len(found.source_ids), "items": items}
        _LOG.error("stray", extra={**facts, "hint": "see `tableturn quarantine list`"})

    return tell


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of one leader, wired to one ledger and one guard."""

    sync: Sync
    purger: Purger
    backfill: Backfill
    reconciler: Reconciler
    director: Director


class Worker:
    """One process of the service."""

    def __init__(
        self, database: Database, plan: Plan, settings: Settings, meter: Meter, levers: Levers, heralds: Heralds
    ) -> None:
        """``levers``: what acts with a switch besides the flag; ``heralds``: who tells of it. `run` begins."""
        self._database = database
        self._plan = plan
        self._settings = settings
        self._meter = meter
        self._levers = levers
        self._heralds = heralds
        self._clock = SystemClock()
        self._bell = Bell()
        self._stopping = asyncio.Event()
        self._counts: Counts = Counter()
        self._touched = Touched()
        self._leads = False

    async def run(self, *, ledger_table: str, standby: bool) -> Phase:
        """Lead the migration until SIGTERM, or until it is over; return its phase then.

        Raises RefusedError when another worker leads and ``standby`` is false, FencedError when the lease is lost,
        FatalError for what a human must mend.
        """
        who = process_name()
        plain = operator_ledger(self._database, ledger_table, self._clock, who=who)
        if await self._database.describe_table(ledger_table) is None:
            message = f"there is no ledger table {ledger_table}"
            raise FatalError(message, hint="run `tableturn init` first, or check --ledger, prefix and region")
        await plain.migration.check_plan(self._plan.name, self._plan.hash)
        listener = listen(self._settings.host, self._settings.port)
        times = LeaseTimes(self._settings.lease_seconds, self._settings.request_seconds)
        guard = LeaseGuard(self._clock, times)
        lease = Lease(plain.rows, self._clock, guard, owner=who)
        self._watch_signals()
        web = asyncio.create_task(serve(Pages(lambda: self._leads, lambda: self._scrape(plain)), listener))
        _LOG.info("listening", extra={"host": self._settings.host, "port": listener.getsockname()[1]})
        try:
            epoch = await self._unless_stopped(lease.acquire(wait=standby))
            if epoch is None:
                return (await plain.migration.state()).phase
            _LOG.info("leading", extra={"epoch": epoch, "plan": self._plan.name})
            ledger = leader_ledger(self._database, ledger_table, self._clock, who=who, guard=guard, epoch=epoch)
            return await self._lead(ledger, lease, guard)
        finally:
            self._leads = False
            await lease.release()
            web.cancel()
            await asyncio.gather(web, return_exceptions=True)

    async def _lead(self, ledger: Ledger, lease: Lease, guard: LeaseGuard) -> Phase:
        """Run every engine; told to stop, each finishes its page, so that no write is left in doubt."""
        engines, random = self._engines(ledger, guard), Random()
        self._leads = True

        async def directed() -> None:
            await supervise("director", engines.director.run, random=random)
            self._stopping.set()

        async def herald() -> None:
            await self._heralds(ledger, self._stopping)

        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(lease.keep())
            working = [
                group.create_task(supervise("sync", engines.sync.run, random=random)),
                group.create_task(supervise("backfill", lambda: self._copy(engines.backfill, ledger), random=random)),
                group.create_task(supervise("purger", engines.purger.run, random=random)),
                group.create_task(supervise("reconciler", engines.reconciler.run, random=random)),
                group.create_task(directed()),
                group.create_task(
                    supervise("triggers", lambda: keep_looking(self._settings, ledger, self._stopping), random=random)
                ),
                group.create_task(supervise("herald", herald, random=random, dispensable=True)),
            ]
            await self._stopping.wait()
            _LOG.info("stopping")
            self._bell.ring()
            await asyncio.wait(working, timeout=_GRACE)
            for task in (*working, keeper):
                task.cancel()
        state = await ledger.migration.state()
        _LOG.info("stopped", extra={"phase": state.phase.value})
        return state.phase

    async def _copy(self, backfill: Backfill, ledger: Ledger) -> None:
        """Copy whenever its phase has come: a stream that is captured anew brings it back."""
        while not self._stopping.is_set():
            phase = (await ledger.migration.state()).phase
            if phase is Phase.BACKFILL:
                await backfill.run()
            await self._bell.wait(COPY_POLL)

    def _engines(self, ledger: Ledger, guard: LeaseGuard) -> Engines:
        database, plan, settings = self._database, self._plan, self._settings
        door = Door(database, plan.target, guard=guard)
        around = Surroundings(database, ledger, self._clock, self._bell, Pace(), self._stopping)
        switch = SwitchPorts(
            plan,
            ledger,
            Marker(database, ledger, self._bell, guard=guard),
            guard,
            self._clock,
            self._bell,
            SwitchSettings(
                settings.flag_staleness_seconds,
                settings.longest_request_seconds,
                settings.max_blocked_seconds,
                settings.prepare_seconds,
                settings.verify_seconds,
            ),
            Acting(self._levers(ledger), ledger, guard),
        )
        compare = ComparePorts(database, plan, self._clock, _comparing(settings))
        comparison = Comparison(compare)
        repairs = RepairPorts(plan, door, ledger, guard, comparison.rechecker)
        back = ReturnPorts(plan, ReturnDoor(database, guard=guard), ledger, guard, comparison.rechecker)
        copying = CopySettings(least_segments=settings.segments, page_items=settings.page_items)
        return Engines(
            Sync(database, around, Meaning(self._handlers(ledger, door, guard), _cry)),
            Purger(PurgePorts(plan, door, ledger, guard, self._bell, self._stopping)),
            Backfill(CopyPorts(database, plan, door, ledger, guard, self._clock, self._bell, self._stopping, copying)),
            Reconciler(
                comparison, compare, Wake(self._bell, self._touched, self._stopping), MendPorts(repairs, back, guard)
            ),
            Director(DirectorPorts(switch, database, settings.limits(), self._stopping)),
        )

    def _handlers(self, ledger: Ledger, door: Door, guard: LeaseGuard) -> Callable[[StreamRow], Handler]:
        """Return what makes the handler of a stream: forward for a source, reverse for the target."""
        limit = asyncio.Semaphore(_IDS_AT_ONCE)
        strays = Strays(ledger.quarantine, _alarm(self._plan))
        forward = ForwardPorts(self._plan, door, ledger, self._counts, self._touched, limit, strays)
        back = ReturnDoor(self._database, guard=guard)
        reverse = ReversePorts(self._plan, back, self._database, ledger, self._counts, self._touched, limit, strays)

        def handler_of(stream: StreamRow) -> Handler:
            return ForwardHandler(forward, stream) if stream.side is Side.SOURCE else ReverseHandler(reverse, stream)

        return handler_of

    async def _scrape(self, ledger: Ledger) -> bytes:
        facts = await gather(ledger, self._database, self._plan, self._clock)
        last = await ledger.evidence.get("switch/cutover") or {}
        sources = await progress(ledger, self._database, self._plan)
        blocked = last.get("blocked_ms", 0) / 1000
        limits = self._settings.limits()
        at_risk = rollbackclock.by_label(facts, self._plan)
        return self._meter.text(Snapshot(facts, sources, self._counts, self._leads, limits, blocked, at_risk))

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)

    async def _unless_stopped(self, waiting: Coroutine[None, None, _Result]) -> _Result | None:
        """Await something, or return None when the process is told to stop first."""
        task, told = asyncio.create_task(waiting), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if not task.done():
            task.cancel()
            return None
        return task.result()


def _comparing(settings: Settings) -> CompareSettings:
    return CompareSettings(
        interval=settings.reconcile_interval_seconds,
        read_units=settings.reconcile_read_units,
        folder=settings.folder,
        auto_repair=settings.auto_repair,
        auto_repair_kinds=tuple(Kind(kind) for kind in settings.auto_repair_kinds.split(",")),
    )
