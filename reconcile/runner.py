"""Compare both sides in full, again and again, and say what does not agree (protocol §7).

One generation: `comparison.Reduction` of two parallel scans into a `worksheet`, `rechecks` of the suspects, `repairs`
where they are due, evidence into the ledger. `run` does so on a schedule and whenever an engine or the operator asks;
in between, `recent` looks at what changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from domain.errors import ConditionFailed
from domain.phases import Phase, Side
from ledger.cursors import SegmentRow
from ledger.findings import Lane
from ledger.hints import Bell, Touched
from ledger.lease import LeaseGuard
from ledger.migration import State
from ledger.requests import Request, RequestKind
from ledger.streams import StreamRow
from reconcile.ages import Ages
from reconcile.comparison import Kind, Mismatch
from reconcile.evidence import evidence
from reconcile.generation import ComparePorts, Comparison, Manner
from reconcile.recent import Recent
from reconcile.repairs import Repairer, RepairPorts
from reconcile.returning import Returner, ReturnPorts
from reconcile.worksheet import Worksheet

_SCHEDULED = frozenset({Phase.VERIFY, Phase.READY, Phase.ROLLED_BACK, Phase.BAKE})


@dataclass(frozen=True, slots=True)
class Wake:
    """What wakes the reconciler before its poll, what tells it of changes, and what ends it."""

    bell: Bell
    touched: Touched
    stopping: asyncio.Event


@dataclass(frozen=True, slots=True)
class MendPorts:
    """What the side that follows is mended with: the target from the source, or the legacy tables from the target."""

    forward: RepairPorts
    back: ReturnPorts
    guard: LeaseGuard


@dataclass(slots=True)
class _Turn:
    """Something that is done now and then, and gives way."""

    task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self.task is None or self.task.done()

    async def call_off(self, writing: asyncio.Lock) -> None:
        """End it between two writes: one that is cut off is in doubt for a lease time, for which a switch waits."""
        if self.task is not None:
            async with writing:
                self.task.cancel()
            await asyncio.wait({self.task})


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
        self._recent = Recent(comparison.rechecker, self._ledger.streams, wake.touched, ports.clock)
        self._ages = Ages(ports.plan.masked)
        self._writing = asyncio.Lock()
        self._last = self._looked = float("-inf")
        self._last_phase: Phase | None = None
        self._revision = 0

    async def run(self) -> None:
        """Answer requests at once, compare on schedule, and look at what changed, until told to stop."""
        for side in Side:
            self._ages.remember(await self._ledger.evidence.get(f"reconcile/{side}") or {})
        comparing, looking = _Turn(), _Turn()
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                await self._answer_all([comparing, looking])
                state = await self._ledger.migration.state()
                if comparing.is_over and self._is_due(state):
                    self._last_phase = state.phase
                    comparing.task = group.create_task(self._on_schedule(state.phase))
                if looking.is_over and self._may_look(state):
                    looking.task = group.create_task(self._look(state.flag.serving))
                await self._bell.wait(self._ports.settings.poll)
            for turn in (comparing, looking):
                await turn.call_off(self._writing)

    async def _answer_all(self, turns: Sequence[_Turn]) -> None:
        """Answer what is asked; what is scheduled gives way, because somebody may wait with writes blocked."""
        asked = await self._ledger.requests.waiting(RequestKind.VERIFY)
        for turn in turns if asked else ():
            await turn.call_off(self._writing)
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
        await self._ledger.requests.answer(request, done=True, **found)

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
        sheet = Worksheet.of({source_id: entry.keys})
        verdict = await self._comparison.rechecker.settle(sheet, Side.SOURCE, self._ports.settings.fenced_patience)
        sheet.close(remove=True)
        agrees = not verdict.source_ids
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
        await self.reconcile(repair=rolled_back and phase in {Phase.ROLLED_BACK, Phase.VERIFY}, scheduled=True)
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

    async def reconcile(self, *, fenced: bool = False, repair: bool = False, scheduled: bool = False) -> dict[str, Any]:
        """Do one generation, repair if asked, and compare again what was repaired; write the evidence and return it."""
        state = await self._ledger.migration.state()
        serving = state.flag.serving
        owed = await self._owed_back(serving)
        settings = self._ports.settings
        patience = settings.fenced_patience if fenced else settings.patience
        lineage = str(state.revision) if scheduled else None
        mend = partial(self._mend_batch, serving, asked=repair) if repair or owed else None
        began_after = self._recent.begin()
        found = await self._comparison.generation(serving, Manner(patience, mend, lineage))
        if mend is not None and found.verdict.source_ids and (repair or not await self._strays_untold()):
            ids, puts = found.verdict.source_ids, found.verdict.repaired
            await self._ledger.history.add("repaired", ids=ids, puts=puts)
            began_after = self._recent.begin()
            found = await self._comparison.generation(serving, Manner(patience))
            found.verdict.repaired = puts
        self._revision = state.revision
        if self._recent.adopt(found, began_after):
            await self._recent.look(serving, patience)
        noted = await self._note()
        if owed and found.verdict.is_explained_by(await self._waiting()):
            row = SegmentRow(owed.name, 0, 1, owed.copy_epoch, done=True, items=found.compared)
            await self._ledger.segments.save(row)
        self._last = self._ports.clock.monotonic()
        return noted

    async def _note(self) -> dict[str, Any]:
        """Write down what is known now: a finding of a full comparison, or what became of it."""
        async with self._writing:
            found, now_ms = self._recent.known(), self._ports.clock.wall_ms()
            aged = self._ages.dated(found.mismatches, now_ms)
            noted = {**evidence(found, aged, self._ports.plan), "state": self._revision}
            await self._ledger.evidence.put(f"reconcile/{found.serving}", noted)
        return noted

    async def _look(self, serving: Side) -> None:
        await self._recent.look(serving, self._ports.settings.patience)
        await self._note()
        self._looked = self._ports.clock.monotonic()

    def _may_look(self, state: State) -> bool:
        """Look now and then, but never into a switch: what looks write must not be in doubt when it settles."""
        elapsed = self._ports.clock.monotonic() - self._looked
        may = state.phase in _SCHEDULED and state.flag.writable and self._recent.is_ready(state.flag.serving)
        return may and elapsed >= self._ports.settings.look

    async def _owed_back(self, serving: Side) -> StreamRow | None:
        """Return the target's stream if it lost records while it served that the legacy tables are still owed (§5).

        What was sent in its old epoch must not land behind the comparison, so that is awaited (§3 c).
        """
        stream = await self._ledger.streams.get(Side.TARGET)
        if serving is Side.SOURCE or not await self._ledger.segments.owed(stream):
            return None
        await self._mend.guard.quiet()
        return stream

    async def _mend_batch(self, serving: Side, wrong: dict[str, list[Mismatch]], *, asked: bool) -> int:
        """Mend what does not agree on the side that follows; return how many puts took place."""
        if not asked and await self._strays_untold():
            return 0
        async with self._writing:
            if serving is Side.SOURCE:
                return await (await self._repairer()).repair(wrong)
            return await Returner(self._mend.back).repair(wrong)

    def _is_due(self, state: State) -> bool:
        """Compare at once in a new phase, then at the interval."""
        if state.phase not in _SCHEDULED or not state.flag.writable:
            return False
        elapsed = self._ports.clock.monotonic() - self._last
        return state.phase is not self._last_phase or elapsed >= self._ports.settings.interval
