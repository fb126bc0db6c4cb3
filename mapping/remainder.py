"""What a write of the new application changed that the legacy item holds in `_target` only (protocol §9).

The legacy application does not see it after a rollback; the next cutover brings it back (tyler-setup rule 4). Names
only: a value never leaves this module.
"""

from dataclasses import dataclass

from domain.items import Item
from mapping.entities import Entity, Frame
from mapping.overrides import TARGET, parsed, same


@dataclass(frozen=True, slots=True)
class Remainder:
    """Names that a write changed, in `_target`.

    ``own``: those that only the new application has. ``derived``: those that the mapping makes otherwise, and that no
    inverse rule could bring over to a legacy attribute.
    """

    own: frozenset[str] = frozenset()
    derived: frozenset[str] = frozenset()


NOTHING_LEFT = Remainder()


def remainder(entity: Entity, frame: Frame, before: Item | None, after: Item) -> Remainder:
    """Compare two legacy items, as they are untranslated from before and after a write."""
    overrides = parsed(after.get(TARGET)) or {}
    former = (parsed((before or {}).get(TARGET)) or {}) if overrides else {}
    changed = {
        name
        for name, override in overrides.items()
        if name not in former or not same(override.value, former[name].value)
    }
    derived = {name for name in changed if overrides[name].over is not None or name in made_names(entity, frame)}
    return Remainder(frozenset(changed - derived), frozenset(derived))


def made_names(entity: Entity, frame: Frame) -> frozenset[str]:
    """Return the names on a primary item that the mapping adds to the legacy item's own."""
    entries = {name for entry in entity.indexes for name in entry.names}
    return frozenset({frame.type_attribute, *frame.defaults, *entity.derived, *entries})
