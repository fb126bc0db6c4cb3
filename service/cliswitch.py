"""The part of the command line that moves the phase: cut over, roll back, complete, abort."""

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer

from ledger.requests import Request, RequestKind
from service import console
from service.cliparts import APP, Confirm, Json, Ledger, Overrides, Plan, Reason, WriteUnits, overrides_of, settings_of
from service.console import ERR, carry_out
from service.settings import Settings


@APP.command()
def cutover(
    plan: Plan = None,
    ledger: Ledger = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the gates and change nothing")] = False,
    max_blocked: Annotated[float | None, typer.Option(help="s: take it back when writes are blocked longer")] = None,
    override: Overrides = None,
    json: Json = False,
) -> None:
    """Switch the application to the target: gates, fence, drain, verify, switch, unfence; or the earlier state.

    Example: tableturn cutover --max-blocked 5
    """
    facts = _facts(max_blocked, override)
    _switch(RequestKind.CUTOVER, settings_of(plan=plan, ledger=ledger), facts, dry_run=dry_run, json=json)


@APP.command()
def rollback(
    plan: Plan = None,
    ledger: Ledger = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the gates and change nothing")] = False,
    max_blocked: Annotated[float | None, typer.Option(help="s: take it back when writes are blocked longer")] = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="no switch: once ABORTED, clear the target of what was copied into it")
    ] = False,
    confirm: Confirm = None,
    write_units: WriteUnits = None,
    json: Json = False,
) -> None:
    """Switch the application back to the legacy tables, which hold what was written since; repeatable.

    With --discard nothing is switched: after `abort`, what the migration wrote into the target is deleted again.

    Example: tableturn rollback --dry-run
    """
    if discard:
        _discard(settings_of(plan=plan, ledger=ledger, dry_run=dry_run or None), confirm, write_units, json=json)
    facts = _facts(max_blocked, None)
    _switch(RequestKind.ROLLBACK, settings_of(plan=plan, ledger=ledger), facts, dry_run=dry_run, json=json)


@APP.command()
def complete(
    plan: Plan = None,
    ledger: Ledger = None,
    reason: Reason = "",
    strip_stamps: Annotated[
        bool, typer.Option("--strip-stamps", help="then take our stamps off the target: `tableturn strip-stamps`")
    ] = False,
    write_units: WriteUnits = None,
    json: Json = False,
) -> None:
    """End the migration after its bake: no way back any more. BAKE → DONE.

    Example: tableturn complete --reason "seven clean days"
    """
    settings = settings_of(plan=plan, ledger=ledger)
    if strip_stamps:
        _complete_and_strip(settings, _asked_by(reason), write_units, json=json)
    _end(RequestKind.COMPLETE, settings, _asked_by(reason), json=json)


@APP.command()
def abort(plan: Plan = None, ledger: Ledger = None, reason: Reason = "", json: Json = False) -> None:
    """Give the migration up before the switch; the legacy tables serve as ever.

    Example: tableturn abort --reason "not this quarter"
    """
    _end(RequestKind.ABORT, settings_of(plan=plan, ledger=ledger), _asked_by(reason), json=json)


@APP.command()
def postpone(
    plan: Plan = None,
    ledger: Ledger = None,
    until: Annotated[str | None, typer.Option("--until", metavar="TIME", help="ISO 8601 with its zone")] = None,
    seconds: Annotated[float | None, typer.Option("--for", min=1, max=31_536_000, help="s: so long from now")] = None,
    clear: Annotated[bool, typer.Option("--clear", help="no longer")] = False,
    reason: Reason = "",
    json: Json = False,
) -> None:
    """Hold a cutover back until a moment; a way back waits for nothing.

    Example: tableturn postpone --until 2026-12-01T21:00+01:00 --reason "the new application is not deployed yet"
    """
    from service.postponing import Postponement
    from service.postponing import postpone as write_down

    if [until is not None, seconds is not None, clear].count(True) != 1:
        raise typer.BadParameter("name one of --until, --for and --clear")
    settings = settings_of(plan=plan, ledger=ledger)
    carry_out(lambda: write_down(settings, Postponement(until, seconds, reason), json=json))


def _facts(max_blocked: float | None, override: list[str] | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"by": console.operator()}
    if max_blocked is not None:
        facts["max_blocked_ms"] = int(max_blocked * 1000)
    if overrides := overrides_of(override):
        facts["overrides"] = overrides
    return facts


def _asked_by(reason: str) -> dict[str, Any]:
    return {"by": console.operator(), "reason": reason or "asked for by the operator"}


def _switch(kind: RequestKind, settings: Settings, facts: dict[str, Any], *, dry_run: bool, json: bool) -> None:
    from service.commands import ask_worker, show_gates

    if dry_run:
        carry_out(lambda: show_gates(settings, kind, facts.get("overrides", {}), json=json))
    carry_out(lambda: ask_worker(settings, kind, facts, told=_teller(), json=json))


def _end(kind: RequestKind, settings: Settings, facts: dict[str, Any], *, json: bool) -> None:
    from service.commands import ask_worker

    carry_out(lambda: ask_worker(settings, kind, facts, told=_teller(), json=json))


def _discard(settings: Settings, confirm: str | None, write_units: int | None, *, json: bool) -> NoReturn:
    from service.keepingcommands import discard_copy
    from service.targetwalk import Units

    carry_out(lambda: discard_copy(settings, confirm, Units(write_units), json=json))


def _complete_and_strip(settings: Settings, facts: dict[str, Any], write_units: int | None, *, json: bool) -> NoReturn:
    from service.keepingcommands import complete_and_strip
    from service.targetwalk import Units

    told = _teller()
    carry_out(lambda: complete_and_strip(settings, facts, Units(write_units), told=told, json=json))


def _teller() -> Callable[[Request], None]:
    """Return what prints each step once, as it begins."""
    shown: set[str] = set()

    def tell(request: Request) -> None:
        step = request.answer.get("step")
        if step and step not in shown:
            shown.add(step)
            ERR.print(f"  {request.answer.get('blocked_ms', 0) / 1000:6.2f} s  {step}")

    return tell
