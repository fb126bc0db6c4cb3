"""Holds the plan's tables against what stands in the account, before anything is changed.

Serves the seed's "validate", and `init` as well; what the data say is `proof.runner`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.tables import IndexDefinition, TableDefinition, ViewType
from dynamo.ports import TableDescription, Tables
from mapping.plan import Plan
from proof.declared import Setting, declared


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found: ``problems`` nothing here may change, and what `init` may be asked to do.

    ``warnings`` are what an operator should know and may accept. ``sizes``: bytes of each source as DescribeTable says,
    which may be six hours old; ``identities``: which very tables those are.
    """

    problems: tuple[str, ...]
    sources_missing: tuple[str, ...]
    streams_off: tuple[str, ...]
    targets_missing: tuple[TableDefinition, ...]
    sizes: Mapping[str, int]
    identities: Mapping[str, str]
    warnings: tuple[str, ...]


async def describe_all(database: Tables, plan: Plan) -> dict[str, TableDescription | None]:
    """Describe every table that the plan names, by real name."""
    names = [source.definition.name for source in plan.sources.values()]
    names += [definition.name for definition in (plan.target, *plan.companions)]
    return {name: await database.describe_table(name) for name in names}


def examine(plan: Plan, found: Mapping[str, TableDescription | None]) -> Preflight:
    """Compare the plan with DescribeTable of every table it names (by real name; None: no such table)."""
    problems: list[str] = []
    sources_missing: list[str] = []
    warnings: list[str] = []
    streams_off: list[str] = []
    for name, source in plan.sources.items():
        table = found[source.definition.name]
        if table is None:
            sources_missing.append(name)
            problems.append(f"source {name}: there is no table {source.definition.name}; check prefix, region, account")
            continue
        problems += _key_problems(f"source {name}", source.definition, table)
        if not any(attribute.type == "S" for attribute in source.definition.key):
            problems.append(f"source {name}: no string in the key of {table.name}, so it cannot show marks")
        if table.stream_arn is None:
            streams_off.append(table.name)
        problems += [*_view_problems(f"source {name}", table), *_unsupported(f"source {name}", table)]
        warnings += _source_warnings(f"source {name}", source.definition, table)
    wanted = (plan.target, *plan.companions)
    missing = tuple(definition for definition in wanted if found[definition.name] is None)
    for definition in wanted:
        table = found[definition.name]
        if table is not None:
            problems += [*_key_problems("target", definition, table), *_unsupported("target", table)]
            warnings += _target_warnings(definition, table)
    target = found[plan.target.name]
    if target is not None:
        problems += _index_problems(plan.target, target)
        problems += _view_problems("target", target)
        if target.stream_arn is None:
            streams_off.append(target.name)
    standing = {name: found[source.definition.name] for name, source in plan.sources.items()}
    sizes = {name: table.size_bytes for name, table in standing.items() if table is not None}
    identities = {name: table.identity for name, table in standing.items() if table is not None}
    return Preflight(
        tuple(problems), tuple(sources_missing), tuple(streams_off), missing, sizes, identities, tuple(warnings)
    )


def _key_problems(what: str, wanted: TableDefinition, table: TableDescription) -> list[str]:
    if table.key == wanted.key:
        return []
    said, is_ = (", ".join(f"{part.name} {part.type}" for part in key) for key in (wanted.key, table.key))
    ways_out = f"mend the plan or the table's name {declared(Setting.KEY)}"
    return [f"{what}: the key of {table.name} is ({is_}), the plan says ({said}); {ways_out}"]


def _view_problems(what: str, table: TableDescription) -> list[str]:
    if table.stream_arn is None or table.stream_view is ViewType.NEW_AND_OLD_IMAGES:
        return []
    return [
        (
            f"{what}: the stream of {table.name} has view type {table.stream_view}, NEW_AND_OLD_IMAGES is needed; "
            f"switch it off and on again with that type, nothing else may depend on it {declared(Setting.STREAM)}"
        )
    ]


def _index_problems(wanted: TableDefinition, table: TableDescription) -> list[str]:
    standing = {index.name: index.key for index in table.indexes}
    return [
        f"target: {table.name} lacks index {index.name} with the key the plan gives it; create it first {_place(index)}"
        for index in wanted.indexes
        if standing.get(index.name) != index.key
    ]


def _unsupported(what: str, table: TableDescription) -> list[str]:
    found = []
    if table.replicas:
        regions = ", ".join(table.replicas)
        found.append(f"{what}: {table.name} is a Global Table (replicas in {regions}), which is not supported")
    if table.status != "ACTIVE":
        found.append(f"{what}: {table.name} is {table.status}; wait until it is ACTIVE")
    return found


def _source_warnings(what: str, wanted: TableDefinition, table: TableDescription) -> list[str]:
    standing = {index.name: index.key for index in table.indexes}
    lacking = [index for index in wanted.indexes if standing.get(index.name) != index.key]
    return [
        *_lifetime_warnings(what, wanted, table),
        *_key_warnings(what, table),
        *(
            f"{what}: {table.name} lacks index {index.name} with the key that the plan gives it {_place(index)}"
            for index in lacking
        ),
    ]


def _target_warnings(wanted: TableDefinition, table: TableDescription) -> list[str]:
    found = [*_lifetime_warnings("target", wanted, table), *_key_warnings("target", table)]
    if table.item_count:
        found.append(f"target: {table.name} holds some {table.item_count} items already: what stands there stays")
    if wanted.deletion_protection and not table.deletion_protection:
        protection = declared(Setting.PROTECTION)
        found.append(f"target: {table.name} is not protected against deletion, the plan wants it so {protection}")
    shown = {index.name: index.include for index in table.indexes}
    found += [
        f"target: index {index.name} of {table.name} does not project what the plan says {declared(Setting.PROJECTION)}"
        for index in wanted.indexes
        if index.name in shown and _projection(shown[index.name]) != _projection(index.include)
    ]
    return found


def _place(index: IndexDefinition) -> str:
    return declared(Setting.LOCAL_INDEX if index.local else Setting.INDEX)


def _projection(include: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if include is None else frozenset(include)


def _lifetime_warnings(what: str, wanted: TableDefinition, table: TableDescription) -> list[str]:
    if table.ttl_attribute == wanted.ttl_attribute:
        return []
    is_, said = (f"on {name}" if name else "off" for name in (table.ttl_attribute, wanted.ttl_attribute))
    return [f"{what}: time to live of {table.name} is {is_}, the plan says {said} {declared(Setting.LIFETIME)}"]


def _key_warnings(what: str, table: TableDescription) -> list[str]:
    if table.encryption_key is None:
        return []
    return [
        f"{what}: {table.name} is encrypted with {table.encryption_key}: we need kms:Decrypt and kms:GenerateDataKey"
    ]
