"""Gathers what the gates look at: ledger rows and the state of the target table. Reads only."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import reduce
from typing import Any

from cutover.acting import EVIDENCE as ACTUATORS
from cutover.gates import Facts
from cutover.judgement import Papers
from domain.clock import Clock
from domain.fates import NOTHING_WRITTEN, Tally
from domain.phases import Side
from domain.tables import ViewType
from dynamo.ports import TableDescription, Tables
from ledger.book import Ledger
from ledger.findings import Lane
from ledger.migration import State
from ledger.streams import ShardRow, StreamRow, slowest
from mapping.plan import Plan

_TOMBSTONES_COUNTED = 2_000
"""Counted no further a source: a gate asks only whether they are few."""

WORKER = "worker"
"""Kind of the evidence by which the worker shows that it is alive and settled."""


PROOF = "plan"
"""Kind of the evidence that `init --report` kept of the proof."""

BACKUPS = "backups"
"""First word of the evidence of each source's backup."""

TRIGGERS = "triggers"
"""Kind of the evidence that tells who acts on the streams of both sides."""


async def gather(ledger: Ledger, tables: Tables | None, plan: Plan, clock: Clock) -> Facts:
    """Read everything at one moment; the moment is dated before the first read.

    ``tables`` None: they are not looked at, which is enough to move the phase by itself and for no switch.
    """
    now = clock.wall_ms()
    state = await ledger.migration.state()
    known = await ledger.evidence.all()
    worker = known.get(WORKER, {})
    streams = await ledger.streams.all()
    shards = {stream.name: await ledger.streams.shards(stream.name, stream.epoch) for stream in streams}
    last = {stream: slowest(own.values()) for stream, own in shards.items()}
    through = {stream: 0 if shard is None else shard.through_ms for stream, shard in last.items()}
    waiting = await ledger.quarantine.everything()
    strays = [entry for entry in waiting if entry.lane is Lane.STRAY]
    written, at_least = await _written(ledger, state, shards.get(Side.TARGET, {}))
    described = await _tables_as_they_stand(tables, streams, plan)
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
        reconciled={side: known[f"reconcile/{side}"] for side in Side if f"reconcile/{side}" in known},
        quarantined=Counter(str(entry.reason) for entry in waiting),
        tombstones=await ledger.tombstones.count(plan.sources, at_most=_TOMBSTONES_COUNTED),
        worker_ms=int(worker.get("at_ms", 0)),
        worker_settled=bool(worker.get("settled")),
        strays=Counter(entry.source for entry in strays),
        stray_ms=min((entry.at_ms for entry in strays), default=0),
        written=written,
        written_at_least=at_least,
        slowest={name: shard.shard_id for name, shard in last.items() if shard is not None},
        leading_ms=await _leading_ms(ledger, worker),
        actuators=known.get(ACTUATORS),
        papers=await _papers(ledger, known, plan),
        **described,
    )


async def _papers(ledger: Ledger, known: Mapping[str, Mapping[str, Any]], plan: Plan) -> Papers:
    backups = {source: known.get(f"{BACKUPS}/{source}") for source in plan.sources}
    return Papers(backups, known.get(PROOF), known.get(TRIGGERS), await ledger.controls.postponed())


async def _leading_ms(ledger: Ledger, worker: Mapping[str, Any]) -> int:
    """Return for how long the worker that showed itself has led; 0 when another has taken the lease since."""
    lease = await ledger.rows.get("leases", "leader")
    if lease is None or lease.fields["epoch"] != worker.get("epoch"):
        return 0
    return int(worker.get("leading_ms", 0))


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


async def _tables_as_they_stand(tables: Tables | None, streams: list[StreamRow], plan: Plan) -> dict[str, Any]:
    """Return the fields of `Facts` that DescribeTable says."""
    if tables is None:
        return {"target_trouble": "not looked at"}
    names = sorted({plan.target.name, *(stream.table for stream in streams)})
    described = dict(zip(names, await asyncio.gather(*map(tables.describe_table, names)), strict=True))
    target = described[plan.target.name]
    no_return = _no_return(target)
    return {
        "target_trouble": _trouble(target, plan),
        "capacity": _capacity(target),
        "no_return": no_return,
        "streams_trouble": {
            stream.name: trouble
            for stream in streams
            if (trouble := _stream_trouble(described[stream.table], stream))
            and not (stream.side is Side.TARGET and (target is None or no_return))
        },
    }


def _trouble(table: TableDescription | None, plan: Plan) -> str:
    """Return what keeps the target from serving, or nothing."""
    wanted = plan.target
    if table is None:
        return f"table {wanted.name} is gone"
    if table.status != "ACTIVE":
        return f"table {wanted.name} is {table.status}"
    missing = {index.name for index in wanted.indexes} - {index.name for index in table.indexes}
    if missing:
        return f"indexes missing: {', '.join(sorted(missing))}"
    if table.building:
        return f"indexes not ACTIVE: {', '.join(sorted(table.building))}"
    if wanted.ttl_attribute is not None and table.ttl_attribute != wanted.ttl_attribute:
        return f"time to live is {'off' if table.ttl_attribute is None else f'on {table.ttl_attribute}'}"
    return ""


def _capacity(table: TableDescription | None) -> str:
    if table is None or table.provisioned is None:
        return "on demand"
    read, write = table.provisioned
    return f"provisioned: {read} read units, {write} write units"


def _no_return(target: TableDescription | None) -> str:
    """Return why the target would not tell of what is written to it, or nothing; one that is gone is another matter."""
    if target is None or target.stream_view is ViewType.NEW_AND_OLD_IMAGES:
        return ""
    return "the target's stream is off" if target.stream_view is None else f"it shows {target.stream_view} only"


def _stream_trouble(table: TableDescription | None, stream: StreamRow) -> str:
    """Return what became of a stream since it is followed, or nothing."""
    if table is None:
        return f"table {stream.table} is gone"
    if table.stream_arn is None:
        return f"the stream of {stream.table} is off"
    return "" if table.stream_arn == stream.arn else f"the stream of {stream.table} was replaced"
