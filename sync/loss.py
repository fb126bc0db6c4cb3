"""When lost records are a gap, and what is said of one (protocol §4.1, §5)."""

from collections.abc import Collection
from datetime import UTC, datetime

from domain.phases import Phase, Side
from ledger.book import Ledger
from ledger.streams import ShardRow, StreamRow


async def copy_has_begun(ledger: Ledger, stream: StreamRow) -> bool:
    """Tell whether the copy may have read past what this stream tells of: from then on nothing of it may be lost.

    Only in CAPTURE it may not; a source that was copied before another one was captured anew is past it even then.
    """
    if (await ledger.migration.state()).phase not in {Phase.PLANNED, Phase.CAPTURE}:
        return True
    return stream.side is Side.SOURCE and bool(await ledger.segments.of(stream.name))


def told(gap: str, shards: Collection[ShardRow]) -> str:
    """Say what was lost: the event, and since when changes are missing at the earliest.

    A shard without a child counts although it has ended: a stream that is switched off closes all it has.
    """
    continued = {shard.parent_id for shard in shards}
    ends = [shard for shard in shards if not shard.ended or shard.shard_id not in continued]
    through_ms = min((shard.through_ms for shard in ends), default=0)
    since = datetime.fromtimestamp(through_ms / 1000, UTC).isoformat(timespec="seconds") if through_ms else "the start"
    return f"{gap}; changes since {since} may be missing"
