"""Follows one shard: read a page, apply it, write the checkpoint; stop at pending marks (protocol §5, §8, §9).

Invariants:
    * the checkpoint is written after everything up to it is applied or quarantined, never before;
    * nothing behind a pending mark is looked at until the mark is settled;
    * whose record it is, is asked of the spans (positions), never of the content.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

from domain.changes import Change
from domain.clock import Clock, credible
from domain.cuts import Parents, Span
from domain.errors import GapError, IteratorExpired
from domain.fates import Tally
from dynamo.ports import RecordsPage, ShardPlace, Streams
from ledger.book import Ledger
from ledger.hints import Bell
from ledger.marks import MarkState
from ledger.streams import ShardRow, StreamRow
from sync.lineage import parents
from sync.loss import copy_has_begun

_BATCH = 200
"""Changes that are applied between two checkpoints, at most: a second's work where the machine is very busy."""

Afterwards = Callable[[], Awaitable[None]]
"""What a handler wants done once the checkpoint has passed its batch."""


class Handler(Protocol):
    """What the records of one stream mean; forward and reverse each have one."""

    async def refresh(self) -> None:
        """Read again what may have changed with a switch."""
        ...

    async def take(self, changes: Sequence[Change], shard_id: str, /) -> Tally | None:
        """Apply records of the application; each must be applied or quarantined on return.

        What is returned is counted with the checkpoint that passes these records: once, however often they come.
        """
        ...

    async def tail(self, changes: Sequence[Change]) -> Afterwards | None:
        """Look at records that are not the application's, applying nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between looks at a shard's tip, the list of shards, a pending mark; between idle checkpoints.

    ``retention``: seconds that records are kept (AWS: "Change data capture for DynamoDB Streams").
    """

    tip: float = 0.2
    shards: float = 10.0
    mark: float = 0.25
    idle_checkpoint: float = 1.0
    page: int = 1000
    retention: float = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every follower shares."""

    streams: Streams
    ledger: Ledger
    clock: Clock
    bell: Bell
    pace: Pace
    stopping: asyncio.Event


class ShardFollower:
    """Reads one shard from its checkpoint to its end."""

    def __init__(self, around: Surroundings, stream: StreamRow, shard: ShardRow, handler: Handler) -> None:
        """Start from the shard's row; nothing is read before `run`."""
        self._around = around
        self._stream = stream
        self.shard = shard
        self._handler = handler
        self._spans: Sequence[Span] = ()
        self._parents: Parents = {}
        self._iterator: str | None = None
        self._read_to = shard.checkpoint
        self._looked_ms = 0
        self._saved = float("-inf")
        self._scanned = False
        self._passed: set[str] = set()

    async def run(self) -> ShardRow:
        """Follow the shard until it is applied to its end, or the process is told to stop; return its last row."""
        await self._refresh()
        while not self.shard.ended and not self._around.stopping.is_set():
            looked_ms = self._around.clock.wall_ms()
            page = await self._page()
            if not await self._take(page):
                break  # told to stop at a pending mark: what lies behind it was not looked at
            await self._settle(page, looked_ms)
            if self._is_short(page) and not self.shard.ended:
                await self._around.bell.wait_at_tip(self._stream.name, self._around.pace.tip)
        return self.shard

    async def _page(self) -> RecordsPage:
        """Read on after the last record read; an iterator that expired is opened anew."""
        while True:
            try:
                if self._iterator is None:
                    await self._check_unread()
                    place = ShardPlace(self._stream.arn, self.shard.shard_id, self._read_to)
                    self._iterator = await self._around.streams.shard_iterator(place)
                page = await self._around.streams.get_records(self._iterator, limit=self._around.pace.page)
            except IteratorExpired:
                self._iterator = None
                continue
            except GapError:
                if not await self._nothing_scanned_yet():
                    raise
                self._iterator = self._read_to = None
                await asyncio.sleep(self._around.pace.tip)
                continue
            self._iterator = page.next_iterator
            if page.changes:
                self._read_to = page.changes[-1].sequence
            return page

    async def _check_unread(self) -> None:
        """Raise GapError for a shard that was never read and that nobody has looked at for as long as records are kept.

        It begins at the trim horizon, where DynamoDB does not say whether something was there before. A clock that is
        wrong by a day makes a false gap, never a missed one.
        """
        looked_ms = max(self.shard.through_ms, self.shard.oldest_ms)
        away = (self._around.clock.wall_ms() - looked_ms) / 1000
        if (
            looked_ms
            and self._read_to is None
            and away > self._around.pace.retention
            and not await self._nothing_scanned_yet()
        ):
            message = f"shard {self.shard.shard_id} was not looked at for {away / 3600:.0f} h and may have been trimmed"
            raise GapError(message)

    async def _nothing_scanned_yet(self) -> bool:
        """Tell whether the copy will read all that these records, trimmed or not, tell of (§4.1).

        So nothing is applied before: an image put now would be newer than the copy, and what is trimmed then missing.
        """
        if not self._scanned:
            self._scanned = await copy_has_begun(self._around.ledger, self._stream)
        return not self._scanned

    async def _take(self, page: RecordsPage) -> bool:
        """Apply what stands before, between and behind the marks of a page; tell whether that was all of it."""
        batch: list[Change] = []
        for change in page.changes:
            if change.mark is None:
                batch.append(change)
                continue
            await self._finish(batch)
            batch = []
            if not await self._pass(change.mark, change.sequence):
                return False
        await self._finish(batch)
        return True

    async def _finish(self, changes: Sequence[Change]) -> None:
        """Go through changes batch by batch, so that a leader who does not last for a page leaves its work behind."""
        for start in range(0, len(changes), _BATCH):
            await self._finish_batch(changes[start : start + _BATCH])

    async def _finish_batch(self, batch: Sequence[Change]) -> None:
        """Apply or tail a batch in order, and write the checkpoint after it."""
        afterwards: list[Afterwards] = []
        tally = self.shard.tally
        copied_anyhow = await self._nothing_scanned_yet()
        for inside, run in groupby(batch, key=self._is_the_applications):
            if inside and copied_anyhow:
                continue
            if inside:
                counted = await self._handler.take(list(run), self.shard.shard_id)
                tally = tally if counted is None else tally.plus(counted)
            elif then := await self._handler.tail(list(run)):
                afterwards.append(then)
        last, now_ms = batch[-1], self._around.clock.wall_ms()
        through = max(credible(self.shard.through_ms, now_ms), credible(last.created_ms, now_ms))
        await self._save(replace(self.shard, checkpoint=last.sequence, through_ms=through, tally=tally))
        for then in afterwards:
            await then()

    async def _settle(self, page: RecordsPage, looked_ms: int) -> None:
        """Note how far the look at the tip carried, and the shard's end.

        Two short pages in a row: everything written before the first of the two was asked for has been seen. This is
        for lag and budgets; that a shard is drained is proved by marks alone. What a clock that has jumped back
        left in the future is forgotten.
        """
        short, through = self._is_short(page), credible(self.shard.through_ms, looked_ms)
        if short:
            through = max(through, credible(self._looked_ms, looked_ms))
        self._looked_ms = looked_ms if short else 0
        if page.next_iterator is None:
            checkpoint = self._read_to if self._read_to is not None else self.shard.checkpoint
            await self._save(replace(self.shard, checkpoint=checkpoint, through_ms=max(through, looked_ms), ended=True))
        elif (
            self._is_awaited(through)
            or self._around.clock.monotonic() - self._saved >= self._around.pace.idle_checkpoint
        ):
            await self._save(replace(self.shard, through_ms=through))
        else:
            self.shard = replace(self.shard, through_ms=through)  # the next checkpoint carries it

    def _is_awaited(self, through_ms: int) -> bool:
        """Tell whether somebody waits, with writes blocked, to read in the ledger how far this shard is seen."""
        return self._around.bell.presses and through_ms > self.shard.through_ms

    def _is_short(self, page: RecordsPage) -> bool:
        return len(page.changes) < max(1, self._around.pace.page // 2)

    async def _pass(self, mark_id: str, sequence: int) -> bool:
        """Pass a mark: note a pending one and wait until it is settled; tell whether it was.

        Spans are read again behind every mark, settled long ago or not: this follower may have read them before the
        switch that kept it.
        """
        if mark_id in self._passed:
            return True  # settled for good, and the spans were read since
        mark = await self._around.ledger.marks.get(mark_id)
        if mark is None:
            return True
        if mark.state is MarkState.PENDING:
            await self._around.ledger.marks.met(mark_id, self.shard.shard_id, sequence)
            self._around.bell.ring()
        while await self._is_pending(mark_id):
            if self._around.stopping.is_set():
                return False
            await self._around.bell.wait(self._around.pace.mark)
        await self._refresh()
        self._passed.add(mark_id)
        return True

    async def _is_pending(self, mark_id: str) -> bool:
        mark = await self._around.ledger.marks.get(mark_id)
        return mark is not None and mark.state is MarkState.PENDING

    async def _refresh(self) -> None:
        """Read the spans, the lineage, and what the handler keeps, again."""
        self._spans = await self._around.ledger.marks.spans(self._stream.name)
        self._parents = parents(await self._around.ledger.streams.shards(self._stream.name, self._stream.epoch))
        await self._handler.refresh()

    def _is_the_applications(self, change: Change) -> bool:
        return any(span.holds(self.shard.shard_id, change.sequence, self._parents) for span in self._spans)

    async def _save(self, shard: ShardRow) -> None:
        self.shard = await self._around.ledger.streams.save(shard)
        self._saved = self._around.clock.monotonic()
