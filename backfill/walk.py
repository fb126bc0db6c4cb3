"""Walks a table page by page, segment by segment, resumably: what copy and sweep have in common (protocol §4.2).

Invariant: a segment's cursor moves only after every item of the page is settled; a crash settles at most the pages in
flight again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from apply.door import Door
from backfill.pacing import RETENTION, Pacer
from domain.clock import Clock
from domain.items import Item
from domain.tables import TableDefinition
from dynamo.ports import Database, ScanRequest
from dynamo.segments import planned
from ledger.book import Ledger
from ledger.cursors import SegmentRow, Segments
from ledger.hints import Bell
from ledger.lease import LeaseGuard
from ledger.streams import StreamRow
from mapping.plan import Plan

Settle = Callable[[Sequence[Item]], Awaitable[int]]
"""Settles the items of a page and returns how many of them went to quarantine."""


@dataclass(frozen=True, slots=True)
class CopySettings:
    """Segments per table, segments scanned at the same time over all tables, items a page, writes in flight.

    ``retention``: seconds that the streams keep a record; the copy slows down when they run short.
    """

    least_segments: int = 2
    most_segments: int = 64
    segments_at_once: int = 8
    page_items: int | None = None
    writes_at_once: int = 64
    retention: float = RETENTION


@dataclass(frozen=True, slots=True)
class CopyPorts:
    """What copy and sweep work with."""

    database: Database
    plan: Plan
    door: Door
    ledger: Ledger
    guard: LeaseGuard
    clock: Clock
    bell: Bell
    stopping: asyncio.Event
    settings: CopySettings = field(default_factory=CopySettings)


@dataclass(frozen=True, slots=True)
class Scan:
    """One table walked for one source, all of it in the epoch that ``stream`` was read in.

    ``cursors`` keep where its segments stand; ``settle`` settles the items of a page.
    """

    table: TableDefinition
    cursors: Segments
    stream: StreamRow
    settle: Settle


class Walk:
    """Walks tables for one engine; its segments share one limit and one pace."""

    def __init__(self, ports: CopyPorts) -> None:
        """Nothing is read before `over`."""
        self._ports = ports
        self._scans = asyncio.Semaphore(ports.settings.segments_at_once)
        self._pacer = Pacer(ports.ledger, ports.clock, ports.settings.retention)

    async def over(self, scan: Scan) -> bool:
        """Settle every page, from where the cursors stand; tell whether all of them are settled.

        It ends early when the process is told to stop, or when the source is captured anew in the middle.
        """
        segments = await self.segments(scan)
        async with asyncio.TaskGroup() as group:
            for segment in segments:
                group.create_task(self._segment(scan, segment))
        self._ports.bell.ring()
        return await self.is_due(scan.stream) and await scan.cursors.done(scan.stream.name, scan.stream.copy_epoch)

    async def is_due(self, stream: StreamRow) -> bool:
        """Tell whether the epoch that ``stream`` was read in is still the one to copy in (protocol §5)."""
        return await self._ports.ledger.streams.copy_epoch(stream.name) == stream.copy_epoch

    async def segments(self, scan: Scan) -> list[SegmentRow]:
        """Return the segments; the first time they are planned and written down, before the first page is read."""
        source, epoch = scan.stream.name, scan.stream.copy_epoch
        standing = await scan.cursors.of(source, epoch)
        if standing and len(standing) == standing[0].total:
            return standing
        settings, total = self._ports.settings, standing[0].total if standing else 0
        if not total:
            described = await self._ports.database.describe_table(scan.table.name)
            size = described.size_bytes if described else 0
            total = planned(size, at_least=settings.least_segments, at_most=settings.most_segments)
        known = {segment.segment: segment for segment in standing}
        planned_now = [known.get(number) or SegmentRow(source, number, total, epoch) for number in range(total)]
        return [each if each.revision else await scan.cursors.save(each) for each in planned_now]

    async def page(self, scan: Scan, segment: SegmentRow) -> SegmentRow:
        """Settle one page and move the cursor behind it."""
        limit = self._ports.settings.page_items
        request = ScanRequest(scan.table.name, segment.segment, segment.total, start=segment.cursor, limit=limit)
        page = await self._ports.database.scan_page(request)
        items = scan.table.without_marks(page.items)
        quarantined = await scan.settle(items)
        moved = replace(
            segment,
            cursor=page.last_key,
            done=page.last_key is None,
            items=segment.items + len(items),
            pages=segment.pages + 1,
            quarantined=segment.quarantined + quarantined,
        )
        return await scan.cursors.save(moved)

    async def _segment(self, scan: Scan, segment: SegmentRow) -> None:
        clock, stopping = self._ports.clock, self._ports.stopping
        while not segment.done and not stopping.is_set() and await self.is_due(scan.stream):
            async with self._scans:
                began = clock.monotonic()
                segment = await self.page(scan, segment)
            await self._pacer.breathe(clock.monotonic() - began, stopping)
