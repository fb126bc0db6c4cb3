"""The part of the command line that tells people: when the switch is planned, and the notices about it."""

from typing import Annotated

import typer

from service.cliparts import APP, Json, Ledger, Plan, Reason, settings_of
from service.console import carry_out


@APP.command()
def announce(
    plan: Plan = None,
    ledger: Ledger = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="TIME", help="plan the switch for then: ISO 8601 with its zone")
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="call the planned switch off, with --reason")] = False,
    now: Annotated[
        str | None, typer.Option("--now", metavar="KIND", help="send one by hand: T-48h, T-2h, T+0, T+24h, phase …")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="with --now: though it was sent")] = False,
    reason: Reason = "",
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", envvar="DRY_RUN", help="write and send nothing; --now prints its text")
    ] = None,
    json: Json = False,
) -> None:
    """Plan the moment of the switch and look at its notices; the worker sends them (docs/operating/notices.md).

    Planning starts nothing: `tableturn cutover` does. Exit code 5: a route failed.

    Example: tableturn announce --at 2026-12-01T21:00+01:00 --now T-48h --dry-run
    """
    from service.announcing import Wish
    from service.announcing import announce as announced

    settings = settings_of(plan=plan, ledger=ledger, dry_run=dry_run)
    carry_out(lambda: announced(settings, Wish(at, clear, now, again, reason), json=json))
