"""Access patterns of a plan: the same question to the legacy tables and to the single table, compiled. Pure.

A pattern is asked for sampled legacy items: whatever of its key and conditions an item fills in, is asked for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from domain.items import Item
from domain.tables import TableDefinition
from mapping.planfile import PlanFile, QueryFile
from mapping.problems import Problem
from mapping.templates import Template, TemplateError, open_template


@dataclass(frozen=True, slots=True)
class LegacyQuestion:
    """How the legacy application asks: an index or the table by hash key ``attribute``; without one all is read."""

    index: str | None
    attribute: str | None


@dataclass(frozen=True, slots=True)
class TargetQuestion:
    """How the new application asks: an index or the table, hash key, beginning of the sort key."""

    index: str | None
    hash: Template
    sort: Template | None


@dataclass(frozen=True, slots=True)
class AccessPattern:
    """A question to both sides.

    ``where`` are texts that answers have in common with the item asked for; ``order`` is the attribute that they are
    sorted by (None: no order is promised), the newest first if ``descending``.
    """

    name: str
    source: str
    legacy: LegacyQuestion
    target: TargetQuestion
    where: tuple[Template, ...]
    order: str | None
    descending: bool

    def case(self, image: Item) -> tuple[str, ...] | None:
        """Return what tells one asking from another; None when the item cannot fill the question in."""
        own = [self.target.hash, *([self.target.sort] if self.target.sort else []), *self.where]
        texts = [template.render(image) for template in own]
        if self.legacy.attribute is not None:
            texts.append(image.get(self.legacy.attribute, {}).get("S"))
        return None if None in texts else tuple(str(each) for each in texts)

    def holds(self, image: Item, asked: Item) -> bool:
        """Tell whether a legacy item is among the answers as far as ``where`` goes."""
        return all(each.render(image) == each.render(asked) for each in self.where)


def compile_queries(
    file: PlanFile, sources: Mapping[str, TableDefinition], target: TableDefinition
) -> tuple[dict[str, AccessPattern], list[Problem]]:
    """Return the patterns that can be understood, and everything wrong with the others."""
    patterns: dict[str, AccessPattern] = {}
    problems: list[Problem] = []
    for name, each in file.queries.items():
        where = f"queries.{name}"
        found = [*_problems(where, each, sources, target), *_order_problems(where, each, file)]
        try:
            pattern = _compiled(name, each)
        except TemplateError as error:
            found.append(Problem(where, str(error), error.way_out))
        else:
            patterns[name] = pattern
        problems += found
    return patterns, problems


def _compiled(name: str, file: QueryFile) -> AccessPattern:
    hash_key, *sort = (open_template(each, types={}) for each in file.target.key)
    return AccessPattern(
        name,
        file.source,
        LegacyQuestion(file.legacy.index, file.legacy.key),
        TargetQuestion(file.target.index, hash_key, sort[0] if sort else None),
        tuple(open_template(each, types={}) for each in file.where),
        file.order,
        file.descending,
    )


def _problems(
    where: str, file: QueryFile, sources: Mapping[str, TableDefinition], target: TableDefinition
) -> Iterator[Problem]:
    source = sources.get(file.source)
    if source is None:
        yield Problem(f"{where}.source", f"there is no source {file.source!r}", f"use one of {', '.join(sources)}")
        return
    for side, table, index in (("legacy", source, file.legacy.index), ("target", target, file.target.index)):
        names = [each.name for each in table.indexes]
        if index is not None and index not in names:
            way_out = f"use one of {', '.join(names)}" if names else "ask the table itself"
            yield Problem(f"{where}.{side}.index", f"{table.name} has no index {index!r}", way_out)
            return
    hash_key = source.key_in(file.legacy.index)[0]
    hash_name = hash_key.name
    if file.legacy.index is not None and file.legacy.key is None:
        yield Problem(f"{where}.legacy.key", "an index is asked by its hash key", f"write key: {hash_name}")
    if file.legacy.key is not None and file.legacy.key != hash_name:
        what = f"{file.legacy.key} is no hash key of {file.legacy.index or source.name}"
        yield Problem(f"{where}.legacy.key", what, f"use {hash_name}, or leave it out: then all is read")
    elif file.legacy.key is not None and hash_key.type != "S":
        what = f"{hash_name} is of type {hash_key.type}: only texts are asked for"
        yield Problem(f"{where}.legacy.key", what, "leave `legacy` out: then all is read")
    yield from _target_problems(f"{where}.target.key", file, target)


def _order_problems(where: str, query: QueryFile, file: PlanFile) -> Iterator[Problem]:
    """Yield an order by what no item has, which everything would be sorted by."""
    source = file.sources.get(query.source)
    if source is None or source.attributes is None or query.order is None or query.order in source.attributes:
        return
    what = f"{query.source} has no attribute {query.order!r}"
    yield Problem(f"{where}.order", what, f"use one of its `attributes`: {', '.join(source.attributes)}")


def _target_problems(where: str, file: QueryFile, target: TableDefinition) -> Iterator[Problem]:
    """Yield what DynamoDB would refuse: only a text is asked for, and only a text has a beginning."""
    asked = file.target.index or target.name
    key = target.key_in(file.target.index)
    if len(file.target.key) > len(key):
        yield Problem(where, f"{asked} has no sort key", "name the hash key alone")
        return
    for part in key[: len(file.target.key)]:
        if part.type != "S":
            what = f"{part.name} of {asked} is of type {part.type}: only texts are asked for"
            yield Problem(where, what, "leave it out, or ask an index with a key of texts")
