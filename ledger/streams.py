"""Which streams are followed and how far: one row per stream, one per shard with its checkpoint (protocol §4, §5).

Invariants: a shard is written down before anything of it is read; a checkpoint only grows, and is written only after
everything up to it is applied or quarantined; ``ended`` only ever turns true. All of it holds within an epoch: what a
stream's shards, spans and segments are is kept by epoch, so that capturing it anew is one write of its row.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace

from domain.clock import Clock
from domain.errors import ConditionFailed, RefusedError, TransientError
from domain.fates import NOTHING_WRITTEN, Tally
from domain.phases import Side
from dynamo.ports import Put, ShardDescription
from ledger.rows import Fields, Row, Rows


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A followed stream. ``name`` is the source's name, or ``target``; ``epoch`` counts how often it was captured.

    ``copy_epoch`` is the epoch in which its side was (or is to be) copied; ``gap`` says what was lost, if anything,
    and then nothing of it is read until it is captured anew (protocol §5).
    """

    name: str
    side: Side
    table: str
    arn: str
    epoch: int = 1
    copy_epoch: int = 1
    gap: str = ""
    revision: int = 0
    fence: int = 0


@dataclass(frozen=True, slots=True)
class ShardRow:
    """How far one shard is read and applied.

    ``checkpoint``: last sequence number applied (None: nothing yet, start at TRIM_HORIZON). ``through_ms``: every
    change up to this wall time is applied, as far as the last look at the tip showed; for lag, never for ordering.
    ``tally``: what the last bake's writes up to the checkpoint came to; of the target's stream only (docs/adr/0013).
    """

    stream: str
    shard_id: str
    parent_id: str | None
    epoch: int = 1
    checkpoint: int | None = None
    ended: bool = False
    through_ms: int = 0
    oldest_ms: int = 0
    revision: int = 0
    tally: Tally = NOTHING_WRITTEN


class Streams:
    """The partitions ``streams`` and ``shards/<stream>/<epoch>``."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        """Wrap the rows; the clock dates a shard's first sight."""
        self._rows = rows
        self._clock = clock

    async def record(self, stream: StreamRow) -> None:
        """Write a stream down, while the migration is being initialised: nothing depends on an earlier ARN yet."""
        await self._rows.update("streams", stream.name, lambda _: _fields(stream))

    async def all(self) -> list[StreamRow]:
        """Return every stream written down."""
        return [_stream(row) for row in await self._rows.all("streams")]

    async def get(self, name: str) -> StreamRow:
        """Return one stream. Raises RefusedError when there is none of that name."""
        row = await self._rows.get("streams", name)
        if row is None:
            names = ", ".join(stream.name for stream in await self.all())
            message = f"this migration follows no stream {name}"
            raise RefusedError(message, hint=f"it follows: {names}")
        return _stream(row)

    async def epoch(self, name: str) -> int:
        """Return the epoch in force; 1 for a stream that is not written down yet."""
        row = await self._rows.get("streams", name)
        return 1 if row is None else _stream(row).epoch

    async def copy_epoch(self, name: str) -> int:
        """Return the epoch in which a source was, or is to be, copied; 1 likewise."""
        row = await self._rows.get("streams", name)
        return 1 if row is None else _stream(row).copy_epoch

    async def has_lost(self, name: str) -> bool:
        """Tell whether a stream has ever lost records: then some of our echoes in it were never seen."""
        stream = await self.get(name)
        return bool(stream.gap) or stream.epoch > 1

    async def lose(self, stream: StreamRow, what: str) -> None:
        """Write down what was lost of a stream, once an epoch: from here on it stands still."""

        def lost(fields: Fields | None) -> Fields | None:
            if fields is None or fields["epoch"] != stream.epoch or fields["gap"]:
                return None
            return {**fields, "gap": what}

        await self._rows.update("streams", stream.name, lost)

    def renewal(self, stream: StreamRow) -> Put:
        """Return the write of a stream that is captured anew, conditional on the row it was read from."""
        return self._rows.put_action(
            "streams", stream.name, _fields(stream), revision=stream.revision, standing_fence=stream.fence
        )

    async def shards(self, stream: str, epoch: int | None = None) -> dict[str, ShardRow]:
        """Return every shard ever seen of a stream in an epoch (None: the one in force), ended ones too, by id."""
        epoch = epoch or await self.epoch(stream)
        return {row.name: _shard(stream, epoch, row) for row in await self._rows.all(_partition(stream, epoch))}

    async def through_ms(self, stream: StreamRow) -> int:
        """Return up to when everything is seen, 0: never looked. An ended shard counts until its child is known."""
        last = slowest((await self.shards(stream.name, stream.epoch)).values())
        return 0 if last is None else last.through_ms

    async def discover(self, stream: StreamRow, seen: tuple[ShardDescription, ...]) -> dict[str, ShardRow]:
        """Write down the shards not known yet; return all."""
        known = await self.shards(stream.name, stream.epoch)
        now = self._clock.wall_ms()
        for shard in seen:
            if shard.shard_id not in known:
                new = ShardRow(stream.name, shard.shard_id, shard.parent_id, stream.epoch, oldest_ms=now)
                known[shard.shard_id] = await self.save(new)
        return known

    async def carry(self, shard: ShardRow, epoch: int, standing: ShardRow | None) -> None:
        """Write a shard down in an epoch that is to come, as if seen there first; over what an attempt before left."""
        revision = 0 if standing is None else standing.revision
        now_ms = self._clock.wall_ms()
        seen = replace(shard, epoch=epoch, through_ms=0, oldest_ms=now_ms, revision=revision, tally=NOTHING_WRITTEN)
        await self.save(seen)

    async def forget(self, shard: ShardRow) -> None:
        """Take the row of a shard away: of an epoch which never came into force, or trimmed before any copy began."""
        row = await self._rows.get(_partition(shard.stream, shard.epoch), shard.shard_id)
        if row is not None:
            await self._rows.delete(row)

    async def save(self, shard: ShardRow) -> ShardRow:
        """Write a shard's progress. Raises TransientError when another worker wrote it since it was read."""
        fields: Fields = {
            "parent": shard.parent_id,
            "checkpoint": None if shard.checkpoint is None else str(shard.checkpoint),
            "ended": shard.ended,
            "through_ms": shard.through_ms,
            "oldest_ms": shard.oldest_ms,
        }
        if shard.tally.writes:
            fields["tally"] = asdict(shard.tally)
        try:
            partition = _partition(shard.stream, shard.epoch)
            row = await self._rows.put(partition, shard.shard_id, fields, revision=shard.revision)
        except ConditionFailed as refusal:
            message = f"the checkpoint of shard {shard.shard_id} of {shard.stream} was written by somebody else"
            raise TransientError(message) from refusal
        return replace(shard, revision=row.revision)


def slowest(shards: Collection[ShardRow]) -> ShardRow | None:
    """Return the shard of a stream that is seen least far; an ended one counts until its child is known."""
    parents = {shard.parent_id for shard in shards}
    tips = [shard for shard in shards if not (shard.ended and shard.shard_id in parents)]
    return min(tips, key=lambda shard: shard.through_ms, default=None)


def _partition(stream: str, epoch: int) -> str:
    return f"shards/{stream}/{epoch}"


def _fields(stream: StreamRow) -> Fields:
    return {
        "side": stream.side.value,
        "table": stream.table,
        "arn": stream.arn,
        "epoch": stream.epoch,
        "copy_epoch": stream.copy_epoch,
        "gap": stream.gap,
    }


def _stream(row: Row) -> StreamRow:
    fields = row.fields
    return StreamRow(
        row.name,
        Side(fields["side"]),
        fields["table"],
        fields["arn"],
        fields["epoch"],
        fields["copy_epoch"],
        fields["gap"],
        row.revision,
        row.fence,
    )


def _shard(stream: str, epoch: int, row: Row) -> ShardRow:
    fields = row.fields
    checkpoint = None if fields["checkpoint"] is None else int(fields["checkpoint"])
    return ShardRow(
        stream,
        row.name,
        fields["parent"],
        epoch,
        checkpoint,
        fields["ended"],
        fields["through_ms"],
        fields["oldest_ms"],
        row.revision,
        Tally(**fields["tally"]) if "tally" in fields else NOTHING_WRITTEN,
    )
