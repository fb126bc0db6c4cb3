"""What cannot be taken back is done only for who types the plan's name."""

import sys

import typer

from domain.errors import RefusedError


def check_typed(plan: str, typed: str | None, what: str) -> None:
    """Return when the plan's name was typed: given on the command line, or asked for at a terminal.

    Raises RefusedError otherwise; the hint does not say the name, so that nobody pastes it from there.
    """
    if typed is None and sys.stdin.isatty():
        typed = str(typer.prompt(f"This will {what}, and cannot be taken back. Type the name of the plan"))
    if typed != plan:
        raise RefusedError(f"to {what} wants the plan's name typed", hint="give it: --confirm NAME-OF-THE-PLAN")
