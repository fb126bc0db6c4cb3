"""The part of the command line that tells what happened."""

from pathlib import Path
from typing import Annotated

import typer

from service.cliparts import APP, Json, Ledger, Plan, settings_of
from service.console import carry_out


@APP.command()
def report(
    plan: Plan = None,
    ledger: Ledger = None,
    output: Annotated[Path | None, typer.Option("--output", help="FILE.md, .html or .json; none: the terminal")] = None,
    baseline: Annotated[
        list[Path] | None, typer.Option("--baseline", help="what `baseline` wrote: the first, and later ones")
    ] = None,
    proof: Annotated[Path | None, typer.Option("--proof", help="what `plan --report` wrote: its forecast")] = None,
    tick: Annotated[
        list[str] | None,
        typer.Option("--tick", metavar="CRITERION=WHO", help="met, and who says so; what is measured stays"),
    ] = None,
    json: Json = False,
) -> None:
    """What happened: success criteria, times planned and real, switches by step, downtime, lessons to fill in.

    Example: tableturn report --baseline before.json --baseline after.json --output report.md
    """
    from service.reporting import ReportOptions, report_migration

    options = ReportOptions(output, tuple(baseline or ()), proof, tuple(tick or ()))
    settings = settings_of(plan=plan, ledger=ledger)
    carry_out(lambda: report_migration(settings, options, json=json))
