"""What stands: phase, flag, progress of each source, gates; one document for terminal and machine."""

from dataclasses import asdict, dataclass
from typing import Any

from cutover.facts import gather
from cutover.gates import Facts, Limits, completion_gates, cutover_gates, rollback_gates
from domain.clock import Clock
from domain.phases import Phase, Side
from dynamo.ports import Database
from ledger.book import Ledger
from mapping.plan import Plan
from service import rollbackclock


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """How far one source is copied: items so far, items the table is thought to hold, whether it is done."""

    source: str
    copied: int
    expected: int
    done: bool


async def progress(ledger: Ledger, database: Database, plan: Plan) -> tuple[SourceProgress, ...]:
    """Read the cursors of every source. DescribeTable's count is up to six hours old on AWS: a guide, not a proof."""
    found = []
    for name, source in plan.sources.items():
        segments = await ledger.segments.of(name)
        table = await database.describe_table(source.definition.name)
        copied = sum(segment.items for segment in segments)
        done = await ledger.segments.done(name)
        expected = max(copied, table.item_count if table else 0)
        found.append(SourceProgress(name, copied, copied if done else expected, done))
    return tuple(found)


async def status(ledger: Ledger, database: Database, plan: Plan, clock: Clock, limits: Limits) -> dict[str, Any]:
    """Return the whole picture as a JSON-ready document (schema: docs/reference/status.md)."""
    facts = await gather(ledger, database, plan, clock)
    state = await ledger.migration.state()
    switch = await ledger.switches.current()
    return {
        "plan": plan.name,
        "phase": facts.phase,
        "serving": state.flag.serving,
        "writable": state.flag.writable,
        "flag_epoch": state.flag.epoch,
        "rollbacks": state.rollbacks,
        "worker_alive_ms_ago": facts.now_ms - facts.worker_ms if facts.worker_ms else None,
        "sources": {each.source: asdict(each) for each in await progress(ledger, database, plan)},
        "lag_ms": {stream: facts.age_ms(through) if through else None for stream, through in facts.through_ms.items()},
        "headroom_ms": {
            stream: limits.retention_ms - facts.age_ms(through) if through else None
            for stream, through in facts.through_ms.items()
        },
        "reconciled": facts.reconciled.get(facts.serving),
        "quarantined": dict(facts.quarantined),
        "strays": {"by_source": dict(facts.strays), "oldest_ms": facts.stray_ms or None},
        "rollback_clock": rollbackclock.document(facts),
        "gaps": dict(facts.gaps),
        "tombstones": facts.tombstones,
        "switch_under_way": switch.step if switch and switch.is_open else None,
        "postponed": _postponed(facts),
        "gates": [gate.document() for gate in next_gates(facts, limits)],
    }


def _postponed(facts: Facts) -> dict[str, Any] | None:
    """Return until when a cutover is postponed, why and by whom; None when it is not, or no longer."""
    postponed = facts.papers.postponed
    if postponed is None or postponed["until_ms"] <= facts.now_ms:
        return None
    return {name: postponed[name] for name in ("until_ms", "reason", "by")}


def next_gates(facts: Facts, limits: Limits) -> list[Any]:
    """Return the gates of the step that may come next: cutover before the switch, rollback and completion after it."""
    if facts.serving is Side.SOURCE or facts.phase is Phase.CUTOVER:
        return cutover_gates(facts, limits)
    completion = [gate for gate in completion_gates(facts, limits) if gate.name == "baked"]
    return [*rollback_gates(facts, limits), *completion]
