"""What happened in a migration, put together from the ledger alone: phases, switches, downtime, findings, criteria.

Pure but for the reading of the ledger. The criteria are those of the plan that this program was made for ("Success
Criteria"); one is met only where something was measured, else somebody has to say so. Next: `service.postreport`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cutover.actuators import Moment
from cutover.gates import Limits
from domain.phases import Phase, Side
from ledger.acts import ActRow, ActState
from ledger.book import Ledger
from service.baseline import ERRORS_PER_MILLION, P95_US
from service.planevidence import EVIDENCE as PROOF

SCHEMA: Final = 1
_OWNERS_MS: Final = {"downtime": 30 * 60_000, "bake": 7 * 86_400_000}
"""What the owner's plan allows: half an hour of interruption, seven days of bake."""

Event = Mapping[str, Any]
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """What the operator adds: compared baselines, the report of the proof, and ticks by hand (criterion: who)."""

    compared: Document | None = None
    last_baseline: Document | None = None
    proof: Document | None = None
    ticks: Mapping[str, str] = field(default_factory=dict)


async def retold(ledger: Ledger, sources: Sequence[str], limits: Limits, told: Told, now_ms: int) -> Document:
    """Read the ledger and return the report as JSON-ready data (docs/reference/report.md)."""
    history: list[Event] = list(await ledger.history.all())
    state = await ledger.migration.state()
    plan = await ledger.rows.get("migration", "plan")
    planned = await ledger.rows.get("controls", "planned")
    found = {side.value: await ledger.evidence.get(f"reconcile/{side}") for side in Side}
    waiting = Counter(str(entry.reason) for entry in await ledger.quarantine.everything())
    copied = {name: sum(each.items for each in await ledger.segments.of(name)) for name in sources}
    switch = await ledger.switches.current()
    kept = {
        name: {source: await ledger.evidence.get(f"{name}/{source}") for source in sources}
        for name in ("backups", "restore")
    }
    gaps = [each for each in history if each["event"] == "gap"]
    document: Document = {
        "schema": SCHEMA,
        "plan": plan.fields["plan"] if plan else "",
        "phase": state.phase.value,
        "serving": state.flag.serving.value,
        "written_ms": now_ms,
        "phases": _phases(history, now_ms),
        "switches": _switches(history),
        "refused": dict(_refusals(history)),
        "copied": copied,
        "compared": found,
        "repaired": sum(int(each["puts"]) for each in history if each["event"] == "repaired"),
        "quarantined": dict(waiting),
        "dropped": sum(each["event"] == "quarantine-dropped" for each in history),
        "gaps": [{"stream": each["stream"], "at_ms": each["at_ms"], "lost": each["lost"]} for each in gaps],
        "rollbacks": state.rollbacks,
        "proof": await ledger.evidence.get(PROOF),
        "backups": kept["backups"],
        "restores": kept["restore"],
        "performance": told.compared,
    }
    document["downtime_ms"] = sum(each["blocked_ms"] for each in document["switches"])
    document["timeline"] = _timeline(document, planned.fields["at_ms"] if planned else None, limits, told.proof)
    smoke = [act for act in await ledger.acts.of(switch.switch_id) if act.moment == Moment.SMOKE] if switch else []
    document["criteria"] = _criteria(document, told, smoke)
    return document


def _phases(history: Sequence[Event], now_ms: int) -> list[Document]:
    """Return how long each phase lasted, in their order; the last one until now."""
    moves = [each for each in history if each["event"] == "phase"]
    ends = [*(each["at_ms"] for each in moves[1:]), now_ms]
    return [
        {"phase": each["to"], "began_ms": each["at_ms"], "lasted_ms": end - each["at_ms"], "why": each["why"]}
        for each, end in zip(moves, ends, strict=False)
    ]


def _switches(history: Sequence[Event]) -> list[Document]:
    return [
        {
            "kind": each["event"],
            "at_ms": each["at_ms"],
            "switched": each["switched"],
            "why": each["why"],
            "blocked_ms": each["blocked_ms"],
            "steps": each["steps"],
        }
        for each in history
        if each["event"] in {"cutover", "rollback"} and "blocked_ms" in each
    ]


def _refusals(history: Sequence[Event]) -> Counter[str]:
    """Return how often which gate refused something."""
    return Counter(str(gate["name"]) for each in history if each["event"] == "refused" for gate in each["gates"])


def _timeline(document: Document, planned_ms: int | None, limits: Limits, proof: Document | None) -> list[Document]:
    """Set what was planned beside what came: durations in milliseconds, moments since 1970."""
    lasted: Counter[str] = Counter()
    for each in document["phases"]:
        lasted[each["phase"]] += each["lasted_ms"]
    done = [each for each in document["switches"] if each["switched"]]
    first = next((each["at_ms"] for each in done if each["kind"] == "cutover"), None)
    forecast = (proof or {}).get("forecast") or {}
    copy_s = forecast.get("seconds", {}).get("copy")
    return [
        {
            "what": "copy",
            "unit": "duration",
            "planned": copy_s and int(float(copy_s) * 1000),
            "real": lasted["BACKFILL"],
        },
        {"what": "first cutover", "unit": "moment", "planned": planned_ms, "real": first},
        {
            "what": "writes blocked, the longest switch",
            "unit": "duration",
            "planned": _OWNERS_MS["downtime"],
            "real": max((each["blocked_ms"] for each in done), default=None),
        },
        {"what": "bake", "unit": "duration", "planned": limits.bake_ms, "real": lasted[Phase.BAKE.value] or None},
    ]


def _criteria(document: Document, told: Told, smoke: Sequence[ActRow]) -> list[Document]:
    """Return the owner's criteria; ``met`` null: not measured here."""
    measured = {
        "Zero data loss confirmed": _no_loss(document),
        "All functional tests passing": _smoke(smoke),
        "Performance equal to or better than baseline": _performance(told.compared),
        "Error rates within bounds (< 0.1%)": _errors(told.last_baseline),
        "Response times within SLA (p95 < 200 ms)": _latency(told.last_baseline),
        "Backup procedures validated": _restores(document["restores"]),
    }
    groups = {
        "technical": [*measured][:5],
        "business": [
            "All user workflows functional",
            "GraphQL queries performing as expected",
            "Real-time subscriptions working",
            "No user-reported issues for 48 hours",
        ],
        "operational": [
            "Monitoring dashboards updated",
            "Backup procedures validated",
            "Team trained on new schema",
            "Documentation updated",
        ],
    }
    return [
        {"group": group, "criterion": each, **_judged(measured.get(each), told.ticks.get(each))}
        for group, listed in groups.items()
        for each in listed
    ]


CRITERIA_BY_HAND: Final = "not measured here: somebody has to say so (--tick)"


def _judged(measured: tuple[bool, str] | None, said_by: str | None) -> Document:
    """Return the verdict; what was measured cannot be ticked away by hand."""
    if measured is not None:
        return {"met": measured[0], "by": measured[1]}
    return {"met": True, "by": f"by hand: {said_by}"} if said_by else {"met": None, "by": CRITERIA_BY_HAND}


def _no_loss(document: Document) -> tuple[bool, str]:
    found = document["compared"][document["serving"]]
    since = max((each["began_ms"] for each in document["phases"] if each["why"] == "unfence"), default=0)
    if found is None or found["at_ms"] < since:
        return False, "both sides were never compared since this side serves"
    waiting, gaps = sum(document["quarantined"].values()), sum(1 for _ in document["gaps"])
    told = f"{found['compared']:,} compared, {found['mismatches']} mismatches, {waiting} in quarantine"
    mended = f", {gaps} gaps, each captured anew" if gaps else ""
    return found["mismatches"] == 0 and not waiting, told + mended


def _smoke(acts: Sequence[ActRow]) -> tuple[bool, str] | None:
    if not acts:
        return None
    passed = all(act.state is ActState.DONE for act in acts)
    return passed, f"smoke test of the last switch: {', '.join(act.name for act in acts)}"


def _performance(compared: Document | None) -> tuple[bool, str] | None:
    if compared is None or not (compared["queries"] or compared["missing"]):
        return None
    worse = [name for name, each in compared["queries"].items() if each["failed"]] + list(compared["missing"])
    return compared["passes"], f"{len(compared['queries'])} queries compared; worse: {', '.join(worse) or 'none'}"


def _errors(baseline: Document | None) -> tuple[bool, str] | None:
    asked = sum(each["asked"] for each in baseline["queries"].values()) if baseline else 0
    if baseline is None or not asked:
        return None
    failed = sum(each["errors"] for each in baseline["queries"].values())
    return failed * 1_000_000 < asked * ERRORS_PER_MILLION, f"{failed} of {asked:,} queries failed"


def _latency(baseline: Document | None) -> tuple[bool, str] | None:
    asked = {name: each for name, each in (baseline or {"queries": {}})["queries"].items() if each["asked"]}
    if not asked:
        return None
    name, slowest = max(asked.items(), key=lambda each: each[1]["p95_us"])
    return slowest["p95_us"] < P95_US, f"slowest: {name}, p95 {slowest['p95_us'] / 1000:.1f} ms"


def _restores(restores: Mapping[str, Document | None]) -> tuple[bool, str] | None:
    """A restore is of a moment that is past, so what differs from the living table is told and proves nothing."""
    checked = {source: found for source, found in restores.items() if found is not None}
    if not checked:
        return None
    told = [f"{source} ({found['items']:,} items, {found['mismatches']} differ)" for source, found in checked.items()]
    missing = [source for source in restores if source not in checked]
    return not missing, f"restored and read: {', '.join(told)}" + (
        f"; not yet: {', '.join(missing)}" if missing else ""
    )
