"""Tombstones standing in the target: listed before they are put, so that nobody ever scans for them (protocol §3)."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.items import TargetKey
from ledger.addresses import address
from ledger.rows import Row, Rows


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One tombstone: its key, its stamp, and the place its stream's checkpoint must have passed (None: a repair's)."""

    key: TargetKey
    source: str
    source_id: str
    version: str
    checksum: str
    shard_id: str | None
    sequence: int


class Tombstones:
    """The partitions ``tombstones/<source>``."""

    def __init__(self, rows: Rows) -> None:
        """Wrap the rows."""
        self._rows = rows

    async def add(self, tombstone: Tombstone) -> None:
        """List a tombstone, before it is put. Listing it again is fine."""
        partition, name = _place(tombstone)
        fields = {
            "pk": tombstone.key.pk,
            "sk": tombstone.key.sk,
            "source": tombstone.source,
            "source_id": tombstone.source_id,
            "version": tombstone.version,
            "checksum": tombstone.checksum,
            "shard": tombstone.shard_id,
            "sequence": str(tombstone.sequence),
        }
        await self._rows.update(partition, name, lambda standing: None if standing else fields)

    async def of(self, source: str) -> list[tuple[Tombstone, Row]]:
        """Return every tombstone listed of a source, with its row."""
        return [(_tombstone(row), row) for row in await self._rows.all(f"tombstones/{source}")]

    async def count(self, sources: Iterable[str], *, at_most: int) -> int:
        """Return how many are listed, counting no further than ``at_most`` a source."""
        return sum([len(await self._rows.all(f"tombstones/{source}", at_most=at_most)) for source in sources])

    async def remove(self, row: Row) -> None:
        """Strike a purged tombstone from the list."""
        await self._rows.delete(row)


def _place(tombstone: Tombstone) -> tuple[str, str]:
    name = address(f"{tombstone.key.pk}\n{tombstone.key.sk}")
    return f"tombstones/{tombstone.source}", f"{name}\n{tombstone.version}"


def _tombstone(row: Row) -> Tombstone:
    fields = row.fields
    return Tombstone(
        TargetKey(fields["pk"], fields["sk"]),
        fields["source"],
        fields["source_id"],
        fields["version"],
        fields["checksum"],
        fields["shard"],
        int(fields["sequence"]),
    )
