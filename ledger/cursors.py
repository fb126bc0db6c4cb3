"""How far the copy of each source is: one row per scan segment (protocol §4.2).

Invariant: the cursor moves only after every item up to it is written or quarantined.
"""

from dataclasses import dataclass, replace

from domain.errors import ConditionFailed, TransientError
from domain.items import Item
from ledger.rows import Row, Rows


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """One segment: ``cursor`` is the LastEvaluatedKey to go on from (None with ``done`` false: from the start)."""

    source: str
    segment: int
    total: int
    cursor: Item | None = None
    done: bool = False
    items: int = 0
    pages: int = 0
    quarantined: int = 0
    revision: int = 0


class Segments:
    """The partitions ``segments/<source>``."""

    def __init__(self, rows: Rows) -> None:
        """Wrap the rows."""
        self._rows = rows

    async def of(self, source: str) -> list[SegmentRow]:
        """Return the segments of a source in order; none: its copy was never planned."""
        return [_segment(source, row) for row in await self._rows.all(f"segments/{source}")]

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
        name = f"{segment.segment:05}"
        try:
            row = await self._rows.put(f"segments/{segment.source}", name, fields, revision=segment.revision)
        except ConditionFailed as refusal:
            message = f"the cursor of segment {segment.segment} of {segment.source} was written by somebody else"
            raise TransientError(message) from refusal
        return replace(segment, revision=row.revision)


def _segment(source: str, row: Row) -> SegmentRow:
    fields = row.fields
    return SegmentRow(
        source,
        int(row.name),
        fields["total"],
        fields["cursor"],
        fields["done"],
        fields["items"],
        fields["pages"],
        fields["quarantined"],
        row.revision,
    )
