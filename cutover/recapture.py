"""Capture a stream anew after a gap: epoch + 1, and, where its side serves, copy it again (protocol §5).

One transaction: the stream's row, the span of the application's records, the phase. All else is kept by epoch, so that
what the old one left in the ledger is nobody's any more; what may still land of it loses by its version. Under the same
ARN the new epoch goes on where the old one stood, wherever that place can still be read: what was looked at once is not
judged again. Who copies is `backfill` (the source serves) or `reconcile` (the target does: the legacy tables are mended
from it).
"""

from dataclasses import replace

from domain.errors import ConditionFailed, GapError, IteratorExpired, RefusedError
from domain.phases import Phase, Side
from domain.tables import ViewType
from dynamo.ports import Database, ShardPlace
from ledger.book import Ledger
from ledger.streams import ShardRow, StreamRow


async def recapture(ledger: Ledger, database: Database, name: str, *, epoch: int, why: str) -> StreamRow:
    """Begin a new epoch of a stream that is in ``epoch`` now; return the stream.

    Raises RefusedError when it has lost nothing, is off or of another view type, or was captured anew meanwhile.
    """
    stream, state = await ledger.streams.get(name), await ledger.migration.state()
    if stream.epoch != epoch:
        message = f"the stream of {name} was captured anew meanwhile: its epoch is {stream.epoch}"
        raise RefusedError(message, hint="see `tableturn status`")
    if not stream.gap:
        message = f"the stream of {name} has lost nothing that anybody knows of"
        raise RefusedError(message, hint="where both sides differ, `tableturn reconcile --repair` mends")
    serves = stream.side is state.flag.serving
    renewed = replace(
        stream,
        arn=await _arn(database, stream.table),
        epoch=epoch + 1,
        copy_epoch=epoch + 1 if serves else stream.copy_epoch,
        gap="",
    )
    await _carry_over(ledger, database, stream, renewed)
    also = [
        ledger.streams.renewal(renewed),
        *([ledger.marks.first_span(name, epoch + 1)] if serves else []),
        ledger.history.action("recaptured", stream=name, epoch=epoch + 1, lost=stream.gap, why=why),
    ]
    phase = Phase.CAPTURE if serves and stream.side is Side.SOURCE else state.phase
    try:
        await ledger.migration.move(state, phase, why=f"recapture of {name}", also=tuple(also))
    except ConditionFailed as refusal:
        message = "phase or stream moved on meanwhile, nothing was changed"
        raise RefusedError(message, hint="ask again") from refusal
    return renewed


async def _carry_over(ledger: Ledger, database: Database, stream: StreamRow, renewed: StreamRow) -> None:
    """Write the shards that the stream still has down in the new epoch, each where the old one stood.

    Done before the epoch is in force, and done again after a crash: nobody reads these rows until then, and what an
    attempt before left of shards that are no more is taken away.
    """
    known = await ledger.streams.shards(stream.name, stream.epoch)
    begun = await ledger.streams.shards(stream.name, renewed.epoch)
    standing_yet = await database.describe_stream(stream.arn) if renewed.arn == stream.arn else ()
    for shard_id in begun.keys() - {described.shard_id for described in standing_yet}:
        await ledger.streams.forget(begun[shard_id])
    for described in standing_yet:
        former = known.get(described.shard_id) or ShardRow(stream.name, described.shard_id, described.parent_id)
        if not former.ended and not await _is_readable(database, stream.arn, former):
            former = replace(former, checkpoint=None)
        await ledger.streams.carry(former, renewed.epoch, begun.get(described.shard_id))


async def _is_readable(database: Database, arn: str, shard: ShardRow) -> bool:
    """Tell whether a shard can be read on after its checkpoint; one never read begins at the trim horizon anyway."""
    if shard.checkpoint is None:
        return False
    try:
        iterator = await database.shard_iterator(ShardPlace(arn, shard.shard_id, shard.checkpoint))
        await database.get_records(iterator, limit=1)
    except (GapError, IteratorExpired):
        return False
    return True


async def _arn(database: Database, table: str) -> str:
    described = await database.describe_table(table)
    if described is None or described.stream_arn is None:
        message = f"the stream of {table} is off"
        raise RefusedError(message, hint="switch it on with NEW_AND_OLD_IMAGES, or ask with --enable-stream")
    if described.stream_view is not ViewType.NEW_AND_OLD_IMAGES:
        message = f"the stream of {table} has view type {described.stream_view}, NEW_AND_OLD_IMAGES is needed"
        raise RefusedError(message, hint="switch it off and on again with that type")
    return described.stream_arn
