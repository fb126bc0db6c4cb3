"""One stream of the twin: several open shards, splits with lineage, trimming. Synchronous state.

What holds: sequence numbers grow over the whole database, with gaps; the records of one item lie in one line of
descent of shards; a closed shard's last number is beyond its last record, as AWS may give it; a closed shard is listed
until all of it is trimmed. Sources: AWS, "Change data capture for DynamoDB Streams", Shard, SequenceNumberRange. Next:
`dynamo.memory_streams`.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from domain.changes import Change
from domain.clock import Clock
from domain.errors import GapError
from domain.items import Item
from domain.tables import ViewType
from dynamo.ports import ShardDescription

_FIRST_SEQUENCE: Final = 100_000_000_000_000_000_000  # 21 digits, the least AWS shows
_LARGEST_GAP: Final = 7
_ALL_HASHES: Final = 1 << 64


class Ticker:
    """Gives sequence numbers and times to all streams of a database."""

    def __init__(self, clock: Clock) -> None:
        """Times are the clock's, numbers its own."""
        self.clock = clock
        self._given = 0
        self._last = _FIRST_SEQUENCE

    def sequence(self) -> int:
        """Return the next number; gaps of changing width, so that nobody comes to count on none."""
        self._given += 1
        self._last += 1 + self._given % _LARGEST_GAP
        return self._last


@dataclass(frozen=True, slots=True)
class Images:
    """What a write did to one item; old or new is None where nothing stood or stands."""

    keys: Item
    old: Item | None
    new: Item | None
    by_ttl: bool = False


@dataclass(slots=True)
class Shard:
    """A shard: the hashes ``[low, high)`` it takes, its records, and the last record it has lost to trimming."""

    shard_id: str
    parent_id: str | None
    low: int
    high: int
    records: list[Change] = field(default_factory=list)
    closed_at: int | None = None
    trimmed: int = 0

    def described(self) -> ShardDescription:
        """Return it as DescribeStream lists it."""
        return ShardDescription(self.shard_id, self.parent_id, self.closed_at)

    def waiting(self, after: int) -> list[Change]:
        """Return the records after a number, uncopied. Raises GapError when some of them are trimmed."""
        if self.trimmed > after:
            raise GapError(f"{self.shard_id}: trimmed up to {self.trimmed}, wanted after {after}")
        return self.records[bisect_right(self.records, after, key=lambda each: each.sequence) :]


class StreamLog:
    """A stream under one ARN. Lives on, readable, when it is switched off or its table is deleted."""

    def __init__(self, arn: str, table: str, view: ViewType, *, ticker: Ticker, shards: int) -> None:
        """Start with so many open shards, equal parts of the hashes."""
        self.arn = arn
        self.table = table
        self.view = view
        self._ticker = ticker
        self._shards: dict[str, Shard] = {}
        self._made = 0
        bounds = [_ALL_HASHES * part // shards for part in range(shards + 1)]
        for low, high in pairwise(bounds):
            self._open(None, low, high)

    def listed(self) -> tuple[ShardDescription, ...]:
        """Return all shards not yet trimmed away, oldest first."""
        return tuple(shard.described() for shard in self._shards.values())

    def shard(self, shard_id: str) -> Shard:
        """Return a shard. Raises GapError when it is trimmed away or never was."""
        found = self._shards.get(shard_id)
        if found is None:
            raise GapError(f"{self.arn}: no shard {shard_id}", hint="run `tableturn recapture`")
        return found

    def append(self, images: Images, *, hash_code: int) -> tuple[str, int]:
        """Write a record, with the images the view type says, to the open shard that takes this hash; return where."""
        shard = next(each for each in self._open_shards() if each.low <= hash_code < each.high)
        old_kept = self.view in {ViewType.OLD_IMAGE, ViewType.NEW_AND_OLD_IMAGES}
        new_kept = self.view in {ViewType.NEW_IMAGE, ViewType.NEW_AND_OLD_IMAGES}
        change = Change(
            keys=images.keys,
            old=images.old if old_kept else None,
            new=images.new if new_kept else None,
            sequence=self._ticker.sequence(),
            created_ms=self._ticker.clock.wall_ms(),
            by_ttl=images.by_ttl,
        )
        shard.records.append(change)
        return shard.shard_id, change.sequence

    def roll(self, shard_id: str, *, children: int = 1) -> tuple[str, ...]:
        """Close an open shard and open its children (2: a split). Raises ValueError when it is closed already."""
        parent = self.shard(shard_id)
        if parent.closed_at is not None:
            raise ValueError(f"{shard_id} is closed")
        parent.closed_at = self._ticker.sequence()
        span = parent.high - parent.low
        bounds = [parent.low + span * part // children for part in range(children + 1)]
        return tuple(self._open(shard_id, low, high) for low, high in pairwise(bounds))

    def close(self) -> None:
        """Close every open shard: the stream was switched off."""
        for shard in self._open_shards():
            shard.closed_at = self._ticker.sequence()

    def trim(self, before: int) -> None:
        """Drop all records before a number, and the closed shards that have nothing left."""
        for shard in list(self._shards.values()):
            cut = bisect_left(shard.records, before, key=lambda each: each.sequence)
            if cut:
                shard.trimmed = shard.records[cut - 1].sequence
                del shard.records[:cut]
            if shard.closed_at is not None and shard.closed_at < before:
                del self._shards[shard.shard_id]

    def _open_shards(self) -> list[Shard]:
        return [shard for shard in self._shards.values() if shard.closed_at is None]

    def _open(self, parent_id: str | None, low: int, high: int) -> str:
        self._made += 1
        shard_id = f"shardId-{self._ticker.clock.wall_ms():020}-{self._made:08x}"
        self._shards[shard_id] = Shard(shard_id, parent_id, low, high)
        return shard_id
