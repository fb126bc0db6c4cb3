"""Tables as the plan file describes them: real names, definitions, and which names their keys and indexes take."""

import re
from collections.abc import Mapping

from domain.tables import IndexDefinition, KeyAttribute, TableDefinition
from mapping.entities import KeyUses
from mapping.overrides import ALWAYS_RESERVED
from mapping.planfile import TableFile, TargetFile
from mapping.problems import Problem

_VARIABLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TABLE_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")


def definition(file: TableFile, name: str) -> TableDefinition:
    """Return what CreateTable makes of it, under its real name."""
    indexes = tuple(
        IndexDefinition(each, _key(index.key), None if index.include is None else tuple(index.include), index.local)
        for each, index in file.indexes.items()
    )
    return TableDefinition(
        name,
        _key(file.key),
        indexes,
        stream=file.stream,
        ttl_attribute=file.ttl,
        deletion_protection=file.deletion_protection,
        point_in_time_recovery=file.point_in_time_recovery,
    )


def table_name(where: str, written: str, variables: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """Return the real name of a table, and what is wrong with it."""
    missing = [name for name in _VARIABLE.findall(written) if not variables.get(name)]
    if missing:
        return written, [
            Problem(where, f"variable {name} is not set", f"set the environment variable {name}") for name in missing
        ]
    name = _VARIABLE.sub(lambda found: variables[found[1]], written)
    if _TABLE_NAME.fullmatch(name):
        return name, []
    way_out = "use 3 to 255 of letters, figures, '_', '-' and '.'"
    return name, [Problem(where, f"{name!r} is no name for a table", way_out)]


def key_uses(file: TableFile) -> KeyUses:
    """Return for every attribute that is a key of an index: its type there, and whether it is the hash key."""
    uses: dict[str, tuple[tuple[str, bool], ...]] = {}
    for index in file.indexes.values():
        for position, (name, kind) in enumerate(index.key.items()):
            if name not in file.key:
                uses[name] = (*uses.get(name, ()), (kind, position == 0))
    return uses


def fixed_names(target: TargetFile) -> frozenset[str]:
    """Return the names that no carried attribute may have on the target: keys, index keys, TTL, type, our maps."""
    indexed = [name for index in target.indexes.values() for name in index.key]
    ttl = [target.ttl] if target.ttl else []
    return frozenset({*target.key, *indexed, *ttl, target.type_attribute, *ALWAYS_RESERVED})


def _key(names: Mapping[str, str]) -> tuple[KeyAttribute, ...]:
    return tuple(KeyAttribute(name, kind) for name, kind in names.items())
