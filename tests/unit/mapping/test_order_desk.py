"""The second plan: other key names, composite keys, three items of one, a key that moves, Python functions."""

from pathlib import Path

import pytest

from domain.errors import DataError
from domain.items import Item, TargetKey
from mapping.functions import PlanFunction
from mapping.plan import load_plan
from tests.strategies import DESK, PLANS

ORDER: Item = {
    "customerId": {"S": "c1"},
    "orderNo": {"N": "7"},
    "status": {"S": "o"},
    "placedAt": {"N": "1795438294703"},
    "totalCents": {"N": "1999"},
    "currency": {"S": "EUR"},
    "rush": {"BOOL": True},
}


def test_an_order_fans_out_into_three_items() -> None:
    translation = DESK.translate("orders", ORDER)
    assert set(translation.items) == {
        TargetKey("C#c1", "O#7"),
        TargetKey("S#o", "c1#7"),
        TargetKey("D#2026-11-23", "c1#7"),
    }
    assert translation.items[TargetKey("C#c1", "O#7")]["totalSk"] == {"N": "1999"}, "a number sorts as a number"
    assert {name: translation.items[TargetKey("D#2026-11-23", "c1#7")][name] for name in ORDER} == ORDER


def test_one_of_them_moves_with_the_status_and_the_primary_one_never() -> None:
    before, after = DESK.translate("orders", ORDER), DESK.translate("orders", {**ORDER, "status": {"S": "p"}})
    assert before.primary == after.primary
    assert before.items.keys() - after.items.keys() == {TargetKey("S#o", "c1#7")}
    assert after.items.keys() - before.items.keys() == {TargetKey("S#p", "c1#7")}
    assert len(DESK.translate("orders", {**ORDER, "status": {"S": "lost"}}).items) == 2


def test_a_python_function_makes_a_value_and_another_brings_it_back() -> None:
    translation = DESK.translate("orders", ORDER)
    made = translation.items[translation.primary]
    assert made["priority"] == {"S": "high"}
    back = DESK.untranslate({**made, "priority": {"S": "normal"}, "statusWord": {"S": "shipped"}})
    assert back is not None
    assert (back.item["rush"], back.item["status"]) == ({"BOOL": False}, {"S": "s"})
    odd = DESK.untranslate({**made, "priority": {"S": "someday"}})
    assert odd is not None
    assert odd.item["rush"] == {"BOOL": True}
    assert odd.item["_target"]["M"]["set"]["M"]["priority"] == {"S": "someday"}


def test_python_arithmetic_is_exact() -> None:
    item: Item = {"orderId": {"S": "o"}, "lineNo": {"N": "1"}, "quantity": {"N": "0.1"}, "unitCents": {"N": "3"}}
    translation = DESK.translate("order-lines", item)
    assert translation.items[translation.primary]["lineTotal"] == {"N": "0.3"}


def test_a_function_that_fails_or_returns_nonsense_quarantines_the_item() -> None:
    def failing(image: Item) -> Item:
        return image["nothing"]

    with pytest.raises(DataError, match=r"m:failing failed: KeyError"):
        PlanFunction("m:failing", failing, "").of_image({})
    with pytest.raises(DataError, match="no attribute value"):
        PlanFunction("m:f", lambda _: "text", "").of_image({})


def test_a_function_cannot_change_the_item_it_is_given() -> None:
    item: Item = {"a": {"S": "x"}}
    PlanFunction("m:f", lambda image: image.clear(), "").of_image(item)
    assert item == {"a": {"S": "x"}}


TURNCOAT = """
def rush(value, image):
    return {"BOOL": not image.get("rush", {}).get("BOOL")}
def priority(image):
    return {"S": "high"}
line_total = priority
"""


def test_an_inverse_that_says_something_else_each_time_changes_nothing(tmp_path: Path) -> None:
    """Else an item would never settle: each way back would turn it round."""
    (tmp_path / "order_desk.py").write_text(TURNCOAT, encoding="utf-8")
    path = tmp_path / "order-desk.yaml"
    path.write_text((PLANS / "order-desk.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    plan = load_plan(path, variables={"DESK": "p"})
    translation = plan.translate("orders", ORDER)
    item = {**translation.items[translation.primary], "priority": {"S": "low"}}
    back = plan.untranslate(item)
    assert back is not None
    assert back.item["rush"] == ORDER["rush"]
    assert plan.translate("orders", back.item).items[translation.primary] == item
