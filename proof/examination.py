"""One legacy item looked at: translated, untranslated, measured, and held against every kind of fault. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from apply.stamping import stamped
from domain.errors import DataError
from domain.items import AttributeValue, Item, TargetKey, digest, mark_id
from domain.positions import Version
from mapping.entities import Entity, IndexEntry
from mapping.overrides import LEGACY, TARGET
from mapping.plan import Plan, SourceTable, Translation
from mapping.rules import Rule
from mapping.sizes import ITEM_BYTES, MISSHAPEN, TooLarge, item_size
from proof.capacity import Entry, entries, index_name
from proof.faults import Fault
from proof.secrets import hide, is_secret

_NEARLY = ITEM_BYTES * 9 // 10
_COPIED = Version(1)
"""The version that the first copy writes: part of what an item takes on the target."""

_MILLISECONDS = 10**11
"""Seconds since 1970 that far off (year 5138) are milliseconds."""

_FIVE_YEARS_S = 5 * 365 * 24 * 3600
"""Time to live longer past than that is ignored (AWS: Time to Live)."""

_MOST_ATTRIBUTES = 100
"""Unknown names are told apart up to so many an item: a map that is written out as attributes has no end."""


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
        self._undeclared = {name: _key_parts(each) - each.home.sensitive for name, each in plan.entities.items()}
        self._made = {name: _made_keys(each) for name, each in plan.entities.items()}
        self._entries = {
            (source, name): own for source, each in plan.entities.items() for name, own in _entries_by_name(each)
        }

    def examine(self, source: SourceTable, image: Item) -> Examined:
        """Translate there and back, and collect every fault; an item that cannot even be measured has size 0."""
        try:
            source_id, size = self._plan.source_id(source.name, image), item_size(image)
            faults = list(self._of_key(source, image))
            if Fault("mark") in faults:
                return Examined(source.name, source_id, size, (), tuple(faults))
            faults += [*self._of_attributes(source, image), *self._of_lifetime(source, image)]
            written, found = self._translated(source, source_id, image)
        except (DataError, *MISSHAPEN) as error:
            says = error.message if isinstance(error, DataError) else type(error).__name__
            return Examined(source.name, f"{source.name}/?", 0, (), (Fault("untranslatable", says=says),))
        return Examined(source.name, source_id, size, written, (*faults, *found))

    def _translated(self, source: SourceTable, source_id: str, image: Item) -> tuple[tuple[Written, ...], list[Fault]]:
        try:
            made = self._plan.translate(source.name, image)
        except DataError as error:
            return (), [Fault(self._why_not(source, image, error), says=error.message)]
        written = tuple(self._written(source_id, made))
        return written, list(self._of_translation(source, image, made, written))

    def _written(self, source_id: str, made: Translation) -> Iterator[Written]:
        kind = self._plan.frame.type_attribute
        for key, item in made.items.items():
            put = stamped(key, item, source_id, _COPIED).item
            shown = tuple(self._shown(entry) for entry in entries(self._plan.target, put))
            yield Written(item[kind]["S"], key, put, shown)

    def _shown(self, entry: Entry) -> Entry:
        """Return the entry with its hash key as it may be shown: nothing else of it is kept anywhere."""
        masked = self._plan.masked_hash_key(index_name(entry.index), entry.hash_key)
        return Entry(entry.index, hide(masked), entry.size, entry.units)

    def _why_not(self, source: SourceTable, image: Item, error: DataError) -> str:
        """Tell which fault keeps an item from being translated: its size, its key, or something else."""
        if isinstance(error, TooLarge):
            return "too-large"
        try:
            self._plan.primary_key(source.name, image)
        except DataError:
            return "key-unusable"
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
                yield Fault("displaced", hide(name))
        for each in written:
            for entry in self._entries.get((source.name, each.entity), ()):
                if not all(name in each.item for name in entry.names):
                    yield from _why_absent(each.entity, entry, image)

    def _of_key(self, source: SourceTable, image: Item) -> Iterator[Fault]:
        key = source.definition.key_of(image)
        if mark_id(key) is not None:
            yield Fault("mark" if image.keys() == key.keys() else "reserved-key")
        for name in self._undeclared[source.name]:
            if is_secret(image.get(name, {}).get("S", "")):
                yield Fault("secret-in-key", name)
        for index, rule in self._made[source.name]:
            if is_secret((rule.make(image) or {}).get("S", "")):
                yield Fault("secret-in-key", index)

    def _of_attributes(self, source: SourceTable, image: Item) -> Iterator[Fault]:
        home = self._plan.entities[source.name].home
        unknown = [name for name in image if not home.knows(name) and name != TARGET]
        yield from (Fault("unknown-attribute", hide(name)) for name in unknown[:_MOST_ATTRIBUTES])
        for name, value in image.items():
            if any(not _is_exact(each) for each in _numbers(value)):
                yield Fault("imprecise-number", hide(name))

    def _of_lifetime(self, source: SourceTable, image: Item) -> Iterator[Fault]:
        name = source.definition.ttl_attribute
        if name is None or name not in image:
            return
        figures = image[name].get("N")
        if figures is None:
            yield Fault("ttl-not-a-number", name)
            return
        seconds = int(Decimal(figures))
        if seconds > _MILLISECONDS:
            yield Fault("ttl-in-milliseconds", name)
        elif seconds <= self._now_s - _FIVE_YEARS_S:
            yield Fault("ttl-long-ago", name)
        elif seconds <= self._now_s:
            yield Fault("expired", name)


def _key_parts(entity: Entity) -> frozenset[str]:
    """Return the attributes that any key of an entity's items is made of."""
    pairs = [entity.key, *(each.key for each in entity.beside)]
    named = frozenset().union(*(pair.hash.attributes | pair.sort.attributes for pair in pairs))
    return named.union(*(rule.reads for entry in entity.entries for rule in entry.rules))


def _made_keys(entity: Entity) -> list[tuple[str, Rule]]:
    """Return the index keys that a Python function has a part in: what it reads nobody knows."""
    return [(entry.index, rule) for entry in entity.entries for rule in entry.rules if rule.functions]


def _entries_by_name(entity: Entity) -> Iterator[tuple[str, tuple[IndexEntry, ...]]]:
    yield entity.name, entity.indexes
    for each in entity.beside:
        yield each.name, each.indexes


def _why_absent(entity: str, entry: IndexEntry, image: Item) -> Iterator[Fault]:
    """Tell why an item has no entry in an index."""
    reads = sorted(frozenset().union(*(rule.reads for rule in entry.rules)))
    found = [(name, _lack(image.get(name))) for name in reads]
    lacks = [Fault(kind, f"{entity} {entry.index} {name}") for name, kind in found if kind]
    if lacks:
        yield from lacks
        return
    made = [(rule, rule.make(image)) for rule in entry.rules]
    silent = [rule for rule, value in made if value is None]
    if silent and not any(rule.reads for rule in silent):
        kind = "index-key-absent"  # a function says that there is nothing to be shown
    elif silent or any(kind not in (value or {}) for (_, value), kind in zip(made, entry.types, strict=True)):
        kind = "index-key-type"
    else:
        kind = "index-key-long"
    yield Fault(kind, f"{entity} {entry.index}")


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
    """Tell whether an application that reads the number as a double, and writes it back, leaves it as it is."""
    return Decimal(repr(float(figures))) == Decimal(figures)
