"""How far the copy of each source is, and the sweep behind a second one: a row per scan segment (protocol §4.2, §5).

Invariant: the cursor moves only after every item up to it is written, buried or quarantined.
"""

from dataclasses import dataclass, replace

from domain.errors import ConditionFailed, TransientError
from domain.items import Item
from ledger.rows import Row, Rows
from ledger.streams import StreamRow, Streams


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment: ``cursor`` is the LastEvaluatedKey to go on from (None with ``done`` false: from the start)."""

    source: str
    segment: int
    total: int
    epoch: int = 1
    cursor: Item | None = None
    done: bool = False
    items: int = 0
    pages: int = 0
    quarantined: int = 0
    revision: int = 0


class Segments:
    """The partitions ``<scan>/<source>/<epoch>``; the scan is ``segments`` (the copy) or ``sweeps``."""

    def __init__(self, rows: Rows, streams: Streams, scan: str = "segments") -> None:
        """Wrap the rows; the streams know in which epoch a source is copied."""
        self._rows = rows
        self._streams = streams
        self._scan = scan

    async def of(self, source: str, epoch: int | None = None) -> list[SegmentRow]:
        """Return the segments of a source in order, of one copy (None: the last); none: its scan was never planned."""
        epoch = epoch or await self._streams.copy_epoch(source)
        return [_segment(source, epoch, row) for row in await self._rows.all(f"{self._scan}/{source}/{epoch}")]

    async def done(self, source: str, epoch: int | None = None) -> bool:
        """Tell whether every segment of a source's scan is done."""
        segments = await self.of(source, epoch)
        return bool(segments) and len(segments) == segments[0].total and all(segment.done for segment in segments)

    async def owed(self, stream: StreamRow) -> bool:
        """Tell whether a stream was captured anew and its side is still to be copied again (protocol §5)."""
        return stream.copy_epoch > 1 and not await self.done(stream.name, stream.copy_epoch)

    async def save(self, segment: SegmentRow) -> SegmentRow:
        """Write a segment's progress. Raises TransientError when another worker wrote it since it was read."""
        fields = {
            "total": segment.total,
            "cursor": segment.cursor,
            "done": segment.done,
            "items": segment.items,
            "pages": segment.pages,
            "quarantined": segment.quarantined,
        }
        partition, name = f"{self._scan}/{segment.source}/{segment.epoch}", f"{segment.segment:05}"
        try:
            row = await self._rows.put(partition, name, fields, revision=segment.revision)
        except ConditionFailed as refusal:
            message = f"the cursor of segment {segment.segment} of {segment.source} was written by somebody else"
            raise TransientError(message) from refusal
        return replace(segment, revision=row.revision)


def _segment(source: str, epoch: int, row: Row) -> SegmentRow:
    fields = row.fields
    return SegmentRow(
        source,
        int(row.name),
        fields["total"],
        epoch,
        fields["cursor"],
        fields["done"],
        fields["items"],
        fields["pages"],
        fields["quarantined"],
        row.revision,
    )
