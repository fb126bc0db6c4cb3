"""What is put at a target key: a stamped item, or a tombstone (protocol §1, §3). Pure."""

from dataclasses import dataclass

from domain.items import Item, TargetKey
from domain.positions import Version
from domain.stamps import Stamp


@dataclass(frozen=True, slots=True)
class Write:
    """One put of one target key: the item with its stamp on."""

    key: TargetKey
    item: Item
    stamp: Stamp


def stamped(key: TargetKey, item: Item, source_id: str, version: Version) -> Write:
    """Return the write of a translated item."""
    stamp = Stamp.fresh(item, source_id, version)
    return Write(key, stamp.put_on(item), stamp)


def tombstone(key: TargetKey, key_item: Item, source_id: str, version: Version) -> Write:
    """Return the write of a tombstone: key attributes and stamp, nothing else, so no index shows it."""
    stamp = Stamp.fresh(key_item, source_id, version, dead=True)
    return Write(key, stamp.put_on(key_item), stamp)
