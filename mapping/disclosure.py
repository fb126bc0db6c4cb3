"""What of a plan's items and keys may be printed: the masks of `mapping.masking`, chosen by whose the item is."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.items import STAMP, Item, TargetKey
from mapping.entities import Entity, Frame, IndexEntry
from mapping.masking import Mask, printable, printable_key, short_digest, unknown_key
from mapping.ownership import Ownership
from mapping.rules import Rule


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Masks for every item of a plan.

    ``names`` are those to hide on target items, by source; ``telling`` the indexes whose hash keys may be sensitive.
    """

    frame: Frame
    ownership: Ownership
    names: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]
    prefixes: frozenset[str]
    telling: frozenset[str]

    @classmethod
    def of(cls, frame: Frame, entities: Mapping[str, Entity], ownership: Ownership) -> "Disclosure":
        """Work out once which names hold what is sensitive or made of it."""
        names = {source: _sensitive_names(entity) for source, entity in entities.items()}
        everywhere = frozenset[str]().union(*(entity.home.sensitive for entity in entities.values()))
        prefixes = frozenset(maker.pair.hash.prefix for maker in ownership.makers)
        telling = frozenset().union(*(_telling_indexes(entity) for entity in entities.values()))
        return cls(frame, ownership, names, everywhere, prefixes, telling)

    def key(self, key: TargetKey) -> TargetKey:
        """Return a target key as it may be printed; of an unknown one nothing but its known beginning."""
        found = self.ownership.find(key)
        if found is None:
            return unknown_key(key, self.prefixes)
        maker, _ = found
        return printable_key(maker.pair, key, maker.entity.home.sensitive)

    def hash_key(self, index: str | None, written: str) -> str:
        """Return a hash key as it may be printed: of the target itself like `key`, of an index whole or not at all."""
        if index is not None:
            return short_digest(written) if index in self.telling else written
        makers = sorted(self.ownership.makers, key=lambda maker: len(maker.pair.hash.prefix), reverse=True)
        for maker in makers:
            if maker.pair.hash.prefix and written.startswith(maker.pair.hash.prefix):
                sensitive = maker.entity.home.sensitive & maker.pair.hash.attributes
                rest = written.removeprefix(maker.pair.hash.prefix)
                return maker.pair.hash.prefix + (short_digest(rest) if sensitive else rest)
        return short_digest(written)

    def item(self, item: Item) -> Item:
        """Return a legacy or target item as it may be printed; the item given is not changed."""
        pk, sk = (item.get(name, {}).get("S") for name in (self.frame.hash_name, self.frame.sort_name))
        if pk is None or sk is None:
            return self._stamp_hidden(Mask(self.everywhere).item(item), None)
        key = TargetKey(pk, sk)
        found = self.ownership.find(key)
        if found is None:
            shown = Mask(self.everywhere.union(*self.names.values())).item(item)
            return self._stamp_hidden({**shown, **self.frame.key_item(self.key(key))}, None)
        maker, source_key = found
        home = maker.entity.home
        secrets = {value for name in home.sensitive & source_key.keys() for value in source_key[name].values()}
        shown = Mask(self.names[home.source], secrets).item(item)
        return self._stamp_hidden({**shown, **self.frame.key_item(self.key(key))}, printable(home, source_key))

    def _stamp_hidden(self, shown: Item, owner: str | None) -> Item:
        """Replace the source id in a stamp: it is the key of the legacy item, hence perhaps a token."""
        fields = shown.get(STAMP, {}).get("M")
        if not isinstance(fields, dict) or "src" not in fields:
            return shown
        return {**shown, STAMP: {"M": {**fields, "src": {"S": owner or short_digest(str(fields["src"]))}}}}


def _telling_indexes(entity: Entity) -> frozenset[str]:
    """Return the indexes whose hash key may show something sensitive of an entity's items."""
    entries = [*entity.indexes, *(entry for each in entity.beside for entry in each.indexes)]
    return frozenset(entry.index for entry in entries if _tells(entry.rules[0], entity.home.sensitive))


def _sensitive_names(entity: Entity) -> frozenset[str]:
    """Return the sensitive legacy names, and the target's names for what is made of them."""
    sensitive = entity.home.sensitive
    rules: list[tuple[str, Rule]] = [*entity.derived.items()]
    entries: list[IndexEntry] = [*entity.indexes]
    for each in entity.beside:
        rules += each.attributes.items()
        entries += each.indexes
    rules += [pair for entry in entries for pair in zip(entry.names, entry.rules, strict=True)]
    return sensitive | {name for name, rule in rules if _tells(rule, sensitive)}


def _tells(rule: Rule, sensitive: frozenset[str]) -> bool:
    """Tell whether a rule's value may show something sensitive; a Python function may read anything."""
    return bool(rule.reads & sensitive) or bool(rule.functions and sensitive)
