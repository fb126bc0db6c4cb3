"""What the commands do, one coroutine each; `service.cli` only parses. Each returns its exit code."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from domain.errors import RefusedError, TransientError
from domain.phases import Side
from ledger.findings import Quarantined
from ledger.requests import Request, RequestKind
from mapping.plan import load_plan
from proof.permissions import Place, policy
from proof.runner import ProofPorts
from reconcile.queries import Questioner
from reconcile.rechecks import Patience
from service import asking, rollbackclock
from service.baseline import BaselineOptions, compare, measure, read_baseline
from service.baselinereport import baseline_table, comparison_page
from service.console import ERR, OUT, Exit, as_html, as_json, gates_table
from service.documents import write_document, write_text
from service.initialising import InitOptions, initialise, record_proof
from service.planning import PlanOptions, proven
from service.planreport import page
from service.reconcilereport import page as reconcile_page
from service.reconciling import CompareOptions, compared
from service.safekeeping import Occasion, back_up_sources
from service.session import Session, account_around, ledger_name, session
from service.settings import Settings
from service.status import status

_WATCH = 1.0
"""Seconds between looks of ``status --watch``."""


async def prove_plan(settings: Settings, options: PlanOptions, *, json: bool) -> Exit:
    """``tableturn plan``."""
    async with session(settings) as opened, account_around(settings) as account:
        with _bars("translating", quiet=json) as bars:
            tasks = {name: bars.add_task(name, total=None) for name in opened.plan.sources}

            def told(source: str, items: int) -> None:
                bars.advance(tasks[source], items)

            ports = ProofPorts(opened.database, opened.plan, opened.clock, account, told)
            document = await proven(ports, options, ledger_name(settings, opened.plan))
        if json:
            as_json(document)
        else:
            OUT.print(page(document))
        if options.record and options.report is not None:
            await record_proof(opened, options.report, options.override)
    return {"pass": Exit.DONE, "warn": Exit.WARNED, "fail": Exit.REFUSED}[document["verdict"]]


async def print_policy(settings: Settings, account: str) -> Exit:
    """``tableturn plan --policy``: needs the plan and no network."""
    plan = load_plan(settings.plan_path(), variables=os.environ)
    as_json(policy(plan, ledger_name(settings, plan), Place(settings.region or "*", account)))
    return Exit.DONE


async def initialise_migration(settings: Settings, options: InitOptions, *, backups: bool, json: bool) -> Exit:
    """``tableturn init``."""
    async with session(settings) as opened:
        ledger = ledger_name(settings, opened.plan)
        steps = await initialise(opened.database, opened.plan, opened.clock, options, ledger_name=ledger, who="init")
        if backups:
            steps += await back_up_sources(opened, Occasion.BEFORE)
    if json:
        as_json({"ledger": ledger, "dry_run": options.dry_run, "steps": steps})
    else:
        for step in steps:
            OUT.print(f"✓ {step}" if not options.dry_run else f"  {step}")
        OUT.print("next: `tableturn run`")
    return Exit.DONE


async def run_worker(settings: Settings, *, standby: bool) -> Exit:
    """``tableturn run``."""
    from service.herald import heralds_of
    from service.levers import levers_of
    from service.metrics import Meter
    from service.worker import Worker

    meter = Meter()
    async with session(settings, observer=meter) as opened, levers_of(opened) as levers, heralds_of(opened) as heralds:
        worker = Worker(opened.database, opened.plan, settings, meter, levers, heralds)
        await worker.run(ledger_table=opened.ledger.rows.table, standby=standby)
    return Exit.DONE


async def show_status(settings: Settings, *, watch: bool, json: bool) -> Exit:
    """``tableturn status``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        document = await _status(opened)
        if json:
            as_json(document)
        elif watch:
            await _watch(opened)
        else:
            _print_status(document)
    return Exit.DONE


async def compare_now(settings: Settings, options: CompareOptions, *, json: bool) -> Exit:
    """``tableturn reconcile``: once, or on a schedule until it is told to stop."""

    def told(units: int) -> None:
        if not json:
            OUT.print(f"about {units:,} read units will be consumed")

    async with session(settings) as opened:
        options.check(opened.plan)
        await opened.check_ledger()
        if options.schedule is None:
            finding = await compared(opened, options, told)
            _show_comparison(finding, json=json)
            return Exit.REFUSED if finding["mismatches"] else Exit.DONE
        while True:
            try:
                _show_comparison(await compared(opened, options, told), json=json)
            except TransientError as error:  # the next one is due all the same
                ERR.print(f"[red]error:[/red] {error.message}", markup=True)
            await asyncio.sleep(options.schedule)


def _show_comparison(finding: dict[str, Any], *, json: bool) -> None:
    if json:
        as_json(finding)
    else:
        OUT.print(reconcile_page(finding))


async def compare_queries(settings: Settings, *, samples: int, json: bool) -> Exit:
    """``tableturn reconcile --queries``: read-only, in this process."""
    async with session(settings) as opened:
        await opened.check_ledger()
        questioner = Questioner(opened.database, opened.plan, Patience(), samples=samples)
        outcomes = {name: found.document(opened.plan) for name, found in (await questioner.ask_all()).items()}
    differing = [name for name, found in outcomes.items() if found["differences"]]
    if json:
        as_json(outcomes)
    else:
        for name, found in outcomes.items():
            sign = "✗" if found["differences"] else "✓"
            OUT.print(f"{sign} {name}: {found['cases']} cases, {found['answers']} items")
            for different in found["differences"]:
                OUT.print(f"    {different}", markup=False)
    return Exit.REFUSED if differing else Exit.DONE


async def measure_baseline(settings: Settings, options: BaselineOptions, output: Path | None, *, json: bool) -> Exit:
    """``tableturn baseline``."""
    async with session(settings) as opened:
        questioner = Questioner(opened.database, opened.plan, Patience(), samples=options.samples)
        document = await measure(questioner, opened.plan, opened.clock, options)
    if output is not None:
        write_document(document, output)
    if json:
        as_json(document)
    else:
        OUT.print(baseline_table(document))
    return Exit.DONE


async def compare_baselines(before: Path, later: Sequence[Path], report: Path | None, *, json: bool) -> Exit:
    """``tableturn compare``."""
    document = compare(read_baseline(before), *map(read_baseline, later))
    if report is not None:
        write_text(as_html(comparison_page(document)), report)
    if json:
        as_json(document)
    else:
        OUT.print(comparison_page(document))
    return Exit.DONE if document["passes"] else Exit.REFUSED


async def show_gates(settings: Settings, kind: RequestKind, overrides: dict[str, str], *, json: bool) -> Exit:
    """``cutover --dry-run`` and ``rollback --dry-run``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        facts, gates = await asking.gates_of(opened, kind, overrides)
    clock = rollbackclock.document(facts) if kind is RequestKind.ROLLBACK else None
    if json:
        beside = {} if clock is None else {"rollback_clock": clock}
        as_json({"passes": all(gate.passes for gate in gates), "gates": asking.as_documents(gates), **beside})
    else:
        OUT.print(gates_table(asking.as_documents(gates)))
        for line in rollbackclock.told(clock):
            OUT.print(line, markup=False)
    return Exit.DONE if all(gate.passes for gate in gates) else Exit.REFUSED


async def ask_worker(
    settings: Settings, kind: RequestKind, facts: dict[str, Any], *, told: Callable[[Request], None], json: bool
) -> Exit:
    """``cutover``, ``rollback``, ``complete``, ``abort``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        answer = await asking.ask(opened, kind, facts, (lambda _: None) if json else told)
    if json:
        as_json(answer)
    elif "verified" in answer:  # not of a switch whose worker died once it had taken place
        blocked, verified = answer["blocked_ms"] / 1000, answer["verified"]
        OUT.print(f"✓ {kind}: writes were blocked for {blocked:.2f} s, {verified} was verified meanwhile")
        for owed in answer["unsettled"]:
            OUT.print(f"! not settled yet, the worker goes on with it: {owed}", markup=False)
    else:
        OUT.print(f"✓ {kind}")
    return Exit.DONE


async def list_quarantine(settings: Settings, *, json: bool) -> Exit:
    """``tableturn quarantine list``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        entries = await opened.ledger.quarantine.everything()
        shown = [
            {
                "entry": _number(entry),
                "item": opened.plan.masked(entry.source_id),
                "lane": entry.lane.value,
                "reason": entry.reason.value,
                "detail": entry.detail,
                "at_ms": entry.at_ms,
            }
            for entry in entries
        ]
    if json:
        as_json(shown)
        return Exit.DONE
    table = Table("entry", "item", "lane", "reason", "since", "detail")
    for entry in shown:
        since = datetime.fromtimestamp(int(entry["at_ms"]) / 1000, UTC).isoformat(timespec="seconds")
        told = {**entry, "since": since}
        table.add_row(*(str(told[name]) for name in ("entry", "item", "lane", "reason", "since", "detail")))
    OUT.print(table if shown else "quarantine is empty")
    return Exit.DONE


async def retry_quarantined(settings: Settings, number: str, *, json: bool) -> Exit:
    """``tableturn quarantine retry``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        entry = await _entry(opened, number)
        facts = {"source": entry.source, "source_id": entry.source_id, "lane": entry.lane.value}
        answer = await asking.ask(opened, RequestKind.RETRY, facts, lambda _: None)
    if json:
        as_json(answer)
    else:
        OUT.print(f"✓ {answer['why']}")
    return Exit.DONE


async def drop_quarantined(settings: Settings, number: str, reason: str) -> Exit:
    """``tableturn quarantine drop``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        entry = await _entry(opened, number)
        item = opened.plan.masked(entry.source_id)
        await opened.ledger.history.add("quarantine-dropped", item=item, reason=entry.reason.value, why=reason)
        await opened.ledger.quarantine.clear(entry, entry.version)
    OUT.print(f"✓ {item} dropped from quarantine")
    return Exit.DONE


def _number(entry: Quarantined) -> str:
    """Return the short name by which an operator calls an entry."""
    return hashlib.blake2b(f"{entry.lane}\n{entry.source_id}".encode(), digest_size=4).hexdigest()


async def _entry(opened: Session, number: str) -> Quarantined:
    for entry in await opened.ledger.quarantine.everything():
        if _number(entry) == number:
            return entry
    message = f"there is no quarantine entry {number}"
    raise RefusedError(message, hint="see `tableturn quarantine list`")


async def _status(opened: Session) -> dict[str, Any]:
    limits = opened.settings.limits()
    return await status(opened.ledger, opened.database, opened.plan, opened.clock, limits)


async def _watch(opened: Session) -> None:
    """Show phase, lag, and progress bars with rate and time left, until interrupted or over."""
    bars = _bars("copying", quiet=False)
    tasks = {name: bars.add_task(name, total=None) for name in opened.plan.sources}
    with Live(console=OUT, auto_refresh=False, transient=not OUT.is_terminal) as live:
        while True:
            document = await _status(opened)
            for name, each in document["sources"].items():
                bars.update(tasks[name], completed=each["copied"], total=each["expected"])
            lag = max((lag for lag in document["lag_ms"].values() if lag is not None), default=0) / 1000
            waiting = sum(document["quarantined"].values())
            head = f"{document['phase']}  serving {document['serving']}  lag {lag:.1f} s  quarantine {waiting}"
            live.update(Group(Text(head), bars, gates_table(document["gates"])), refresh=True)
            if document["phase"] in {"DONE", "ABORTED"}:
                return
            await asyncio.sleep(_WATCH)


class RateColumn(ProgressColumn):
    """Items per second."""

    def render(self, task: Task) -> Text:
        """Return the rate, once there is one."""
        return Text("" if task.speed is None else f"{task.speed:.0f}/s")


def _bars(what: str, *, quiet: bool) -> Progress:
    """Return progress bars with count, rate and time left; none where nobody looks."""
    columns = (
        TextColumn(f"{what} {{task.description}}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=ERR, disable=quiet or not ERR.is_terminal)


def _print_status(document: dict[str, Any]) -> None:
    OUT.print(
        f"phase {document['phase']}   serving {document['serving']}"
        f"{'' if document['writable'] else ' (writes blocked)'}   tombstones {document['tombstones']}"
    )
    table = Table("source", "copied", "expected", "lag")
    for name, each in document["sources"].items():
        lag = document["lag_ms"].get(name)
        table.add_row(name, str(each["copied"]), str(each["expected"]), "" if lag is None else f"{lag / 1000:.1f} s")
    OUT.print(table)
    back, left = document["lag_ms"].get(Side.TARGET), document["headroom_ms"].get(Side.TARGET)
    if back is not None and document["serving"] == Side.TARGET:
        OUT.print(f"reverse: lag {back / 1000:.1f} s, {left / 3_600_000:.1f} h until records are trimmed")
    for stream, lost in document["gaps"].items():
        OUT.print(f"✗ gap in {stream}: {lost}; `tableturn recapture {stream}`")
    for source, count in document["strays"]["by_source"].items():
        OUT.print(f"✗ strays in {source}: {count} items; `tableturn quarantine list`")
    for line in rollbackclock.told(document["rollback_clock"]):
        OUT.print(line, markup=False)
    OUT.print(gates_table(document["gates"]))
