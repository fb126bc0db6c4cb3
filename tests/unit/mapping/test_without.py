"""Attributes that are left out are left out wherever an item carries them, and nothing else is."""

import pytest

from domain.items import Item
from mapping.overrides import without

LEFT_OUT = ("seen", "count")


@pytest.mark.parametrize(
    ("item", "left"),
    [
        ({"id": {"S": "a"}, "seen": {"N": "1"}}, {"id": {"S": "a"}}),
        ({"_target": {"M": {"set": {"M": {"seen": {"N": "1"}}}}}}, {}),
        (
            {"_target": {"M": {"set": {"M": {"seen": {"N": "1"}, "more": {"S": ""}}}, "removed": {"SS": ["count"]}}}},
            {"_target": {"M": {"set": {"M": {"more": {"S": ""}}}}}},
        ),
        (
            {"_legacy": {"M": {"seen": {"N": "1"}, "GSI1PK": {"S": "x"}, "_own": {"SS": ["count", "version"]}}}},
            {"_legacy": {"M": {"GSI1PK": {"S": "x"}, "_own": {"SS": ["version"]}}}},
        ),
        ({"more": {"M": {"seen": {"N": "1"}}}}, {"more": {"M": {"seen": {"N": "1"}}}}),
        (
            {"_target": {"M": {"set": {"M": {"more": {"M": {"seen": {"N": "1"}, "none": {"M": {}}}}}}}}},
            {"_target": {"M": {"set": {"M": {"more": {"M": {"seen": {"N": "1"}, "none": {"M": {}}}}}}}}},
        ),
        ({"_target": {"S": "the application's own"}}, {"_target": {"S": "the application's own"}}),
    ],
    ids=[
        "top",
        "carried alone",
        "carried among others",
        "displaced",
        "inside a value",
        "inside a carried one",
        "no map",
    ],
)
def test_what_is_left_out(item: Item, left: Item) -> None:
    given = dict(item)
    assert without(item, LEFT_OUT) == left
    assert item == given
