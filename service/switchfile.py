"""The switch file: what outside of the ledger has to know which side serves, when, and how (operations, "How …").

One reviewable YAML file beside the plan, named by TABLETURN_SWITCH_FILE; docs/reference/switch-file.md lists what may
stand there. It is no part of the plan: what it says may change during a migration, between two switches.
Next: `service.levers` makes actuators of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from cutover.actuators import Moment
from domain.errors import FatalError
from service.filledfiles import Names, read_filled

_NAME: Final = r"^[a-z][a-z0-9-]{0,62}$"
_HINT: Final = "mend the switch file (docs/reference/switch-file.md lists what may stand there) and try again"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Entry(_Strict):
    """``lasting`` false: brought back at the end of every switch."""

    when: Moment
    lasting: bool = True


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


def _address(value: str) -> str:
    """Raise ValueError for an address without a host or with an impossible port; its text shows no part of it."""
    try:
        parts = urlsplit(value)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        message = "no address of the form https://HOST[:PORT]/…"
        raise ValueError(message)
    return value


def _header(value: str) -> str:
    """Raise ValueError for what no header may hold; its text shows no part of it."""
    if not value.isprintable():
        message = "a header holds a line break, or another character that is not printable"
        raise ValueError(message)
    return value


class RequestFile(_Strict):
    """One HTTP request."""

    url: Annotated[str, AfterValidator(_address)]
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "POST"
    headers: dict[str, Annotated[str, AfterValidator(_header)]] = {}
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
    file = read_filled(path, "switch file", SwitchFile, variables, hint=_HINT)
    if file.switch != plan:
        message = f"switch file {path} is for plan {file.switch}, this is {plan}"
        raise FatalError(message, hint="name the plan in its line `switch:`, or another file")
    return file
