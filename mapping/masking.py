"""What may be printed of keys and items (tyler-setup rule 5).

Sensitive attributes, and keys and derived values made of them, become ``~`` and eight hex digits: the same value
always the same digits, so that log lines can be matched, and never the value.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from domain.items import AttributeValue, Item, TargetKey
from mapping.entities import Home, KeyPair
from mapping.templates import Part, Template

_LEAST = 4
"""Sensitive texts shorter than this are masked where they stand, but not looked for elsewhere."""


def short_digest(written: str) -> str:
    """Return ``~`` and eight hex digits for a text."""
    return "~" + hashlib.blake2b(written.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()


def printable(home: Home, key: Item) -> str:
    """Return the source id of an item or key as it may be printed."""
    source, *parts = home.identify(key).split("/")
    shown = [
        short_digest(unquote(part)) if name in home.sensitive else part
        for name, part in zip(home.types, parts, strict=True)
    ]
    return "/".join([source, *shown])


def printable_key(pair: KeyPair, key: TargetKey, sensitive: frozenset[str]) -> TargetKey:
    """Return a target key of these templates as it may be printed: ``REFRESH_TOKEN#~0d3f11aa``, ``METADATA``."""
    return TargetKey(_shown(pair.hash, key.pk, sensitive), _shown(pair.sort, key.sk, sensitive))


def unknown_key(key: TargetKey, prefixes: Iterable[str]) -> TargetKey:
    """Return a key of nobody's templates: the constant it starts with, if the plan has it, and a digest."""
    known = sorted((each for each in prefixes if each), key=len, reverse=True)
    prefix = next((each for each in known if key.pk.startswith(each)), "")
    return TargetKey(prefix + short_digest(key.pk.removeprefix(prefix)), short_digest(key.sk))


@dataclass(frozen=True, slots=True)
class Mask:
    """One item's mask: names to hide wherever they stand, and the texts found under them, to hide elsewhere too."""

    names: frozenset[str]
    texts: set[str] = field(default_factory=set)

    def item(self, item: Item) -> Item:
        """Return the item with what is sensitive masked, at any depth; the item given is not changed."""
        self._collect(item)
        found = sorted(self.texts, key=len, reverse=True)
        finder = re.compile("|".join(map(re.escape, found))) if found else None
        return {name: self._value(name, value, finder) for name, value in item.items()}

    def _collect(self, content: Mapping[str, AttributeValue]) -> None:
        for name, value in content.items():
            if name in self.names:
                self.texts.update(text for text in _texts(value) if len(text) >= _LEAST)
            for below in _maps(value):
                self._collect(below)

    def _value(self, name: str, value: AttributeValue, finder: re.Pattern[str] | None) -> AttributeValue:
        if name in self.names and "NULL" not in value:
            spelt = value["S"] if "S" in value else json.dumps(value, sort_keys=True)
            return {"S": short_digest(spelt)}
        ((kind, content),) = value.items()
        if kind == "M":
            return {kind: {each: self._value(each, below, finder) for each, below in content.items()}}
        if kind == "L":
            return {kind: [self._value("", below, finder) for below in content]}
        if finder is not None and kind == "SS":
            return {kind: [_replaced(finder, each) for each in content]}
        return {kind: _replaced(finder, content)} if finder is not None and kind == "S" else value


def _replaced(finder: re.Pattern[str], written: str) -> str:
    return finder.sub(lambda found: short_digest(found[0]), written)


def _shown(template: Template, written: str, sensitive: frozenset[str]) -> str:
    parts = iter(template.read(written) or ())
    shown: list[str] = []
    for piece in template.pieces:
        if isinstance(piece, Part):
            _, text = next(parts, (piece, ""))
            shown.append(short_digest(text) if piece.attribute in sensitive else text)
        else:
            shown.append(piece)
    return "".join(shown)


def _texts(value: AttributeValue) -> list[str]:
    if "S" in value:
        return [value["S"]]
    if "SS" in value:
        return list(value["SS"])
    nested = [below for content in _maps(value) for below in content.values()]
    return [text for below in nested for text in _texts(below)]


def _maps(value: AttributeValue) -> list[dict[str, AttributeValue]]:
    ((kind, content),) = value.items()
    if kind == "M":
        return [content]
    return [{"": each} for each in content] if kind == "L" else []
