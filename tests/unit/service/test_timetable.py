"""Which notices are due at a moment: by the planned time, by what has happened, and no longer than it is news."""

import pytest

from domain.notices import NoticeKind
from domain.phases import Phase
from service.timetable import Event, Standing, due

HOUR = 3_600_000
T = 1_795_438_000_000


def row(at_ms: int, nonce: str = "0") -> str:
    return f"{at_ms:015}-{nonce}"


def happened(*events: Event) -> dict[str, Event]:
    """The history of some events, each given with its time."""
    return {row(event["at_ms"], str(number)): event for number, event in enumerate(events)}


def moved(at_ms: int, came_from: Phase, to: Phase) -> Event:
    return {"event": "phase", "at_ms": at_ms, "came_from": came_from, "to": to, "why": "so"}


def ended(at_ms: int, kind: str, *, switched: bool) -> Event:
    return {"event": kind, "at_ms": at_ms, "switched": switched, "blocked_ms": 2_300, "why": "so", "steps": {}}


def open_at(standing: Standing, now_ms: int) -> list[NoticeKind]:
    """The kinds that would be sent at a moment, had nothing been sent before."""
    return [each.kind for each in due(standing, now_ms) if now_ms < each.until_ms]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (-49, []),
        (-48, [NoticeKind.ANNOUNCEMENT]),
        (-2.01, [NoticeKind.ANNOUNCEMENT]),
        (-2, [NoticeKind.FINAL]),
        (-0.01, [NoticeKind.FINAL]),
        (0, []),
    ],
)
def test_before_a_planned_switch_one_notice_takes_the_place_of_the_other(
    hours: float, expected: list[NoticeKind]
) -> None:
    assert open_at(Standing({}, Phase.READY, T), T + int(hours * HOUR)) == expected


@pytest.mark.parametrize("phase", [Phase.CUTOVER, Phase.BAKE, Phase.DONE, Phase.ABORTED])
def test_nothing_announces_a_switch_that_has_taken_place_or_never_will(phase: Phase) -> None:
    assert open_at(Standing({}, phase, T), T - HOUR) == []


def test_a_switch_that_is_postponed_beyond_its_planned_moment_is_not_announced() -> None:
    assert open_at(Standing({}, Phase.READY, T, postponed_ms=T + 1), T - HOUR) == []
    assert open_at(Standing({}, Phase.READY, T, postponed_ms=T - 1), T - HOUR) == [NoticeKind.FINAL]


def test_another_planned_moment_makes_other_notices() -> None:
    names = {each.notice_id for at_ms in (T, T + 1) for each in due(Standing({}, Phase.READY, at_ms), T - HOUR)}
    assert len(names) == 4


def test_a_cutover_is_told_with_its_time_without_writes_as_soon_as_that_is_known() -> None:
    switch = moved(T, Phase.CUTOVER, Phase.BAKE)
    early = Standing(happened(switch), Phase.BAKE, None)
    assert open_at(early, T + 1_000) == [NoticeKind.PHASE]
    told = Standing(happened(switch, ended(T + 40, "cutover", switched=True)), Phase.BAKE, None)
    found = {each.kind: each for each in due(told, T + 1_000)}
    assert (found[NoticeKind.CUT_OVER].outcome or {})["blocked_ms"] == 2_300


def test_a_cutover_whose_worker_died_right_after_it_is_told_without_that_time() -> None:
    history = happened(moved(T, Phase.CUTOVER, Phase.BAKE), moved(T + 9 * HOUR, Phase.BAKE, Phase.ROLLED_BACK))
    late = ended(T + 9 * HOUR + 5, "rollback", switched=True)
    found = due(Standing(history | {row(late["at_ms"], "9"): late}, Phase.ROLLED_BACK, None), T + 10 * HOUR)
    outcomes = {each.kind: each.outcome for each in found}
    assert outcomes[NoticeKind.CUT_OVER] is None
    assert outcomes[NoticeKind.ROLLED_BACK] == late


@pytest.mark.parametrize(("hours", "is_due"), [(23.9, False), (24, True), (47.9, True), (48.1, False)])
def test_a_status_report_is_due_a_day_after_the_switch_and_for_a_day(hours: float, *, is_due: bool) -> None:
    standing = Standing(happened(moved(T, Phase.CUTOVER, Phase.BAKE)), Phase.BAKE, None)
    assert (NoticeKind.REPORT in open_at(standing, T + int(hours * HOUR))) is is_due


def test_there_is_no_status_report_of_a_switch_that_was_rolled_back() -> None:
    back = moved(T + HOUR, Phase.BAKE, Phase.ROLLED_BACK)
    again = moved(T + 30 * HOUR, Phase.CUTOVER, Phase.BAKE)
    history = happened(moved(T, Phase.CUTOVER, Phase.BAKE), back, again)
    assert NoticeKind.REPORT not in open_at(Standing(history, Phase.BAKE, None), T + 25 * HOUR)
    reports = [each for each in due(Standing(history, Phase.BAKE, None), T + 55 * HOUR) if each.kind == "status-report"]
    assert [each.event for each in reports] == [again]


def test_who_asks_again_and_again_and_is_refused_for_the_same_is_told_of_once() -> None:
    def refused(minutes: int, *gates: str) -> Event:
        named = [{"name": gate} for gate in gates]
        return {"event": "refused", "at_ms": T + minutes * 60_000, "what": "cutover", "gates": named}

    history = happened(
        refused(0, "phase"), refused(1, "phase"), refused(2, "phase", "quarantine"), refused(20, "phase")
    )
    found = due(Standing(history, Phase.VERIFY, None), T + HOUR)
    assert [(each.at_ms - T) // 60_000 for each in found] == [0, 2, 20]


def test_what_was_taken_back_refused_postponed_and_called_off_is_told_while_it_is_news() -> None:
    history = happened(
        {"event": "taken-back", "at_ms": T, "to": "target", "step": "smoke", "why": "so"},
        {"event": "flag", "at_ms": T, "to": Phase.READY, "writable": True},
        ended(T + 30, "cutover", switched=False),
        {"event": "refused", "at_ms": T + 1_000, "what": "cutover", "gates": []},
        {"event": "postponed", "at_ms": T + 2_000, "until_ms": T + HOUR, "why": "so"},
        {"event": "called-off", "at_ms": T + 4_000, "planned_ms": T, "why": "so"},
        {"event": "repaired", "at_ms": T + 5_000, "puts": 1},
    )
    standing = Standing(history, Phase.READY, None)
    assert open_at(standing, T + 6_000) == [
        NoticeKind.TAKEN_BACK,
        NoticeKind.REFUSED,
        NoticeKind.POSTPONED,
        NoticeKind.POSTPONED,
    ]
    assert due(standing, T + 6_000)[0].outcome == ended(T + 30, "cutover", switched=False)
    assert open_at(standing, T + 25 * HOUR) == []
