"""Each gate fails for its own cause and for no other; phases follow each other only along the table (§8)."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from cutover.gates import Facts, Gate, Limits, completion_gates, cutover_gates, rollback_gates
from cutover.transitions import CAPTURE_AGE_MS, CAUGHT_UP_LAG_MS, may_abort, next_phase
from domain.phases import FOLLOWERS, Phase, Side

NOW = 1_795_438_000_000
CLEAN = {"mismatches": 0, "scanned_through_ms": NOW - 1000, "scan_ms": 100, "state": 7}
DAY = 24 * 3600 * 1000
LIMITS = Limits(bake_ms=60_000)

GOOD = Facts(
    phase=Phase.READY,
    now_ms=NOW,
    since_ms=NOW - 100_000,
    serving=Side.SOURCE,
    revision=7,
    captured=True,
    copied=True,
    through_ms={"users": NOW - 500, "audit": NOW - 900, "target": NOW - 100},
    reconciled={Side.SOURCE: CLEAN, Side.TARGET: CLEAN},
    worker_ms=NOW - 3000,
    worker_settled=True,
)
BAKING = replace(GOOD, phase=Phase.BAKE, serving=Side.TARGET)

Gates = Callable[[Facts, Limits], list[Gate]]

ALL = [(cutover_gates, GOOD), (rollback_gates, BAKING), (completion_gates, BAKING)]


def failing(gates: Gates, facts: Facts) -> set[str]:
    return {gate.name for gate in gates(facts, LIMITS) if not gate.passes}


def lagging(stream: str, by_ms: int) -> dict[str, int]:
    return {**GOOD.through_ms, stream: NOW - by_ms}


def found(side: Side, **facts: int) -> dict[Side, dict[str, int]]:
    return {Side.SOURCE: CLEAN, Side.TARGET: CLEAN, side: {**CLEAN, **facts}}


@pytest.mark.parametrize(
    ("gates", "good"), [(cutover_gates, GOOD), (rollback_gates, BAKING), (completion_gates, BAKING)]
)
def test_good_facts_pass_every_gate_and_each_says_what_it_wants(gates: Gates, good: Facts) -> None:
    assert failing(gates, good) == set()
    names = [gate.name for gate in gates(good, LIMITS)]
    assert len(names) == len(set(names))
    assert all(gate.value and gate.limit and gate.hint for gate in gates(good, LIMITS))


COMMON = [
    ({"phase": Phase.VERIFY}, {"phase"}),
    ({"quarantined": {"stray": 1}}, {"quarantine"}),
    ({"worker_ms": NOW - 31_000}, {"worker"}),
    ({"worker_ms": 0}, {"worker"}),
    ({"worker_ms": NOW + DAY}, {"worker"}),
    ({"worker_settled": False}, {"worker"}),
]


@pytest.mark.parametrize(
    ("gates", "good"), [(cutover_gates, GOOD), (rollback_gates, BAKING), (completion_gates, BAKING)]
)
@pytest.mark.parametrize(("changed", "refused"), COMMON)
def test_every_switch_is_refused_for(gates: Gates, good: Facts, changed: dict[str, object], refused: set[str]) -> None:
    assert failing(gates, replace(good, **changed)) == refused  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        (replace(GOOD, copied=False), {"copied"}),
        (replace(GOOD, tombstones=1001), {"tombstones"}),
        (replace(GOOD, tombstones=1000), set()),
        (replace(GOOD, target_trouble="its stream is off"), {"target-ready"}),
        (replace(GOOD, through_ms=lagging("users", 10_001)), {"caught-up"}),
        (replace(GOOD, through_ms=lagging("users", 10_000)), set()),
        (replace(GOOD, through_ms=lagging("target", 11_000)), set()),
        (replace(GOOD, through_ms=lagging("target", 13 * 3_600_000)), {"headroom"}),
        (replace(GOOD, through_ms=lagging("users", 13 * 3_600_000)), {"caught-up", "headroom"}),
        (replace(GOOD, through_ms={}), {"caught-up", "headroom"}),
        (replace(GOOD, through_ms=lagging("users", -DAY)), {"caught-up", "headroom"}),
        (replace(GOOD, through_ms=lagging("users", -1000)), set()),
        (replace(GOOD, reconciled=found(Side.SOURCE, scanned_through_ms=NOW + DAY)), {"reconciled-lately"}),
        (replace(GOOD, reconciled=found(Side.SOURCE, mismatches=1)), {"reconciled"}),
        (replace(GOOD, reconciled=found(Side.TARGET, mismatches=1)), set()),
        (replace(GOOD, reconciled=found(Side.SOURCE, scanned_through_ms=NOW - 901_000)), {"reconciled-lately"}),
        (replace(GOOD, reconciled=found(Side.SOURCE, scan_ms=5001)), {"verify-in-time"}),
        (replace(GOOD, reconciled={Side.TARGET: CLEAN}), {"reconciled", "reconciled-lately", "verify-in-time"}),
    ],
)
def test_a_cutover_is_refused_for_its_own_causes(facts: Facts, refused: set[str]) -> None:
    assert failing(cutover_gates, facts) == refused


@pytest.mark.parametrize("gates", [rollback_gates, completion_gates])
@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        (replace(BAKING, through_ms=lagging("target", 10_001)), {"caught-up"}),
        (replace(BAKING, reconciled=found(Side.TARGET, mismatches=2)), {"reconciled"}),
        (replace(BAKING, reconciled=found(Side.SOURCE, mismatches=2)), set()),
        (replace(BAKING, reconciled=found(Side.TARGET, scanned_through_ms=NOW - 901_000)), {"reconciled-lately"}),
        (replace(BAKING, copied=False, tombstones=5000), set()),
    ],
)
def test_the_way_back_looks_at_the_target(gates: Gates, facts: Facts, refused: set[str]) -> None:
    assert failing(gates, facts) == refused


def test_a_bake_cannot_be_completed_early() -> None:
    assert failing(completion_gates, replace(BAKING, since_ms=NOW - 59_999)) == {"baked"}
    assert failing(rollback_gates, replace(BAKING, since_ms=NOW - 59_999)) == set()


FACTS = [
    replace(GOOD, phase=phase, captured=captured, copied=copied, through_ms=through, reconciled=reconciled)
    for phase, captured, copied, through, reconciled in product(
        Phase,
        (True, False),
        (True, False),
        (GOOD.through_ms, {}, lagging("users", CAPTURE_AGE_MS + 1), lagging("users", CAUGHT_UP_LAG_MS + 1)),
        ({}, {Side.SOURCE: CLEAN}, found(Side.SOURCE, mismatches=1)),
    )
]


def test_no_evidence_leads_beside_the_table_and_none_into_a_switch_or_an_end() -> None:
    for facts in FACTS:
        following = next_phase(facts)
        if following is not None:
            assert following[0] in FOLLOWERS[facts.phase]
            assert following[0] not in {Phase.CUTOVER, Phase.BAKE, Phase.ROLLED_BACK, Phase.DONE, Phase.ABORTED}


@pytest.mark.parametrize(
    ("facts", "phase"),
    [
        (replace(GOOD, phase=Phase.CAPTURE), Phase.BACKFILL),
        (replace(GOOD, phase=Phase.CAPTURE, captured=False), None),
        (replace(GOOD, phase=Phase.CAPTURE, through_ms=lagging("users", CAPTURE_AGE_MS)), None),
        (replace(GOOD, phase=Phase.BACKFILL), Phase.CATCHUP),
        (replace(GOOD, phase=Phase.BACKFILL, copied=False), None),
        (replace(GOOD, phase=Phase.CATCHUP), Phase.VERIFY),
        (replace(GOOD, phase=Phase.CATCHUP, through_ms=lagging("audit", CAUGHT_UP_LAG_MS)), None),
        (replace(GOOD, phase=Phase.VERIFY), Phase.READY),
        (replace(GOOD, phase=Phase.ROLLED_BACK), Phase.READY),
        (replace(GOOD, phase=Phase.VERIFY, revision=8), None),
        (replace(GOOD, phase=Phase.ROLLED_BACK, revision=8), None),
        (GOOD, None),
        (replace(GOOD, reconciled=found(Side.SOURCE, mismatches=1)), Phase.VERIFY),
        (BAKING, None),
    ],
)
def test_the_phase_moves_on_its_own_evidence(facts: Facts, phase: Phase | None) -> None:
    """Evidence that is older than the phase says nothing about it."""
    following = next_phase(facts)
    assert (following and following[0]) == phase


def test_a_migration_may_be_given_up_until_the_switch() -> None:
    assert {phase for phase in Phase if not may_abort(phase)} == {
        Phase.CUTOVER, Phase.BAKE, Phase.DONE, Phase.ABORTED,
    }  # fmt: skip


def test_the_ends_are_ends_and_everything_else_is_reached() -> None:
    assert {phase for phase, after in FOLLOWERS.items() if not after} == {Phase.ABORTED, Phase.DONE}
    assert set(Phase) - {Phase.PLANNED} == set().union(*FOLLOWERS.values())
