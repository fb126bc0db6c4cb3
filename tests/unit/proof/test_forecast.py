"""Figures by hand: units, time, dollars, the hottest key, and what does not fit."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import FatalError
from domain.items import AttributeValue, Item, number, text
from domain.tables import IndexDefinition, KeyAttribute, TableDefinition
from proof.capacity import entries, write_units
from proof.census import COLLECTION_BYTES, Census
from proof.examination import Examined, Written
from proof.forecast import TABLE_QUOTA_UNITS, UNWARMED_UNITS, Pace, forecast
from proof.hitters import Hitters
from proof.prices import read_prices
from tests.world import plan_named

PRICES = read_prices(None)
TABLE = TableDefinition(
    "t",
    (KeyAttribute("pk", "S"), KeyAttribute("sk", "S")),
    (
        IndexDefinition("all", (KeyAttribute("group", "S"),)),
        IndexDefinition("some", (KeyAttribute("day", "N"),), include=("name",)),
        IndexDefinition("mine", (KeyAttribute("pk", "S"), KeyAttribute("version", "N")), local=True),
    ),
)


def item(**attributes: AttributeValue) -> Item:
    return {"pk": text("p"), "sk": text("s"), **attributes}


@pytest.mark.parametrize(("size", "units"), [(0, 1), (1, 1), (1024, 1), (1025, 2), (409_600, 400)])
def test_a_unit_is_a_kilobyte_begun(size: int, units: int) -> None:
    assert write_units(size) == units


def test_an_index_costs_what_it_shows_and_nothing_where_it_shows_nothing() -> None:
    found = {each.index: each for each in entries(TABLE, item(day=number(7), name=text("n"), bulk=text("x" * 3000)))}
    assert found.keys() == {"table", "some"}
    assert (found["table"].units, found["some"].units) == (3, 1)
    assert found["some"].hash_key == "7"
    assert found["some"].size == len("pkpsksnamenday") + 3


def test_a_local_index_counts_to_the_collection_of_its_hash_key() -> None:
    census = _census(*[item(version=number(each)) for each in range(3)])
    size = next(entries(TABLE, item(version=number(1)))).size
    assert census.collections.heaviest(9) == [("p", 6 * size)]


def test_a_local_index_is_written_in_the_partition_of_its_table() -> None:
    """So the hottest key takes both; else it would seem half as hot."""
    census = _census(*[item(version=number(each), group=text("g")) for each in range(3)])
    assert census.heaviest() == {"table": [("p", 6)], "all": [("g", 3)]}
    assert census.units == {"table": 3, "all": 3, "mine": 3}


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        (COLLECTION_BYTES + 1, ["collection-too-large"]),
        (COLLECTION_BYTES, ["collection-large"]),
        (COLLECTION_BYTES // 2, []),
    ],
)
def test_a_collection_that_outgrows_its_limit_is_a_fault(size: int, kinds: list[str]) -> None:
    census = Census()
    census.collections.add("p", size)
    assert [kind for kind, _ in census.grown()] == kinds


def test_time_is_what_the_slowest_takes() -> None:
    census = Census()
    census.bytes["users"] = 4096 * 900 + 1
    census.units.update({"table": 3000, "all": 3000})
    assert forecast(census, Pace(1000), PRICES).seconds == 6
    assert forecast(census, Pace(1000, read_units=10), PRICES).seconds == 91
    census.partitions["all"] = Hitters({"one": 2_999_001}, 2_999_001)
    found = forecast(census, Pace(1000), PRICES)
    assert (found.floor_s, found.seconds, found.is_hot) == (3000, 3000, True)
    assert found.hottest == ("all", "one", 2_999_001)


def test_a_key_that_is_hot_for_a_moment_only_is_not() -> None:
    census = Census()
    census.units["table"] = 1000
    census.partitions["table"] = Hitters({"one": 300_000}, 300_000)
    assert not forecast(census, Pace(10_000), PRICES).is_hot


@pytest.mark.parametrize(
    ("pace", "words"),
    [
        (UNWARMED_UNITS, []),
        (UNWARMED_UNITS + 1, ["warm-throughput"]),
        (TABLE_QUOTA_UNITS, ["warm-throughput"]),
        (TABLE_QUOTA_UNITS + 1, ["table-quota"]),
    ],
)
def test_a_pace_that_a_table_does_not_take_is_said(pace: int, words: list[str]) -> None:
    assert [word for word, _ in forecast(Census(), Pace(pace), PRICES).remarks()] == words


def test_a_copy_longer_than_the_streams_keep_is_said() -> None:
    census = Census()
    census.units["table"] = 86_400
    assert [word for word, _ in forecast(census, Pace(1), PRICES).remarks()] == []
    census.units["table"] += 1
    assert [word for word, _ in forecast(census, Pace(1), PRICES).remarks()] == ["retention"]


def test_dollars_are_exact() -> None:
    census = Census()
    census.bytes["users"], census.units["table"] = 4096 * 4_000_000, 16_000_000
    census.entry_bytes["table"], census.entries["table"] = 1024**3 * 100 - 1000, 10
    dollars = forecast(census, Pace(1000), PRICES).dollars
    assert dollars == {
        "copy_reads": Decimal("0.50"),
        "copy_writes": Decimal("10.00"),
        "storage_a_month": Decimal("25.00"),
        "recovery_a_month": Decimal("20.00"),
    }


def test_prices_of_ones_own_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    own = tmp_path / "prices.yaml"
    own.write_text(PRICES.model_dump_json())
    assert read_prices(own) == PRICES
    own.write_text('{"as_of": "x", "region": "y", "write_million_units": "-1"}')
    with pytest.raises(FatalError, match=r"write_million_units.*read_million_units"):
        read_prices(own)
    with pytest.raises(FatalError, match=r"none\.yaml"):
        read_prices(tmp_path / "none.yaml")


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=400))
def test_the_heaviest_keys_are_short_by_no_more_than_is_said(added: list[tuple[int, int]]) -> None:
    hitters = Hitters(kept=4)
    true = Counter[str]()
    for name, weight in added:
        hitters.add(str(name), weight)
        true[str(name)] += weight
    assert hitters.total == sum(true.values())
    assert len(hitters.weights) <= 8
    for key, sum_of_all in true.items():
        assert sum_of_all - hitters.lost <= hitters.weights.get(key, 0) <= sum_of_all


@given(st.lists(st.sampled_from("abc"), max_size=9))
def test_a_census_is_read_back_as_it_was(groups: list[str]) -> None:
    census = _census(*[item(group=text(group), version=number(1)) for group in groups])
    census.faults["users", "too-large", ""] += 1
    assert Census.read(census.document()) == census


def _census(*items: Item) -> Census:
    census, key = Census(), plan_named("tyler-setup", "acme").target_key({"PK": text("p"), "SK": text("s")})
    for each in items:
        written = Written("THING", key, each, tuple(entries(TABLE, each)))
        census.add(TABLE, Examined("things", "things/1", 100, (written,), ()))
    return census


def test_an_item_that_was_not_translated_is_counted_all_the_same() -> None:
    census = Census()
    census.add(replace(TABLE, indexes=()), Examined("things", "things/1", 100, (), ()))
    assert (census.items["things"], census.bytes["things"], census.written) == (1, 100, {})
