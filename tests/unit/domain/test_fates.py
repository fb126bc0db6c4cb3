"""Tallies: added up, bounded, and begun anew with every bake."""

import pytest

from domain.fates import LONGEST_NAME, MOST_NAMES, OTHER, Fate, Tally, bounded


def test_tallies_of_one_bake_add_up() -> None:
    one = Tally(1, {"held": 2, "carried": 1}, {"theme": 1}, {"status": 1}, {"name": 1}, {"refused": 1})
    both = one.plus(Tally(1, {"carried": 3}, {"theme": 2, "pet": 1}, {}, {"name": 1}, {"refused": 1, "too-large": 4}))
    assert both == Tally(
        1,
        {"held": 2, "carried": 4},
        {"theme": 3, "pet": 1},
        {"status": 1},
        {"name": 2},
        {"refused": 2, "too-large": 4},
    )
    assert (both.writes, both.at_risk) == (6, 4)


@pytest.mark.parametrize(("fate", "at_risk"), [*((fate, fate not in {Fate.HELD, Fate.BESIDE}) for fate in Fate)])
def test_at_risk_is_what_the_legacy_application_would_not_see(fate: Fate, *, at_risk: bool) -> None:
    assert Tally(0, {fate.value: 3}).at_risk == 3 * at_risk


def test_the_later_bake_is_the_one_that_counts() -> None:
    earlier, later = Tally(0, {"held": 9}), Tally(1, {"held": 1})
    assert earlier.plus(later) == later.plus(earlier) == later


def test_names_beyond_the_bounds_are_others_and_none_is_lost() -> None:
    tally = Tally()
    for number in range(MOST_NAMES + 5):
        tally = tally.plus(Tally(0, {"carried": 1}, bounded([f"name-{number:03}"])))
    assert len(tally.own) == MOST_NAMES + 1
    assert tally.own[OTHER] == 5
    assert tally.plus(Tally(own=bounded(["name-000"]))).own["name-000"] == 2
    assert bounded(["x" * LONGEST_NAME]) == {"x" * LONGEST_NAME: 1}
    assert bounded(["x" * (LONGEST_NAME + 1)]) == {OTHER: 1}
