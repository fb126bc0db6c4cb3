"""What every part of the command line shares: the program itself, the options that all know, and settings read once."""

from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from domain.errors import FatalError
from service import console
from service.settings import Settings

_JOURNEY: Final = (
    "demo", "plan", "backup", "init", "run", "status", "reconcile", "restore-check", "baseline", "compare", "announce",
    "postpone", "cutover", "rollback", "complete", "abort", "quarantine", "recapture", "report",
    "archive", "strip-stamps",
)  # fmt: skip
"""Commands as a migration needs them; one that is not named here comes last."""


class Journey(TyperGroup):
    """Lists the commands in that order, whichever part of the program adds them."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - of a click that typer keeps to itself
        """Return their names."""
        return sorted(super().list_commands(ctx), key=_place)


def _place(command: str) -> int:
    return _JOURNEY.index(command) if command in _JOURNEY else len(_JOURNEY)


APP = typer.Typer(
    name="tableturn",
    cls=Journey,
    help="Turns live DynamoDB tables into a single-table schema, and back, without losing a write.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Plan = Annotated[
    str | None, typer.Option("--plan", envvar="TABLETURN_PLAN", help="plan file, or name of a shipped plan")
]
Ledger = Annotated[str | None, typer.Option("--ledger", envvar="TABLETURN_LEDGER", help="name of the ledger table")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON document")]
Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="PLAN", help="the plan's name, where nobody can type")
]
WriteUnits = Annotated[int | None, typer.Option(min=1, help="write units a second that it may take; none: any")]
ReadUnits = Annotated[int | None, typer.Option(min=1, help="read units a second that its scan may take; none: any")]
Overrides = Annotated[
    list[str] | None, typer.Option("--override", metavar="GATE=REASON", help="pass a gate about judgement; repeatable")
]
Reason = Annotated[str, typer.Option("--reason", help="why; stands in the history")]


def settings_of(**flags: object) -> Settings:
    """Read environment and flags, and set the logs up; ends the process when a setting is wrong."""
    from service.logs import set_up

    try:
        settings = Settings.from_environment(**flags)
    except FatalError as error:
        console.fail(error)
    set_up(settings.log_level)
    return settings


def overrides_of(given: list[str] | None) -> dict[str, str]:
    """Return the reasons by gate; ends the process where one is missing."""
    found: dict[str, str] = {}
    for each in given or ():
        gate, _, reason = each.partition("=")
        if not gate.strip() or not reason.strip():
            console.fail(FatalError(f"--override {each} says no reason", hint="write --override GATE=REASON"))
        found[gate.strip()] = reason.strip()
    return found
