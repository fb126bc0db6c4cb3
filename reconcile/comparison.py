"""Reduces both sides through the mapping to what must be equal, and judges what is not (protocol §7). Pure.

Forward (the source serves): translate(source) must equal the target, and untranslate(target) the source, so that a
lossy rule cannot agree with itself. Reverse (the target serves): untranslate(target primary) must equal the source.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from urllib.parse import unquote

from domain.errors import DataError
from domain.items import STAMP, Item, TargetKey, digest, text_digest
from domain.phases import Side
from domain.stamps import is_tombstone
from mapping.overrides import without
from mapping.plan import Plan


class Kind(StrEnum):
    """What is wrong with an item of the side that follows."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Seen:
    """What one side says of a place: the digests of place and content, 16 bytes each.

    A place is a target key, or a source id (what its item looks like, or would look like, in the legacy table). ``key``
    is to be looked at again beside those that the source id itself calls for.
    """

    place: bytes
    content: bytes
    source_id: str
    key: TargetKey | None = None


_UNTRANSLATABLE = b"untranslatable.."
_IRREVERSIBLE = b"irreversible...."
"""No digests: they equal nothing, not even an item that is not there."""


@dataclass(slots=True)
class Reduction:
    """Reduces the items of both sides to what must be equal; counts as it goes.

    ``sources``: whose items count; None: all. ``compared`` are target items that count; ``unmapped`` those that no
    entity of the plan claims.
    """

    plan: Plan
    serving: Side
    sources: Collection[str] | None = None
    compared: int = 0
    unmapped: int = 0

    def of_source(self, source: str, image: Item) -> list[Seen]:
        """Return what a legacy item says: of itself, and of the target items that it calls for."""
        source_id = self.plan.source_id(source, image)
        whole = Seen(_place_of_id(source_id), self._content(source, image), source_id)
        if self.serving is Side.TARGET:
            return [whole]
        try:
            items = self.plan.translate(source, image).items
        except DataError:
            return [Seen(whole.place, _UNTRANSLATABLE, source_id)]
        return [whole, *(Seen(_place(key), self._content(source, item), source_id) for key, item in items.items())]

    def of_target(self, item: Item) -> list[Seen]:
        """Return what a target item says: of its key, and of the legacy item that it stands for."""
        key = self.plan.target_key(item)
        owner = self.plan.owner(key)
        if owner is None:
            self.unmapped += 1
            return []
        if self.sources is not None and owner.source not in self.sources:
            return []
        if is_tombstone(item) or (self.serving is Side.TARGET and not owner.primary):
            return []
        self.compared += 1
        own = None if owner.primary else key
        seen = []
        if self.serving is Side.SOURCE:
            seen.append(Seen(_place(key), self._content(owner.source, item), owner.source_id, own))
        if owner.primary and (returned := self._returned(item)) is not None:
            seen.append(Seen(_place_of_id(owner.source_id), returned, owner.source_id, own))
        return seen

    def _returned(self, item: Item) -> bytes | None:
        try:
            returned = self.plan.untranslate(item)
        except DataError:
            return _IRREVERSIBLE
        return None if returned is None else self._content(returned.source, returned.item)

    def _content(self, source: str, item: Item) -> bytes:
        return bytes.fromhex(digest(compared_part(item, self.plan.sources[source].uncompared)))


def _place(key: TargetKey) -> bytes:
    return text_digest("key", key.pk, key.sk)


def _place_of_id(source_id: str) -> bytes:
    return text_digest("id", source_id)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement that outlasted its rechecks; ``attributes`` name what differs, never values."""

    kind: Kind
    source_id: str
    key: TargetKey
    attributes: tuple[str, ...] = ()
    first_seen_ms: int = 0

    @property
    def source(self) -> str:
        """Return the name of the source whose item it is."""
        return unquote(self.source_id.partition("/")[0])


def by_id(mismatches: Iterable[Mismatch]) -> dict[str, list[Mismatch]]:
    """Return mismatches by their source ids."""
    found: dict[str, list[Mismatch]] = {}
    for each in mismatches:
        found.setdefault(each.source_id, []).append(each)
    return found


def compared_part(item: Item, uncompared: Collection[str]) -> Item:
    """Return an item without the attributes that the plan leaves out of comparisons."""
    return without(item, uncompared) if uncompared else item


def differing(one: Item, other: Item) -> tuple[str, ...]:
    """Return the names of the attributes in which two items differ by value."""
    names = sorted((set(one) | set(other)) - {STAMP})
    return tuple(
        name
        for name in names
        if name not in one or name not in other or digest({name: one[name]}) != digest({name: other[name]})
    )


def judge(
    expected: Item | None, standing: Item | None, uncompared: Collection[str] = ()
) -> tuple[Kind, tuple[str, ...]] | None:
    """Compare what should stand at a key with what does; tombstones and nothing are the same.

    ``uncompared``: names of attributes that may differ.
    """
    if standing is not None and is_tombstone(standing):
        standing = None
    if expected is None:
        return None if standing is None else (Kind.EXTRA, ())
    if standing is None:
        return Kind.MISSING, ()
    expected, standing = compared_part(expected, uncompared), compared_part(standing, uncompared)
    return None if digest(expected) == digest(standing) else (Kind.DIFFERENT, differing(expected, standing))


_OLDEST_TTL_S = 5 * 365 * 86_400
"""DynamoDB never deletes an item whose time to live passed longer ago than five years (AWS: TTL, "how it works")."""


def is_expired(item: Item | None, ttl_attribute: str | None, now_s: int) -> bool:
    """Tell whether an item's time to live has passed, so that DynamoDB may delete it, or have deleted it, by now."""
    if item is None or ttl_attribute is None:
        return False
    written = item.get(ttl_attribute, {}).get("N")
    return written is not None and now_s - _OLDEST_TTL_S < Decimal(written) <= now_s
