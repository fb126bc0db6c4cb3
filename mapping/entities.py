"""A plan compiled: what translating one item needs, looked up once at load instead of once an item.

`Frame` is the target, `Home` one legacy table, `Entity` how items of that table become primary items of the target,
`Beside` a further item made of the same one. `mapping.compiling` builds them from the plan file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.items import AttributeValue, Item, TargetKey, source_id
from mapping.converters import BY_TYPE
from mapping.rules import Inverse, Rule
from mapping.sizes import key_value_fits
from mapping.templates import Template

KeyUses = Mapping[str, tuple[tuple[str, bool], ...]]
"""Attribute → (type, is it the hash key) of every index that it is a key of."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Templates of hash and sort key, with the types of the source key that they hold."""

    hash: Template
    sort: Template
    types: Mapping[str, str]

    def render(self, image: Item) -> TargetKey | None:
        """Return the target key of a legacy item; None when a part is lacking."""
        pk, sk = self.hash.render(image), self.sort.render(image)
        return None if pk is None or sk is None else TargetKey(pk, sk)

    def read(self, key: TargetKey) -> Item | None:
        """Return the source key in a target key; None when the key is not of these templates (protocol §2)."""
        hash_parts, sort_parts = self.hash.read(key.pk), self.sort.read(key.sk)
        if hash_parts is None or sort_parts is None:
            return None
        found: dict[str, str] = {}
        for part, written in [*hash_parts, *sort_parts]:
            if part.converter is None and found.setdefault(part.attribute, written) != written:
                return None
        source_key: Item = {name: {kind: found[name]} for name, kind in self.types.items()}
        spelt = all(BY_TYPE[kind](source_key[name]) == found[name] for name, kind in self.types.items())
        return source_key if spelt else None


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """An item's entry in one index: names of its key attributes, their rules and types."""

    index: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    rules: tuple[Rule, ...]

    def values(self, image: Item) -> Item:
        """Return the key attributes of the entry; empty when one is lacking or would be refused (rule 3)."""
        made: Item = {}
        for position, (name, kind, rule) in enumerate(zip(self.names, self.types, self.rules, strict=True)):
            value = rule.make(image)
            if value is None or not key_value_fits(value, kind, hash_key=position == 0):
                return {}
            made[name] = value
        return made


@dataclass(frozen=True, slots=True)
class Frame:
    """The target: names of its key attributes, its index keys, and what every primary item also gets."""

    hash_name: str
    sort_name: str
    key_uses: KeyUses
    type_attribute: str
    defaults: Mapping[str, Rule]

    def key_item(self, key: TargetKey) -> Item:
        """Return the key attributes."""
        return {self.hash_name: {"S": key.pk}, self.sort_name: {"S": key.sk}}

    def takes(self, name: str, value: AttributeValue) -> bool:
        """Tell whether the target's indexes let the attribute have that value."""
        return takes(self.key_uses, name, value)


@dataclass(frozen=True, slots=True)
class Home:
    """A legacy table: its key, its index keys, and the names that are at home there (None: every name)."""

    source: str
    types: Mapping[str, str]
    key_uses: KeyUses
    declared: frozenset[str] | None
    sensitive: frozenset[str]

    def identify(self, image: Item) -> str:
        """Return the source id of an item or key (protocol §1)."""
        return source_id(self.source, image, tuple(self.types))

    def key_of(self, image: Item) -> Item:
        """Return the key attributes of an item, in schema order."""
        return {name: image[name] for name in self.types}

    def knows(self, name: str) -> bool:
        """Tell whether legacy items have that attribute of their own."""
        return self.declared is None or name in self.declared

    def odd(self, image: Item) -> frozenset[str]:
        """Return the index keys with values that a put would be refused for; items older than an index hold some."""
        found = [name for name in self.key_uses if name in image and not self.takes(name, image[name])]
        return frozenset(found)

    def takes(self, name: str, value: AttributeValue) -> bool:
        """Tell whether the table's indexes let the attribute have that value; a put would be refused otherwise."""
        return takes(self.key_uses, name, value)


@dataclass(frozen=True, slots=True)
class Beside:
    """A derived item beside the primary one; ``words`` None in ``when`` means: filled."""

    name: str
    key: KeyPair
    when: Mapping[str, frozenset[str] | None]
    attributes: Mapping[str, Rule]
    indexes: tuple[IndexEntry, ...]
    carries: bool
    reserved: frozenset[str]

    def wanted(self, image: Item) -> bool:
        """Tell whether the legacy item has this item beside it."""
        return all(_holds(image.get(name), words) for name, words in self.when.items())


@dataclass(frozen=True, slots=True)
class Entity:
    """How one source's items become primary items and come back."""

    name: str
    home: Home
    key: KeyPair
    indexes: tuple[IndexEntry, ...]
    derived: Mapping[str, Rule]
    inverses: Mapping[str, Inverse]
    reserved: frozenset[str]
    beside: tuple[Beside, ...]

    @property
    def entries(self) -> tuple[IndexEntry, ...]:
        """Return the index entries of all its items."""
        return self.indexes + tuple(entry for each in self.beside for entry in each.indexes)


def takes(uses: KeyUses, name: str, value: AttributeValue) -> bool:
    """Tell whether indexes with these keys let an attribute have that value (AWS refuses the whole put otherwise)."""
    needed = uses.get(name)
    return needed is None or all(key_value_fits(value, kind, hash_key=is_hash) for kind, is_hash in needed)


def _holds(value: AttributeValue | None, words: frozenset[str] | None) -> bool:
    if value is None or "NULL" in value:
        return False
    return value.get("S") != "" if words is None else value.get("S") in words
