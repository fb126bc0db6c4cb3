"""The gates of a cutover, a rollback, and of completion: pure predicates over dated evidence (protocol §8).

All of them: docs/reference/gates.md. Those about judgement are in `cutover.judgement`; nobody can override these.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cutover.judgement import FOREVER_MS, Gate, Papers, Rules, age_of, judgement_gates, span
from domain.clock import credible
from domain.fates import NOTHING_WRITTEN, Tally
from domain.phases import Phase, Side

RECAPTURED_IN = frozenset(set(Phase) - {Phase.PLANNED, Phase.CUTOVER, Phase.ABORTED, Phase.DONE})
"""Phases in which a stream may be captured anew."""

__all__ = [
    "RECAPTURED_IN",
    "Facts",
    "Gate",
    "Limits",
    "completion_gates",
    "cutover_gates",
    "recapture_gates",
    "rollback_gates",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gates demand. Milliseconds, counts; ``rules`` are those that an operator may override.

    ``stable_ms``: how long a worker has to lead before a cutover.
    """

    lag_ms: int = 10_000
    evidence_age_ms: int = 15 * 60 * 1000
    headroom_ms: int = 12 * 3600 * 1000
    retention_ms: int = 24 * 3600 * 1000
    tombstones: int = 1_000
    verify_ms: int = 5_000
    verified_age_ms: int = 30_000
    worker_age_ms: int = 30_000
    stable_ms: int = 10_000
    bake_ms: int = 7 * 24 * 3600 * 1000
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the gates may look at, gathered at one moment (`cutover.facts`).

    ``strays``: source ids by source, the first of them found at ``stray_ms`` (0: none). ``written``: what the new
    application has written since the switch; ``written_at_least``: and some of its stream was lost meanwhile.
    ``slowest``: by stream, the shard that is seen least far. ``streams_trouble``: by name, what became of the stream
    that the ledger follows. ``capacity``: what the target may consume. ``no_return``: why nothing could be rolled back.
    ``leading_ms``: for how long the worker has led, at its last sign of life. ``actuators``: their last preview.
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
    slowest: Mapping[str, str] = field(default_factory=dict)
    streams_trouble: Mapping[str, str] = field(default_factory=dict)
    capacity: str = ""
    no_return: str = ""
    leading_ms: int = 0
    actuators: Mapping[str, Any] | None = None
    papers: Papers = field(default_factory=Papers)

    def lag_ms(self, side: Side) -> int:
        """Return the largest lag of the streams of a side; without any look at the tip it is for ever."""
        own = [through for stream, through in self.through_ms.items() if (stream == "target") == (side is Side.TARGET)]
        return max((self.age_ms(through) for through in own), default=FOREVER_MS)

    def age_ms(self, at_ms: int) -> int:
        """Return how long ago something was; 0 stands for never, and so does the future: a clock has jumped."""
        at_ms = credible(at_ms, self.now_ms)
        return self.now_ms - at_ms if at_ms else FOREVER_MS

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


def _verify_in_time(facts: Facts, serving: Side, limits: Limits) -> Gate:
    """Under the fence everything is compared if it takes no longer than it did, else what changed since (§8.3).

    The latter needs looks that keep up with the writes.
    """
    spent = int(facts.reconciled.get(serving, {}).get("scan_ms", FOREVER_MS))
    passes = spent <= limits.verify_ms or facts.looks_keep_up(serving, limits)
    hint = "wait for the worker's next looks at what changed, or raise TABLETURN_VERIFY_SECONDS"
    limit = f"≤ {span(limits.verify_ms)}, or writes verified up to {span(limits.verified_age_ms)} ago"
    return Gate("verify-in-time", passes, span(spent), limit, hint, age_of(facts.reconciled_ms(serving), facts.now_ms))


def _longest_pass(facts: Facts, serving: Side, limits: Limits) -> int:
    """Return how old a full comparison may be: as long as two of them take, where looks cover what came after it."""
    if not facts.looks_keep_up(serving, limits):
        return limits.evidence_age_ms
    return max(limits.evidence_age_ms, 2 * int(facts.reconciled[serving].get("duration_ms", 0)))


def cutover_gates(facts: Facts, limits: Limits) -> list[Gate]:
    """Return every gate of a cutover, passing or not."""
    few = facts.tombstones <= limits.tombstones
    limit, hint = f"≤ {limits.tombstones}", "they are purged all the time; wait"
    return [
        _phase(facts, Phase.READY, "wait until the status shows READY"),
        Gate("copied", facts.copied, _yes(facts.copied), "yes", "the backfill is still under way"),
        *_agreement(facts, Side.SOURCE, limits),
        _quarantine(facts),
        Gate("tombstones", few, str(facts.tombstones), limit, hint),
        _target_ready(facts),
        _reverse_possible(facts),
        _actuators(facts, Side.TARGET),
        _worker(facts, limits),
        _leader_stable(facts, limits),
        *judgement_gates(facts.papers, limits.rules, facts.now_ms),
    ]


def rollback_gates(facts: Facts, limits: Limits) -> list[Gate]:
    """Return every gate of a rollback."""
    return [
        _phase(facts, Phase.BAKE, "only a migration that has been cut over can be rolled back"),
        *_agreement(facts, Side.TARGET, limits),
        _quarantine(facts),
        _actuators(facts, Side.SOURCE),
        _worker(facts, limits),
    ]


def completion_gates(facts: Facts, limits: Limits) -> list[Gate]:
    """Return every gate of `complete`: the end of the bake, after which there is no way back."""
    baked, limit = facts.now_ms - facts.since_ms, f"≥ {span(limits.bake_ms)}"
    return [
        _phase(facts, Phase.BAKE, "only a migration that has been cut over can be completed"),
        Gate("baked", baked >= limits.bake_ms, span(baked), limit, "wait until the bake is over"),
        *_agreement(facts, Side.TARGET, limits),
        _compared_since(facts),
        _quarantine(facts),
        _worker(facts, limits),
    ]


def _agreement(facts: Facts, serving: Side, limits: Limits) -> list[Gate]:
    """The streams that are followed, none with a gap, lag and headroom of those that matter, a clean comparison."""
    return [
        _stream_arns(facts),
        *_followed(facts, serving, limits),
        *_compared(facts, serving, limits),
        _verify_in_time(facts, serving, limits),
    ]


def _stream_arns(facts: Facts) -> Gate:
    """A stream that was replaced tells of what was written since under another ARN, which nobody follows (§5)."""
    value = "; ".join(f"{name}: {what}" for name, what in sorted(facts.streams_trouble.items()))
    hint = f"run `tableturn recapture {next(iter(sorted(facts.streams_trouble)), '')}`, then wait for it"
    return Gate("stream-arns", not value, value or "as followed", "as followed", hint)


def _followed(facts: Facts, serving: Side, limits: Limits) -> list[Gate]:
    lag = facts.lag_ms(serving)
    headroom = limits.retention_ms - max(facts.lag_ms(Side.SOURCE), facts.lag_ms(Side.TARGET))
    lost = "; ".join(f"{stream}: {what}" for stream, what in sorted(facts.gaps.items()))
    scarce = "the streams are close to losing records: let them catch up first"
    return [
        Gate("no-gap", not lost, lost or "none", "none", "run `tableturn recapture`, then wait for it"),
        Gate(
            "caught-up",
            lag <= limits.lag_ms,
            f"{span(lag)}{_worst(facts, serving)}",
            f"≤ {span(limits.lag_ms)}",
            "wait, or see why it lags",
        ),
        Gate("headroom", headroom >= limits.headroom_ms, span(headroom), f"≥ {span(limits.headroom_ms)}", scarce),
    ]


def _worst(facts: Facts, side: Side) -> str:
    """Return which shard of which stream of a side is behind the others, in words."""
    own = {name: at_ms for name, at_ms in facts.through_ms.items() if (name == "target") == (side is Side.TARGET)}
    worst = min(own, key=lambda name: credible(own[name], facts.now_ms), default=None)
    if worst is None:
        return ""
    shard = facts.slowest.get(worst)
    return f" in {worst}" + (f", shard {shard}" if shard else "")


def _compared(facts: Facts, serving: Side, limits: Limits) -> list[Gate]:
    found, longest = facts.reconciled.get(serving), _longest_pass(facts, serving, limits)
    age = facts.age_ms(facts.reconciled_ms(serving))
    mismatches = "never compared" if found is None else str(found["mismatches"])
    dated = None if found is None else age_of(facts.reconciled_ms(serving), facts.now_ms)
    return [
        Gate(
            "reconciled",
            facts.is_clean(serving),
            mismatches,
            "0 mismatches",
            "see `tableturn status`; repair",
            dated,
        ),
        Gate(
            "reconciled-lately",
            age <= longest,
            span(age),
            f"≤ {span(longest)}",
            "the worker compares on a schedule; wait for its next full comparison",
            dated,
        ),
    ]


def _target_ready(facts: Facts) -> Gate:
    value = facts.target_trouble or ", ".join(each for each in ("ready", facts.capacity) if each)
    hint = "see the value; before a migration `tableturn init` creates what is missing, now it is yours to mend"
    return Gate("target-ready", not facts.target_trouble, value, "ready", hint)


def _reverse_possible(facts: Facts) -> Gate:
    """Real items were translated back, by a comparison or the proof, and the target tells of what will be written."""
    tried = Side.SOURCE in facts.reconciled or facts.papers.proof is not None
    value = facts.no_return or ("yes" if tried else "no item was ever translated back")
    hint = "wait for a full comparison" if not facts.no_return else "run `tableturn recapture target --enable-stream`"
    return Gate("reverse-possible", value == "yes", value, "yes", hint)


def _actuators(facts: Facts, to: Side) -> Gate:
    """Each of them said, at its last preview, what it would do; who leads looks again when a switch is asked for."""
    known, hint = facts.actuators, "see the value; the worker asks them again every few minutes"
    if known is None:
        return Gate("actuators", passes=False, value="never asked", limit="all reached", hint=hint, age_ms=None)
    trouble, age = list(known["trouble"]), age_of(int(known["at_ms"]), facts.now_ms)
    names = sorted(known["would"])
    right = not names or known["to"] == to
    value = "; ".join(trouble) or (", ".join(names) if right else f"asked for a switch to {known['to']} only")
    return Gate("actuators", not trouble and right, value or "none configured", "all reached", hint, age)


def _leader_stable(facts: Facts, limits: Limits) -> Gate:
    """A worker that leads for a while: where several take the lease in turn, a switch would be taken back midway."""
    stable, limit = facts.leading_ms >= limits.stable_ms, f"≥ {span(limits.stable_ms)}"
    hint = "wait; where it starts anew again and again, see the worker's log"
    age = age_of(facts.worker_ms, facts.now_ms)
    return Gate("leader-stable", stable, f"leads for {span(facts.leading_ms)}", limit, hint, age)


def _compared_since(facts: Facts) -> Gate:
    """`complete` compares no more, so what was found clean before the last switch or recapture is not enough for it."""
    passes = facts.is_compared_since(Side.TARGET)
    hint = "wait for the next full comparison, or `tableturn reconcile --repair`"
    dated = age_of(facts.reconciled_ms(Side.TARGET), facts.now_ms)
    return Gate("reconciled-since", passes, _yes(passes), "yes", hint, dated)


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
        ("settled" if facts.worker_settled else "took over lately") if alive else f"no sign of life since {span(age)}"
    )
    hint = "start `tableturn run`" if not alive else "wait until writes of the worker before it can no longer land"
    dated = age_of(facts.worker_ms, facts.now_ms)
    return Gate("worker", alive and facts.worker_settled, value, "settled", hint, dated)


def recapture_gates(facts: Facts) -> list[Gate]:
    """Return the one gate of `recapture`: streams are followed, and no switch is under way."""
    passes = facts.phase in RECAPTURED_IN
    hint = "a switch under way must end first; before `init` and after the end there is nothing to capture"
    return [Gate("phase", passes, facts.phase, "from CAPTURE to ROLLED_BACK, no switch under way", hint)]


def _yes(value: bool) -> str:  # noqa: FBT001 - one value, one word
    return "yes" if value else "no"
