"""The plan as the engines know it: load it, translate there and back, say whose a key is, print it safely.

Everything here is pure after `load_plan` (protocol §1). The next step down is `mapping.passage`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from domain.errors import DataError, FatalError
from domain.items import Item, TargetKey, parse_source_id
from domain.tables import TableDefinition
from mapping.compiling import Compiler
from mapping.converters import MAPPING_REVISION
from mapping.definitions import definition, table_name
from mapping.disclosure import Disclosure
from mapping.entities import Entity, Frame
from mapping.functions import PlanFunction
from mapping.masking import printable, short_digest
from mapping.ownership import Ownership
from mapping.passage import primary_item, source_item
from mapping.patterns import AccessPattern, compile_queries
from mapping.plancheck import check
from mapping.planfile import PlanFile, TableFile, read_plan_file
from mapping.problems import PlanError, Problem
from mapping.remainder import NOTHING_LEFT, Pairing, Remainder, made_names, remainder
from mapping.sizes import MISSHAPEN, STAMP_BYTES, check_size, item_size
from mapping.translation import Translation, beside, primary_key

__all__ = [
    "NOTHING_LEFT",
    "Owner",
    "Pairing",
    "Plan",
    "PlanError",
    "Remainder",
    "SourceItem",
    "SourceTable",
    "Translation",
    "load_plan",
]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """A legacy table: its short name, its definition under its real name, the entity its items become.

    ``uncompared``: names of attributes, in legacy or target items, that a comparison leaves out.
    """

    name: str
    definition: TableDefinition
    entity: str
    uncompared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SourceItem:
    """A legacy item and the short name of its source."""

    source: str
    item: Item


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a target key is: the source item it was made of, and whether it is that item's primary key."""

    source: str
    source_id: str
    source_key: Item
    primary: bool


@dataclass(frozen=True)
class Plan:
    """A loaded plan. Target items here carry no stamp; one that is given is ignored."""

    name: str
    hash: str
    sources: Mapping[str, SourceTable]
    target: TableDefinition
    companions: tuple[TableDefinition, ...]
    frame: Frame
    entities: Mapping[str, Entity]
    ownership: Ownership
    disclosure: Disclosure
    queries: Mapping[str, AccessPattern]
    applications: tuple[str, ...] = ()

    def translate(self, source: str, image: Item) -> Translation:
        """Return the target items of a legacy item, keys included (protocol §1); raises DataError when it has none."""
        entity = self._entity(source)
        try:
            key = primary_key(entity, image)
            items = {key: primary_item(entity, self.frame, image), **beside(entity, self.frame, image)}
            room = STAMP_BYTES + len(entity.home.identify(image))
        except MISSHAPEN:
            item_size(image)  # raises DataError when the image is what cannot be understood
            raise
        for each, item in items.items():
            check_size(item, room=room, what=partial(self._shown, each))
        return Translation(key, items)

    def primary_key(self, source: str, item_or_key: Item) -> TargetKey:
        """Return the primary key of a legacy item by its key alone; raises DataError when it can have none."""
        try:
            return primary_key(self._entity(source), item_or_key)
        except MISSHAPEN:
            item_size(item_or_key)
            raise

    def untranslate(self, item: Item) -> SourceItem | None:
        """Return the legacy item of a primary item; None when its key is no entity's primary key.

        Raises DataError when the legacy table could not hold it.
        """
        found = self.ownership.find(self.target_key(item))
        if found is None or not found[0].primary:
            return None
        entity, source_key = found[0].entity, found[1]
        try:
            made = source_item(entity, self.frame, source_key, item)
        except MISSHAPEN:
            item_size(item)
            raise
        check_size(made, room=0, what=lambda: f"legacy item {printable(entity.home, source_key)}")
        return SourceItem(entity.home.source, made)

    def remainder(self, source: str, before: Pairing | None, after: Pairing) -> Remainder:
        """Return what a write changed and the legacy item does not hold as its own, from what `untranslate` returns."""
        return remainder(self._entity(source), self.frame, before, after)

    def declares(self, name: str) -> bool:
        """Tell whether the plan itself names an attribute, of legacy or of target items."""
        return any(
            name in (entity.home.declared or ()) or name in made_names(entity, self.frame)
            for entity in self.entities.values()
        )

    def owner(self, key: TargetKey) -> Owner | None:
        """Return whose key it is by the templates alone; None when it is of nobody's."""
        found = self.ownership.find(key)
        if found is None:
            return None
        maker, source_key = found
        home = maker.entity.home
        return Owner(home.source, home.identify(source_key), source_key, maker.primary)

    def source_id(self, source: str, item_or_key: Item) -> str:
        """Return the source id of a legacy item or key (protocol §1); raises DataError when the key is not whole."""
        home = self._entity(source).home
        for name, kind in home.types.items():
            if kind not in item_or_key.get(name, {}):
                raise DataError(f"an item of {source} lacks its key attribute {name} of type {kind}")
        try:
            return home.identify(item_or_key)
        except MISSHAPEN:
            item_size(item_or_key)
            raise

    def source_key(self, source_id: str) -> tuple[str, Item]:
        """Invert `source_id`: return the source's name and the key."""
        source = unquote(source_id.partition("/")[0])
        return parse_source_id(source_id, tuple(self._entity(source).home.types.items()))

    def target_key(self, item: Item) -> TargetKey:
        """Return the key of a target item; raises DataError when it has none."""
        try:
            key = TargetKey(item[self.frame.hash_name]["S"], item[self.frame.sort_name]["S"])
        except (KeyError, TypeError) as error:
            raise DataError(f"a target item without its key {self.frame.hash_name}, {self.frame.sort_name}") from error
        item_size(self.key_item(key))  # raises DataError when a part is no text
        return key

    def key_item(self, key: TargetKey) -> Item:
        """Return the key attributes of a target key."""
        return self.frame.key_item(key)

    def masked(self, source_id: str) -> str:
        """Return a source id as it may be printed (tyler-setup rule 5)."""
        try:
            source, key = self.source_key(source_id)
        except (FatalError, ValueError):
            return short_digest(source_id)
        return printable(self.entities[source].home, key)

    def masked_target(self, key: TargetKey) -> str:
        """Return a target key as it may be printed: ``USER#0d3f / METADATA``."""
        return " / ".join(self.disclosure.key(key))

    def masked_hash_key(self, index: str | None, written: str) -> str:
        """Return a hash key of an index (None: of the target itself) as it may be printed."""
        return self.disclosure.hash_key(index, written)

    def masked_item(self, item: Item) -> Item:
        """Return a legacy or target item as it may be printed: sensitive values masked at any depth."""
        return self.disclosure.item(item)

    def _shown(self, key: TargetKey) -> str:
        return f"target item {self.masked_target(key)}"

    def _entity(self, source: str) -> Entity:
        try:
            return self.entities[source]
        except KeyError as error:
            hint = f"the plan knows {', '.join(self.entities)}"
            raise FatalError(f"no source is named {source!r}", hint=hint) from error


def load_plan(path: Path, *, variables: Mapping[str, str]) -> Plan:
    """Load, compile and check a plan file (tyler-setup rule 6).

    ``variables`` fill the ``{UPPER_CASE}`` names in table names. Raises PlanError with everything that is wrong.
    """
    file = read_plan_file(path)
    names, problems = _table_names(file, variables)
    compiler = Compiler(file, path.parent)
    frame = compiler.frame()
    entities = [
        entity
        for name, each in file.entities.items()
        if each.source in file.sources
        and (entity := compiler.entity(name, each, compiler.home(each.source, file.sources[each.source])))
    ]
    problems += [*compiler.problems, *check(file, entities)]
    tables = {name: definition(each, names[f"sources.{name}"]) for name, each in file.sources.items()}
    target = definition(file.target, names["target"])
    queries, found = compile_queries(file, tables, target)
    problems += found
    if problems:
        raise PlanError(str(path), problems)
    by_source = {entity.home.source: entity for entity in entities}
    ownership = Ownership.of(entities)
    local = frozenset(index.name for index in target.indexes if index.local)
    return Plan(
        name=file.plan,
        hash=_digest(file, names, compiler.functions),
        sources={
            name: SourceTable(name, table, by_source[name].name, frozenset(file.sources[name].uncompared))
            for name, table in tables.items()
        },
        target=target,
        companions=tuple(definition(each, names[f"companions.{name}"]) for name, each in file.companions.items()),
        frame=frame,
        entities=by_source,
        ownership=ownership,
        disclosure=Disclosure.of(frame, by_source, ownership, local=local),
        queries=queries,
        applications=tuple(file.applications),
    )


def _table_names(file: PlanFile, variables: Mapping[str, str]) -> tuple[dict[str, str], list[Problem]]:
    tables: dict[str, TableFile] = {"target": file.target}
    tables |= {f"sources.{name}": each for name, each in file.sources.items()}
    tables |= {f"companions.{name}": each for name, each in file.companions.items()}
    names: dict[str, str] = {}
    problems: list[Problem] = []
    for where, table in tables.items():
        names[where], found = table_name(f"{where}.table", table.table, variables)
        problems += found
    return names, problems


def _digest(file: PlanFile, names: Mapping[str, str], functions: Mapping[str, PlanFunction]) -> str:
    """Return the plan's hash: content, real table names, text of Python functions, revision of the converters.

    Which applications there are is left out: one that is found late changes nothing about how items are translated.
    """
    content = {
        "plan": file.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"applications"}),
        "tables": names,
        "functions": {name: each.source_text for name, each in functions.items()},
        "revision": MAPPING_REVISION,
    }
    encoded = json.dumps(content, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()
