"""One legacy item looked at: translated, untranslated, measured, and held against every kind of fault. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from apply.stamping import stamped
from domain.errors import DataError
from domain.items import STAMP, AttributeValue, Item, TargetKey, digest, mark_id
from domain.positions import Version
from mapping.entities import Beside, Entity, IndexEntry
from mapping.overrides import LEGACY
from mapping.plan import Plan, SourceTable, Translation
from mapping.sizes import ITEM_BYTES, item_size
from mapping.templates import Part, Template
from proof.capacity import Entry, entries
from proof.faults import Fault

_NEARLY = ITEM_BYTES * 9 // 10
_COPIED = Version(1)
"""The version that the first copy writes: part of what an item takes on the target."""

_EXACT = 2**53
"""Whole numbers up to here are exact in a double; beyond, and in fractions, 15 figures are sure (IEEE 754)."""
_FIGURES = 15

_MILLISECONDS = 10**11
"""Seconds since 1970 that far off (year 5138) are milliseconds."""

_SECRETS = re.compile(
    r"^eyJ[\w-]+\.[\w-]+\.[\w-]*$|^(AKIA|ASIA)[A-Z0-9]{16}$|^gh[pousr]_\w{20,}|^xox[abprs]-|^[rs]k_(live|test)_"
    r"|^\$(argon2|2[aby]\$)|^-----BEGIN |^[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}$"
)
"""Web tokens, AWS access keys, GitHub, Slack and Stripe tokens, password hashes, PEM blocks, e-mail addresses."""


@dataclass(frozen=True, slots=True)
class Written:
    """A target item as the copy would put it: stamp on; ``entries`` are where it is written and at what cost."""

    entity: str
    key: TargetKey
    item: Item
    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        """Return its bytes."""
        return self.entries[0].size


@dataclass(frozen=True, slots=True)
class Examined:
    """What one legacy item showed; ``size`` are its own bytes."""

    source: str
    source_id: str
    size: int
    written: tuple[Written, ...]
    faults: tuple[Fault, ...]


class Examiner:
    """Looks at legacy items by one plan."""

    def __init__(self, plan: Plan, *, now_s: int) -> None:
        """``now_s`` tells which items have expired."""
        self._plan = plan
        self._now_s = now_s
        self._keys = {name: _key_parts(entity) for name, entity in plan.entities.items()}

    def examine(self, source: SourceTable, image: Item) -> Examined:
        """Translate there and back, and collect every fault."""
        faults = [*self._of_key(source, image), *self._of_attributes(source, image), *self._of_lifetime(source, image)]
        written: tuple[Written, ...] = ()
        try:
            made = self._plan.translate(source.name, image)
        except DataError as error:
            faults.append(Fault(self._why_not(source, image), says=error.message))
        else:
            written = tuple(self._written(source, image, made))
            faults += self._of_translation(source, image, made, written)
        return Examined(source.name, self._plan.source_id(source.name, image), item_size(image), written, tuple(faults))

    def _written(self, source: SourceTable, image: Item, made: Translation) -> Iterator[Written]:
        source_id, kind = self._plan.source_id(source.name, image), self._plan.frame.type_attribute
        for key, item in made.items.items():
            put = stamped(key, item, source_id, _COPIED).item
            yield Written(item[kind]["S"], key, put, tuple(entries(self._plan.target, put)))

    def _why_not(self, source: SourceTable, image: Item) -> str:
        """Tell which fault keeps an item from being translated: its key, its size, or something else."""
        try:
            self._plan.primary_key(source.name, image)
        except DataError:
            return "key-unusable"
        try:
            return "too-large" if item_size(image) > _NEARLY else "untranslatable"
        except DataError:
            return "untranslatable"

    def _of_translation(
        self, source: SourceTable, image: Item, made: Translation, written: tuple[Written, ...]
    ) -> Iterator[Fault]:
        try:
            back = self._plan.untranslate(made.items[made.primary])
        except DataError as error:
            yield Fault("irreversible", says=error.message)
        else:
            if back is None or back.source != source.name or digest(back.item) != digest(image):
                yield Fault("not-invertible")
        if any(each.size > _NEARLY for each in written):
            yield Fault("nearly-too-large")
        for name in made.items[made.primary].get(LEGACY, {}).get("M", {}):
            if name in image:
                yield Fault("displaced", name)
        entity = self._plan.entities[source.name]
        for entry in entity.indexes:
            yield from _of_entry(entity.name, entry, image)
        for each in entity.beside:
            if each.wanted(image):
                yield from self._of_beside(each, image)

    def _of_beside(self, each: Beside, image: Item) -> Iterator[Fault]:
        for entry in each.indexes:
            yield from _of_entry(each.name, entry, image)

    def _of_key(self, source: SourceTable, image: Item) -> Iterator[Fault]:
        if mark_id(source.definition.key_of(image)) is not None:
            yield Fault("reserved-key")
        sensitive = self._plan.entities[source.name].home.sensitive
        for name in self._keys[source.name] - sensitive:
            written = image.get(name, {}).get("S")
            if written is not None and _SECRETS.match(written):
                yield Fault("secret-in-key", name)

    def _of_attributes(self, source: SourceTable, image: Item) -> Iterator[Fault]:
        home = self._plan.entities[source.name].home
        for name, value in image.items():
            if not home.knows(name) and name != STAMP:
                yield Fault("unknown-attribute", name)
            if any(not _is_exact(each) for each in _numbers(value)):
                yield Fault("imprecise-number", name)

    def _of_lifetime(self, source: SourceTable, image: Item) -> Iterator[Fault]:
        name = source.definition.ttl_attribute
        if name is None or name not in image:
            return
        figures = image[name].get("N")
        if figures is None:
            yield Fault("ttl-not-a-number", name)
            return
        seconds = _whole(figures)
        if seconds > _MILLISECONDS:
            yield Fault("ttl-in-milliseconds", name)
        elif seconds <= self._now_s:
            yield Fault("expired", name)


def _key_parts(entity: Entity) -> frozenset[str]:
    """Return the attributes that any key of an entity's items is made of."""
    templates: list[Template] = [entity.key.hash, entity.key.sort]
    pairs: list[IndexEntry] = [*entity.indexes]
    for each in entity.beside:
        templates += (each.key.hash, each.key.sort)
        pairs += each.indexes
    named = {piece.attribute for template in templates for piece in template.pieces if isinstance(piece, Part)}
    return frozenset(named.union(*(rule.reads for pair in pairs for rule in pair.rules)))


def _of_entry(entity: str, entry: IndexEntry, image: Item) -> Iterator[Fault]:
    """Tell why an item has no entry in an index, if it has none."""
    if entry.values(image):
        return
    reads = sorted(frozenset().union(*(rule.reads for rule in entry.rules)))
    found = [(name, _lack(image.get(name))) for name in reads]
    lacks = [Fault(kind, f"{entity} {entry.index} {name}") for name, kind in found if kind]
    if lacks:
        yield from lacks
    elif any(rule.make(image) is None for rule in entry.rules):
        yield Fault("index-key-type", f"{entity} {entry.index}")
    else:
        yield Fault("index-key-long", f"{entity} {entry.index}")


def _lack(value: AttributeValue | None) -> str:
    if value is None:
        return "index-key-absent"
    if "NULL" in value:
        return "index-key-null"
    return "index-key-empty" if value == {"S": ""} else ""


def _numbers(value: AttributeValue) -> Iterator[str]:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            yield content
        case "NS":
            yield from content
        case "L":
            for each in content:
                yield from _numbers(each)
        case "M":
            for each in content.values():
                yield from _numbers(each)


def _is_exact(figures: str) -> bool:
    """Tell whether a double keeps a number as it is written; decided on the text alone."""
    mantissa = re.split("[eE]", figures.lstrip("+-"))[0]
    if "." not in figures and mantissa == figures.lstrip("+-") and int(mantissa) <= _EXACT:
        return True
    return len(mantissa.replace(".", "").lstrip("0").rstrip("0")) <= _FIGURES


def _whole(figures: str) -> int:
    """Return the whole part of a number as DynamoDB writes it."""
    mantissa, _, exponent = figures.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    shift = int(exponent or 0)
    digits = (whole + fraction[: max(shift, 0)]).ljust(len(whole) + max(shift, 0), "0")
    return int(digits[: len(digits) + min(shift, 0)] or 0)
