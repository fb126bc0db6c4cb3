"""Holds the plan's tables against what stands in the account, before anything is changed. Pure.

Serves the seed's "validate"; the full proof of a plan on real data is `service.proving`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.tables import TableDefinition, ViewType
from dynamo.ports import TableDescription
from mapping.plan import Plan


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found: ``problems`` nothing here may change, and what `init` may be asked to do."""

    problems: tuple[str, ...]
    streams_off: tuple[str, ...]
    targets_missing: tuple[TableDefinition, ...]


def examine(plan: Plan, found: Mapping[str, TableDescription | None]) -> Preflight:
    """Compare the plan with DescribeTable of every table it names (by real name; None: no such table)."""
    problems: list[str] = []
    streams_off: list[str] = []
    for name, source in plan.sources.items():
        table = found[source.definition.name]
        if table is None:
            problems.append(f"source {name}: there is no table {source.definition.name}; check prefix, region, account")
            continue
        problems += _key_problems(f"source {name}", source.definition, table)
        if not any(attribute.type == "S" for attribute in source.definition.key):
            problems.append(f"source {name}: no string in the key of {table.name}, so it cannot show marks")
        if table.stream_arn is None:
            streams_off.append(table.name)
        problems += _view_problems(f"source {name}", table)
    wanted = (plan.target, *plan.companions)
    missing = tuple(definition for definition in wanted if found[definition.name] is None)
    for definition in wanted:
        table = found[definition.name]
        if table is not None:
            problems += _key_problems("target", definition, table)
    target = found[plan.target.name]
    if target is not None:
        problems += _index_problems(plan.target, target)
        problems += _view_problems("target", target)
        if target.stream_arn is None:
            streams_off.append(target.name)
    return Preflight(tuple(problems), tuple(streams_off), missing)


def _key_problems(what: str, wanted: TableDefinition, table: TableDescription) -> list[str]:
    if table.key == wanted.key:
        return []
    said, is_ = (", ".join(f"{part.name} {part.type}" for part in key) for key in (wanted.key, table.key))
    return [f"{what}: the key of {table.name} is ({is_}), the plan says ({said}); mend the plan or the table's name"]


def _view_problems(what: str, table: TableDescription) -> list[str]:
    if table.stream_arn is None or table.stream_view is ViewType.NEW_AND_OLD_IMAGES:
        return []
    return [
        (
            f"{what}: the stream of {table.name} has view type {table.stream_view}, NEW_AND_OLD_IMAGES is needed; "
            "switch it off and on again with that type (nothing else may depend on it)"
        )
    ]


def _index_problems(wanted: TableDefinition, table: TableDescription) -> list[str]:
    standing = {index.name: index.key for index in table.indexes}
    return [
        f"target: {table.name} lacks index {index.name} with the key the plan gives it; create it first"
        for index in wanted.indexes
        if standing.get(index.name) != index.key
    ]
