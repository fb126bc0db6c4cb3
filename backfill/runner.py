"""Copy all sources: every segment page by page, each item under version (epoch, 0), so that the stream wins (§4.2).

Invariant: a segment's cursor moves only after each item of the page is written or quarantined; a crash copies at most
the pages in flight again.
"""

import asyncio
from dataclasses import dataclass, field, replace

from apply.door import Door
from apply.stamping import stamped
from backfill.segments import planned
from domain.errors import DataError
from domain.items import Item, digest
from domain.outcomes import Outcome, Reason
from domain.positions import Version
from dynamo.ports import Database, ScanRequest
from ledger.book import Ledger
from ledger.cursors import SegmentRow
from ledger.findings import Quarantined
from ledger.hints import Bell
from mapping.plan import Plan


@dataclass(frozen=True, slots=True)
class CopySettings:
    """Segments per source, segments scanned at the same time over all sources, items a page, writes in flight."""

    least_segments: int = 2
    most_segments: int = 64
    segments_at_once: int = 8
    page_items: int | None = None
    writes_at_once: int = 64


@dataclass(frozen=True, slots=True)
class CopyPorts:
    """What the copy works with."""

    database: Database
    plan: Plan
    door: Door
    ledger: Ledger
    bell: Bell
    stopping: asyncio.Event
    settings: CopySettings = field(default_factory=CopySettings)


class Backfill:
    """The copy of every source, from wherever its cursors stand."""

    def __init__(self, ports: CopyPorts) -> None:
        """Nothing is read before `run`."""
        self._ports = ports
        self._writes = asyncio.Semaphore(ports.settings.writes_at_once)
        self._scans = asyncio.Semaphore(ports.settings.segments_at_once)

    async def run(self) -> None:
        """Copy until every segment of every source is done, or until told to stop."""
        epochs = {stream.name: stream.epoch for stream in await self._ports.ledger.streams.all()}
        segments = [segment for source in self._ports.plan.sources for segment in await self._segments(source)]
        async with asyncio.TaskGroup() as group:
            for segment in segments:
                group.create_task(self._copy(segment, Version(epochs[segment.source])))

    async def _segments(self, source: str) -> list[SegmentRow]:
        """Return the segments of a source; the first time they are planned and written down, all at once or none."""
        standing = await self._ports.ledger.segments.of(source)
        if standing and len(standing) == standing[0].total:
            return standing
        settings, total = self._ports.settings, standing[0].total if standing else 0
        if not total:
            table = self._ports.plan.sources[source].definition.name
            described = await self._ports.database.describe_table(table)
            size = described.size_bytes if described else 0
            total = planned(size, at_least=settings.least_segments, at_most=settings.most_segments)
        known = {segment.segment: segment for segment in standing}
        return [
            known.get(number) or await self._ports.ledger.segments.save(SegmentRow(source, number, total))
            for number in range(total)
        ]

    async def _copy(self, segment: SegmentRow, version: Version) -> None:
        """Copy one segment from its cursor to its end, or until told to stop."""
        while not segment.done and not self._ports.stopping.is_set():
            async with self._scans:
                segment = await self._page(segment, version)
        self._ports.bell.ring()

    async def _page(self, segment: SegmentRow, version: Version) -> SegmentRow:
        """Copy one page and move the cursor behind it."""
        table = self._ports.plan.sources[segment.source].definition
        request = ScanRequest(
            table.name,
            segment.segment,
            segment.total,
            start=segment.cursor,
            limit=self._ports.settings.page_items,
        )
        page = await self._ports.database.scan_page(request)
        images = table.without_marks(page.items)
        async with asyncio.TaskGroup() as group:
            writes = [group.create_task(self._write(segment.source, image, version)) for image in images]
        moved = replace(
            segment,
            cursor=page.last_key,
            done=page.last_key is None,
            items=segment.items + len(images),
            pages=segment.pages + 1,
            quarantined=segment.quarantined + sum(write.result() for write in writes),
        )
        return await self._ports.ledger.segments.save(moved)

    async def _write(self, source: str, image: Item, version: Version) -> bool:
        """Write what one item translates to; tell whether it went to quarantine instead."""
        source_id = self._ports.plan.source_id(source, image)
        async with self._writes:
            try:
                items = self._ports.plan.translate(source, image).items
                outcomes = [
                    await self._ports.door.put(stamped(key, item, source_id, version)) for key, item in items.items()
                ]
            except DataError as fault:
                return await self._quarantine(source, image, version, (Reason.UNTRANSLATABLE, str(fault)))
            worst = max(outcomes, key=list(Outcome).index)
            if worst.fault is None:
                return False
            return await self._quarantine(source, image, version, (worst.fault, "a target key of it is taken"))

    async def _quarantine(self, source: str, image: Item, version: Version, why: tuple[Reason, str]) -> bool:
        source_id = self._ports.plan.source_id(source, image)
        entry = Quarantined(source, source_id, str(version), *why)
        await self._ports.ledger.quarantine.put(entry)
        table = self._ports.plan.sources[source].definition
        standing = await self._ports.database.get_item(table.name, table.key_of(image))
        if standing is not None and digest(standing) == digest(image):
            return True
        # It changed since it was scanned, so its fate is the stream's, which may have settled it already.
        await self._ports.ledger.quarantine.clear(entry, entry.version)
        return False
