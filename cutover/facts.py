"""Gathers what the gates look at: ledger rows and the state of the target table. Reads only."""

from collections import Counter

from cutover.gates import Facts
from domain.clock import Clock
from domain.phases import Side
from domain.tables import ViewType
from dynamo.ports import Tables
from ledger.book import Ledger
from mapping.plan import Plan

_TOMBSTONES_COUNTED = 2_000
"""Counted no further a source: a gate asks only whether they are few."""

WORKER = "worker"
"""Kind of the evidence by which the worker shows that it is alive and settled."""


async def gather(ledger: Ledger, tables: Tables, plan: Plan, clock: Clock) -> Facts:
    """Read everything at one moment; the moment is dated before the first read."""
    now = clock.wall_ms()
    state = await ledger.migration.state()
    worker = await ledger.evidence.get(WORKER) or {}
    found = {side: await ledger.evidence.get(f"reconcile/{side}") for side in Side}
    through = await _through(ledger)
    return Facts(
        phase=state.phase,
        now_ms=now,
        since_ms=state.since_ms,
        revision=state.revision,
        serving=state.flag.serving,
        captured=bool(through) and all(through.values()),
        copied=await is_copied(ledger, plan),
        gaps=await gaps(ledger),
        through_ms=through,
        reconciled={side: finding for side, finding in found.items() if finding is not None},
        quarantined=Counter(str(entry.reason) for entry in await ledger.quarantine.everything()),
        tombstones=await ledger.tombstones.count(plan.sources, at_most=_TOMBSTONES_COUNTED),
        worker_ms=int(worker.get("at_ms", 0)),
        worker_settled=bool(worker.get("settled")),
        target_trouble=await _trouble(ledger, tables, plan),
    )


async def is_copied(ledger: Ledger, plan: Plan) -> bool:
    """Tell whether every source is copied and, where it was copied again, swept (protocol §5)."""
    epochs = {stream.name: stream.copy_epoch for stream in await ledger.streams.all()}
    for source in plan.sources:
        epoch = epochs.get(source, 1)
        if not await ledger.segments.done(source, epoch) or (epoch > 1 and not await ledger.sweeps.done(source, epoch)):
            return False
    return True


async def gaps(ledger: Ledger) -> dict[str, str]:
    """Return per stream what was lost of it, or is not yet copied back after such a loss (protocol §5)."""
    found: dict[str, str] = {}
    for stream in await ledger.streams.all():
        if stream.gap:
            found[stream.name] = stream.gap
        elif stream.side is Side.TARGET and await ledger.segments.owed(stream):
            found[stream.name] = (
                "captured anew; the legacy tables are mended from the target by the next comparison, or, where one of "
                "their own streams has lost records as well, by `tableturn reconcile --repair` once you have looked"
            )
    return found


async def _through(ledger: Ledger) -> dict[str, int]:
    """Return per stream up to when everything is seen: the least of its shards that have not ended."""
    through: dict[str, int] = {}
    for stream in await ledger.streams.all():
        through[stream.name] = await ledger.streams.through_ms(stream)
    return through


async def _trouble(ledger: Ledger, tables: Tables, plan: Plan) -> str:
    """Return what keeps the target from serving, or nothing."""
    table = await tables.describe_table(plan.target.name)
    if table is None:
        return f"table {plan.target.name} is gone"
    if table.status != "ACTIVE":
        return f"table {plan.target.name} is {table.status}"
    missing = {index.name for index in plan.target.indexes} - {index.name for index in table.indexes}
    if missing:
        return f"indexes missing: {', '.join(sorted(missing))}"
    arns = {stream.name: stream.arn for stream in await ledger.streams.all()}
    if table.stream_view is not ViewType.NEW_AND_OLD_IMAGES or table.stream_arn != arns.get("target"):
        return "its stream is off or was replaced, so that nothing could be rolled back"
    return ""
