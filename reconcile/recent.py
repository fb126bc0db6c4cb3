"""Between full comparisons: looks again at what changed and at what did not agree (protocol §7, later generations).

`look` moves ``verified_through`` on: every write that the streams told of up to then is compared. It may do so only on
top of a full comparison that began after the last break of `ledger.hints.Touched` (docs/adr/0011).
"""

import asyncio
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

_POLL = 0.1
"""Seconds between looks at how far the streams are seen."""


class Recent:
    """What the last full comparison found, kept true meanwhile."""

    def __init__(self, rechecker: Rechecker, streams: Streams, touched: Touched, clock: Clock) -> None:
        """Nothing is known before `adopt`."""
        self._rechecker = rechecker
        self._streams = streams
        self._touched = touched
        self._clock = clock
        self._found: Generation | None = None
        self._wrong_since: set[str] = set()
        self._looking = asyncio.Lock()

    def known(self) -> Generation:
        """Return what is known now, once something is."""
        if self._found is None:
            message = "nothing was compared yet"
            raise RuntimeError(message)
        return self._found

    async def begin(self) -> str:
        """Say that a full comparison begins; return the ground that it begins on (`Manner.ground`)."""
        self._wrong_since = set()
        return (await self._seen())[1]

    def adopt(self, found: Generation) -> bool:
        """Take over a full comparison; what looks have found since it began was perhaps scanned before it went wrong.

        One that was gone on with began before anything that is known. Tell whether there is such: then look at once,
        for it may agree by now.
        """
        later: list[Mismatch] = []
        before = self._found
        if before is not None and before.serving is found.serving:
            known = {each.source_id for each in found.mismatches}
            later = [
                each
                for each in before.mismatches
                if each.source_id not in known and (found.resumed or each.source_id in self._wrong_since)
            ]
            if later:
                found.verdict.add(by_id(later))
            found = replace(found, verified_ms=max(found.through_ms, before.verified_ms))
        self._found = found
        return bool(later)

    async def is_ready(self, serving: Side) -> bool:
        """Tell whether a look can say anything: of this side everything is compared, unbroken, mismatches known."""
        return self._is_ready(serving, (await self._seen())[1])

    def _is_ready(self, serving: Side, ground: str) -> bool:
        found = self._found
        return found is not None and found.serving is serving and found.ground == ground and found.verdict.is_whole

    async def look(self, serving: Side, patience: Patience, *, since_ms: int = 0) -> bool:
        """Recheck what changed and what was wrong; tell whether that says something (`is_ready`).

        Up to when everything is seen is asked before what was seen; one look at a time, because none may speak for what
        another has in its hands. One that says nothing keeps short what the first that does has to look at. Waits
        until the side that follows is seen up to ``since_ms``: what somebody else wrote there, nobody has drained.
        """
        async with self._looking:
            while since_ms and await self._through(serving.other) < since_ms:
                await asyncio.sleep(_POLL)
            through, ground = await self._seen()
            found = self._found if self._is_ready(serving, ground) else None
            taken, done = self._touched.take(), False
            try:
                done = await self._recheck(found, serving, patience, taken, through)
            finally:
                if not done:  # called off, failed, or overtaken: the next look has to see them
                    self._touched.note(taken)
            return done and found is not None

    async def _recheck(
        self, found: Generation | None, serving: Side, patience: Patience, taken: Collection[str], through: int
    ) -> bool:
        """Recheck what was taken and what ``found`` knows to be wrong; tell whether it is done with."""
        suspects: dict[str, set[TargetKey]] = {name: set() for name in taken}
        for wrong in found.mismatches if found is not None else ():
            suspects.setdefault(wrong.source_id, set()).update({wrong.key} if wrong.key.pk else ())
        verdict = await self._settled(suspects, serving, patience)
        disagree = {each.source_id for each in verdict.kept}
        if found is None:
            self._touched.note(disagree if verdict.is_whole else ())
            return verdict.is_whole
        self._wrong_since |= disagree
        if self._found is not found:  # a full comparison came to its end meanwhile, and did not see this
            self._touched.note(suspects)
            return False
        verdict.expired, verdict.repaired = found.verdict.expired, found.verdict.repaired
        self._found = replace(found, verdict=verdict, verified_ms=max(found.verified_ms, through))
        return True

    async def _settled(self, suspects: dict[str, set[TargetKey]], serving: Side, patience: Patience) -> Verdict:
        if not suspects:
            return Verdict()
        sheet = Worksheet.of(suspects)
        try:
            return await self._rechecker.settle(sheet, serving, patience)
        finally:
            sheet.close(remove=True)

    async def _seen(self) -> tuple[int, str]:
        """Return up to when every stream is seen, 0 while one was never looked at; and what looks build on now.

        The latter changes with whatever may have taken changes away unseen: a break, or a stream captured anew.
        """
        through = await self._through(*Side)
        epochs = ", ".join(f"{each.name} {each.epoch}" for each in await self._streams.all())
        return through, f"{self._touched.unbroken}: {epochs}"

    async def _through(self, *sides: Side) -> int:
        streams = [each for each in await self._streams.all() if each.side in sides]
        through = [credible(await self._streams.through_ms(each), self._clock.wall_ms()) for each in streams]
        return min(through, default=0)
