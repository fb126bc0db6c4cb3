"""Back: what of a target item is the legacy item's own, brought up to date by inverse rules (tyler-setup rule 4).

What is left over, and the mapping would not make of it again, becomes overrides in `mapping.passage`.
"""

from domain.items import STAMP, AttributeValue, Item
from mapping.entities import Entity, Frame
from mapping.overrides import LEGACY, OWN, TARGET, map_content, same
from mapping.rules import Inverse
from mapping.translation import own_default


def recovered(entity: Entity, frame: Frame, source_key: Item, item: Item) -> tuple[Item, Item]:
    """Return the legacy item without `_target`, and the target item it is to be held against.

    The second one is the item given, without stamp, with the carried attributes that an inverse rule has just
    brought up to date. A value that the legacy table's indexes would refuse is not restored: it becomes an override.
    """
    standing = {name: value for name, value in item.items() if name != STAMP}
    legacy = map_content(standing.get(LEGACY))
    own = frozenset(legacy.get(OWN, {}).get("SS", ()))
    source: Item = {}
    for name, value in standing.items():
        if _at_home(entity, frame, name, value, own) and (name in own or entity.home.takes(name, value)):
            source[name] = value
    for name, value in legacy.items():
        if _displaced(entity, frame, name, value) and (name in own or entity.home.takes(name, value)):
            source[name] = value
    for name, value in source_key.items():
        if not same(source.get(name), value):  # else keep the spelling of a number that stands there
            source[name] = value
    _bring_up_to_date(entity, source, standing)
    return source, standing


def _at_home(entity: Entity, frame: Frame, name: str, value: AttributeValue, own: frozenset[str]) -> bool:
    if name in entity.reserved:
        return False
    if name in frame.defaults:
        return name in own and own_default(frame, name, value)
    return entity.home.knows(name) or name in own


def _displaced(entity: Entity, frame: Frame, name: str, value: AttributeValue) -> bool:
    if name in entity.reserved:
        return name != TARGET
    return name in frame.defaults and not own_default(frame, name, value)


def _bring_up_to_date(entity: Entity, source: Item, standing: Item) -> None:
    """Let every changed derived attribute that has an inverse update the legacy one it speaks for."""
    for name, inverse in entity.inverses.items():
        given = standing.get(name)
        if same(given, entity.derived[name].make(source)):
            continue
        if given is None:
            if inverse.removes:
                source.pop(inverse.attribute, None)
                standing.pop(inverse.attribute, None)
            continue
        value = _settled(inverse, given, source)
        if value is not None and entity.home.takes(inverse.attribute, value):
            source[inverse.attribute] = standing[inverse.attribute] = value


def _settled(inverse: Inverse, given: AttributeValue, source: Item) -> AttributeValue | None:
    """Return the inverse's value if applying it twice changes nothing more; else the change stays an override."""
    value = inverse.back(given, source)
    if value is None:
        return None
    again = inverse.back(given, {**source, inverse.attribute: value})
    return value if same(again, value) else None
