"""Whether somebody wrote a source after its last backup was asked for, by what the source's stream tells.

Times of records and backups are both DynamoDB's own; a record's is cut to the second (Streams API, StreamRecord).
It is a look and no proof: an empty page is not the tip. What comes after it is in the system backup that DynamoDB makes
of a table with recovery as it is deleted (AWS: "Point-in-time recovery for DynamoDB"), so deletion wants recovery.
"""

from typing import Final

from domain.errors import GapError, RefusedError
from dynamo.ports import Database, ShardPlace
from ledger.book import Ledger

TELLS_FOR_MS: Final = 20 * 3600 * 1000
"""A stream keeps records for 24 hours: of what came after an older backup it may have forgotten some."""

_SECOND_MS: Final = 1_000
_EMPTY_PAGES: Final = 3
"""Pages without a record, one after the other, behind which a shard is taken to be at its tip."""


async def changes_since(database: Database, ledger: Ledger, source: str, moment_ms: int) -> int:
    """Return how many changes of a source came after a moment, its own expiry left out.

    Raises RefusedError when the stream that the ledger knows is not on: then nobody can tell.
    """
    stream = await ledger.streams.get(source)
    described = await database.describe_table(stream.table)
    if described is None or described.stream_arn != stream.arn:
        hint = "switch its stream on again (NEW_AND_OLD_IMAGES) and archive again"
        raise RefusedError(f"the stream of {stream.table} is off or another one: nobody knows who wrote it", hint=hint)
    known = await ledger.streams.shards(source)
    found = 0
    for shard in await database.describe_stream(stream.arn):
        row = known.get(shard.shard_id)
        if row is None or not row.ended:
            checkpoint = None if row is None else row.checkpoint
            found += await _counted(database, ShardPlace(stream.arn, shard.shard_id, checkpoint), moment_ms)
    return found


async def _counted(database: Database, place: ShardPlace, moment_ms: int) -> int:
    iterator, found, empty = await _opened(database, place), 0, 0
    while iterator is not None and empty < _EMPTY_PAGES:
        page = await database.get_records(iterator)
        late = [change for change in page.changes if change.created_ms + _SECOND_MS > moment_ms]
        found += sum(change.mark is None and not change.by_ttl for change in late)
        empty = 0 if page.changes else empty + 1
        iterator = page.next_iterator
    return found


async def _opened(database: Database, place: ShardPlace) -> str | None:
    """Open an iterator behind a checkpoint, or where the stream begins when that was trimmed; None: all is gone."""
    for start in (place, ShardPlace(place.stream_arn, place.shard_id)):
        try:
            return await database.shard_iterator(start)
        except GapError:
            continue
    return None
