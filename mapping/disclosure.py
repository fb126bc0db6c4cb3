"""What of a plan's items and keys may be printed: the masks of `mapping.masking`, chosen by whose the item is."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.items import STAMP, Item, TargetKey
from mapping.entities import Entity, Frame
from mapping.masking import Mask, printable, printable_key, short_digest, unknown_key
from mapping.ownership import Ownership
from mapping.rules import Rule


@dataclass(frozen=True, slots=True)
class Disclosure:
    """Masks for every item of a plan.

    ``names`` are those to hide on target items, by source; ``plain`` the indexes whose hash keys tell nothing that is
    sensitive, ``local`` those that share the table's.
    """

    frame: Frame
    ownership: Ownership
    names: Mapping[str, frozenset[str]]
    everywhere: frozenset[str]
    prefixes: frozenset[str]
    plain: frozenset[str]
    local: frozenset[str]

    @classmethod
    def of(
        cls, frame: Frame, entities: Mapping[str, Entity], ownership: Ownership, *, local: frozenset[str]
    ) -> "Disclosure":
        """Work out once which names hold what is sensitive or made of it; ``local`` indexes are the target's."""
        names = {source: _sensitive_names(entity) for source, entity in entities.items()}
        everywhere = frozenset[str]().union(*(entity.home.sensitive for entity in entities.values()))
        prefixes = frozenset(maker.pair.hash.prefix for maker in ownership.makers)
        entries = [(entity, entry) for entity in entities.values() for entry in entity.entries]
        telling = {entry.index for entity, entry in entries if _tells(entry.rules[0], entity.home.sensitive)}
        plain = frozenset(entry.index for _, entry in entries) - telling
        return cls(frame, ownership, names, everywhere, prefixes, plain, local)

    def key(self, key: TargetKey) -> TargetKey:
        """Return a target key as it may be printed; of an unknown one nothing but its known beginning."""
        found = self.ownership.find(key)
        if found is None:
            return unknown_key(key, self.prefixes)
        maker, _ = found
        return printable_key(maker.pair, key, maker.entity.home.sensitive)

    def hash_key(self, index: str | None, written: str) -> str:
        """Return a hash key as it may be printed; what is not known to tell nothing sensitive is a digest."""
        if index is not None and index not in self.local:
            return written if index in self.plain else short_digest(written)
        makers = [maker for maker in self.ownership.makers if written.startswith(maker.pair.hash.prefix)]
        sensitive = [
            len(maker.pair.hash.prefix) for maker in makers if maker.entity.home.sensitive & maker.pair.hash.attributes
        ]
        if sensitive:
            return written[: min(sensitive)] + short_digest(written[min(sensitive) :])
        known = any(maker.pair.hash.read(written) is not None for maker in makers)
        return written if known else short_digest(written)

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


def _sensitive_names(entity: Entity) -> frozenset[str]:
    """Return the sensitive legacy names, and the target's names for what is made of them."""
    sensitive = entity.home.sensitive
    rules: list[tuple[str, Rule]] = [*entity.derived.items()]
    for each in entity.beside:
        rules += each.attributes.items()
    rules += [pair for entry in entity.entries for pair in zip(entry.names, entry.rules, strict=True)]
    return sensitive | {name for name, rule in rules if _tells(rule, sensitive)}


def _tells(rule: Rule, sensitive: frozenset[str]) -> bool:
    """Tell whether a rule's value may show something sensitive; a Python function may read anything."""
    return bool(rule.reads & sensitive) or bool(rule.functions and sensitive)
