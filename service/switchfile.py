"""The switch file: what outside of the ledger has to know which side serves, when, and how (operations, "How …").

One reviewable YAML file beside the plan, named by TABLETURN_SWITCH_FILE; docs/reference/switch-file.md lists what may
stand there. It is no part of the plan: what it says may change during a migration, between two switches.
Next: `service.levers` makes actuators of it.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from cutover.actuators import Moment
from domain.errors import FatalError
from mapping.plainyaml import TooLarge, read_plain

_VARIABLE: Final = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_NAME: Final = r"^[a-z][a-z0-9-]{0,62}$"
_HINT: Final = "mend the switch file (docs/reference/switch-file.md lists what may stand there) and try again"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Strict):
    """``lasting`` false: brought back at the end of every switch."""

    when: Moment
    lasting: bool = True


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class LambdaVariables(_Entry):
    """Environment variables of functions, merged; nothing (``~``) removes one."""

    kind: Literal["lambda-variables"]
    when: Moment = Moment.TIDY
    functions: Names
    target: dict[str, str | None] = {}
    source: dict[str, str | None] = {}
    seconds: Seconds = 120.0


class StoredParameter(_Entry):
    """A parameter of Systems Manager."""

    kind: Literal["ssm-parameter"]
    when: Moment = Moment.SWITCH
    parameter: str
    target: str
    source: str
    type: Literal["String", "StringList", "SecureString"] = "String"


class TablePolicy(_Entry):
    """A resource policy on the tables of the side that stops serving: item writes are denied, until it expires."""

    kind: Literal["table-policy"]
    when: Literal[Moment.FENCE] = Moment.FENCE
    lasting: Literal[False] = False
    exempt: list[str] = []
    seconds: Seconds = 15.0


class Alarm(_Entry):
    """An alarm on the errors of functions, as CloudWatch counts them."""

    kind: Literal["error-alarm"]
    when: Moment = Moment.TIDY
    functions: Names
    topic: str | None = None


class FinalBackup(_Entry):
    """On-demand backups of the side that serves until now."""

    kind: Literal["backup"]
    when: Literal[Moment.PREPARE] = Moment.PREPARE


class Command(_Entry):
    """A program of the operator's: words, not a shell's line. ``undo`` is run when the switch is taken back."""

    kind: Literal["command"]
    when: Moment
    target: Names | None = None
    source: Names | None = None
    undo: Names | None = None
    seconds: Seconds = 30.0


class RequestFile(_Strict):
    """One HTTP request."""

    url: Annotated[str, Field(pattern="^https?://[^/]+")]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, str] = {}
    body: str = ""
    statuses: list[int] = []
    holds: str = ""


class Http(_Entry):
    """An HTTP request. ``undo`` is sent when the switch is taken back."""

    kind: Literal["http"]
    when: Moment
    target: RequestFile | None = None
    source: RequestFile | None = None
    undo: RequestFile | None = None
    seconds: Seconds = 10.0


class Health(_Entry):
    """Every table of the side that shall serve is ACTIVE and answers."""

    kind: Literal["health"]
    when: Literal[Moment.SMOKE] = Moment.SMOKE


class Queries(_Entry):
    """The plan's queries, asked of both sides."""

    kind: Literal["queries"]
    when: Literal[Moment.SMOKE] = Moment.SMOKE
    samples: int = Field(1, ge=1, le=100)


class Purge(_Entry):
    """Tables of the new application that hold nothing but a cache: emptied."""

    kind: Literal["purge"]
    when: Literal[Moment.SWITCH, Moment.TIDY] = Moment.SWITCH
    tables: Names


Entry = Annotated[
    LambdaVariables | StoredParameter | TablePolicy | Alarm | FinalBackup | Command | Http | Health | Queries | Purge,
    Field(discriminator="kind"),
]


class SwitchFile(_Strict):
    """The whole file: of which plan, and what acts, by name."""

    switch: str
    actuators: dict[Annotated[str, Field(pattern=_NAME)], Entry] = {}


def read_switch_file(path: Path, *, plan: str, variables: Mapping[str, str]) -> SwitchFile:
    """Read the file, fill its ``{UPPER_CASE}`` names in, and check its shape and that it belongs to the plan.

    Raises FatalError naming the file and everything that is wrong in it.
    """
    missing: set[str] = set()
    try:
        content = _filled(read_plain(path), variables, missing)
    except (OSError, UnicodeError, TooLarge) as error:
        raise FatalError(f"switch file {path} cannot be read: {error}", hint="name a readable UTF-8 file") from error
    except yaml.YAMLError as error:
        raise FatalError(f"switch file {path} is no YAML: {' '.join(str(error).split())}", hint=_HINT) from error
    if missing:
        message = f"switch file {path} names variables that are not set: {', '.join(sorted(missing))}"
        raise FatalError(message, hint="set these environment variables")
    try:
        file = SwitchFile.model_validate(content)
    except ValidationError as error:
        wrong = [f"  {'.'.join(str(part) for part in each['loc']) or 'file'}: {each['msg']}" for each in error.errors()]
        raise FatalError("\n".join([f"switch file {path} cannot be used:", *wrong]), hint=_HINT) from error
    if file.switch != plan:
        message = f"switch file {path} is for plan {file.switch}, this is {plan}"
        raise FatalError(message, hint="name the plan in its line `switch:`, or another file")
    return file


def _filled(value: Any, variables: Mapping[str, str], missing: set[str]) -> Any:  # noqa: ANN401 - plain YAML
    """Return the content with variables in their places; those that are not set are noted."""
    if isinstance(value, dict):
        return {name: _filled(each, variables, missing) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, variables, missing) for each in value]
    if not isinstance(value, str):
        return value
    missing |= {name for name in _VARIABLE.findall(value) if not variables.get(name)}
    return _VARIABLE.sub(lambda found: variables.get(found[1], ""), value)
