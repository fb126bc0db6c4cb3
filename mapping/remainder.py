"""What a write of the new application changed that the legacy item does not hold as its own (protocol §9).

What travels in `_target` the legacy application does not see after a rollback, and the next cutover brings it back
(tyler-setup rule 4); what an inverse rule overruled is gone then. Names only: a value never leaves this module.
"""

from dataclasses import dataclass
from typing import TypeAlias

from domain.items import Item
from mapping.entities import Entity, Frame
from mapping.overrides import TARGET, parsed, same


@dataclass(frozen=True, slots=True)
class Remainder:
    """Names that a write changed.

    ``own``: those that only the new application has. ``derived``: those that the mapping makes otherwise, and that no
    inverse rule could bring over to a legacy attribute. Both travel in `_target`. ``overruled``: carried ones that
    contradict a derived one whose inverse rule speaks for them, so that the legacy item holds another value.
    """

    own: frozenset[str] = frozenset()
    derived: frozenset[str] = frozenset()
    overruled: frozenset[str] = frozenset()


NOTHING_LEFT = Remainder()


Pairing: TypeAlias = tuple[Item, Item]
"""A primary item and the legacy item that it untranslates to."""


def remainder(entity: Entity, frame: Frame, before: Pairing | None, after: Pairing) -> Remainder:
    """Compare what stood before a write with what stands after it."""
    (image, legacy), (old_image, old_legacy) = after, before or ({}, {})
    overrides, former = parsed(legacy.get(TARGET)) or {}, parsed(old_legacy.get(TARGET)) or {}
    changed = {
        name
        for name, override in overrides.items()
        if name not in former or not same(override.value, former[name].value)
    }
    derived = {name for name in changed if overrides[name].over is not None or name in made_names(entity, frame)}
    overruled = {
        inverse.attribute
        for inverse in entity.inverses.values()
        if not same(image.get(inverse.attribute), legacy.get(inverse.attribute))
        and not same(image.get(inverse.attribute), old_image.get(inverse.attribute))
    }
    return Remainder(frozenset(changed - derived), frozenset(derived), frozenset(overruled))


def made_names(entity: Entity, frame: Frame) -> frozenset[str]:
    """Return the names on a primary item that the mapping adds to the legacy item's own."""
    entries = {name for entry in entity.indexes for name in entry.names}
    return frozenset({frame.type_attribute, *frame.defaults, *entity.derived, *entries})
