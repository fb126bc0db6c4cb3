"""Gathers what the gates look at: ledger rows and the state of the target table. Reads only."""

from collections import Counter
from collections.abc import Mapping
from functools import reduce

from cutover.gates import Facts
from domain.clock import Clock
from domain.fates import NOTHING_WRITTEN, Tally
from domain.phases import Side
from domain.tables import ViewType
from dynamo.ports import Tables
from ledger.book import Ledger
from ledger.findings import Lane
from ledger.migration import State
from ledger.streams import ShardRow, seen_through
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
    streams = await ledger.streams.all()
    shards = {stream.name: await ledger.streams.shards(stream.name, stream.epoch) for stream in streams}
    through = {stream: seen_through(own.values()) for stream, own in shards.items()}
    waiting = await ledger.quarantine.everything()
    strays = [entry for entry in waiting if entry.lane is Lane.STRAY]
    written, at_least = await _written(ledger, state, shards.get(Side.TARGET, {}))
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
        quarantined=Counter(str(entry.reason) for entry in waiting),
        tombstones=await ledger.tombstones.count(plan.sources, at_most=_TOMBSTONES_COUNTED),
        worker_ms=int(worker.get("at_ms", 0)),
        worker_settled=bool(worker.get("settled")),
        target_trouble=await _trouble(ledger, tables, plan),
        strays=Counter(entry.source for entry in strays),
        stray_ms=min((entry.at_ms for entry in strays), default=0),
        written=written,
        written_at_least=at_least,
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


async def _written(ledger: Ledger, state: State, shards: Mapping[str, ShardRow]) -> tuple[Tally, bool]:
    """Return what the new application has written since the switch, and whether records of it were lost meanwhile.

    A bake in which the target's stream was captured anew is counted in several epochs; its span has no beginning.
    """
    if state.flag.serving is Side.SOURCE:
        return NOTHING_WRITTEN, False
    stream, spans = await ledger.streams.get(Side.TARGET), await ledger.marks.spans(Side.TARGET)
    renewed, counted = bool(spans) and spans[-1].opened is None, list(shards.values())
    for epoch in range(1, stream.epoch if renewed else 1):
        counted += (await ledger.streams.shards(stream.name, epoch)).values()
    tallies = [shard.tally for shard in counted if shard.tally.bake == state.rollbacks]
    return reduce(Tally.plus, tallies, Tally(state.rollbacks)), renewed or bool(stream.gap)


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
