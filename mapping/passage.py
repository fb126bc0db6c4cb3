"""There and back again: `primary_item` and `source_item` are each other's inverse, whatever either side wrote.

Invariants (tyler-setup rule 4; tests/unit/mapping/test_round_trips.py):

- ``source_item(primary_item(x)) == x`` for every legacy item x.
- ``primary_item(source_item(y)) == y`` for every primary item y, save a carried attribute that an inverse rule has
  just brought up to date.

Both hold by construction for items without `_target` and `_legacy`. The rest is decided by trying: a reading of
`_target`, of `_legacy._target` or of `_legacy._stale` is right exactly when the other direction rebuilds what we were
given. Each try looks at a `_target` that lies within the one before, so the two functions end.
"""

from domain.items import Item
from mapping.entities import Entity, Frame
from mapping.inversion import recovered
from mapping.overrides import (
    LEGACY,
    STALE,
    TARGET,
    Overrides,
    applied,
    difference,
    map_content,
    parsed,
    same_item,
    written,
)
from mapping.translation import made


def primary_item(entity: Entity, frame: Frame, image: Item) -> Item:
    """Return the primary item of a legacy item, overrides of the new application included; raises DataError."""
    if TARGET not in image:
        return made(entity, frame, image)
    rest = {name: value for name, value in image.items() if name != TARGET}
    overrides = parsed(image[TARGET])
    item = None if overrides is None else _overlaid(entity, frame, rest, overrides)
    if item is not None and same_item(source_item(entity, frame, entity.home.key_of(image), item), image):
        return item
    plain = made(entity, frame, rest)  # the application's own attribute, whatever it looks like
    return {**plain, LEGACY: {"M": {**map_content(plain.get(LEGACY)), TARGET: image[TARGET]}}}


def source_item(entity: Entity, frame: Frame, source_key: Item, item: Item) -> Item:
    """Return the legacy item of a primary item, whose key was read as ``source_key``."""
    source, standing = recovered(entity, frame, source_key, item)
    legacy = map_content(standing.get(LEGACY))
    if TARGET in legacy:
        candidate = {**source, TARGET: legacy[TARGET]}
        if same_item(primary_item(entity, frame, candidate), standing):
            return candidate
    plain = made(entity, frame, source)
    if STALE in legacy:
        renewed = _with_stale(entity, frame, source, plain, standing)
        if renewed is not None:
            return renewed
    overrides = difference(standing, plain)
    return {**source, TARGET: written(overrides)} if overrides else source


def _overlaid(entity: Entity, frame: Frame, rest: Item, overrides: Overrides) -> Item | None:
    """Return the item with overrides; None when they cannot be ours: they touch the key or would be refused."""
    keys = {frame.hash_name, frame.sort_name}
    for name, override in overrides.items():
        if name in keys or (override.value is not None and not frame.takes(name, override.value)):
            return None
    plain = made(entity, frame, rest)
    item, stale = applied(plain, overrides)
    if stale and LEGACY in overrides and STALE in map_content(overrides[LEGACY].value):
        # What was stale before the new application overrode it stands in that value: it waits with what is stale now.
        item, stale = applied(plain, {name: each for name, each in overrides.items() if name != LEGACY})
        stale[LEGACY] = overrides[LEGACY]
    if not stale:
        return item
    standing = item.get(LEGACY, {"M": {}})
    if "M" not in standing or STALE in standing["M"]:
        return None
    return {**item, LEGACY: {"M": {**standing["M"], STALE: written(stale)}}}


def _with_stale(entity: Entity, frame: Frame, source: Item, plain: Item, standing: Item) -> Item | None:
    """Return the legacy item whose `_target` holds today's overrides and the stale ones, if that is what it was."""
    legacy = dict(standing[LEGACY]["M"])
    stale = parsed(legacy.pop(STALE))
    if stale is None:
        return None
    bare = {**standing, LEGACY: {"M": legacy}}
    if not legacy:
        del bare[LEGACY]
    overrides = {**stale, **difference(bare, plain)}
    again = _overlaid(entity, frame, source, overrides)
    if again is None or not same_item(again, standing):
        return None
    return {**source, TARGET: written(overrides)}
