"""Compare both sides in full, again and again, and say what does not agree (protocol §7).

One generation: `comparison.Sweep` over two parallel scans, `rechecks` of the suspects, `repairs` where they are due,
evidence into the ledger. `run` does so on a schedule and whenever an engine or the operator asks.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass, field

from domain.clock import Clock
from domain.errors import ConditionFailed
from domain.items import Item
from domain.phases import Phase, Side
from domain.tables import TableDefinition
from dynamo.ports import Database, ScanRequest
from ledger.cursors import SegmentRow
from ledger.findings import Lane
from ledger.hints import Bell
from ledger.lease import LeaseGuard
from ledger.requests import Request, RequestKind
from ledger.streams import StreamRow
from mapping.plan import Plan
from reconcile.comparison import Kind, Mismatch, Sweep
from reconcile.rechecks import Patience, Rechecker, Verdict
from reconcile.repairs import Repairer, RepairPorts
from reconcile.returning import Returner, ReturnPorts

_SCHEDULED = frozenset({Phase.VERIFY, Phase.READY, Phase.ROLLED_BACK, Phase.BAKE})
_ITEMS_A_BREATH = 32
"""Items compared before the other engines get their turn: else the stream falls behind meanwhile."""

_EXAMPLES = 20
"""Mismatches shown in the evidence; the counts are exact."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Seconds between scheduled generations, and between looks at requests and phase (the bell shortens them).

    Scan segments per table; patience with suspects.
    """

    interval: float = 60.0
    poll: float = 0.5
    segments: int = 4
    patience: Patience = field(default_factory=Patience)
    fenced_patience: Patience = field(default_factory=lambda: Patience(rounds=2, pause=0.1))


@dataclass(frozen=True, slots=True)
class ComparePorts:
    """What the comparison works with; ``ledger`` may be the operator's, then nothing is repaired."""

    database: Database
    plan: Plan
    clock: Clock
    settings: CompareSettings


@dataclass(frozen=True, slots=True)
class Generation:
    """What one full comparison found. Times are wall milliseconds; ``through_ms``: all is compared since then."""

    serving: Side
    through_ms: int
    scan_ms: int
    duration_ms: int
    compared: int
    unmapped: int
    suspects: int
    verdict: Verdict
    repaired: int = 0

    @property
    def mismatches(self) -> list[Mismatch]:
        """Return what stayed, in a fixed order."""
        return [each for found in self.verdict.mismatches.values() for each in found]

    def evidence(self, plan: Plan) -> dict[str, object]:
        """Return the finding as the ledger keeps it: exact counts, a few masked examples."""
        kinds = Counter(str(each.kind) for each in self.mismatches)
        examples = [
            {"kind": each.kind, "item": plan.masked(each.source_id), "attributes": list(each.attributes)}
            for each in self.mismatches[:_EXAMPLES]
        ]
        facts = {name: value for name, value in asdict(self).items() if isinstance(value, int | str)}
        verified = {"verified_through_ms": self.through_ms, "scanned_through_ms": self.through_ms}
        return {
            **facts,
            **verified,
            "mismatches": len(self.mismatches),
            "kinds": dict(kinds),
            "expired": self.verdict.expired,
            "examples": examples,
            "plan": plan.hash,
        }


class Comparison:
    """Does one generation; needs no ledger, writes nothing."""

    def __init__(self, ports: ComparePorts) -> None:
        """Wrap the ports."""
        self._ports = ports
        self.rechecker = Rechecker(ports.database, ports.plan, ports.clock)

    async def generation(self, serving: Side, patience: Patience) -> Generation:
        """Scan both sides, compare, recheck."""
        began, through = self._ports.clock.monotonic(), self._ports.clock.wall_ms()
        sweep = Sweep(self._ports.plan, serving)
        for name, source in self._ports.plan.sources.items():
            async for image in self._scan(source.definition):
                sweep.see_source(name, image)
        async for item in self._scan(self._ports.plan.target):
            sweep.see_target(item)
        suspects = sweep.finish()
        scanned = int((self._ports.clock.monotonic() - began) * 1000)
        verdict = await self.rechecker.settle(suspects, serving, patience)
        duration = int((self._ports.clock.monotonic() - began) * 1000)
        return Generation(serving, through, scanned, duration, sweep.compared, sweep.unmapped, len(suspects), verdict)

    async def _scan(self, table: TableDefinition) -> AsyncIterator[Item]:
        """Yield every item of a table but marks, segments side by side, one page of each in memory."""
        starts: dict[int, Item | None] = dict.fromkeys(range(self._ports.settings.segments))
        while starts:
            requests = [
                ScanRequest(table.name, segment, self._ports.settings.segments, start=start)
                for segment, start in starts.items()
            ]
            pages = await asyncio.gather(*(self._ports.database.scan_page(request) for request in requests))
            for number, item in enumerate(table.without_marks(item for page in pages for item in page.items)):
                yield item
                if number % _ITEMS_A_BREATH == 0:
                    await asyncio.sleep(0)
            starts = {
                request.segment: page.last_key
                for request, page in zip(requests, pages, strict=True)
                if page.last_key is not None
            }


@dataclass(frozen=True, slots=True)
class Wake:
    """What wakes the reconciler before its poll, and what ends it."""

    bell: Bell
    stopping: asyncio.Event


@dataclass(frozen=True, slots=True)
class MendPorts:
    """What the side that follows is mended with: the target from the source, or the legacy tables from the target."""

    forward: RepairPorts
    back: ReturnPorts
    guard: LeaseGuard


class Reconciler:
    """Keeps the evidence fresh while the service runs."""

    def __init__(self, comparison: Comparison, ports: ComparePorts, wake: Wake, mend: MendPorts) -> None:
        """Mending is for after a rollback, after the target's stream was captured anew, and when a request asks."""
        self._comparison = comparison
        self._ports = ports
        self._ledger = mend.forward.ledger
        self._mend = mend
        self._bell = wake.bell
        self._stopping = wake.stopping
        self._last = float("-inf")
        self._last_phase: Phase | None = None

    async def run(self) -> None:
        """Answer requests at once, and compare on schedule, until told to stop."""
        scheduled: asyncio.Task[None] | None = None
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                await self._answer_all(scheduled)
                phase = (await self._ledger.migration.state()).phase
                if (scheduled is None or scheduled.done()) and self._is_due(phase):
                    self._last_phase = phase
                    scheduled = group.create_task(self._on_schedule(phase))
                await self._bell.wait(self._ports.settings.poll)
            if scheduled is not None:
                scheduled.cancel()

    async def _answer_all(self, scheduled: asyncio.Task[None] | None) -> None:
        """Answer what is asked; a scheduled comparison gives way, because somebody may wait with writes blocked."""
        asked = await self._ledger.requests.waiting(RequestKind.VERIFY)
        if asked and scheduled is not None:
            scheduled.cancel()
            await asyncio.wait({scheduled})
        for request in asked:
            await self._taken(request, self._answer)
        for request in await self._ledger.requests.waiting(RequestKind.RETRY):
            await self._taken(request, self._retry)

    async def _taken(self, request: Request, work: Callable[[Request], Awaitable[None]]) -> None:
        """Take a request, so that its asker goes on waiting, and work on it; one taken before a crash is begun anew."""
        try:
            await work(await self._ledger.requests.take(request))
        except ConditionFailed:
            return  # withdrawn at the last moment
        self._bell.ring()

    async def _answer(self, request: Request) -> None:
        """Compare now; somebody is waiting, perhaps with writes blocked."""
        found = await self.reconcile(fenced=bool(request.facts.get("fenced")), repair=bool(request.facts.get("repair")))
        await self._ledger.requests.answer(request, done=True, **found.evidence(self._ports.plan))

    async def _retry(self, request: Request) -> None:
        """Repair one quarantined id from the source as it is now; its entry goes when both sides agree."""
        source, source_id = request.facts["source"], request.facts["source_id"]
        entry = (await self._ledger.quarantine.of(source)).get(source_id)
        if entry is None or request.facts["lane"] != Lane.FORWARD or not await self._source_serves():
            why = "only an entry of the forward lane can be retried, while the source serves; see `quarantine drop`"
            await self._ledger.requests.answer(request, done=False, why=why)
            return
        suspect = {source_id: [Mismatch(Kind.DIFFERENT, source_id, key) for key in entry.keys]}
        await (await self._repairer()).repair(suspect)
        verdict = await self._comparison.rechecker.settle(
            {source_id: entry.keys}, Side.SOURCE, self._ports.settings.fenced_patience
        )
        agrees = not verdict.mismatches
        if agrees:
            await self._ledger.quarantine.clear(entry, entry.version)
        why = "both sides agree; the entry is gone" if agrees else "it still cannot be applied; the entry stays"
        await self._ledger.requests.answer(request, done=agrees, why=why)

    async def _repairer(self) -> Repairer:
        epochs = {stream.name: stream.epoch for stream in await self._ledger.streams.all()}
        rollbacks = (await self._ledger.migration.state()).rollbacks
        return Repairer(self._mend.forward, epochs, adopts=rollbacks > 0)

    async def _source_serves(self) -> bool:
        return (await self._ledger.migration.state()).flag.serving is Side.SOURCE

    async def _on_schedule(self, phase: Phase) -> None:
        """After a rollback the target, which nobody reads, is mended from the source as well (protocol §9).

        A recapture in between may have led from ROLLED_BACK to VERIFY: what the new application left is still there.
        """
        rolled_back = (await self._ledger.migration.state()).rollbacks > 0
        await self.reconcile(fenced=False, repair=rolled_back and phase in {Phase.ROLLED_BACK, Phase.VERIFY})
        self._bell.ring()

    async def _strays_untold(self) -> bool:
        """Tell whether a legacy stream has lost records as well: what looks owed may be a stray that nobody told of.

        Then nothing is mended before the operator has looked and says so (`reconcile --repair`).
        """
        sources = [stream for stream in await self._ledger.streams.all() if stream.side is Side.SOURCE]
        return any([await self._ledger.streams.has_lost(stream.name) for stream in sources])

    async def _waiting(self) -> set[str]:
        """Return the ids that wait in quarantine: they are said there, and block there."""
        return {entry.source_id for entry in await self._ledger.quarantine.everything()}

    async def reconcile(self, *, fenced: bool, repair: bool) -> Generation:
        """Do one generation, repair if asked, and compare again what was repaired; write the evidence."""
        state = await self._ledger.migration.state()
        serving = state.flag.serving
        owed = await self._owed_back(serving)
        settings = self._ports.settings
        patience = settings.fenced_patience if fenced else settings.patience
        found = await self._comparison.generation(serving, patience)
        if (repair or (owed and not await self._strays_untold())) and found.verdict.mismatches:
            repaired = await self._repaired(found)
            await self._ledger.history.add("repaired", ids=len(found.verdict.mismatches), puts=repaired)
            found = await self._comparison.generation(serving, patience)
        dated = {**found.evidence(self._ports.plan), "state": state.revision}
        await self._ledger.evidence.put(f"reconcile/{serving}", dated)
        if owed and not found.verdict.mismatches.keys() - await self._waiting():
            row = SegmentRow(owed.name, 0, 1, owed.copy_epoch, done=True, items=found.compared)
            await self._ledger.segments.save(row)
        self._last = self._ports.clock.monotonic()
        return found

    async def _owed_back(self, serving: Side) -> StreamRow | None:
        """Return the target's stream if it lost records while it served that the legacy tables are still owed (§5).

        What was sent in its old epoch must not land behind the comparison, so that is awaited (§3 c).
        """
        stream = await self._ledger.streams.get(Side.TARGET)
        if serving is Side.SOURCE or not await self._ledger.segments.owed(stream):
            return None
        await self._mend.guard.quiet()
        return stream

    async def _repaired(self, found: Generation) -> int:
        """Mend the side that follows; return how many puts took place."""
        if found.serving is Side.SOURCE:
            return await (await self._repairer()).repair(found.verdict.mismatches)
        return await Returner(self._mend.back).repair(found.verdict.mismatches)

    def _is_due(self, phase: Phase) -> bool:
        """Compare at once in a new phase, then at the interval."""
        elapsed = self._ports.clock.monotonic() - self._last
        return phase in _SCHEDULED and (phase is not self._last_phase or elapsed >= self._ports.settings.interval)
