"""The plan file as written: YAML read without surprises, then held against its shape.

The loader knows text, true, false and nothing: no floats, no dates, no octal numbers, no `yes`. Names given twice are
refused instead of overwritten. What the words mean is in docs/reference/plan-file.md; what pydantic cannot see
(templates, overlaps, types of index keys) is checked by `mapping.plancheck`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.tables import ViewType
from mapping.problems import PlanError, Problem

KeyType = Literal["S", "N", "B"]
AnyType = Literal["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IndexFile(_Strict):
    """A secondary index: key attributes with types, hash key first; ``include`` limits the projection."""

    key: dict[str, KeyType] = Field(min_length=1, max_length=2)
    include: list[str] | None = None
    local: bool = False


class TableFile(_Strict):
    """A table: its name with variables, key, indexes, TTL attribute, stream view and protections."""

    table: str = Field(min_length=1)
    key: dict[str, KeyType] = Field(min_length=1, max_length=2)
    indexes: dict[str, IndexFile] = {}
    ttl: str | None = None
    stream: ViewType | None = None
    deletion_protection: bool = False
    point_in_time_recovery: bool = False


class SourceFile(TableFile):
    """A legacy table. ``attributes`` None: every name is at home there; ``sensitive`` names are never printed."""

    attributes: list[str] | None = None
    sensitive: list[str] = []


class InverseFile(_Strict):
    """The way back of a derived attribute: which legacy attribute it brings up to date."""

    attribute: str
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
    map: dict[str, "RuleFile"] | None = None
    python: str | None = None
    type: AnyType | None = None
    with_: str | None = Field(default=None, alias="with")
    cases: dict[str | bool, str] | None = None
    otherwise: str | None = None
    inverse: InverseFile | None = None


Pair = Annotated[list[str | RuleFile], BeforeValidator(_listed), Field(min_length=1, max_length=2)]


class TargetFile(TableFile):
    """The single table, and what every primary item of it also gets."""

    type_attribute: str
    defaults: dict[str, RuleFile] = {}
    reserved: list[str] = []


class BesideFile(_Strict):
    """A further item made of the same source item, under its own key."""

    key: Annotated[list[str], BeforeValidator(_listed)]
    when: dict[str, Literal["filled"] | list[str]] = {}
    attributes: dict[str, RuleFile] = {}
    indexes: dict[str, Pair] = {}
    carry: Literal["all", "none"] = "none"


class EntityFile(_Strict):
    """How the items of one source become primary items, and what stands beside them."""

    source: str
    key: Annotated[list[str], BeforeValidator(_listed)]
    carry: Literal["all"]
    indexes: dict[str, Pair] = {}
    derived: dict[str, RuleFile] = {}
    beside: dict[str, BesideFile] = {}


class PlanFile(_Strict):
    """The whole file."""

    plan: str = Field(min_length=1)
    sources: dict[str, SourceFile] = Field(min_length=1)
    target: TargetFile
    companions: dict[str, TableFile] = {}
    entities: dict[str, EntityFile] = Field(min_length=1)


class _PlainLoader(yaml.SafeLoader):
    """Text, true, false, null; a name given twice is an error."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}  # noqa: RUF012 - PyYAML's own way to say it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Build a mapping; raises ConstructorError with the line of a name that is given twice."""
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        for position, name in enumerate(names):
            if name in names[:position]:
                mark = node.value[position][0].start_mark
                raise yaml.constructor.ConstructorError(None, None, f"{name!r} is given twice", mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"^(?:true|false)$", "tf"),
    ("tag:yaml.org,2002:null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _PlainLoader.add_implicit_resolver(_tag, __import__("re").compile(_pattern), list(_first))


def read_plan_file(path: Path) -> PlanFile:
    """Read and shape-check a plan file; raises PlanError naming file, field and way out."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_PlainLoader)  # noqa: S506 - a SafeLoader, stricter
    except (OSError, UnicodeError) as error:
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
    where = ".".join(str(part) for part in found["loc"]) or "file"
    given = found.get("input")
    shown = f", found {given!r}" if isinstance(given, str | bool) else ""
    return Problem(where, f"{found['msg']}{shown}", _WAYS_OUT.get(found["type"], "see docs/reference/plan-file.md"))
