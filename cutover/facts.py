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
        serving=state.flag.serving,
        captured=bool(through) and all(through.values()),
        copied=await is_copied(ledger, plan),
        through_ms=through,
        reconciled={side: finding for side, finding in found.items() if finding is not None},
        quarantined=Counter(str(entry.reason) for entry in await ledger.quarantine.everything()),
        tombstones=await ledger.tombstones.count(plan.sources, at_most=_TOMBSTONES_COUNTED),
        worker_ms=int(worker.get("at_ms", 0)),
        worker_settled=bool(worker.get("settled")),
        target_trouble=await _trouble(ledger, tables, plan),
    )


async def is_copied(ledger: Ledger, plan: Plan) -> bool:
    """Tell whether every segment of every source is done."""
    for source in plan.sources:
        segments = await ledger.segments.of(source)
        if not segments or len(segments) < segments[0].total or not all(segment.done for segment in segments):
            return False
    return True


async def _through(ledger: Ledger) -> dict[str, int]:
    """Return per stream up to when everything is seen: the least of its shards that have not ended."""
    through: dict[str, int] = {}
    for stream in await ledger.streams.all():
        shards = [shard for shard in (await ledger.streams.shards(stream.name)).values() if not shard.ended]
        through[stream.name] = min((shard.through_ms for shard in shards), default=0)
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
