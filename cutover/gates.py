"""The gates of a cutover, a rollback, and of completion: pure predicates over dated evidence (protocol §8)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.clock import credible
from domain.fates import NOTHING_WRITTEN, Tally
from domain.phases import Phase, Side

RECAPTURED_IN = frozenset(set(Phase) - {Phase.PLANNED, Phase.CUTOVER, Phase.ABORTED, Phase.DONE})
"""Phases in which a stream may be captured anew."""

_FOREVER_MS = 10**15
_TENTHS_BELOW_S = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gates demand. Milliseconds, counts."""

    lag_ms: int = 10_000
    evidence_age_ms: int = 15 * 60 * 1000
    headroom_ms: int = 12 * 3600 * 1000
    retention_ms: int = 24 * 3600 * 1000
    tombstones: int = 1_000
    verify_ms: int = 5_000
    verified_age_ms: int = 30_000
    worker_age_ms: int = 30_000
    bake_ms: int = 7 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the gates may look at, gathered at one moment (`cutover.facts`).

    ``strays``: source ids by source, the first of them found at ``stray_ms`` (0: none). ``written``: what the new
    application has written since the switch; ``written_at_least``: and some of its stream was lost meanwhile.
    """

    phase: Phase
    now_ms: int
    since_ms: int
    serving: Side
    revision: int = 0
    captured: bool = False
    copied: bool = False
    gaps: Mapping[str, str] = field(default_factory=dict)
    through_ms: Mapping[str, int] = field(default_factory=dict)
    reconciled: Mapping[Side, Mapping[str, Any]] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    tombstones: int = 0
    worker_ms: int = 0
    worker_settled: bool = False
    target_trouble: str = ""
    strays: Mapping[str, int] = field(default_factory=dict)
    stray_ms: int = 0
    written: Tally = NOTHING_WRITTEN
    written_at_least: bool = False

    def lag_ms(self, side: Side) -> int:
        """Return the largest lag of the streams of a side; without any look at the tip it is for ever."""
        own = [through for stream, through in self.through_ms.items() if (stream == "target") == (side is Side.TARGET)]
        return max((self.age_ms(through) for through in own), default=_FOREVER_MS)

    def age_ms(self, at_ms: int) -> int:
        """Return how long ago something was; 0 stands for never, and so does the future: a clock has jumped."""
        at_ms = credible(at_ms, self.now_ms)
        return self.now_ms - at_ms if at_ms else _FOREVER_MS

    def reconciled_ms(self, side: Side) -> int:
        """Return since when everything is compared with ``side`` serving; 0 for never."""
        return int(self.reconciled.get(side, {}).get("scanned_through_ms", 0))

    def is_compared_since(self, side: Side) -> bool:
        """Tell whether everything was compared, with ``side`` serving, since the phase began: by revision, no clock."""
        return int(self.reconciled.get(side, {}).get("state", -1)) >= self.revision

    def looks_keep_up(self, side: Side, limits: Limits) -> bool:
        """Tell whether every write that the streams told of is compared up to a moment ago (protocol §7)."""
        through_ms = int(self.reconciled.get(side, {}).get("verified_through_ms", 0))
        return self.age_ms(through_ms) <= limits.verified_age_ms

    def is_clean(self, side: Side) -> bool:
        """Tell whether the last full comparison with ``side`` serving found nothing."""
        found = self.reconciled.get(side)
        return found is not None and found["mismatches"] == 0


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition with what was found, what is demanded, and what to do when it does not pass."""

    name: str
    passes: bool
    value: str
    limit: str
    hint: str


def _verify_in_time(facts: Facts, serving: Side, limits: Limits) -> Gate:
    """Under the fence everything is compared if it takes no longer than it did, else what changed since (§8.3).

    The latter needs looks that keep up with the writes.
    """
    spent = int(facts.reconciled.get(serving, {}).get("scan_ms", _FOREVER_MS))
    passes = spent <= limits.verify_ms or facts.looks_keep_up(serving, limits)
    hint = "wait for the worker's next looks at what changed, or raise --max-blocked and TABLETURN_MAX_BLOCKED_SECONDS"
    limit = f"≤ {_span(limits.verify_ms)}, or writes verified up to {_span(limits.verified_age_ms)} ago"
    return Gate("verify-in-time", passes, _span(spent), limit, hint)


def _longest_pass(facts: Facts, serving: Side, limits: Limits) -> int:
    """Return how old a full comparison may be: as long as two of them take, where looks cover what came after it."""
    if not facts.looks_keep_up(serving, limits):
        return limits.evidence_age_ms
    return max(limits.evidence_age_ms, 2 * int(facts.reconciled[serving].get("duration_ms", 0)))


def cutover_gates(facts: Facts, limits: Limits) -> list[Gate]:
    """Return every gate of a cutover, passing or not."""
    return [
        _phase(facts, Phase.READY, "wait until the status shows READY"),
        Gate("copied", facts.copied, _yes(facts.copied), "yes", "the backfill is still under way"),
        *_agreement(facts, Side.SOURCE, limits),
        _quarantine(facts),
        Gate(
            "tombstones",
            facts.tombstones <= limits.tombstones,
            str(facts.tombstones),
            f"≤ {limits.tombstones}",
            "they are purged all the time; wait",
        ),
        Gate(
            "target-ready",
            not facts.target_trouble,
            facts.target_trouble or "ready",
            "ready",
            "see the value; `tableturn init` creates what is missing",
        ),
        _worker(facts, limits),
    ]


def rollback_gates(facts: Facts, limits: Limits) -> list[Gate]:
    """Return every gate of a rollback."""
    return [
        _phase(facts, Phase.BAKE, "only a migration that has been cut over can be rolled back"),
        *_agreement(facts, Side.TARGET, limits),
        _quarantine(facts),
        _worker(facts, limits),
    ]


def completion_gates(facts: Facts, limits: Limits) -> list[Gate]:
    """Return every gate of `complete`: the end of the bake, after which there is no way back."""
    baked = facts.now_ms - facts.since_ms
    return [
        _phase(facts, Phase.BAKE, "only a migration that has been cut over can be completed"),
        Gate(
            "baked",
            baked >= limits.bake_ms,
            _span(baked),
            f"≥ {_span(limits.bake_ms)}",
            "wait until the bake is over",
        ),
        *_agreement(facts, Side.TARGET, limits),
        _compared_since(facts),
        _quarantine(facts),
        _worker(facts, limits),
    ]


def _agreement(facts: Facts, serving: Side, limits: Limits) -> list[Gate]:
    """No stream with a gap, lag and headroom of those that matter, and a clean, fresh comparison."""
    lag, age = facts.lag_ms(serving), facts.age_ms(facts.reconciled_ms(serving))
    headroom = limits.retention_ms - max(facts.lag_ms(Side.SOURCE), facts.lag_ms(Side.TARGET))
    found, longest = facts.reconciled.get(serving), _longest_pass(facts, serving, limits)
    mismatches = "never compared" if found is None else str(found["mismatches"])
    lost = "; ".join(f"{stream}: {what}" for stream, what in sorted(facts.gaps.items()))
    return [
        Gate("no-gap", not lost, lost or "none", "none", "run `tableturn recapture`, then wait for it"),
        Gate(
            "caught-up",
            lag <= limits.lag_ms,
            _span(lag),
            f"≤ {_span(limits.lag_ms)}",
            "wait, or see why it lags",
        ),
        Gate(
            "headroom",
            headroom >= limits.headroom_ms,
            _span(headroom),
            f"≥ {_span(limits.headroom_ms)}",
            "the streams are close to losing records: let them catch up first",
        ),
        Gate(
            "reconciled",
            facts.is_clean(serving),
            mismatches,
            "0 mismatches",
            "see `tableturn status`; repair",
        ),
        Gate(
            "reconciled-lately",
            age <= longest,
            _span(age),
            f"≤ {_span(longest)}",
            "the worker compares on a schedule; wait for its next full comparison",
        ),
        _verify_in_time(facts, serving, limits),
    ]


def _compared_since(facts: Facts) -> Gate:
    """`complete` compares no more, so what was found clean before the last switch or recapture is not enough for it."""
    passes = facts.is_compared_since(Side.TARGET)
    hint = "wait for the next full comparison, or `tableturn reconcile --repair`"
    return Gate("reconciled-since", passes, _yes(passes), "yes", hint)


def _phase(facts: Facts, wanted: Phase, hint: str) -> Gate:
    return Gate("phase", facts.phase is wanted, facts.phase, wanted, hint)


def _quarantine(facts: Facts) -> Gate:
    counted = Counter(facts.quarantined)
    value = ", ".join(f"{count} {reason}" for reason, count in sorted(counted.items()) if count) or "empty"
    return Gate("quarantine", value == "empty", value, "empty", "see `tableturn quarantine list`")


def _worker(facts: Facts, limits: Limits) -> Gate:
    age = facts.age_ms(facts.worker_ms)
    alive = age <= limits.worker_age_ms
    value = (
        ("settled" if facts.worker_settled else "took over lately") if alive else f"no sign of life since {_span(age)}"
    )
    hint = "start `tableturn run`" if not alive else "wait until writes of the worker before it can no longer land"
    return Gate("worker", alive and facts.worker_settled, value, "settled", hint)


def recapture_gates(facts: Facts) -> list[Gate]:
    """Return the one gate of `recapture`: streams are followed, and no switch is under way."""
    passes = facts.phase in RECAPTURED_IN
    hint = "a switch under way must end first; before `init` and after the end there is nothing to capture"
    return [Gate("phase", passes, facts.phase, "from CAPTURE to ROLLED_BACK, no switch under way", hint)]


def _yes(value: bool) -> str:  # noqa: FBT001 - one value, one word
    return "yes" if value else "no"


def _span(milliseconds: int) -> str:
    """Return a duration as people say it."""
    if abs(milliseconds) >= _FOREVER_MS // 2:
        return "ever"
    seconds = milliseconds // 1000
    if abs(seconds) < _TENTHS_BELOW_S:
        return f"{milliseconds / 1000:.1f} s"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
