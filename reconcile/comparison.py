"""Compares two scans through the mapping and names the suspects (protocol §7). Pure.

Forward (the source serves): translate(source) must equal the target, and untranslate(target) the source, so that a
lossy rule cannot agree with itself. Reverse (the target serves): untranslate(target primary) must equal the source.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from domain.errors import DataError
from domain.items import STAMP, Item, TargetKey, digest
from domain.phases import Side
from domain.stamps import is_tombstone
from mapping.plan import Plan


class Kind(StrEnum):
    """What is wrong with an item of the side that follows."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(slots=True)
class Sweep:
    """One generation: feed it every source item, then every target item; what is left are suspects.

    Holds one digest per item. ``unmapped`` counts target items that no entity of the plan claims.
    """

    plan: Plan
    serving: Side
    compared: int = 0
    unmapped: int = 0
    suspects: dict[str, set[TargetKey]] = field(default_factory=dict)
    _expected: dict[TargetKey, tuple[str, str]] = field(default_factory=dict)
    _images: dict[str, str] = field(default_factory=dict)

    def see_source(self, source: str, image: Item) -> None:
        """Take in a source item."""
        source_id = self.plan.source_id(source, image)
        self._images[source_id] = digest(image)
        if self.serving is Side.TARGET:
            return
        try:
            items = self.plan.translate(source, image).items
        except DataError:
            self._suspect(source_id)
            return
        self._expected.update({key: (digest(item), source_id) for key, item in items.items()})

    def see_target(self, item: Item) -> None:
        """Hold a target item against what the source side said."""
        key = self.plan.target_key(item)
        owner = self.plan.owner(key)
        if owner is None:
            self.unmapped += 1
            return
        expected = self._expected.pop(key, None)
        if is_tombstone(item) or (self.serving is Side.TARGET and not owner.primary):
            if expected is not None:
                self._suspect(owner.source_id, key)
            return
        self.compared += 1
        if self.serving is Side.SOURCE and (expected is None or expected[0] != digest(item)):
            self._suspect(owner.source_id, key)
        if owner.primary and self._images.pop(owner.source_id, None) != self._returned(item):
            self._suspect(owner.source_id, key)

    def finish(self) -> dict[str, set[TargetKey]]:
        """Return the source ids to recheck, with the keys that looked wrong; what only one side had is among them."""
        for key, (_, source_id) in self._expected.items():
            self._suspect(source_id, key)
        for source_id in self._images:
            self._suspect(source_id)
        return self.suspects

    def _suspect(self, source_id: str, *keys: TargetKey) -> None:
        self.suspects.setdefault(source_id, set()).update(keys)

    def _returned(self, item: Item) -> str | None:
        try:
            returned = self.plan.untranslate(item)
        except DataError:
            return "irreversible"  # no digest: it equals nothing, not even an item that is not there
        return None if returned is None else digest(returned.item)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One disagreement that outlasted its rechecks; ``attributes`` name what differs, never values."""

    kind: Kind
    source_id: str
    key: TargetKey
    attributes: tuple[str, ...] = ()
    first_seen_ms: int = 0


def differing(one: Item, other: Item) -> tuple[str, ...]:
    """Return the names of the attributes in which two items differ by value."""
    names = sorted((set(one) | set(other)) - {STAMP})
    return tuple(
        name
        for name in names
        if name not in one or name not in other or digest({name: one[name]}) != digest({name: other[name]})
    )


def judge(expected: Item | None, standing: Item | None) -> tuple[Kind, tuple[str, ...]] | None:
    """Compare what should stand at a key with what does; tombstones and nothing are the same."""
    if standing is not None and is_tombstone(standing):
        standing = None
    if expected is None:
        return None if standing is None else (Kind.EXTRA, ())
    if standing is None:
        return Kind.MISSING, ()
    return None if digest(expected) == digest(standing) else (Kind.DIFFERENT, differing(expected, standing))


_OLDEST_TTL_S = 5 * 365 * 86_400
"""DynamoDB never deletes an item whose time to live passed longer ago than five years (AWS: TTL, "how it works")."""


def is_expired(item: Item | None, ttl_attribute: str | None, now_s: int) -> bool:
    """Tell whether an item's time to live has passed, so that DynamoDB may delete it, or have deleted it, by now."""
    if item is None or ttl_attribute is None:
        return False
    written = item.get(ttl_attribute, {}).get("N")
    return written is not None and now_s - _OLDEST_TTL_S < Decimal(written) <= now_s
