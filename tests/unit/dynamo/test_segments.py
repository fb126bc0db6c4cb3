"""Into how many segments a scan is cut."""

from hypothesis import given
from hypothesis import strategies as st

from dynamo.segments import planned

MB = 1024 * 1024


def test_a_segment_is_64_mb_within_the_bounds() -> None:
    sizes = [0, 1, 128 * MB, 128 * MB + 1, 640 * MB, 10**13]
    assert [planned(size, at_least=2, at_most=64) for size in sizes] == [2, 2, 2, 3, 10, 64]


@given(st.integers(0, 10**15), st.integers(0, 10**12), st.integers(1, 9), st.integers(0, 90))
def test_more_bytes_never_mean_fewer_segments(size: int, more: int, least: int, room: int) -> None:
    one, other = (planned(each, at_least=least, at_most=least + room) for each in (size, size + more))
    assert least <= one <= other <= least + room
