"""Prometheus metrics, computed when they are scraped, so that a stuck engine can never read as caught up.

Names, units and labels: docs/reference/metrics.md.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from cutover.gates import Facts, Gate, Limits, cutover_gates, rollback_gates
from domain.fates import Cause, Fate
from domain.phases import Phase, Side
from dynamo.observer import Kind
from reconcile.comparison import Kind as Disagreement
from service.status import SourceProgress
from sync.forward import Counts

_RETENTION_S = 24 * 3600


@dataclass(slots=True)
class Snapshot:
    """What one scrape shows."""

    facts: Facts
    sources: tuple[SourceProgress, ...]
    counts: Counts
    leader: bool
    limits: Limits
    blocked_s: float = 0.0
    at_risk: Mapping[str, int] = field(default_factory=dict)


@dataclass(eq=False)
class Meter:
    """Holds the registry; the database's observer writes into it as requests end."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    snapshot: Snapshot | None = None

    def __post_init__(self) -> None:
        """Register what is counted as it happens; the rest is collected at scrape time."""
        disable_created_metrics()  # type: ignore[no-untyped-call] # a second series for each counter, used by nobody
        self._attempts = Histogram(
            "tableturn_request_seconds", "Seconds of one DynamoDB request", ["operation"], registry=self.registry
        )
        self._throttled = Counter(
            "tableturn_throttled",
            "Requests the table asked us to slow down for",
            ["table", "operation"],
            registry=self.registry,
        )
        self._consumed = Counter(
            "tableturn_consumed_capacity_units", "Capacity consumed", ["table", "kind"], registry=self.registry
        )
        self.registry.register(self)

    def on_attempt(self, operation: str, seconds: float) -> None:
        """One request ended."""
        self._attempts.labels(operation).observe(seconds)

    def on_throttled(self, table: str, operation: str) -> None:
        """A table asked us to slow down."""
        self._throttled.labels(table, operation).inc()

    def on_consumed(self, table: str, kind: Kind, units: float) -> None:
        """Capacity was consumed."""
        self._consumed.labels(table, kind).inc(units)

    def text(self, snapshot: Snapshot) -> bytes:
        """Return the exposition of one scrape."""
        self.snapshot = snapshot
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """Yield what the snapshot says; called by the registry."""
        if self.snapshot is not None:
            yield from _collected(self.snapshot)


def _collected(snapshot: Snapshot) -> Iterable[Metric]:
    facts = snapshot.facts
    yield _labelled(
        "tableturn_phase", "Phase, 1 for the present one", "phase", {p: int(p is facts.phase) for p in Phase}
    )
    yield from _lags(facts)
    yield _labelled(
        "tableturn_backfill_items", "Items copied", "source", {each.source: each.copied for each in snapshot.sources}
    )
    yield _labelled(
        "tableturn_backfill_items_expected",
        "Items a source is thought to hold",
        "source",
        {each.source: each.expected for each in snapshot.sources},
    )
    changes = CounterMetricFamily(
        "tableturn_changes", "Stream changes by outcome", labels=["source", "direction", "outcome"]
    )
    for (source, direction, outcome), count in sorted(snapshot.counts.items()):
        changes.add_metric([source, direction, outcome], count)
    yield changes
    yield _labelled("tableturn_quarantined", "Source ids in quarantine", "reason", dict(facts.quarantined))
    strays = {source: facts.strays.get(source, 0) for source in facts.through_ms if source != Side.TARGET}
    yield _labelled("tableturn_strays", "Source ids whose strays wait to be settled", "source", strays)
    yield from _clock(snapshot)
    gaps = {stream: int(stream in facts.gaps) for stream in facts.through_ms}
    yield _labelled("tableturn_gap", "1 when changes of a stream are lost until it is captured anew", "source", gaps)
    yield from _agreement(facts)
    gates = cutover_gates(facts, snapshot.limits) if facts.serving is Side.SOURCE else _back(facts, snapshot.limits)
    yield _labelled(
        "tableturn_gate", "Gates of the next switch, 1 = passes", "gate", {g.name: int(g.passes) for g in gates}
    )
    yield GaugeMetricFamily("tableturn_tombstones", "Tombstones standing in the target", value=facts.tombstones)
    yield GaugeMetricFamily("tableturn_leader", "1 when this process leads", value=int(snapshot.leader))
    yield GaugeMetricFamily(
        "tableturn_cutover_blocked_seconds", "Seconds the last switch blocked writes", value=snapshot.blocked_s
    )


def _clock(snapshot: Snapshot) -> Iterable[Metric]:
    """Yield the rollback clock; nothing before the switch or after the bake."""
    facts = snapshot.facts
    if facts.phase is not Phase.BAKE:
        return
    age = max(0, facts.now_ms - facts.since_ms) / 1000
    yield GaugeMetricFamily("tableturn_rollback_clock_seconds", "Age of the switch", value=age)
    fates = {fate.value: facts.written.fates.get(fate, 0) for fate in Fate}
    about = "Writes of the new application since the switch, by what becomes of them in the legacy tables"
    yield _labelled("tableturn_rollback_writes", about, "fate", fates)
    about = "Writes that left an attribute in _target only, by its name where the plan declares it"
    yield _labelled("tableturn_rollback_writes_at_risk", about, "attribute", dict(snapshot.at_risk))
    causes = {cause.value: facts.written.causes.get(cause, 0) for cause in Cause}
    yield _labelled("tableturn_rollback_writes_stuck", "Writes that cannot go back", "cause", causes)


def _back(facts: Facts, limits: Limits) -> list[Gate]:
    return rollback_gates(facts, limits)


def _lags(facts: Facts) -> Iterable[Metric]:
    lag = GaugeMetricFamily(
        "tableturn_lag_seconds", "Now less the time up to which every change is seen", labels=["source", "direction"]
    )
    headroom = GaugeMetricFamily(
        "tableturn_retention_headroom_seconds", "Seconds until the oldest unseen change is trimmed", labels=["source"]
    )
    now_ms = int(time.time() * 1000)
    for stream, through_ms in facts.through_ms.items():
        seconds = (now_ms - through_ms) / 1000
        lag.add_metric([stream, "reverse" if stream == "target" else "forward"], seconds)
        headroom.add_metric([stream], _RETENTION_S - seconds)
    return lag, headroom


def _agreement(facts: Facts) -> Iterable[Metric]:
    found = facts.reconciled.get(facts.serving)
    if found is None:
        return
    mismatches = GaugeMetricFamily("tableturn_mismatches", "What does not agree", labels=["source", "kind"])
    counts = found.get("sources", {})
    for source in sorted(facts.through_ms.keys() - {Side.TARGET}):
        for kind in Disagreement:
            mismatches.add_metric([source, kind], int(counts.get(source, {}).get(kind, 0)))
    yield mismatches
    oldest = int(found.get("oldest_ms", 0))
    since = (facts.now_ms - oldest) / 1000 if oldest else 0
    yield GaugeMetricFamily("tableturn_mismatch_oldest_seconds", "Age of the oldest mismatch; 0: none", value=since)
    for name in ("verified_through", "scanned_through"):
        yield GaugeMetricFamily(
            f"tableturn_{name}_timestamp_seconds", "Everything is compared since", value=found[f"{name}_ms"] / 1000
        )


def _labelled(name: str, about: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
