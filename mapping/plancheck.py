"""What takes the whole plan to see: who may make which key (protocol §2), names that contradict each other.

Each check returns Problems; none raises, so that an author reads all of them at once.
"""

from collections.abc import Callable, Iterator
from itertools import combinations

from domain.items import MARK_PREFIX
from mapping.definitions import fixed_names
from mapping.entities import Entity, KeyPair
from mapping.overlaps import overlap
from mapping.overrides import ALWAYS_RESERVED, NEVER_RESERVED
from mapping.planfile import PlanFile, TableFile
from mapping.problems import Problem
from mapping.templates import Part

_MOST_LOCAL_INDEXES = 5


def check(file: PlanFile, entities: list[Entity]) -> list[Problem]:
    """Return everything wrong with a plan whose single parts compile."""
    of_file: tuple[Callable[[PlanFile], Iterator[Problem]], ...] = (
        _sources,
        _tables,
        _keys_compared,
        _names,
        _inverses,
    )
    found = [problem for one in of_file for problem in one(file)]
    found += [problem for entity in entities for problem in _keys(entity)]
    return found + list(_overlaps(entities))


def _sources(file: PlanFile) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for name, entity in file.entities.items():
        where = f"entities.{name}.source"
        if entity.source not in file.sources:
            yield Problem(where, f"there is no source {entity.source!r}", f"use one of {', '.join(file.sources)}")
        elif entity.source in first:
            what = f"items of {entity.source!r} already become {first[entity.source]}"
            yield Problem(where, what, "put it under `beside` of that entity: one legacy item has one primary item")
        first.setdefault(entity.source, name)
    for name in file.sources.keys() - first.keys():
        yield Problem(f"sources.{name}", "no entity takes its items", "add an entity with this source, or remove it")


def _tables(file: PlanFile) -> Iterator[Problem]:
    tables: dict[str, TableFile] = {f"sources.{name}": each for name, each in file.sources.items()}
    tables |= {"target": file.target} | {f"companions.{name}": each for name, each in file.companions.items()}
    names: dict[str, str] = {}
    for where, table in tables.items():
        if table.table in names:
            yield Problem(f"{where}.table", f"{names[table.table]} is the same table", "give each its own table")
        names.setdefault(table.table, where)
        yield from _counts(where, table)
        yield from _types(where, table)
    for name, source in file.sources.items():
        for missing in [each for each in source.sensitive if each.strip() != each or not each]:
            yield Problem(f"sources.{name}.sensitive", f"{missing!r} is no attribute name", "name the attribute")


def _counts(where: str, table: TableFile) -> Iterator[Problem]:
    """Source: AWS, "Quotas in Amazon DynamoDB", secondary indexes per table; more global ones AWS grants on request."""
    local = [name for name, index in table.indexes.items() if index.local]
    if len(local) > _MOST_LOCAL_INDEXES:
        what = f"{len(local)} local indexes ({', '.join(local)})"
        yield Problem(f"{where}.indexes", what, f"DynamoDB allows {_MOST_LOCAL_INDEXES} a table: make others global")


def _keys_compared(file: PlanFile) -> Iterator[Problem]:
    for name, source in file.sources.items():
        keys = {*source.key, *file.target.key}
        for attribute in [each for each in source.uncompared if each in keys]:
            what = f"{attribute} is part of a key"
            yield Problem(f"sources.{name}.uncompared", what, "an item without it is another item: leave it out here")


def _types(where: str, table: TableFile) -> Iterator[Problem]:
    types: dict[str, str] = dict(table.key)
    for name, index in table.indexes.items():
        for attribute, kind in index.key.items():
            if types.setdefault(attribute, kind) != kind:
                what = f"{attribute} is {kind} here and {types[attribute]} elsewhere"
                yield Problem(f"{where}.indexes.{name}.key", what, "an attribute has one type in all keys of a table")
        if index.local and next(iter(index.key)) != next(iter(table.key)):
            way_out = f"start its key with {next(iter(table.key))}"
            yield Problem(f"{where}.indexes.{name}.key", "a local index shares the table's hash key", way_out)


def _names(file: PlanFile) -> Iterator[Problem]:
    taken = fixed_names(file.target)
    local = {name for index in file.target.indexes.values() if index.local for name in index.key}
    for name in file.target.defaults:
        if name in taken - (local - file.target.key.keys()):
            yield Problem(f"target.defaults.{name}", f"{name} is a key or our own", "choose another name")
    named = [*file.target.key, *(name for index in file.target.indexes.values() for name in index.key)]
    for name in sorted(ALWAYS_RESERVED & {*named, file.target.type_attribute, file.target.ttl or ""}):
        yield Problem("target", f"{name} is our own", "choose another name for key, index key, TTL or type attribute")
    for name in NEVER_RESERVED & {*file.target.reserved, *taken}:
        yield Problem("target", f"{name} is what `_legacy` itself uses", "choose another name")
    blocked = (taken - ({file.target.ttl} if file.target.ttl else set())) | file.target.defaults.keys()
    for entity_name, entity in file.entities.items():
        for name in blocked & entity.derived.keys():
            what, way_out = (
                f"{name} is a key, a default or our own",
                "index keys go under `indexes`; choose another name",
            )
            yield Problem(f"entities.{entity_name}.derived.{name}", what, way_out)
        for beside_name, beside in entity.beside.items():
            for name in blocked & beside.attributes.keys():
                where = f"entities.{entity_name}.beside.{beside_name}.attributes.{name}"
                yield Problem(where, f"{name} is a key, a default or our own", "choose another name")


def _inverses(file: PlanFile) -> Iterator[Problem]:
    for entity_name, entity in file.entities.items():
        source = file.sources.get(entity.source)
        reserved = {*fixed_names(file.target), *entity.derived, *file.target.reserved, *file.target.defaults}
        seen: set[str] = set()
        for name, rule in entity.derived.items():
            if rule.inverse is None or source is None:
                continue
            where, attribute = f"entities.{entity_name}.derived.{name}.inverse", rule.inverse.attribute
            if attribute in reserved or attribute in source.key:
                yield Problem(where, f"{attribute} is a key or reserved", "an inverse updates a carried attribute")
            if attribute in seen:
                yield Problem(where, f"another inverse updates {attribute}", "leave one of them")
            if source.attributes is not None and attribute not in source.attributes:
                way_out = f"add it to sources.{entity.source}.attributes"
                yield Problem(where, f"{attribute} is no attribute of {entity.source}", way_out)
            seen.add(attribute)


def _keys(entity: Entity) -> Iterator[Problem]:
    yield from _whole(f"entities.{entity.name}.key", entity.key)
    for part in [*entity.key.hash.parts, *entity.key.sort.parts]:
        if part.attribute not in entity.home.types or part.converter is not None:
            shown = f"{part.attribute}|{part.converter}" if part.converter else part.attribute
            what = f"{{{shown}}} is no plain part of the source's key: it may change, and the item would move"
            way_out = f"use only {', '.join(entity.home.types)} and constants; a movable key goes under `beside`"
            yield Problem(f"entities.{entity.name}.key", what, way_out)
    for each in entity.beside:
        yield from _whole(f"entities.{entity.name}.beside.{each.name}.key", each.key)


def _whole(where: str, key: KeyPair) -> Iterator[Problem]:
    parts: list[Part] = [*key.hash.parts, *key.sort.parts]
    plain = {part.attribute for part in parts if part.converter is None}
    for name in key.types.keys() - plain:
        what = f"{{{name}}} of the source's key is not in it, so two source items could share a target key"
        yield Problem(where, what, f"add {{{name}}}, unconverted")
    start = key.hash.prefix or MARK_PREFIX
    if start.startswith(MARK_PREFIX) or (MARK_PREFIX.startswith(start) and key.hash.parts):
        way_out = "start the hash key with a constant of its own, such as ENTITY#"
        yield Problem(where, f"its hash key could start with {MARK_PREFIX!r}, which marks use", way_out)


def _overlaps(entities: list[Entity]) -> Iterator[Problem]:
    keys = [(f"entities.{entity.name}", entity.key) for entity in entities]
    keys += [(f"entities.{entity.name}.beside.{each.name}", each.key) for entity in entities for each in entity.beside]
    for (first, one), (second, two) in combinations(keys, 2):
        if overlap((one.hash, one.sort), (two.hash, two.sort)):
            what = f"{two.hash.written} / {two.sort.written} could be the same key as {first}"
            yield Problem(f"{second}.key", what, "give each its own constant in the hash or the sort key")
