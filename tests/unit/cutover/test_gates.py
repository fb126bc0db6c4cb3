"""Each gate fails for its own cause and for no other; phases follow each other only along the table (§8)."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from cutover.gates import Facts, Gate, Limits, completion_gates, cutover_gates, rollback_gates
from cutover.judgement import OVERRIDABLE, Papers, Rules, overridden
from cutover.transitions import CAPTURE_AGE_MS, CAUGHT_UP_LAG_MS, may_abort, next_phase
from domain.errors import RefusedError
from domain.phases import FOLLOWERS, Phase, Side

NOW = 1_795_438_000_000
CLEAN = {"mismatches": 0, "scanned_through_ms": NOW - 1000, "scan_ms": 100, "state": 7}
MINUTE, DAY = 60_000, 24 * 3600 * 1000
BACKUP = {"arn": "arn", "name": "n", "made_ms": NOW - DAY, "available": True, "pitr": True, "at_ms": NOW - DAY}
LIMITS = Limits(bake_ms=60_000, rules=Rules(account=True, triggers=frozenset({"function mailer"})))
PAPERS = Papers(
    backups={"users": BACKUP, "audit": BACKUP},
    proof={"verdict": "warn", "override": "", "proved_ms": NOW - DAY, "at_ms": NOW - DAY},
    triggers={"firing": {"source": ["function a"], "target": ["function mailer"]}, "trouble": [], "at_ms": NOW - 1},
)

GOOD = Facts(
    phase=Phase.READY,
    now_ms=NOW,
    since_ms=NOW - 100_000,
    serving=Side.SOURCE,
    revision=7,
    captured=True,
    copied=True,
    through_ms={"users": NOW - 500, "audit": NOW - 900, "target": NOW - 100},
    slowest={"users": "shard-1", "audit": "shard-7", "target": "shard-2"},
    reconciled={Side.SOURCE: CLEAN, Side.TARGET: CLEAN},
    worker_ms=NOW - 3000,
    worker_settled=True,
    leading_ms=60_000,
    capacity="on demand",
    actuators={"to": "target", "would": {"lambda": "set STAGE"}, "trouble": [], "at_ms": NOW - 3000},
    papers=PAPERS,
)
BAKING = replace(
    GOOD,
    phase=Phase.BAKE,
    serving=Side.TARGET,
    actuators={"to": "source", "would": {"lambda": "set STAGE"}, "trouble": [], "at_ms": NOW - 3000},
)

Gates = Callable[[Facts, Limits], list[Gate]]

ALL = [(cutover_gates, GOOD), (rollback_gates, BAKING), (completion_gates, BAKING)]


def failing(gates: Gates, facts: Facts, limits: Limits = LIMITS) -> set[str]:
    return {gate.name for gate in gates(facts, limits) if not gate.passes}


def lagging(stream: str, by_ms: int) -> dict[str, int]:
    return {**GOOD.through_ms, stream: NOW - by_ms}


def found(side: Side, **facts: int) -> dict[Side, dict[str, int]]:
    return {Side.SOURCE: CLEAN, Side.TARGET: CLEAN, side: {**CLEAN, **facts}}


def papers(**changed: Any) -> dict[str, Any]:
    return {"papers": replace(PAPERS, **changed)}


def backups(**changed: object) -> dict[str, Any]:
    return papers(backups={"users": {**BACKUP, **changed}, "audit": BACKUP})


def triggers(**changed: object) -> dict[str, Any]:
    return papers(triggers={**(PAPERS.triggers or {}), **changed})


def proof(**changed: object) -> dict[str, Any]:
    return papers(proof={**(PAPERS.proof or {}), **changed})


def actuators(to: Side, **changed: object) -> dict[str, Any]:
    return {"actuators": {"to": to.value, "would": {"lambda": "x"}, "trouble": [], "at_ms": NOW, **changed}}


@pytest.mark.parametrize(("gates", "good"), ALL)
def test_good_facts_pass_every_gate_and_each_says_what_it_wants(gates: Gates, good: Facts) -> None:
    assert failing(gates, good) == set()
    names = [gate.name for gate in gates(good, LIMITS)]
    assert len(names) == len(set(names))
    assert all(gate.value and gate.limit and gate.hint for gate in gates(good, LIMITS))


Causes = list[tuple[dict[str, Any], set[str]]]

OF_ALL: Causes = [
    ({"phase": Phase.VERIFY}, {"phase"}),
    ({"quarantined": {"stray": 1}}, {"quarantine"}),
    ({"worker_ms": NOW - 31_000}, {"worker"}),
    ({"worker_ms": 0}, {"worker"}),
    ({"worker_ms": NOW + DAY}, {"worker"}),
    ({"worker_settled": False}, {"worker"}),
    ({"gaps": {"users": "trimmed"}}, {"no-gap"}),
    ({"streams_trouble": {"users": "the stream of t-users was replaced"}}, {"stream-arns"}),
    # The side that serves need not wait for the other, whose stream may lag as long as it keeps its records.
    # A stream that was never looked at, or by a clock that has jumped, may have lost records as well: both fail.
    ({"through_ms": {}}, {"caught-up", "headroom"}),
]
"""What refuses each of the three; by nature two fail together only where a line says why."""

OF_CUTOVER: Causes = [
    ({"copied": False}, {"copied"}),
    ({"tombstones": 1001}, {"tombstones"}),
    ({"tombstones": 1000}, set()),
    ({"target_trouble": "time to live is off"}, {"target-ready"}),
    ({"no_return": "the target's stream is off"}, {"reverse-possible"}),
    ({"actuators": None}, {"actuators"}),
    (actuators(Side.SOURCE), {"actuators"}),
    (actuators(Side.TARGET, trouble=["lambda: AccessDenied"]), {"actuators"}),
    (actuators(Side.SOURCE, would={}), set()),
    ({"leading_ms": LIMITS.stable_ms - 1}, {"leader-stable"}),
    ({"leading_ms": LIMITS.stable_ms}, set()),
    ({"through_ms": lagging("users", 10_001)}, {"caught-up"}),
    ({"through_ms": lagging("users", 10_000)}, set()),
    ({"through_ms": lagging("target", 11_000)}, set()),
    ({"through_ms": lagging("target", 13 * 3_600_000)}, {"headroom"}),
    # What lags by half a day is not caught up either.
    ({"through_ms": lagging("users", 13 * 3_600_000)}, {"caught-up", "headroom"}),
    ({"through_ms": lagging("users", -DAY)}, {"caught-up", "headroom"}),
    ({"through_ms": lagging("users", -1000)}, set()),
    ({"reconciled": found(Side.SOURCE, scanned_through_ms=NOW + DAY)}, {"reconciled-lately"}),
    ({"reconciled": found(Side.SOURCE, mismatches=1)}, {"reconciled"}),
    ({"reconciled": found(Side.TARGET, mismatches=1)}, set()),
    ({"reconciled": found(Side.SOURCE, scanned_through_ms=NOW - 901_000)}, {"reconciled-lately"}),
    ({"reconciled": found(Side.SOURCE, scan_ms=5001)}, {"verify-in-time"}),
    # What was never compared is neither clean, nor fresh, nor known to take how long.
    ({"reconciled": {Side.TARGET: CLEAN}}, {"reconciled", "reconciled-lately", "verify-in-time"}),
    # … and without a proof as well no item was ever translated back.
    (
        {"reconciled": {}, **papers(proof=None)},
        {"reconciled", "reconciled-lately", "verify-in-time", "plan-proved", "reverse-possible"},
    ),
    (papers(proof=None), {"plan-proved"}),
    (proof(verdict="fail"), {"plan-proved"}),
    (proof(verdict="fail", override="known"), set()),
    (papers(backups={"users": BACKUP, "audit": None}), {"backups"}),
    (backups(made_ms=NOW - 7 * DAY - 1), {"backups"}),
    (backups(made_ms=NOW - 7 * DAY), set()),
    (backups(made_ms=NOW + DAY), {"backups"}),
    (backups(available=False), {"backups"}),
    (backups(pitr=False), {"backups"}),
    (papers(triggers=None), {"triggers"}),
    (triggers(at_ms=NOW - 15 * MINUTE - 1), {"triggers"}),
    (triggers(trouble=["may not look"]), {"triggers"}),
    (triggers(firing={"source": [], "target": ["function other"]}), {"triggers"}),
    (papers(postponed={"until_ms": NOW + 1, "reason": "wait", "by": "me", "at_ms": NOW}), {"not-postponed"}),
    (papers(postponed={"until_ms": NOW, "reason": "wait", "by": "me", "at_ms": NOW}), set()),
]
OF_THE_WAY_BACK: Causes = [
    ({"through_ms": lagging("target", 10_001)}, {"caught-up"}),
    ({"through_ms": lagging("users", 13 * 3_600_000)}, {"headroom"}),
    ({"reconciled": found(Side.TARGET, mismatches=2)}, {"reconciled"}),
    ({"reconciled": found(Side.SOURCE, mismatches=2)}, set()),
    ({"reconciled": found(Side.TARGET, scanned_through_ms=NOW - 901_000)}, {"reconciled-lately"}),
    ({"reconciled": found(Side.TARGET, scan_ms=5001)}, {"verify-in-time"}),
    # What only a cutover asks for keeps no way back waiting.
    ({"copied": False, "tombstones": 5000, "leading_ms": 0, "target_trouble": "no index", "papers": Papers()}, set()),
]
OF_ROLLBACK: Causes = [
    (actuators(Side.TARGET), {"actuators"}),
    (actuators(Side.SOURCE, trouble=["lambda: AccessDenied"]), {"actuators"}),
]
OF_COMPLETION: Causes = [
    ({"since_ms": NOW - 59_999}, {"baked"}),
    ({"revision": 8}, {"reconciled-since"}),
    ({"actuators": None}, set()),
]
CAUSES = [
    *((cutover_gates, GOOD, *each) for each in [*OF_ALL, *OF_CUTOVER]),
    *((rollback_gates, BAKING, *each) for each in [*OF_ALL, *OF_THE_WAY_BACK, *OF_ROLLBACK]),
    *((completion_gates, BAKING, *each) for each in [*OF_ALL, *OF_THE_WAY_BACK, *OF_COMPLETION]),
]


@pytest.mark.parametrize(("gates", "good", "changed", "refused"), CAUSES)
def test_every_gate_fails_for_its_own_cause_and_for_no_other(
    gates: Gates, good: Facts, changed: dict[str, Any], refused: set[str]
) -> None:
    assert failing(gates, replace(good, **changed)) == refused


@pytest.mark.parametrize(
    ("rules", "refused"),
    [
        (Rules(opens_ms=NOW + 1), {"window"}),
        (Rules(opens_ms=NOW), set()),
        (Rules(closes_ms=NOW), {"window"}),
        (Rules(opens_ms=NOW - 1, closes_ms=NOW + 1), set()),
        (Rules(backups=True), set()),
        (Rules(account=True), {"triggers"}),
    ],
)
def test_rules_of_the_house_refuse_a_cutover_and_no_way_back(rules: Rules, refused: set[str]) -> None:
    assert failing(cutover_gates, GOOD, replace(LIMITS, rules=rules)) == refused
    assert failing(rollback_gates, BAKING, replace(LIMITS, rules=rules)) == set()
    assert failing(completion_gates, BAKING, replace(LIMITS, rules=rules)) == set()


@pytest.mark.parametrize(("gates", "good"), ALL)
def test_every_gate_has_a_cause_by_which_it_alone_fails(gates: Gates, good: Facts) -> None:
    alone = {next(iter(refused)) for each, _, _, refused in CAUSES if each is gates and len(refused) == 1}
    names = {gate.name for gate in gates(good, LIMITS)}
    assert names - alone == ({"window"} if gates is cutover_gates else set())


def test_without_an_account_nobody_is_asked_for_backups_or_triggers_unless_it_is_demanded() -> None:
    bare = replace(GOOD, papers=Papers({"users": None}, PAPERS.proof))
    assert failing(cutover_gates, bare, Limits()) == set()
    assert failing(cutover_gates, bare, Limits(rules=Rules(backups=True))) == {"backups"}
    assert failing(cutover_gates, bare, Limits(rules=Rules(account=True, backups=False))) == {"triggers"}
    told = {gate.name: gate.value for gate in cutover_gates(bare, Limits())}
    assert told["backups"] == "not demanded: there is no account around the tables"
    assert told["triggers"] == "none seen: no account"


def test_an_operator_may_answer_for_judgement_and_for_nothing_else() -> None:
    shut = replace(GOOD, phase=Phase.VERIFY, papers=Papers({"users": None}))
    gates = cutover_gates(shut, LIMITS)
    assert [gate.name for gate in gates if not gate.passes] == ["phase", "plan-proved", "backups", "triggers"]
    answered = overridden(gates, {"backups": "restored by hand", "window": "not needed"})
    assert [gate.name for gate in answered if not gate.passes] == ["phase", "plan-proved", "triggers"]
    assert {gate.name: gate.override for gate in answered if gate.override} == {"backups": "restored by hand"}
    for name, why in (("phase", "keeps data safe"), ("no-gap", "keeps data safe"), ("sesame", "no gate sesame")):
        with pytest.raises(RefusedError, match=why):
            overridden(gates, {name: "I say so"})
    with pytest.raises(RefusedError, match="needs a reason"):
        overridden(gates, {"backups": " "})
    assert set(OVERRIDABLE) == {"window", "not-postponed", "backups", "plan-proved", "triggers"}


def test_each_gate_tells_how_old_its_evidence_is() -> None:
    ages = {gate.name: gate.age_ms for gate in cutover_gates(GOOD, LIMITS)}
    assert (ages["reconciled"], ages["worker"], ages["backups"], ages["triggers"]) == (1000, 3000, DAY, 1)
    assert (ages["plan-proved"], ages["actuators"], ages["phase"]) == (DAY, 3000, 0)
    never = {
        gate.name: gate.age_ms for gate in cutover_gates(replace(GOOD, reconciled={}, **papers(proof=None)), LIMITS)
    }
    assert (never["reconciled"], never["plan-proved"]) == (None, None)


def test_what_lags_is_named() -> None:
    gate = next(each for each in cutover_gates(GOOD, LIMITS) if each.name == "caught-up")
    assert gate.value == "0.9 s in audit, shard shard-7"
    gate = next(each for each in rollback_gates(BAKING, LIMITS) if each.name == "caught-up")
    assert gate.value == "0.1 s in target, shard shard-2"


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
