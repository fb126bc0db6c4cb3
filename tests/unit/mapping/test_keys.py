"""Target keys: read back unambiguously, whatever the parts hold (protocol §2), within DynamoDB's limits."""

import pytest

from domain.errors import DataError, FatalError
from domain.items import AttributeValue, Item, TargetKey
from mapping.overlaps import overlap
from mapping.templates import sealed_template
from tests.strategies import DESK, TYLER


def line(order: str, number: str) -> Item:
    return {"orderId": {"S": order}, "lineNo": {"N": number}}


def test_a_separator_within_a_part_is_encoded_where_the_part_is_not_the_last() -> None:
    assert DESK.translate("order-lines", line("a#1", "7")).primary == TargetKey("L#a%231#7", "LINE")
    assert DESK.translate("order-lines", line("a%231", "7")).primary == TargetKey("L#a%25231#7", "LINE")
    assert TYLER.translate("users", {"id": {"S": "a#1%23"}}).primary == TargetKey("USER#a#1%23", "METADATA")


def test_one_number_has_one_key_however_it_is_spelt() -> None:
    keys = {DESK.translate("order-lines", line("o", number)).primary for number in ("7", "7.0", "70e-1", "+7")}
    assert keys == {TargetKey("L#o#7", "LINE")}


@pytest.mark.parametrize(
    ("pk", "sk"),
    [
        ("USER#", "METADATA"),
        ("USER#u1", "METADATA "),
        ("user#u1", "METADATA"),
        ("USER", "METADATA"),
        ("USER#u1", "PROFILE"),
        ("AUDIT#1", "AUDIT#1"),
    ],
)
def test_a_key_that_no_template_makes_is_nobodys(pk: str, sk: str) -> None:
    assert TYLER.owner(TargetKey(pk, sk)) is None


@pytest.mark.parametrize(
    "pk", ["L#o#07", "L#o#7.0", "L#o#x", "L#o#7#8", "L#o%7", "L#o%2x#7", "L#o%23%41#7", "L#o#1E+3", f"L#o#{'1' * 39}"]
)
def test_a_key_spelt_as_we_never_would_is_nobodys(pk: str) -> None:
    assert DESK.owner(TargetKey(pk, "LINE")) is None


def test_owner_reads_the_source_key() -> None:
    owner = DESK.owner(TargetKey("S#o", "a%231#7.5"))
    assert owner is not None
    assert owner.source_key == {"customerId": {"S": "a#1"}, "orderNo": {"N": "7.5"}}
    assert (owner.source_id, owner.primary) == ("orders/a%231/7.5", False)
    assert DESK.source_key(owner.source_id) == ("orders", owner.source_key)


def test_keys_and_their_attributes_are_inverse() -> None:
    key = TargetKey("C#a", "PROFILE")
    assert DESK.key_item(key) == {"pk": {"S": "C#a"}, "sk": {"S": "PROFILE"}}
    assert DESK.target_key({**DESK.key_item(key), "name": {"S": "x"}}) == key
    with pytest.raises(DataError, match="without its key"):
        DESK.target_key({"pk": {"S": "x"}})


@pytest.mark.parametrize("item", [{}, {"id": {"N": "1"}}, {"id": {"S": ""}}, {"id": {"NULL": True}}], ids=str)
def test_an_item_without_its_whole_key_cannot_be_translated(item: Item) -> None:
    with pytest.raises(DataError):
        TYLER.translate("users", item)


def test_a_source_that_the_plan_does_not_know_is_named() -> None:
    with pytest.raises(FatalError, match="'people'"):
        TYLER.translate("people", {})


def test_a_primary_key_that_is_too_long_is_refused_without_printing_it() -> None:
    token = "t" * 2040
    with pytest.raises(DataError) as caught:
        TYLER.translate("refresh-tokens", {"token": {"S": token}})
    assert token not in str(caught.value)
    assert "refresh-tokens/~" in str(caught.value)


def test_an_index_key_that_is_too_long_leaves_the_index_out_and_keeps_the_item() -> None:
    made = TYLER.translate("users", {"id": {"S": "u"}, "email": {"S": "é" * 1025}})
    item = made.items[made.primary]
    assert "GSI2PK" not in item
    assert item["email"] == {"S": "é" * 1025}


def test_a_second_item_whose_key_is_too_long_is_left_out_and_the_entry_kept() -> None:
    assert len(TYLER.translate("audit", {"id": {"S": "a"}, "userId": {"S": "u" * 2048}}).items) == 1


def test_an_item_that_grows_too_large_is_refused_on_either_way() -> None:
    with pytest.raises(DataError, match="target item USER#u / METADATA"):
        TYLER.translate("users", {"id": {"S": "u"}, "note": {"S": "x" * 409_500}})
    assert TYLER.translate("users", {"id": {"S": "u"}, "note": {"S": "x" * 409_000}}).items
    item: Item = {
        "PK": {"S": "USER#u"},
        "SK": {"S": "METADATA"},
        "fullName": {"S": "x" * 204_800},
        "profile": {"S": "x" * 204_780},
    }
    with pytest.raises(DataError, match="legacy item users/u"):
        TYLER.untranslate({**item, "name": {"S": "y"}})


def test_an_item_nested_too_deeply_for_the_map_is_refused() -> None:
    value: Item = {"L": []}  # type: ignore[dict-item]
    for _ in range(30):
        value = {"L": [value]}  # type: ignore[dict-item]
    assert TYLER.translate("users", {"id": {"S": "u"}, "deep": value}).items
    with pytest.raises(DataError, match="nested"):
        TYLER.translate("users", {"id": {"S": "u"}, "profile": value})


def test_a_value_one_level_too_deep_for_the_database_is_refused() -> None:
    """The attribute itself is level 1 of 32, as DynamoDB counts (tests/contract): 31 lists and what they hold."""
    value: AttributeValue = {"S": "x"}
    for _ in range(31):
        value = {"L": [value]}
    assert TYLER.translate("users", {"id": {"S": "u"}, "deep": value}).items
    with pytest.raises(DataError, match="nested"):
        TYLER.translate("users", {"id": {"S": "u"}, "deep": {"L": [value]}})


@pytest.mark.parametrize("empty", [{"L": []}, {"M": {}}])
def test_an_empty_list_or_map_takes_the_level_that_it_has_room_for(empty: AttributeValue) -> None:
    """DynamoDB refuses it there (tests/contract): the copy would find out what the proof had let pass."""
    value = empty
    for _ in range(30):
        value = {"L": [value]}
    assert TYLER.translate("users", {"id": {"S": "u"}, "deep": value}).items
    for name, deeper in (("deep", {"L": [value]}), ("profile", value)):
        with pytest.raises(DataError, match="nested"):
            TYLER.translate("users", {"id": {"S": "u"}, name: deeper})


@pytest.mark.parametrize(
    ("one", "two", "shared"),
    [
        ("USER#{a}", "USER#{b}", True),
        ("USER#{a}", "USER#AUDIT#{b}", True),
        ("USER#{a}", "AUDIT#{b}", False),
        ("USER", "USER#{a}", False),
        ("USER#{a}", "USER#x", True),
        ("{a}#X", "{b}#Y", False),
        ("{a}#X", "{b}", True),
        ("{a}#{b}", "X", False),
        ("L#{a}#{b}", "L#{a}", True),
        ("{a}#1", "{a}#{b}#2", False),
        ("{a}#", "{a}#{b}", False),
        ("{a}-{b}", "x#{c}", True),
    ],
)
def test_overlapping_templates_are_found_and_only_those(one: str, two: str, *, shared: bool) -> None:
    first, second = (sealed_template(each, types={}) for each in (one, two))
    constant = sealed_template("X", types={})
    assert overlap((first, constant), (second, constant)) is shared
    assert overlap((second, constant), (first, constant)) is shared
    assert not overlap((first, constant), (second, sealed_template("Y", types={})))
