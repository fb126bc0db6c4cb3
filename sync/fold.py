"""Folds the changes of one source id in one batch into its last image (protocol §5). Pure.

Invariant: a key that any old image of the batch had, and the last new image does not have, gets a tombstone. Leaving
out the intermediate keys would lose a delete when a batch is delivered again with other borders.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from apply.stamping import Write, stamped, tombstone
from domain.changes import Change
from domain.errors import DataError
from domain.items import Item, TargetKey
from domain.positions import Version
from mapping.plan import Plan


@dataclass(frozen=True, slots=True)
class Folded:
    """What a batch means for one source id: puts and tombstones, or a ``fault`` with the keys that still stand."""

    source_id: str
    version: Version
    puts: tuple[Write, ...] = ()
    tombstones: tuple[Write, ...] = ()
    fault: str = ""
    standing_keys: tuple[TargetKey, ...] = ()


def by_source_id(plan: Plan, source: str, changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Group changes by source id, keeping their order within each."""
    grouped: dict[str, list[Change]] = {}
    for change in changes:
        grouped.setdefault(plan.source_id(source, change.keys), []).append(change)
    return grouped


def fold(
    plan: Plan, source: str, changes: Sequence[Change], *, epoch: int, quarantined: Collection[TargetKey] = ()
) -> Folded:
    """Fold the changes of one source id, oldest first; ``quarantined`` are the keys its quarantine entry keeps."""
    last = changes[-1]
    source_id = plan.source_id(source, last.keys)
    version = Version(epoch, last.sequence)
    former = set(quarantined)
    for change in changes:
        former |= _keys(plan, source, change.old)
    try:
        items = plan.translate(source, last.new).items if last.new is not None else {}
    except DataError as fault:
        return Folded(source_id, version, fault=str(fault), standing_keys=tuple(sorted(former)))
    puts = tuple(stamped(key, item, source_id, version) for key, item in items.items())
    dead = tuple(tombstone(key, plan.key_item(key), source_id, version) for key in sorted(former - items.keys()))
    return Folded(source_id, version, puts, dead, standing_keys=tuple(sorted(former)))


def _keys(plan: Plan, source: str, image: Item | None) -> set[TargetKey]:
    """Return the target keys of an image; none when it is absent or never was translatable."""
    if image is None:
        return set()
    try:
        return set(plan.translate(source, image).items)
    except DataError:
        return set()
