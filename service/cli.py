"""The command line, `tableturn`: every command with ``--json``, an example in its help, and documented exit codes.

Exit codes: 0 done · 1 failed, the message says what to do · 2 wrong usage · 3 refused by a gate or guard, nothing
changed · 4 fenced, another worker leads · 5 done, with warnings. Each command opens a `service.session`; the work is
done by other modules.
"""

from pathlib import Path
from typing import Annotated

import typer

from domain.phases import Side
from reconcile.comparison import Kind as Disagreement
from service import clikeeping, clinotices, clireport, cliswitch, console
from service.cliparts import APP, Json, Ledger, Plan, Reason, settings_of
from service.console import carry_out

__all__ = ["APP", "main"]

PARTS = (cliswitch, clikeeping, clireport, clinotices)
"""Modules that add their commands to the program as they are imported."""

QUARANTINE = typer.Typer(help="What could not be applied, and why.", no_args_is_help=True)
APP.add_typer(QUARANTINE, name="quarantine")


def main() -> None:
    """Run the program."""
    APP()


@APP.command()
def demo(
    json: Json = False,
    rate: Annotated[int, typer.Option(help="application writes per second")] = 40,
    seed: Annotated[int, typer.Option(help="seed of the traffic")] = 1,
) -> None:
    """A whole migration on an embedded DynamoDB with live traffic: cut over, roll back, cut over again.

    Example: tableturn demo --json
    """
    from service.demo.story import main as tell

    raise typer.Exit(tell(json_output=json, rate=rate, seed=seed))


@APP.command()
def plan(
    plan: Plan = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="write the report there: JSON, beside it .html and .offenders.jsonl"),
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="read about so many items of each table, not all")] = None,
    samples: Annotated[int, typer.Option(min=0, help="items of each table to show before and after")] = 1,
    read_units: Annotated[int | None, typer.Option(min=1, help="read at most so many units a second")] = None,
    write_units: Annotated[int, typer.Option(min=1, help="write units a second that the copy may take")] = 1_000,
    prices: Annotated[Path | None, typer.Option(help="price table to reckon with (YAML)")] = None,
    principal: Annotated[
        str | None, typer.Option("--principal", metavar="ARN", help="whose permissions are looked at; none: yours")
    ] = None,
    policy: Annotated[
        str | None, typer.Option("--policy", metavar="ACCOUNT", help="only print the IAM policy it needs ('*': any)")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="changes nothing: a proof never writes a table")] = True,
    ledger: Ledger = None,
    record: Annotated[
        bool, typer.Option("--record", help="with --report: keep it in the ledger of the migration under way")
    ] = False,
    override: Annotated[str, typer.Option("--override", help="with --record: why a failed proof is kept")] = "",
    json: Json = False,
) -> None:
    """Prove the plan: every legacy item read, translated both ways, measured; cost and time foretold. Writes no table.

    An interrupted proof with --report is taken up by the next one. Exit code 0 pass, 5 warn, 3 fail.

    Example: SECRETS_PREFIX=acme-staging tableturn plan --report plan.json --read-units 500
    """
    from proof.forecast import Pace
    from service.commands import print_policy, prove_plan
    from service.planning import PlanOptions

    del dry_run
    if record and report is None:
        raise typer.BadParameter("--record needs --report FILE")
    settings = settings_of(plan=plan, ledger=ledger)
    if policy is not None:
        carry_out(lambda: print_policy(settings, policy))
    options = PlanOptions(Pace(write_units, read_units), sample, samples, report, prices, principal, record, override)
    carry_out(lambda: prove_plan(settings, options, json=json))


@APP.command()
def init(
    plan: Plan = None,
    ledger: Ledger = None,
    create_targets: Annotated[
        bool, typer.Option("--create-targets", help="create target tables that are missing")
    ] = False,
    enable_streams: Annotated[bool, typer.Option("--enable-streams", help="switch on streams that are off")] = False,
    report: Annotated[
        Path | None, typer.Option("--report", help="proof that `tableturn plan --report` wrote; refused when it failed")
    ] = None,
    override: Annotated[str, typer.Option("--override", help="why a failed or stale proof is accepted")] = "",
    backups: Annotated[bool, typer.Option("--backups", help="then back every source up: `tableturn backup`")] = False,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", envvar="DRY_RUN", help="only say what would be done")
    ] = None,
    json: Json = False,
) -> None:
    """Create the ledger, the target tables, streams and backups if asked; PLANNED → CAPTURE.

    Example: tableturn init --report plan.json --create-targets --enable-streams
    """
    from service.commands import initialise_migration
    from service.initialising import InitOptions

    settings = settings_of(plan=plan, ledger=ledger, dry_run=dry_run)
    options = InitOptions(create_targets, enable_streams, report, override, dry_run=settings.dry_run)
    carry_out(lambda: initialise_migration(settings, options, backups=backups, json=json))


@APP.command()
def run(
    plan: Plan = None,
    ledger: Ledger = None,
    standby: Annotated[bool, typer.Option("--standby", help="wait for the lease instead of refusing")] = False,
    host: Annotated[str | None, typer.Option(help="address to listen on (TABLETURN_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="port of /metrics and /healthz (TABLETURN_PORT)")] = None,
) -> None:
    """The service: copy, follow, compare, and carry out what is asked; /healthz, /readyz, /metrics. Ends on SIGTERM.

    Example: tableturn run --port 9464
    """
    from service.commands import run_worker

    settings = settings_of(plan=plan, ledger=ledger, host=host, port=port)
    carry_out(lambda: run_worker(settings, standby=standby))


@APP.command()
def status(
    plan: Plan = None,
    ledger: Ledger = None,
    watch: Annotated[bool, typer.Option("--watch", help="keep looking, with progress bars, until interrupted")] = False,
    json: Json = False,
) -> None:
    """Phase, flag, progress, lag, mismatches, quarantine, and the gates of the next step.

    Example: tableturn status --watch
    """
    from service.commands import show_status

    settings = settings_of(plan=plan, ledger=ledger)
    carry_out(lambda: show_status(settings, watch=watch, json=json))


@APP.command()
def reconcile(
    plan: Plan = None,
    ledger: Ledger = None,
    repair: Annotated[bool, typer.Option("--repair", help="let the worker mend the side that follows")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="with --repair: say what it would do")] = False,
    kind: Annotated[list[Disagreement] | None, typer.Option(help="only these kinds are shown and mended")] = None,
    source: Annotated[str | None, typer.Option(help="only the items of this source")] = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="only this item, SOURCE/KEY; may be repeated")] = None,
    sample_size: Annotated[int | None, typer.Option(min=1, help="so many items a table, drawn at random")] = None,
    against: Annotated[
        str | None, typer.Option(help="a table that stands in for the target, or for --source: one that was restored")
    ] = None,
    read_units: Annotated[int | None, typer.Option(min=1, help="RCU/s that the scans may consume")] = None,
    report: Annotated[Path | None, typer.Option("--report", help="FILE.json; the same as FILE.html beside it")] = None,
    schedule: Annotated[float | None, typer.Option(min=1, help="s: compare again and again, so often")] = None,
    queries: Annotated[bool, typer.Option("--queries", help="ask both sides the plan's queries instead")] = False,
    samples: Annotated[int, typer.Option(min=1, help="items that each query is asked for")] = 5,
    json: Json = False,
) -> None:
    """Compare both sides through the mapping, now. Exit code 3 when they do not agree.

    Example: tableturn reconcile --read-units 500 --report today.json
    """
    from service.commands import compare_now, compare_queries
    from service.reconciling import CompareOptions

    settings = settings_of(plan=plan, ledger=ledger)
    if queries:
        carry_out(lambda: compare_queries(settings, samples=samples, json=json))
    options = CompareOptions(
        source,
        tuple(ids or ()),
        sample_size,
        against,
        tuple(kind or ()),
        read_units,
        repair,
        dry_run or settings.dry_run,
        report,
        schedule,
    )
    carry_out(lambda: compare_now(settings, options, json=json))


@APP.command()
def baseline(
    plan: Plan = None,
    duration: Annotated[float, typer.Option(min=0.1, help="s: how long to ask")] = 60.0,
    concurrency: Annotated[int, typer.Option(min=1, help="how many ask side by side")] = 4,
    side: Annotated[Side, typer.Option(help="which side is asked")] = Side.SOURCE,
    output: Annotated[Path | None, typer.Option("--output", help="write the figures there (JSON)")] = None,
    json: Json = False,
) -> None:
    """Measure latency and errors of the plan's queries on one side: percentiles of whole answers.

    Example: tableturn baseline --duration 300 --concurrency 8 --output before.json
    """
    from service.baseline import BaselineOptions
    from service.commands import measure_baseline

    settings, options = settings_of(plan=plan), BaselineOptions(duration, concurrency, side)
    carry_out(lambda: measure_baseline(settings, options, output, json=json))


@APP.command()
def compare(
    before: Annotated[Path, typer.Argument(help="what `tableturn baseline --output` wrote first")],
    later: Annotated[list[Path], typer.Argument(help="and later: one, or one of each day; the last is judged")],
    report: Annotated[Path | None, typer.Option("--report", help="write the table there as HTML as well")] = None,
    json: Json = False,
) -> None:
    """Set baselines side by side: p95 below 200 ms, errors below 0.1 %, no worse than before. Exit code 3 if not.

    Example: tableturn compare before.json day-*.json --report today.html
    """
    from service.commands import compare_baselines

    carry_out(lambda: compare_baselines(before, later, report, json=json))


@APP.command()
def recapture(
    stream: Annotated[
        str | None, typer.Argument(help="a source's name, or `target`; none: every one with a gap")
    ] = None,
    plan: Plan = None,
    ledger: Ledger = None,
    enable_stream: Annotated[
        bool, typer.Option("--enable-stream", help="switch the table's stream on first, where it is off")
    ] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Go on after a gap: the stream is captured anew, what it tells of is copied again, and what was lost is swept.

    Example: tableturn recapture users --reason "a deploy switched the stream off"
    """
    from service.recapturing import recapture_streams

    settings = settings_of(plan=plan, ledger=ledger)
    facts = {"by": console.operator(), "reason": reason or "asked for by the operator"}
    carry_out(lambda: recapture_streams(settings, stream, facts, enable_stream=enable_stream, json=json))


@QUARANTINE.command("list")
def quarantine_list(plan: Plan = None, ledger: Ledger = None, json: Json = False) -> None:
    """List what is in quarantine; names are masked where they are secrets.

    Example: tableturn quarantine list
    """
    from service.commands import list_quarantine

    settings = settings_of(plan=plan, ledger=ledger)
    carry_out(lambda: list_quarantine(settings, json=json))


Entry = Annotated[str, typer.Argument(help="the entry's number in `quarantine list`")]


@QUARANTINE.command("retry")
def quarantine_retry(entry: Entry, plan: Plan = None, ledger: Ledger = None, json: Json = False) -> None:
    """Bring the item over again from the side that serves, over a stray's write too; it goes when both sides agree.

    Example: tableturn quarantine retry 3f2a9c
    """
    from service.commands import retry_quarantined

    settings = settings_of(plan=plan, ledger=ledger)
    carry_out(lambda: retry_quarantined(settings, entry, json=json))


@QUARANTINE.command("drop")
def quarantine_drop(entry: Entry, reason: Reason, plan: Plan = None, ledger: Ledger = None) -> None:
    """Strike an entry that was settled by hand; who, which and why stand in the history.

    Example: tableturn quarantine drop 3f2a9c --reason "test data"
    """
    from service.commands import drop_quarantined

    settings = settings_of(plan=plan, ledger=ledger)
    carry_out(lambda: drop_quarantined(settings, entry, reason))
