"""How much of the time the copy may take, by what is left of the retention."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from backfill.pacing import RETENTION, duty

HOUR = 3600.0


def test_the_copy_runs_freely_for_half_a_day_and_stands_when_six_hours_are_left() -> None:
    assert [duty(hours * HOUR, RETENTION) for hours in (24, 12, 9, 6, 3, 0, -5)] == [1, 1, 0.5, 0, 0, 0, 0]


@given(st.fractions(-1, 1), st.fractions(-1, 1))
def test_less_headroom_never_means_more_copying(one: Fraction, other: Fraction) -> None:
    less, more = sorted((float(one), float(other)))
    assert 0 <= duty(less, 1.0) <= duty(more, 1.0) <= 1
