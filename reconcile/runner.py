"""Compare both sides in full, again and again, and say what does not agree (protocol §7).

One generation: `comparison.Reduction` of two parallel scans into a `worksheet`, `rechecks` of the suspects, `repairs`
where they are due, evidence into the ledger. `run` does so on a schedule and whenever an engine or the operator asks;
in between, `recent` looks at what changed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from domain.errors import ConditionFailed, TransientError, first_of
from domain.phases import Phase, Side
from dynamo.scanfile import ScanFileError
from ledger.cursors import SegmentRow
from ledger.findings import Lane
from ledger.hints import Bell, Touched
from ledger.migration import State
from ledger.requests import Request, RequestKind
from ledger.streams import StreamRow
from reconcile.ages import Ages
from reconcile.comparison import Kind, by_id
from reconcile.evidence import EXAMPLES, evidence
from reconcile.generation import Comparison, Generation
from reconcile.intentions import EVERY_KIND
from reconcile.manner import ComparePorts, Manner
from reconcile.mending import Mandate, Mender, MendPorts
from reconcile.recent import Recent
from reconcile.rechecks import Verdict
from reconcile.worksheet import Worksheet

_SCHEDULED = frozenset({Phase.VERIFY, Phase.READY, Phase.ROLLED_BACK, Phase.BAKE})


@dataclass(frozen=True, slots=True)
class Wake:
    """What wakes the reconciler before its poll, what tells it of changes, and what ends it."""

    bell: Bell
    touched: Touched
    stopping: asyncio.Event


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
        self._bell = wake.bell
        self._stopping = wake.stopping
        self._recent = Recent(comparison.rechecker, self._ledger.streams, wake.touched, ports.clock)
        self._ages = Ages(ports.plan.masked)
        self._writing = asyncio.Lock()
        self._mender = Mender(mend, self._writing)
        self._last = self._looked = float("-inf")
        self._last_phase: Phase | None = None
        self._revision = 0

    async def run(self) -> None:
        """Answer requests at once, compare on schedule, and look at what changed, until told to stop.

        Where there is no room for worksheets nothing is compared, gates say so, and the other engines go on.
        """
        try:
            await self._run()
        except* ScanFileError as errors:
            message = f"nothing can be compared: {first_of(errors)}"
            raise TransientError(message) from errors

    async def _run(self) -> None:
        for side in Side:
            self._ages.remember(await self._ledger.evidence.get(f"reconcile/{side}") or {})
        comparing, looking = _Turn(), _Turn()
        async with asyncio.TaskGroup() as group:
            while not self._stopping.is_set():
                await self._answer_all([comparing, looking])
                state = await self._ledger.migration.state()
                if comparing.is_over and self._is_due(state):
                    self._last_phase = state.phase
                    comparing.task = group.create_task(self._on_schedule())
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
        if request.facts.get("fenced") and await self._is_looked_at(request):
            found = {**await self._note(), "extent": "what changed"}
        else:
            asked = Mandate("asked", _kinds(request)) if request.facts.get("repair") else None
            fenced = bool(request.facts.get("fenced"))
            found = {**await self.reconcile(fenced=fenced, asked=asked), "extent": "everything"}
        await self._ledger.requests.answer(request, done=True, **found)

    async def _is_looked_at(self, request: Request) -> bool:
        """Look at what changed since, where all takes too long under a fence; tell whether it was done (§8.3)."""
        serving = (await self._ledger.migration.state()).flag.serving
        if not await self._recent.is_ready(serving):
            return False
        spent = self._recent.known().scan_ms
        if spent <= int(request.facts.get("within_ms", spent)):
            return False
        since_ms = int(request.facts.get("since_ms", 0))
        return await self._recent.look(serving, self._ports.settings.fenced_patience, since_ms=since_ms)

    async def _retry(self, request: Request) -> None:
        """Bring one quarantined id over again from the side that serves; its entry goes when both sides agree.

        A stray's write, or what somebody has put in its place, gives way to what the serving side says.
        """
        lane, source_id = str(request.facts["lane"]), request.facts["source_id"]
        serving = (await self._ledger.migration.state()).flag.serving
        is_due = lane in {Lane.STRAY, Lane.FORWARD if serving is Side.SOURCE else Lane.REVERSE}
        entry = (
            (await self._ledger.quarantine.of(request.facts["source"], Lane(lane))).get(source_id) if is_due else None
        )
        if entry is None:
            why = f"there is no such entry that can be brought over while the {serving} serves; see `quarantine drop`"
            await self._ledger.requests.answer(request, done=False, why=why)
            return
        await self._mender.mend_one(serving, source_id, entry.keys)
        sheet = Worksheet.of({source_id: entry.keys})
        verdict = await self._comparison.rechecker.settle(sheet, serving, self._ports.settings.fenced_patience)
        sheet.close(remove=True)
        agrees = not verdict.source_ids
        if agrees:
            await self._ledger.quarantine.clear(entry, entry.version)
        why = "both sides agree; the entry is gone" if agrees else "it still cannot be applied; the entry stays"
        await self._ledger.requests.answer(request, done=agrees, why=why)

    async def _on_schedule(self) -> None:
        await self.reconcile(scheduled=True)
        self._bell.ring()

    def _mandate(
        self, state: State, asked: Mandate | None, owed: StreamRow | None, *, scheduled: bool
    ) -> Mandate | None:
        """Return why this comparison may mend what it finds.

        After a rollback the target, which nobody reads, is mended from the source (protocol §9). A recapture in between
        may have led from ROLLED_BACK to VERIFY: what the new application left is still there.
        """
        if asked is not None:
            return asked
        if owed is not None:
            return Mandate("lost records owed to the legacy tables", asked=False)
        if scheduled and state.rollbacks > 0 and state.phase in {Phase.ROLLED_BACK, Phase.VERIFY}:
            return Mandate("after a rollback")
        return None

    async def _waiting(self) -> set[str]:
        """Return the ids that wait in quarantine: they are said there, and block there."""
        return {entry.source_id for entry in await self._ledger.quarantine.everything()}

    async def reconcile(
        self, *, fenced: bool = False, asked: Mandate | None = None, scheduled: bool = False
    ) -> dict[str, Any]:
        """Do one generation, mend if there is a mandate, and compare again then; write the evidence and return it."""
        state = await self._ledger.migration.state()
        serving = state.flag.serving
        owed = await self._mender.owed_back(serving)
        manner = self._manner(state, fenced=fenced, scheduled=scheduled)
        mandate = self._mandate(state, asked, owed, scheduled=scheduled)
        mend = None if mandate is None else partial(self._mender.mend, serving, mandate)
        ground = await self._recent.begin()
        found = await self._comparison.generation(serving, replace(manner, mend=mend, ground=ground))
        if mandate is not None and found.verdict.source_ids:
            repaired = found.verdict
            await self._remember(mandate, repaired)
            ground = await self._recent.begin()
            found = await self._comparison.generation(serving, Manner(manner.patience, ground=ground))
            found.verdict.repaired = repaired.repaired
        self._revision = state.revision
        if self._recent.adopt(found) or (scheduled and await self._mended_unasked(found)):
            await self._recent.look(serving, manner.patience)
        noted = await self._note()
        if owed and found.verdict.is_explained_by(await self._waiting()):
            row = SegmentRow(owed.name, 0, 1, owed.copy_epoch, done=True, items=found.compared)
            await self._ledger.segments.save(row)
        self._last = self._ports.clock.monotonic()
        return noted

    def _manner(self, state: State, *, fenced: bool, scheduled: bool) -> Manner:
        """Whoever waits is not kept waiting; what is scheduled keeps to its ceiling and goes on where it was killed."""
        settings = self._ports.settings
        if not scheduled:
            return Manner(settings.fenced_patience if fenced else settings.patience)
        path = None if settings.folder is None else settings.folder / f"{self._ports.plan.target.name}.worksheet"
        return Manner(
            settings.patience, read_units=settings.read_units, worksheet=path, lineage=f"revision {state.revision}"
        )

    async def _mended_unasked(self, found: Generation) -> bool:
        """Mend so few mismatches that nobody has to be asked, if the settings say so; tell whether there were any."""
        settings, verdict = self._ports.settings, found.verdict
        if not 0 < verdict.source_ids <= settings.auto_repair or not verdict.is_whole:
            return False
        mandate = Mandate("few enough", settings.auto_repair_kinds, asked=False)
        verdict.repaired += await self._mender.mend(found.serving, mandate, by_id(verdict.kept))
        await self._remember(mandate, verdict)
        return True

    async def _remember(self, mandate: Mandate, verdict: Verdict) -> None:
        """Write a repair into the history: why, how many puts, and whose, masked, as far as evidence shows them."""
        items = sorted({self._ports.plan.masked(each.source_id) for each in verdict.kept})[:EXAMPLES]
        async with self._writing:
            await self._ledger.history.add(
                "repaired", why=mandate.why, ids=verdict.source_ids, puts=verdict.repaired, items=items
            )

    async def _note(self) -> dict[str, Any]:
        """Write down what is known now: a finding of a full comparison, or what became of it."""
        async with self._writing:
            found, now_ms = self._recent.known(), self._ports.clock.wall_ms()
            aged = self._ages.dated(found.mismatches, now_ms)
            noted = {**evidence(found, aged, self._ports.plan), "state": self._revision}
            await self._ledger.evidence.put(f"reconcile/{found.serving}", noted)
        return noted

    async def _look(self, serving: Side) -> None:
        if await self._recent.look(serving, self._ports.settings.patience):
            await self._note()
        self._looked = self._ports.clock.monotonic()

    def _may_look(self, state: State) -> bool:
        """Look now and then, but never into a switch: what looks write must not be in doubt when it settles.

        One look after the other while a switch is about to begin: what they see need not be verified under its fence.
        """
        elapsed = self._ports.clock.monotonic() - self._looked
        is_due = self._bell.presses or elapsed >= self._ports.settings.look
        return state.phase in _SCHEDULED and state.flag.writable and is_due

    def _is_due(self, state: State) -> bool:
        """Compare at once in a new phase, then at the interval."""
        if state.phase not in _SCHEDULED or not state.flag.writable:
            return False
        elapsed = self._ports.clock.monotonic() - self._last
        return state.phase is not self._last_phase or elapsed >= self._ports.settings.interval


def _kinds(request: Request) -> Collection[Kind]:
    """Return which kinds a request wants mended: those named, or all."""
    return [kind for kind in Kind if kind in request.facts.get("kinds", ())] or EVERY_KIND
