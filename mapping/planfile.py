"""The plan file as written, read by `mapping.plainyaml` and held against its shape.

What the words mean is in docs/reference/plan-file.md; what pydantic cannot see (templates, overlaps, types of index
keys) is checked by `mapping.plancheck`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.tables import ViewType
from mapping.plainyaml import TooLarge, read_plain
from mapping.problems import PlanError, Problem

KeyType = Literal["S", "N", "B"]
AnyType = Literal["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"]


Name = Annotated[str, Field(min_length=1)]
"""Of an attribute: DynamoDB has none without a name."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IndexFile(_Strict):
    """A secondary index: key attributes with types, hash key first; ``include`` limits the projection."""

    key: dict[Name, KeyType] = Field(min_length=1, max_length=2)
    include: list[Name] | None = None
    local: bool = False


class TableFile(_Strict):
    """A table: its name with variables, key, indexes, TTL attribute, stream view and protections."""

    table: str = Field(min_length=1)
    key: dict[Name, KeyType] = Field(min_length=1, max_length=2)
    indexes: dict[str, IndexFile] = {}
    ttl: Name | None = None
    stream: ViewType | None = None
    deletion_protection: bool = False
    point_in_time_recovery: bool = False


class SourceFile(TableFile):
    """A legacy table. ``attributes`` None: every name is at home there; ``sensitive`` names are never printed.

    ``uncompared`` names are left out when both sides of its items are compared.
    """

    attributes: list[Name] | None = None
    sensitive: list[str] = []
    uncompared: list[Name] = []


class InverseFile(_Strict):
    """The way back of a derived attribute: which legacy attribute it brings up to date."""

    attribute: Name
    otherwise: str | bool | None = None
    absent: Literal["keep", "remove"] = "keep"
    python: str | None = None


class RuleFile(_Strict):
    """One value: exactly one of template, number, copy, convert, choose, map, python; ``inverse`` on derived ones."""

    template: str | None = None
    number: str | None = None
    copy_: str | None = Field(default=None, alias="copy")
    convert: str | None = None
    choose: str | None = None
    map: dict[Name, "RuleFile"] | None = None
    python: str | None = None
    type: AnyType | None = None
    with_: str | None = Field(default=None, alias="with")
    cases: dict[str | bool, str] | None = None
    otherwise: str | None = None
    inverse: InverseFile | None = None


Pair = Annotated[list[str | RuleFile], BeforeValidator(_listed), Field(min_length=1, max_length=2)]


class TargetFile(TableFile):
    """The single table, and what every primary item of it also gets."""

    type_attribute: Name
    defaults: dict[Name, RuleFile] = {}
    reserved: list[Name] = []


class BesideFile(_Strict):
    """A further item made of the same source item, under its own key."""

    key: Annotated[list[str], BeforeValidator(_listed)]
    when: dict[str, Literal["filled"] | list[str]] = {}
    attributes: dict[Name, RuleFile] = {}
    indexes: dict[str, Pair] = {}
    carry: Literal["all", "none"] = "none"


class EntityFile(_Strict):
    """How the items of one source become primary items, and what stands beside them."""

    source: str
    key: Annotated[list[str], BeforeValidator(_listed)]
    carry: Literal["all"]
    indexes: dict[str, Pair] = {}
    derived: dict[Name, RuleFile] = {}
    beside: dict[str, BesideFile] = {}


class LegacyQueryFile(_Strict):
    """How the legacy application asks: an index or the table by its hash key; without ``key`` all is read."""

    index: str | None = None
    key: Name | None = None


class TargetQueryFile(_Strict):
    """How the new application asks: an index or the table; hash key, and how the sort key begins."""

    index: str | None = None
    key: Annotated[list[str], BeforeValidator(_listed), Field(min_length=1, max_length=2)]


class QueryFile(_Strict):
    """An access pattern: the same question to both sides."""

    source: str
    legacy: LegacyQueryFile = LegacyQueryFile()
    target: TargetQueryFile
    where: Annotated[list[str], BeforeValidator(_listed)] = []
    order: Name | None = None
    descending: bool = False


class PlanFile(_Strict):
    """The whole file. ``applications``: the Lambda functions that write the legacy tables and obey the flag."""

    plan: str = Field(min_length=1)
    applications: list[str] = []
    sources: dict[str, SourceFile] = Field(min_length=1)
    target: TargetFile
    companions: dict[str, TableFile] = {}
    entities: dict[str, EntityFile] = Field(min_length=1)
    queries: dict[str, QueryFile] = {}


def read_plan_file(path: Path) -> PlanFile:
    """Read and shape-check a plan file; raises PlanError naming file, field and way out."""
    try:
        content = read_plain(path)
    except (OSError, UnicodeError, TooLarge) as error:
        raise PlanError(str(path), [Problem("file", str(error), "name a readable UTF-8 file")]) from error
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise PlanError(str(path), [Problem("yaml", said, "mend the YAML at that line")]) from error
    try:
        return PlanFile.model_validate(content)
    except ValidationError as error:
        raise PlanError(str(path), [_problem(dict(each)) for each in error.errors()]) from error


_WAYS_OUT = {
    "extra_forbidden": "remove it or correct its spelling (docs/reference/plan-file.md lists what may stand there)",
    "missing": "add it",
    "literal_error": "use one of the values named",
    "enum": "use one of the values named",
    "too_long": "a key has a hash part and at most a sort part",
    "too_short": "fill it in",
}


def _problem(found: dict[str, Any]) -> Problem:
    where = ".".join(str(part) for part in found["loc"]).encode(errors="backslashreplace").decode() or "file"
    given = found.get("input")
    shown = f", found {given!r}" if isinstance(given, str | bool) else ""
    return Problem(where, f"{found['msg']}{shown}", _WAYS_OUT.get(found["type"], "see docs/reference/plan-file.md"))
