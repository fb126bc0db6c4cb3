"""Versions of legacy items, which carry no stamp: one row per source id the reverse has written (protocol §9).

``version`` is the position in the target's stream; ``awaited`` holds the digest of every content written whose echo has
not yet been seen in the legacy stream ("" stands for a delete). Rows, those of deleted ids too, stay until `complete`.
"""

from collections import Counter
from dataclasses import dataclass, replace

from dynamo.ports import Put
from ledger.addresses import address
from ledger.rows import Fields, Row, Rows

MOST_AWAITED = 2_000
"""Echoes of one id that may be outstanding: the row has to fit into an item."""

GONE = ""
"""The digest of an item that is not there."""


@dataclass(frozen=True, slots=True)
class Echo:
    """What the reverse last wrote for one source id."""

    source_id: str
    version: str = ""
    content: str = GONE
    awaited: tuple[str, ...] = ()
    revision: int = 0
    fence: int = 0

    @property
    def full(self) -> bool:
        """Tell whether the row can hold no more echoes: the tail has to catch up first."""
        return len(self.awaited) >= MOST_AWAITED

    def after(self, version: str, content: str, standing: str) -> "Echo":
        """Return the row as it is once ``content`` is written over ``standing``, which the legacy stream will tell of.

        Equal content leaves no record. A full row forgets the echo it has awaited longest: to be done only where that
        may never come, because the stream has lost records; should it come, it is a stray that a human has to settle.
        """
        awaited = self.awaited if content == standing else (*self.awaited, content)
        return replace(self, version=version, content=content, awaited=awaited[-MOST_AWAITED:])


class Echoes:
    """The partitions ``echoes/<source id>``: spread by nature, read by point look-ups only."""

    def __init__(self, rows: Rows) -> None:
        """Wrap the rows."""
        self._rows = rows

    async def get(self, source_id: str) -> Echo:
        """Return the row of an id; revision 0 when the reverse never wrote it."""
        row = await self._rows.get(_partition(source_id), "-")
        return Echo(source_id) if row is None else _echo(row)

    def action(self, echo: Echo) -> Put:
        """Return the conditional put that goes into one transaction with the legacy item."""
        fields = {
            "source_id": echo.source_id,
            "version": echo.version,
            "content": echo.content,
            "awaited": list(echo.awaited),
        }
        return self._rows.put_action(
            _partition(echo.source_id), "-", fields, revision=echo.revision, standing_fence=echo.fence
        )

    async def seen(self, source_id: str, contents: Counter[str]) -> None:
        """Strike awaited digests, once the checkpoint has passed their echoes."""

        def struck(fields: Fields | None) -> Fields | None:
            if fields is None or not contents:
                return None
            left: Counter[str] = Counter(fields["awaited"])
            left -= contents
            return {**fields, "awaited": sorted(left.elements())}

        await self._rows.update(_partition(source_id), "-", struck)


def _partition(source_id: str) -> str:
    return f"echoes/{address(source_id)}"


def _echo(row: Row) -> Echo:
    fields = row.fields
    return Echo(
        fields["source_id"],
        fields["version"],
        fields["content"],
        tuple(fields["awaited"]),
        row.revision,
        row.fence,
    )
