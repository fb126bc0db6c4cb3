"""Between full comparisons: looks again at what changed and at what did not agree (protocol §7, later generations).

`look` moves ``verified_through`` on: every write that the streams told of up to then is compared. It may do so only on
top of a full comparison that began after the last break of `ledger.hints.Touched` (docs/adr/0011).
"""

from collections.abc import Collection
from dataclasses import replace

from domain.clock import Clock, credible
from domain.items import TargetKey
from domain.phases import Side
from ledger.hints import Touched
from ledger.streams import Streams
from reconcile.comparison import Mismatch, by_id
from reconcile.generation import Generation
from reconcile.rechecks import Patience, Rechecker, Verdict
from reconcile.worksheet import Worksheet


class Recent:
    """What the last full comparison found, kept true meanwhile."""

    def __init__(self, rechecker: Rechecker, streams: Streams, touched: Touched, clock: Clock) -> None:
        """Nothing is known before `adopt`."""
        self._rechecker = rechecker
        self._streams = streams
        self._touched = touched
        self._clock = clock
        self._found: Generation | None = None
        self._unbroken_since: int | None = None
        self._wrong_since: set[str] = set()

    def known(self) -> Generation:
        """Return what is known now, once something is."""
        if self._found is None:
            message = "nothing was compared yet"
            raise RuntimeError(message)
        return self._found

    def begin(self) -> int:
        """Say that a full comparison begins; hand the answer to `adopt`."""
        self._wrong_since = set()
        return self._touched.breaks

    def adopt(self, found: Generation, began_after: int) -> bool:
        """Take over a full comparison; what looks have found since it began was perhaps scanned before it went wrong.

        Tell whether there is such: then look at once, for it may agree by now.
        """
        later: list[Mismatch] = []
        before = self._found
        if before is not None and before.serving is found.serving:
            known = {each.source_id for each in found.mismatches}
            later = [each for each in before.mismatches if each.source_id in self._wrong_since - known]
            if later:
                found.verdict.add(by_id(later))
            found = replace(found, verified_ms=max(found.through_ms, before.verified_ms))
        self._found = found
        self._unbroken_since = began_after
        return bool(later)

    def is_ready(self, serving: Side) -> bool:
        """Tell whether a look can say anything: of this side everything is compared, unbroken, mismatches known."""
        return (
            self._found is not None
            and self._found.serving is serving
            and self._unbroken_since == self._touched.breaks
            and self._found.verdict.is_whole
        )

    async def look(self, serving: Side, patience: Patience) -> None:
        """Recheck what changed and what was wrong; up to when everything is seen is asked before what was seen."""
        through, found = await self._seen_through(), self._found
        if found is None or not self.is_ready(serving):
            return
        taken, done = self._touched.take(), False
        try:
            await self._recheck(found, patience, taken, through)
            done = True
        finally:
            if not done:  # called off, or failed: the next look has to see them
                self._touched.note(taken)

    async def _recheck(self, found: Generation, patience: Patience, taken: Collection[str], through: int) -> None:
        suspects: dict[str, set[TargetKey]] = {name: set() for name in taken}
        for wrong in found.mismatches:
            suspects.setdefault(wrong.source_id, set()).update({wrong.key} if wrong.key.pk else ())
        verdict = Verdict(expired=found.verdict.expired, repaired=found.verdict.repaired)
        if suspects:
            sheet = Worksheet.of(suspects)
            try:
                verdict = await self._rechecker.settle(sheet, found.serving, patience)
            finally:
                sheet.close(remove=True)
        self._wrong_since |= {each.source_id for each in verdict.kept}
        if self._found is not found:  # a full comparison came to its end meanwhile, and did not see this
            self._touched.note(suspects)
            return
        self._found = replace(found, verdict=verdict, verified_ms=max(found.verified_ms, through))

    async def _seen_through(self) -> int:
        """Return up to when every stream is seen; 0 while one was never looked at."""
        streams = await self._streams.all()
        through = [credible(await self._streams.through_ms(each), self._clock.wall_ms()) for each in streams]
        return min(through, default=0)
