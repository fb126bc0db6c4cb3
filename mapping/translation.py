"""There: the items that a legacy item becomes, before overrides of the new application come in (`mapping.passage`).

The order below is the order of the target item: what is carried, what is displaced into `_legacy`, what is added,
what is derived, index entries, key. Input dictionaries are never changed; values are shared, not copied.
"""

from dataclasses import dataclass

from domain.errors import DataError
from domain.items import AttributeValue, Item, TargetKey
from mapping.entities import Beside, Entity, Frame
from mapping.masking import printable
from mapping.overrides import LEGACY, OWN, names_set
from mapping.sizes import fits_key


@dataclass(frozen=True, slots=True)
class Translation:
    """translate's answer (protocol §1): the key of the primary item, and every item by key; no stamps on them."""

    primary: TargetKey
    items: dict[TargetKey, Item]


def primary_key(entity: Entity, image: Item) -> TargetKey:
    """Return the primary target key; raises DataError when the source key cannot be written as one."""
    for name, kind in entity.home.types.items():
        if kind not in image.get(name, {}):
            hint = "only an item with its whole key can be translated"
            raise DataError(f"an item of {entity.home.source} lacks its key attribute {name} of type {kind}", hint=hint)
    key = entity.key.render(image)
    if key is None or not _fits(key):
        what = f"{printable(entity.home, image)}: its key is too long for the target, or empty"
        raise DataError(what, hint="a hash key holds 2048 bytes, a sort key 1024")
    return key


def made(entity: Entity, frame: Frame, image: Item) -> Item:
    """Return the primary item of a legacy item without `_target`; raises DataError when its key cannot be made."""
    key = primary_key(entity, image)
    item, displaced = _carried(entity, frame, image)
    if displaced:
        item[LEGACY] = {"M": displaced}
    item[frame.type_attribute] = {"S": entity.name}
    for name, rule in entity.derived.items():
        value = rule.make(image)
        if value is not None:
            item[name] = value
    for entry in entity.indexes:
        item.update(entry.values(image))
    item.update(frame.key_item(key))
    return item


def beside(entity: Entity, frame: Frame, image: Item) -> dict[TargetKey, Item]:
    """Return the derived items. They follow the legacy image alone: `_target` never changes them (tyler-setup table).

    One whose key lacks a part or is too long is left out: the item itself must never be lost for it.
    """
    items: dict[TargetKey, Item] = {}
    for each in entity.beside:
        key = each.key.render(image) if each.wanted(image) else None
        if key is not None and _fits(key):
            items[key] = _beside(each, frame, image, key)
    return items


def own_default(frame: Frame, name: str, value: AttributeValue) -> bool:
    """Tell whether a legacy attribute may keep the name of one that the mapping adds: it has the same type."""
    rule = frame.defaults[name]
    return rule.type in value and frame.takes(name, value)


def _carried(entity: Entity, frame: Frame, image: Item) -> tuple[Item, Item]:
    """Return what keeps its name (with defaults), and the content of `_legacy` (tyler-setup rule 1)."""
    item: Item = {}
    displaced: Item = {}
    odd = entity.home.odd(image)
    own: list[str] = []
    for name, value in image.items():
        is_default = name in frame.defaults
        if name in entity.reserved or (is_default and not own_default(frame, name, value)):
            displaced[name] = value
        else:
            item[name] = value
            if is_default or not entity.home.knows(name):
                own.append(name)
        if name in odd:
            own.append(name)
    for name, rule in frame.defaults.items():
        value_made = None if name in item else rule.make(image)
        if value_made is not None:
            item[name] = value_made
    listed = names_set(own)
    if listed is not None:
        displaced[OWN] = listed
    return item, displaced


def _beside(each: Beside, frame: Frame, image: Item, key: TargetKey) -> Item:
    item = {name: value for name, value in image.items() if name not in each.reserved} if each.carries else {}
    item[frame.type_attribute] = {"S": each.name}
    for name, rule in each.attributes.items():
        value = rule.make(image)
        if value is not None:
            item[name] = value
    for entry in each.indexes:
        item.update(entry.values(image))
    item.update(frame.key_item(key))
    return item


def _fits(key: TargetKey) -> bool:
    return fits_key(key.pk, hash_key=True) and fits_key(key.sk, hash_key=False)
