"""Canonical numbers, digests, source ids (protocol §1, §7)."""

from decimal import Decimal, localcontext
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.items import (
    MARK_PREFIX,
    STAMP,
    AttributeValue,
    Item,
    canonical_number,
    digest,
    mark_id,
    number,
    parse_source_id,
    source_id,
    text,
)
from domain.positions import Version
from domain.stamps import Stamp, is_tombstone
from tests.strategies import FILLED, numbers, wire_values


@given(numbers(), numbers())
def test_two_numbers_are_canonically_equal_exactly_when_they_are_equal(one: str, other: str) -> None:
    assert (canonical_number(one) == canonical_number(other)) == (Decimal(one) == Decimal(other))


@given(numbers())
def test_a_canonical_number_keeps_every_digit_and_is_its_own_canonical_form(written: str) -> None:
    made = canonical_number(written)
    with localcontext(prec=60):
        assert Decimal(made) == Decimal(written)
    assert canonical_number(made) == made


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_has_no_canonical_form(written: str) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        canonical_number(written)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"N": "1.50"}, {"N": "15e-1"}),
        ({"N": "-0"}, {"N": "0.0"}),
        ({"NS": ["1", "2.0"]}, {"NS": ["2", "1"]}),
        ({"SS": ["a", "b"]}, {"SS": ["b", "a"]}),
        ({"L": [{"M": {"a": {"N": "10"}}}]}, {"L": [{"M": {"a": {"N": "1E1"}}}]}),
    ],
)
def test_equal_values_have_equal_digests(one: AttributeValue, other: AttributeValue) -> None:
    assert digest({"a": one}) == digest({"a": other})


DIFFERENT: list[AttributeValue] = [
    text(""),
    text("1"),
    number(1),
    {"BOOL": True},
    {"NULL": True},
    {"B": "MQ=="},
    {"SS": ["1"]},
    {"NS": ["1"]},
    {"BS": ["MQ=="]},
    {"L": [text("1")]},
    {"L": []},
    {"M": {}},
    {"M": {"S": text("1")}},
    {"L": [text("1"), text("2")]},
    {"L": [text("2"), text("1")]},
]


@pytest.mark.parametrize(("one", "other"), list(permutations(DIFFERENT, 2)))
def test_different_values_have_different_digests(one: AttributeValue, other: AttributeValue) -> None:
    assert digest({"a": one}) != digest({"a": other})


@given(st.dictionaries(st.text(max_size=5), wire_values(), max_size=4), wire_values())
def test_a_digest_ignores_the_stamp_and_the_order_of_names_and_nothing_else(item: Item, value: AttributeValue) -> None:
    item.pop(STAMP, None)
    turned = dict(reversed(item.items()))
    assert digest({**turned, STAMP: value}) == digest(item)
    assert digest({**item, "one more": value}) != digest(item)


@given(FILLED, FILLED, numbers())
def test_a_source_id_is_read_back_and_equal_keys_share_it(source: str, name: str, count: str) -> None:
    key: Item = {"a": {"S": name}, "b": {"N": count}}
    written = source_id(source, key, ("a", "b"))
    found, parsed = parse_source_id(written, (("a", "S"), ("b", "N")))
    assert (found, parsed["a"]) == (source, key["a"])
    assert Decimal(parsed["b"]["N"]) == Decimal(count)
    assert source_id(source, {"a": key["a"], "b": {"N": f"{Decimal(count):e}"}}, ("a", "b")) == written


@given(FILLED, FILLED, FILLED, FILLED)
def test_different_keys_have_different_source_ids(one: str, two: str, three: str, four: str) -> None:
    first = source_id("t", {"a": text(one), "b": text(two)}, ("a", "b"))
    second = source_id("t", {"a": text(three), "b": text(four)}, ("a", "b"))
    assert (first == second) == ((one, two) == (three, four))


def test_a_mark_is_known_by_any_string_of_its_key() -> None:
    assert mark_id({"id": text(f"{MARK_PREFIX}m1#abc")}) == "m1"
    assert mark_id({"n": number(5), "id": text(f"{MARK_PREFIX}m1#abc")}) == "m1"
    assert mark_id({"id": text("ada")}) is None


VERSIONS = st.builds(Version, st.integers(0, 999_999), st.integers(0, 10**40 - 1), st.integers(0, 9999))


@given(VERSIONS, VERSIONS)
def test_versions_sort_as_their_text_does_and_are_read_back(one: Version, other: Version) -> None:
    assert (one < other) == (str(one) < str(other))
    assert Version.parse(str(one)) == one


@pytest.mark.parametrize("written", ["", "1.2.3", f"{Version(1)} ", str(Version(1)).replace(".", ":")])
def test_what_is_no_version_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        Version.parse(written)


def test_a_repair_is_newer_than_its_image_and_older_than_the_next_change() -> None:
    assert Version(1, 5) < Version(1, 5).repaired() < Version(1, 6) < Version(2)


def test_a_stamp_fits_what_it_was_made_for_and_nothing_else() -> None:
    item: Item = {"PK": text("a"), "SK": text("b"), "n": number(1)}
    stamp = Stamp.fresh(item, "users/a", Version(1, 5))
    put = stamp.put_on(item)
    assert Stamp.of(put) == stamp
    assert stamp.fits(put)
    assert stamp.fits({**put, "n": {"N": "1.0"}})
    assert not stamp.fits({**put, "PK": text("z")})
    assert STAMP not in item


@pytest.mark.parametrize(
    "spoilt", [{"S": "x"}, {"M": {}}, {"M": {"src": {"S": "a"}, "ver": {"S": "1"}}}, {"NULL": True}]
)
def test_what_only_looks_like_a_stamp_is_none(spoilt: AttributeValue) -> None:
    assert Stamp.of({"PK": text("a"), STAMP: spoilt}) is None


def test_a_tombstone_that_somebody_wrote_to_is_none_any_more() -> None:
    item: Item = {"PK": text("a"), "SK": text("b")}
    put = Stamp.fresh(item, "users/a", Version(1), dead=True).put_on(item)
    assert is_tombstone(put)
    assert not is_tombstone({**put, "n": number(1)})
