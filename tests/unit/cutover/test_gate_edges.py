"""Each gate passes at its limit and not one step beyond it, and says in people's words what it found (protocol §8)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cutover.gates import Facts, Gate, Limits, completion_gates, cutover_gates, recapture_gates, rollback_gates
from cutover.judgement import Papers
from cutover.sequence import SwitchSettings
from cutover.transitions import CAPTURE_AGE_MS, CAUGHT_UP_LAG_MS, next_phase
from domain.phases import Phase, Side

NOW = 1_795_438_000_000
LIMITS = Limits()
CLEAN = {"mismatches": 0, "scanned_through_ms": NOW, "scan_ms": 0, "state": 3}
GOOD = Facts(
    phase=Phase.READY,
    now_ms=NOW,
    since_ms=NOW - LIMITS.bake_ms,
    serving=Side.SOURCE,
    captured=True,
    copied=True,
    through_ms={"users": NOW, "target": NOW},
    reconciled={Side.SOURCE: CLEAN, Side.TARGET: CLEAN},
    worker_ms=NOW,
    worker_settled=True,
    revision=3,
    leading_ms=LIMITS.stable_ms,
    actuators={"to": "target", "would": {}, "trouble": [], "at_ms": NOW},
    papers=Papers(proof={"verdict": "pass", "override": "", "proved_ms": NOW, "at_ms": NOW}),
)
BAKING = replace(GOOD, phase=Phase.BAKE, serving=Side.TARGET)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def compared(side: Side, **found: int) -> Mapping[Side, Mapping[str, Any]]:
    return {**GOOD.reconciled, side: {**CLEAN, **found}}


def gate(gates: list[Gate], name: str) -> Gate:
    (found,) = [each for each in gates if each.name == name]
    return found


def cutover_gate(name: str, **changed: Any) -> Gate:
    return gate(cutover_gates(replace(GOOD, **changed), LIMITS), name)


@pytest.mark.parametrize("beyond", [0, 1])
def test_a_gate_passes_at_its_limit_and_not_beyond(beyond: int) -> None:
    at_limit: dict[str, dict[str, Any]] = {
        "caught-up": {"through_ms": {**GOOD.through_ms, "users": NOW - LIMITS.lag_ms - beyond}},
        "headroom": {
            "through_ms": {**GOOD.through_ms, "target": NOW - (LIMITS.retention_ms - LIMITS.headroom_ms) - beyond}
        },
        "reconciled-lately": {
            "reconciled": compared(Side.SOURCE, scanned_through_ms=NOW - LIMITS.evidence_age_ms - beyond)
        },
        "verify-in-time": {"reconciled": compared(Side.SOURCE, scan_ms=LIMITS.verify_ms + beyond)},
        "tombstones": {"tombstones": LIMITS.tombstones + beyond},
        "worker": {"worker_ms": NOW - LIMITS.worker_age_ms - beyond},
        "quarantine": {"quarantined": {"foreign": beyond}},
        "reconciled": {"reconciled": compared(Side.SOURCE, mismatches=beyond)},
        "no-gap": {"gaps": {"users": "lost"} if beyond else {}},
    }
    for name, changed in at_limit.items():
        assert cutover_gate(name, **changed).passes is not bool(beyond), name
    baked = replace(BAKING, since_ms=NOW - LIMITS.bake_ms + beyond)
    assert gate(completion_gates(baked, LIMITS), "baked").passes is not bool(beyond)


def test_phases_are_entered_just_below_their_limits() -> None:
    for phase, limit in ((Phase.CAPTURE, CAPTURE_AGE_MS), (Phase.CATCHUP, CAUGHT_UP_LAG_MS)):
        facts = replace(GOOD, phase=phase, through_ms={"users": NOW - limit + 1})
        assert next_phase(facts) is not None
        assert next_phase(replace(facts, through_ms={"users": NOW - limit})) is None


@pytest.mark.parametrize("found", [None, {}, {"mismatches": 0}])
@pytest.mark.parametrize("revision", [0, 1, 3])
def test_evidence_that_does_not_say_for_which_state_it_holds_says_nothing(
    found: dict[str, int] | None, revision: int
) -> None:
    facts = replace(GOOD, reconciled={} if found is None else {Side.SOURCE: found}, revision=revision)
    assert not facts.is_compared_since(Side.SOURCE)
    assert replace(facts, reconciled={Side.SOURCE: {"state": revision}}).is_compared_since(Side.SOURCE)


def test_what_was_never_measured_passes_nothing() -> None:
    bare = Facts(phase=Phase.READY, now_ms=NOW, since_ms=NOW, serving=Side.SOURCE)
    open_gates = {each.name for each in cutover_gates(bare, LIMITS) if each.passes}
    assert open_gates == {
        "phase", "stream-arns", "no-gap", "quarantine", "tombstones", "target-ready",
        "window", "not-postponed", "backups", "triggers",
    }  # fmt: skip
    assert gate(cutover_gates(bare, LIMITS), "reconciled").value == "never compared"
    for name in ("caught-up", "reconciled-lately", "verify-in-time"):
        assert gate(cutover_gates(bare, LIMITS), name).value == "ever"


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (0, "0.0 s"),
        (1500, "1.5 s"),
        (9_999, "10.0 s"),
        (10_000, "10 s"),
        (MINUTE - 1, "59 s"),
        (MINUTE, "1 min"),
        (HOUR - 1, "59 min"),
        (HOUR, "1 h"),
        (DAY - 1, "23 h"),
        (DAY, "1 d"),
        (20 * DAY, "20 d"),
    ],
)
def test_durations_are_told_as_people_say_them(milliseconds: int, told: str) -> None:
    assert cutover_gate("caught-up", through_ms={"users": NOW - milliseconds}).value == f"{told} in users"


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [(DAY, "0.0 s"), (DAY + 5000, "-5.0 s"), (DAY + 20_000, "-20 s"), (DAY + 3 * HOUR, "-3 h")],
)
def test_headroom_that_is_used_up_is_told_with_a_minus(milliseconds: int, told: str) -> None:
    assert cutover_gate("headroom", through_ms={"users": NOW, "target": NOW - milliseconds}).value == told


@pytest.mark.parametrize("beyond", [0, 1])
def test_what_changed_is_enough_under_the_fence_where_looks_keep_up(beyond: int) -> None:
    verified = NOW - LIMITS.verified_age_ms - beyond
    slow = compared(Side.SOURCE, scan_ms=LIMITS.verify_ms + 1, verified_through_ms=verified)
    assert cutover_gate("verify-in-time", reconciled=slow).passes is not bool(beyond)


def test_a_finding_that_does_not_say_how_far_writes_are_verified_passes_for_no_look() -> None:
    assert "verified_through_ms" not in CLEAN
    assert not GOOD.looks_keep_up(Side.SOURCE, LIMITS)


@pytest.mark.parametrize(("verified", "passes"), [(NOW, True), (NOW - LIMITS.verified_age_ms - 1, False)])
def test_a_full_comparison_may_be_two_passes_old_where_looks_keep_up(verified: int, *, passes: bool) -> None:
    long_pass, age = LIMITS.evidence_age_ms, 2 * LIMITS.evidence_age_ms
    at_limit = {"duration_ms": long_pass, "verified_through_ms": verified}
    found = compared(Side.SOURCE, scanned_through_ms=NOW - age, **at_limit)
    assert cutover_gate("reconciled-lately", reconciled=found).passes is passes
    older = compared(Side.SOURCE, scanned_through_ms=NOW - age - 1, **at_limit)
    assert not cutover_gate("reconciled-lately", reconciled=older).passes


def test_the_limits_are_told_in_the_same_words() -> None:
    told = {each.name: each.limit for each in (*cutover_gates(GOOD, LIMITS), *completion_gates(BAKING, LIMITS))}
    assert told["caught-up"] == "≤ 10 s"
    assert told["headroom"] == "≥ 12 h"
    assert told["reconciled-lately"] == "≤ 15 min"
    assert told["verify-in-time"] == "≤ 5.0 s, or writes verified up to 30 s ago"
    assert told["tombstones"] == "≤ 1000"
    assert told["baked"] == "≥ 7 d"
    assert told["reconciled-since"] == "yes"


def test_a_gate_in_words_shows_exactly_what_it_wants_when_it_passes() -> None:
    for name in (
        "phase",
        "copied",
        "stream-arns",
        "no-gap",
        "quarantine",
        "target-ready",
        "reverse-possible",
        "worker",
    ):
        assert cutover_gate(name).value == cutover_gate(name).limit


def test_a_gate_tells_what_it_found() -> None:
    assert cutover_gate("copied").value == "yes"
    assert cutover_gate("copied", copied=False).value == "no"
    assert cutover_gate("tombstones", tombstones=1234).value == "1234"
    assert cutover_gate("target-ready", capacity="on demand").value == "ready, on demand"
    assert cutover_gate("target-ready", target_trouble="table is gone").value == "table is gone"
    assert (
        cutover_gate("quarantine", quarantined={"stray": 2, "foreign": 1, "refused": 0}).value == "1 foreign, 2 stray"
    )
    assert cutover_gate("quarantine", quarantined={"stray": 0}).value == "empty"
    assert cutover_gate("reconciled", reconciled=compared(Side.SOURCE, mismatches=4)).value == "4"
    assert cutover_gate("no-gap").value == "none"
    assert cutover_gate("no-gap", gaps={"users": "trimmed", "audit": "off"}).value == "audit: off; users: trimmed"
    assert cutover_gate("phase", phase=Phase.VERIFY).value == "VERIFY"
    assert cutover_gate("phase").limit == "READY"


def test_a_worker_that_is_dead_or_not_settled_is_told_apart() -> None:
    settled, dead = cutover_gate("worker"), cutover_gate("worker", worker_ms=NOW - 61_000)
    lately = cutover_gate("worker", worker_settled=False)
    assert (settled.value, settled.limit) == ("settled", "settled")
    assert lately.value == "took over lately"
    assert dead.value == "no sign of life since 1 min"
    assert "tableturn run" in dead.hint
    assert "tableturn run" not in lately.hint
    assert not lately.passes


def test_a_stream_may_be_captured_anew_in_every_phase_between_capture_and_the_end_but_a_switch() -> None:
    passing = {phase for phase in Phase if all(each.passes for each in recapture_gates(replace(GOOD, phase=phase)))}
    assert passing == set(Phase) - {Phase.PLANNED, Phase.CUTOVER, Phase.ABORTED, Phase.DONE}
    (only,) = recapture_gates(replace(GOOD, phase=Phase.CUTOVER))
    assert (only.name, only.value) == ("phase", "CUTOVER")


def test_the_way_back_asks_for_the_worker_and_the_quarantine_too() -> None:
    for gates in (rollback_gates, completion_gates):
        facts = replace(BAKING, worker_settled=False, quarantined={"stray": 1}, phase=Phase.READY)
        refused = {each.name for each in gates(facts, LIMITS) if not each.passes}
        assert refused == {"phase", "worker", "quarantine"}
        assert gate(gates(facts, LIMITS), "phase").limit == "BAKE"


def test_the_numbers_that_the_protocol_names() -> None:
    """Twelve hours until the copy may begin (§4.1), a day of retention (§5), a cutover blocked for seconds (§8)."""
    assert (CAPTURE_AGE_MS, CAUGHT_UP_LAG_MS) == (12 * HOUR, 10_000)
    assert (LIMITS.retention_ms, LIMITS.headroom_ms, LIMITS.worker_age_ms) == (DAY, 12 * HOUR, 30_000)
    blocked = SwitchSettings()
    assert (blocked.staleness, blocked.longest_request, blocked.max_blocked) == (1, 2, 10)
