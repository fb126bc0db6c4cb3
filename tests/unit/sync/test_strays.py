"""Whose a record of the target's stream is, outside of the application's spans; what is said of a stray (§9)."""

from dataclasses import replace

import pytest

from apply.stamping import stamped, tombstone
from domain.changes import Change
from domain.items import Item, TargetKey, text
from domain.phases import Side
from domain.positions import Version
from sync.strays import is_ours, told
from tests.examples import changed
from tests.strategies import TYLER

KEY = TargetKey("USER#ada", "METADATA")
CONTENT: Item = {"name": text("Ada")}
NO_ITEM: Item = {}


def ours(name: str, sequence: int, repair: int = 0, source_id: str = "users/ada") -> Item:
    item = {**TYLER.key_item(KEY), "name": text(name)}
    return stamped(KEY, item, source_id, Version(1, sequence, repair)).item


STONE = tombstone(KEY, TYLER.key_item(KEY), "users/ada", Version(1, 7)).item
ADA = ours("Ada", 5)
THEIRS = changed(ADA, name=text("Somebody"))


def record(old: Item | None, new: Item | None) -> Change:
    return Change(TYLER.key_item(KEY), old, new, 9, 1_795_438_300_000)


@pytest.mark.parametrize(
    ("old", "new", "is_it"),
    [
        (None, ADA, True),
        (ADA, ours("Ada II", 6), True),
        (ADA, ours("Ada II", 5, repair=1), True),
        (ADA, STONE, True),
        (STONE, None, True),
        ({**STONE, "note": {"S": "was here"}}, None, True),
        (THEIRS, ours("Ada II", 6), True),
        (ours("Ada", 9, source_id="users/bob"), ADA, True),
        ({**TYLER.key_item(KEY), **CONTENT}, ADA, True),
        (ADA, THEIRS, False),
        (None, {**TYLER.key_item(KEY), **CONTENT}, False),
        (ADA, None, False),
        (THEIRS, ADA, False),
        (ours("Ada II", 6), ADA, False),
    ],
    ids=[
        "a first put", "a newer one", "a repair", "a burial", "a purge", "a purge of what was added to",
        "an adoption",
        "of what claimed to be another's",
        "of what had no stamp", "a change that carries the stamp along", "an item of theirs", "a deletion",
        "a change taken back", "an older content put back",
    ],
)  # fmt: skip
def test_a_record_is_ours_by_its_stamp(old: Item | None, new: Item | None, *, is_it: bool) -> None:
    assert is_ours(record(old, new)) is is_it


def test_a_deletion_by_time_to_live_is_nobodys() -> None:
    assert is_ours(replace(record(ADA, None), by_ttl=True))


def test_a_stray_is_told_with_what_when_and_where_and_no_value() -> None:
    said = told(Side.TARGET, record(ADA, changed(THEIRS, status=text("secret"))))
    assert said.startswith("changed (name, status) in the target while the legacy tables serve, at 2026-11-2")
    assert "secret" not in said
    assert told(Side.SOURCE, record(ADA, None)).startswith("deleted in the legacy table while the target serves, at ")
    assert told(Side.SOURCE, record(None, ADA)).startswith("created")
    many = told(Side.SOURCE, record(ADA, {**ADA, **{f"{'n' * 90}{number}": text("x") for number in range(20)}}))
    assert len(many) < 400
