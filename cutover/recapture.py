"""Capture a stream anew after a gap: epoch + 1, and, where its side serves, copy it again (protocol §5).

One transaction: the stream's row, the span of the application's records, the phase. All else is kept by epoch, so that
what the old one left in the ledger is nobody's any more; what may still land of it loses by its version. Who copies is
`backfill` (the source serves) or `reconcile` (the target does: the legacy tables are mended from it).
"""

from dataclasses import replace

from domain.errors import ConditionFailed, RefusedError
from domain.phases import Phase, Side
from domain.tables import ViewType
from dynamo.ports import Tables
from ledger.book import Ledger
from ledger.streams import StreamRow


async def recapture(ledger: Ledger, tables: Tables, name: str, *, epoch: int, why: str) -> StreamRow:
    """Begin a new epoch of a stream that is in ``epoch`` now; return the stream.

    Raises RefusedError when the stream is off, of another view type, or was captured anew meanwhile.
    """
    stream, state = await ledger.streams.get(name), await ledger.migration.state()
    if stream.epoch != epoch:
        message = f"the stream of {name} was captured anew meanwhile: its epoch is {stream.epoch}"
        raise RefusedError(message, hint="see `tableturn status`")
    serves = stream.side is state.flag.serving
    renewed = replace(
        stream,
        arn=await _arn(tables, stream.table),
        epoch=epoch + 1,
        copy_epoch=epoch + 1 if serves else stream.copy_epoch,
        gap="",
    )
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


async def _arn(tables: Tables, table: str) -> str:
    described = await tables.describe_table(table)
    if described is None or described.stream_arn is None:
        message = f"the stream of {table} is off"
        raise RefusedError(message, hint="switch it on with NEW_AND_OLD_IMAGES, or ask with --enable-stream")
    if described.stream_view is not ViewType.NEW_AND_OLD_IMAGES:
        message = f"the stream of {table} has view type {described.stream_view}, NEW_AND_OLD_IMAGES is needed"
        raise RefusedError(message, hint="switch it off and on again with that type")
    return described.stream_arn
