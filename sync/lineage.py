"""Which shards may be read now: parents before children, always (protocol §5). Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from domain.cuts import Parents
from dynamo.ports import ShardDescription
from ledger.streams import ShardRow


def parents(shards: Mapping[str, ShardRow]) -> Parents:
    """Return the parent of each shard ever seen."""
    return {shard_id: shard.parent_id for shard_id, shard in shards.items()}


def ready(shards: Mapping[str, ShardRow], running: Collection[str]) -> list[ShardRow]:
    """Return the shards to start: not ended, not running, and their parent applied to its end.

    A parent that was trimmed before anybody could write it down counts as ended: its records are older than the copy.
    """
    return [
        shard
        for shard_id, shard in shards.items()
        if not shard.ended and shard_id not in running and _parent_is_done(shard, shards)
    ]


def orphans(known: Mapping[str, ShardRow], described: Sequence[ShardDescription]) -> list[str]:
    """Return new shards whose parent nobody ever wrote down, although the stream was followed before: a gap."""
    if not known:
        return []
    present = {shard.shard_id for shard in described} | known.keys()
    new = [shard for shard in described if shard.shard_id not in known]
    return [shard.shard_id for shard in new if shard.parent_id is not None and shard.parent_id not in present]


def lost(shards: Mapping[str, ShardRow], described: Iterable[str]) -> list[str]:
    """Return the shards that vanished from the stream before they were applied to their end: a gap."""
    present = set(described)
    return sorted(shard_id for shard_id, shard in shards.items() if not shard.ended and shard_id not in present)


def _parent_is_done(shard: ShardRow, shards: Mapping[str, ShardRow]) -> bool:
    parent = shards.get(shard.parent_id) if shard.parent_id is not None else None
    return parent is None or parent.ended
