"""The 329 items that the legacy application itself wrote, all of them."""

import json
from pathlib import Path

import pytest

from domain.items import Item
from tests.strategies import TYLER

SAMPLE = Path(__file__).resolve().parents[3] / "service" / "demo" / "sample"


def sample(source: str) -> list[Item]:
    lines = (SAMPLE / f"{source}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["Item"] for line in lines]


def test_the_product_ships_all_of_them() -> None:
    assert {source: len(sample(source)) for source in TYLER.sources} == {
        "users": 56,
        "contractors": 25,
        "refresh-tokens": 54,
        "audit": 193,
        "config": 1,
    }


@pytest.mark.parametrize("source", list(TYLER.sources))
def test_every_item_stands_in_the_target_unchanged_and_comes_back_verbatim(source: str) -> None:
    for item in sample(source):
        translation = TYLER.translate(source, item)
        made = translation.items[translation.primary]
        assert {name: made[name] for name in item} == item
        back = TYLER.untranslate(made)
        assert back is not None
        assert (back.source, back.item) == (source, item)
        assert not {"_legacy", "_target", "_stamp"} & made.keys()


@pytest.mark.parametrize("source", list(TYLER.sources))
def test_nothing_sensitive_of_it_can_be_printed(source: str) -> None:
    secret = ("email", "passwordHash", "tokenHash", "token", "invitedByEmail", "contractorEmail")
    for item in sample(source):
        nested = item.get("details", {}).get("M", {})
        values = [each["S"] for each in ({**nested, **item}.get(name, {}) for name in secret) if "S" in each]
        printed = [TYLER.masked(TYLER.source_id(source, item)), str(TYLER.masked_item(item))]
        for key, made in TYLER.translate(source, item).items.items():
            printed += [
                TYLER.masked_target(key),
                str(TYLER.masked_item(made)),
                str(TYLER.masked_item(TYLER.key_item(key))),
            ]
        assert not [value for value in values for text in printed if value in text]
