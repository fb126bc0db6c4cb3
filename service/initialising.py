"""``tableturn init``: ledger, target tables, streams; PLANNED → CAPTURE (protocol §4.1).

Everything is checked before anything is changed. A run that was interrupted is taken up by the next one.
"""

from dataclasses import dataclass
from pathlib import Path

from cutover.marking import mark_key
from domain.clock import Clock
from domain.errors import FatalError, RefusedError
from domain.phases import Phase, Side
from domain.tables import ViewType
from dynamo.ports import Database, Delete, Put
from ledger.book import Ledger, ledger_table, operator_ledger
from ledger.streams import StreamRow
from mapping.plan import Plan
from proof.tables import Preflight, describe_all, examine
from service.planevidence import EVIDENCE, ProvenPlan, accept
from service.session import Session


@dataclass(frozen=True, slots=True)
class InitOptions:
    """What the operator allows `init` to do beyond the ledger, and which proof stands behind it.

    ``override`` is why a report that failed, or is stale, is accepted all the same.
    """

    create_targets: bool = False
    enable_streams: bool = False
    report: Path | None = None
    override: str = ""
    dry_run: bool = False


async def initialise(
    database: Database, plan: Plan, clock: Clock, options: InitOptions, *, ledger_name: str, who: str
) -> list[str]:
    """Do what `init` does; return what was (or, in a dry run, would be) done, a line each.

    Raises FatalError with every problem found, RefusedError when there is a migration already; nothing is changed then.
    """
    proven = _proven(plan, clock, options)
    ledger = operator_ledger(database, ledger_name, clock, who=who)
    ledger_stands = await _check_ledger(database, ledger, plan)
    found = examine(plan, await describe_all(database, plan))
    _refuse(found, options)
    if proven is not None:
        proven.check(found.identities)
    steps = _steps(found, ledger_name, ledger_stands=ledger_stands)
    if options.dry_run:
        return [f"would {step}" for step in steps]
    if not ledger_stands:
        await database.create_table(ledger_table(ledger_name))
    for definition in found.targets_missing:
        await database.create_table(definition)
    for table in found.streams_off:
        await database.enable_stream(table, ViewType.NEW_AND_OLD_IMAGES)
    if await ledger.rows.get("migration", "plan") is None:
        await ledger.migration.create(plan.name, plan.hash)
    if proven is not None:
        await _keep(ledger, proven)
    await _capture(database, plan, ledger)
    return steps


def _proven(plan: Plan, clock: Clock, options: InitOptions) -> ProvenPlan | None:
    """Return the proof that was named, once it is accepted; see `planevidence.accept` for what it raises."""
    if options.report is not None:
        return accept(options.report, plan, now_ms=clock.wall_ms(), override=options.override)
    if options.override:
        raise RefusedError("--override is about a report, and none is named", hint="add --report FILE")
    return None


async def record_proof(opened: Session, report: Path, override: str) -> None:
    """Keep the proof of a migration that was begun without one, or with an older one.

    Raises FatalError when there is no migration, RefusedError as `planevidence.accept` does, or for other tables.
    """
    await opened.check_ledger()
    proven = accept(report, opened.plan, now_ms=opened.clock.wall_ms(), override=override)
    proven.check(examine(opened.plan, await describe_all(opened.database, opened.plan)).identities)
    await _keep(opened.ledger, proven)


async def _keep(ledger: Ledger, proven: ProvenPlan) -> None:
    """Write the proof down, once."""
    known = await ledger.evidence.get(EVIDENCE)
    if known is None or known["fingerprint"] != proven.fingerprint:
        await ledger.history.add("proved", **proven.facts())
        await ledger.evidence.put(EVIDENCE, proven.facts())


async def _check_ledger(database: Database, ledger: Ledger, plan: Plan) -> bool:
    """Tell whether the ledger table stands; refuse one that holds another plan, or this one beyond PLANNED."""
    if await database.describe_table(ledger.rows.table) is None:
        return False
    if await ledger.rows.get("migration", "plan") is None:
        return True
    await ledger.migration.check_plan(plan.name, plan.hash)
    phase = (await ledger.migration.state()).phase
    if phase is not Phase.PLANNED:
        message = f"this migration is initialised already: its phase is {phase}"
        raise RefusedError(message, hint="go on with `tableturn run`")
    return True


def _refuse(found: Preflight, options: InitOptions) -> None:
    problems = list(found.problems)
    if found.streams_off and not options.enable_streams:
        problems.append(
            f"streams are off: {', '.join(found.streams_off)}; "
            "switch them on with NEW_AND_OLD_IMAGES, or let init do it: --enable-streams"
        )
    if found.targets_missing and not options.create_targets:
        names = ", ".join(definition.name for definition in found.targets_missing)
        problems.append(f"target tables are missing: {names}; create them, or let init do it: --create-targets")
    if problems:
        raise FatalError("\n".join([f"{len(problems)} problems, nothing was changed:", *problems]))


def _steps(found: Preflight, ledger_name: str, *, ledger_stands: bool) -> list[str]:
    steps = [] if ledger_stands else [f"create ledger table {ledger_name}"]
    steps += [f"create table {definition.name}" for definition in found.targets_missing]
    steps += [f"switch on the stream of {table} (NEW_AND_OLD_IMAGES)" for table in found.streams_off]
    return [*steps, "write every stream down and enter phase CAPTURE"]


async def _capture(database: Database, plan: Plan, ledger: Ledger) -> None:
    """Write every stream down: from here on, what happens to a source is kept (protocol §4.1)."""
    for name, source in plan.sources.items():
        arn = await _stream_arn(database, source.definition.name)
        await ledger.streams.record(StreamRow(name, Side.SOURCE, source.definition.name, arn))
        if not await ledger.marks.spans(name):
            await ledger.rows.transact([ledger.marks.first_span(name, epoch=1)])
    arn = await _stream_arn(database, plan.target.name)
    await ledger.streams.record(StreamRow("target", Side.TARGET, plan.target.name, arn))
    # One record proves that we may write the target and that its stream tells of it.
    probe = mark_key(plan.target.key, "probe")
    await database.write(Put(plan.target.name, probe))
    await database.write(Delete(plan.target.name, probe))
    state = await ledger.migration.state()
    await ledger.migration.move(state, Phase.CAPTURE, why="initialised")


async def _stream_arn(database: Database, table: str) -> str:
    described = await database.describe_table(table)
    if described is None or described.stream_arn is None:
        message = f"the stream of {table} is not on"
        raise FatalError(message, hint="switch it on with NEW_AND_OLD_IMAGES and run init again")
    return described.stream_arn
