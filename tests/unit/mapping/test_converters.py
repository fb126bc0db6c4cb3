"""Converters are total over what DynamoDB holds, and exact."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.items import AttributeValue
from mapping.converters import CONVERTERS, day, initials, iso8601, month, plain_number
from tests.strategies import wire_values


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("0", "1970-01-01T00:00:00.000Z"),
        ("1795438294703", "2026-11-23T12:51:34.703Z"),
        ("1795438294703.999", "2026-11-23T12:51:34.703Z"),
        ("1.795438294703E+12", "2026-11-23T12:51:34.703Z"),
        ("-1", "1969-12-31T23:59:59.999Z"),
        ("-0.5", "1969-12-31T23:59:59.999Z"),
        ("-62135596800000", "0001-01-01T00:00:00.000Z"),
        ("253402300799999", "9999-12-31T23:59:59.999Z"),
        ("253402300799999.9", "9999-12-31T23:59:59.999Z"),
        ("253402300800000", None),
        ("-62135596800001", None),
        ("9E+125", None),
        ("1E-130", "1970-01-01T00:00:00.000Z"),
        ("-1E-130", "1969-12-31T23:59:59.999Z"),
        ("NaN", None),
        ("Infinity", None),
        ("²", None),
        ("", None),
    ],
)
def test_milliseconds_become_iso_8601(number: str, written: str | None) -> None:
    assert iso8601({"N": number}) == written
    assert month({"N": number}) == (written[:7] if written else None)
    assert day({"N": number}) == (written[:10] if written else None)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999), st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_iso_8601_is_exact_and_sorts_as_the_numbers_do(one: int, two: int) -> None:
    first, second = iso8601({"N": str(one)}), iso8601({"N": str(two)})
    assert first is not None
    assert second is not None
    assert (first < second) == (one < two)
    read = datetime.fromisoformat(first) - datetime(1970, 1, 1, tzinfo=UTC)
    assert read // timedelta(milliseconds=1) == one


@pytest.mark.parametrize("name", list(CONVERTERS))
@given(value=wire_values())
def test_no_converter_ever_fails_or_makes_an_empty_text(name: str, value: AttributeValue) -> None:
    written = CONVERTERS[name](value)
    assert written is None or written


@pytest.mark.parametrize("name", ["iso8601", "month", "day", "number"])
def test_a_text_that_looks_like_a_number_is_none(name: str) -> None:
    assert CONVERTERS[name]({"S": "1795438294703"}) is None


@pytest.mark.parametrize(
    ("spelt", "plain"),
    [
        ("1.50", "1.5"),
        ("-0", "0"),
        ("0.000", "0"),
        ("1E+3", "1000"),
        ("1e-3", "0.001"),
        ("100", "100"),
        (f"{'1' * 38}", "1" * 38),
        ("1" * 39, None),
        ("1E126", None),
    ],
)
def test_a_number_has_one_plain_spelling(spelt: str, plain: str | None) -> None:
    assert plain_number({"N": spelt}) == plain


def test_initials_are_of_the_first_and_the_last_word() -> None:
    assert initials({"S": "juan carlos de borbón"}) == "JB"
    assert initials({"S": "   "}) is None
    assert initials({"N": "1"}) is None
