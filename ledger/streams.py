"""Which streams are followed and how far: one row per stream, one per shard with its checkpoint (protocol §4, §5).

Invariants: a shard is written down before anything of it is read; a checkpoint only grows, and is written only after
everything up to it is applied or quarantined; ``ended`` only ever turns true.
"""

from dataclasses import dataclass, replace

from domain.clock import Clock
from domain.errors import ConditionFailed, FatalError, TransientError
from domain.phases import Side
from dynamo.ports import ShardDescription
from ledger.rows import Row, Rows


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A followed stream. ``name`` is the source's name, or ``target``; ``epoch`` counts its ARNs."""

    name: str
    side: Side
    table: str
    arn: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ShardRow:
    """How far one shard is read and applied.

    ``checkpoint``: last sequence number applied (None: nothing yet, start at TRIM_HORIZON). ``through_ms``: every
    change up to this wall time is applied, as far as the last look at the tip showed; for lag, never for ordering.
    """

    stream: str
    shard_id: str
    parent_id: str | None
    checkpoint: int | None = None
    ended: bool = False
    through_ms: int = 0
    oldest_ms: int = 0
    revision: int = 0


class Streams:
    """The partitions ``streams`` and ``shards/<stream>``."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        """Wrap the rows; the clock dates a shard's first sight."""
        self._rows = rows
        self._clock = clock

    async def record(self, stream: StreamRow) -> None:
        """Write a stream down. Raises FatalError when the ledger knows it under another ARN (protocol §5: a gap)."""
        fields = {"side": stream.side.value, "table": stream.table, "arn": stream.arn, "epoch": stream.epoch}
        try:
            await self._rows.put("streams", stream.name, fields, revision=0)
        except ConditionFailed as refusal:
            row = await self._rows.get("streams", stream.name)
            if row is not None and row.fields["arn"] == stream.arn:
                return
            message = f"the stream of {stream.table} has another ARN than the one that was captured"
            hint = "it was switched off and on again, so changes are missing: start the migration of this source anew"
            raise FatalError(message, hint=hint) from refusal

    async def all(self) -> list[StreamRow]:
        """Return every stream written down."""
        return [
            StreamRow(
                row.name,
                Side(row.fields["side"]),
                row.fields["table"],
                row.fields["arn"],
                row.fields["epoch"],
            )
            for row in await self._rows.all("streams")
        ]

    async def shards(self, stream: str) -> dict[str, ShardRow]:
        """Return every shard ever seen of a stream, ended ones too, by id."""
        return {row.name: _shard(stream, row) for row in await self._rows.all(f"shards/{stream}")}

    async def discover(self, stream: str, seen: tuple[ShardDescription, ...]) -> dict[str, ShardRow]:
        """Write down the shards not known yet; return all."""
        known = await self.shards(stream)
        now = self._clock.wall_ms()
        for shard in seen:
            if shard.shard_id not in known:
                new = ShardRow(stream, shard.shard_id, shard.parent_id, through_ms=0, oldest_ms=now)
                known[shard.shard_id] = await self.save(new)
        return known

    async def save(self, shard: ShardRow) -> ShardRow:
        """Write a shard's progress. Raises TransientError when another worker wrote it since it was read."""
        fields = {
            "parent": shard.parent_id,
            "checkpoint": None if shard.checkpoint is None else str(shard.checkpoint),
            "ended": shard.ended,
            "through_ms": shard.through_ms,
            "oldest_ms": shard.oldest_ms,
        }
        try:
            row = await self._rows.put(f"shards/{shard.stream}", shard.shard_id, fields, revision=shard.revision)
        except ConditionFailed as refusal:
            message = f"the checkpoint of shard {shard.shard_id} of {shard.stream} was written by somebody else"
            raise TransientError(message) from refusal
        return replace(shard, revision=row.revision)


def _shard(stream: str, row: Row) -> ShardRow:
    fields = row.fields
    checkpoint = None if fields["checkpoint"] is None else int(fields["checkpoint"])
    return ShardRow(
        stream,
        row.name,
        fields["parent"],
        checkpoint,
        fields["ended"],
        fields["through_ms"],
        fields["oldest_ms"],
        row.revision,
    )
