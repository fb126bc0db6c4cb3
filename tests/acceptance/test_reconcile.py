"""Every fault there is, planted on DynamoDB under live traffic: all found, none invented, mended where a repair may.

What is planted is in `spoilings`; the two stories, told side by side, are in `forth` and `back`.
"""

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.acceptance import back, forth
from tests.acceptance.back import Back
from tests.acceptance.conftest import one_scene
from tests.acceptance.disagreements import Plant, Told, Way, content
from tests.acceptance.forth import Forth, Placed
from tests.acceptance.spoilings import COUNT, FAULTS

Stories = tuple[Future[Forth], Future[Back]]

AGREES, DISAGREES = 0, 3
NO_FAULTS = 8
WAITS = "nothing: it agrees by now, or waits for a change of the item, or of the plan"
NOT_OURS = "nothing: what stands there was not written by tableturn"
PUTS = {"missing": "put", "different": "put", "extra": "tombstone"}


@pytest.fixture(scope="module")
def stories(client: Any, local_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    with ExitStack() as stack, ThreadPoolExecutor(2) as both:
        scenes = [
            stack.enter_context(one_scene(client, local_database, tmp_path_factory.mktemp(name)))
            for name in ("forth", "back")
        ]
        for scene in scenes:
            scene.program.longest = forth.FOLLOWS
        yield both.submit(Forth(scenes[0]).tell), both.submit(Back(scenes[1]).tell)


@pytest.fixture(scope="module")
def forward(stories: Stories) -> Forth:
    return stories[0].result()


@pytest.fixture(scope="module")
def backward(stories: Stories) -> Back:
    return stories[1].result()


def told(document: Any) -> Counter[tuple[str, Told]]:
    """Return what a document says: masked ids with kinds and attributes."""
    return Counter((each["item"], (each["kind"], tuple(each["attributes"]))) for each in document["examples"])


def test_enough_is_planted_under_traffic(forward: Forth) -> None:
    by_fault = Counter(plant.fault for plant in forward.plants if plant.way is not Way.NONE)
    assert len(by_fault) >= 40
    assert by_fault.total() >= 500
    assert len({plant.item for plant in forward.plants if plant.mismatch}) >= 500
    assert len(FAULTS) - len(by_fault) == NO_FAULTS
    assert all(by_fault[name] >= COUNT for name in by_fault if name != "untranslatable")
    assert forward.writes > 200


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_told_by_kind_and_attributes(forward: Forth, fault: str) -> None:
    expected = forward.expected(plant for plant in forward.plants if plant.fault == fault)
    items = {item for item, _ in expected} or {plant.item for plant in forward.plants if plant.fault == fault}
    said = told(forward.document("found"))
    assert Counter({each: count for each, count in said.items() if each[0] in items}) == expected


def test_everything_planted_is_told_and_nothing_else(forward: Forth) -> None:
    found = forward.document("found")
    assert forward.said["found"].code == DISAGREES
    assert told(found) == forward.expected()
    assert found["mismatches"] == forward.expected().total()
    assert found["kinds"] == dict(forward.kinds(*Way))
    assert (found["expired"], found["unmapped"]) == (2 * COUNT, COUNT)
    assert found == json.loads((forward.folder / "found.json").read_text(encoding="utf-8"))
    assert "mismatches" in (forward.folder / "found.html").read_text(encoding="utf-8")


def test_the_worker_sees_them_as_well_by_itself(forward: Forth) -> None:
    status = forward.document("status")
    assert status["reconciled"]["kinds"] == dict(forward.kinds(*Way))
    assert len(status["reconciled"]["examples"]) == 50
    assert told(status["reconciled"]) <= forward.expected()
    assert not next(gate for gate in status["gates"] if gate["name"] == "reconciled")["passes"]


def test_a_part_is_asked_for(forward: Forth) -> None:
    of_users = [plant for plant in forward.plants if plant.item.startswith("users/")]
    assert told(forward.document("users only")) == forward.expected(of_users)
    assert told(forward.document("two")) == {(forth.WRONG, ("different", ("role",))): 1}
    assert forward.document("two")["suspects"] == 2


def test_a_sample_finds_what_is_widely_wrong(forward: Forth) -> None:
    assert forward.said["sample"].code == DISAGREES
    assert forward.document("sample")["mismatches"] > 10
    assert told(forward.document("sample")) <= forward.expected()
    assert forward.said["clean sample"].code == AGREES
    assert forward.document("clean sample")["suspects"] > 20


def test_a_restored_table_agrees_or_is_told_where_it_does_not(forward: Forth) -> None:
    assert forward.said["restored"].code == AGREES
    assert forward.document("restored")["compared"] > 300
    assert forward.said["restored otherwise"].code == DISAGREES
    assert told(forward.document("restored otherwise")) == {
        (f"users/{forth.SPOILT}", ("different", ("profile", "role"))): 1,
        (f"users/{forth.LACKING}", ("extra", ())): 1,
        ("users/later", ("missing", ())): 1,
    }


def test_what_a_repair_would_do_is_told_and_nothing_is_done(forward: Forth) -> None:
    would = forward.document("would")
    assert forward.said["would"].code == DISAGREES
    by_item = {each["item"]: each["repair"] for each in would["examples"]}
    mendable = {item: PUTS[kind] for item, (kind, _) in forward.expected(forward.of(Way.REPAIR))}
    assert {item: by_item[item] for item in mendable} == mendable
    told_otherwise = forward.expected(each for each in forward.of(Way.HAND) if each.told)
    whose = forward.expected(each for each in forward.of(Way.HAND) if not each.told)
    assert {by_item[item] for item, _ in told_otherwise} == {WAITS}
    assert {by_item[item] for item, _ in whose} == {NOT_OURS}
    assert sum(would["repairs"].values()) == would["mismatches"] == len(would["examples"])
    assert forward.looks["asked"] == forward.looks["planted"]


def test_only_what_is_missing_is_mended_when_only_that_is_asked_for(forward: Forth) -> None:
    missing = {each.key for each in forward.of(Way.REPAIR) if each.mismatch == ("missing", ())}
    said, look = forward.document("missing mended"), forward.looks["missing mended"]
    left = forward.kinds(*Way) - Counter(missing=len(missing))
    assert (said["repaired"], said["kinds"]) == (len(missing), dict(left))
    assert {key: item for key, item in look.items() if key not in missing} == {
        key: item for key, item in forward.looks["planted"].items() if key not in missing
    }
    assert all(_is_right(each, look) for each in forward.plants if each.key in missing)


def test_a_repair_mends_what_it_may_and_leaves_what_is_somebody_elses(forward: Forth) -> None:
    said, look, before = forward.document("mended"), forward.looks["mended"], forward.looks["planted"]
    assert forward.said["mended"].code == DISAGREES
    assert said["kinds"] == dict(forward.kinds(Way.HAND))
    assert said["repaired"] == len(forward.of(Way.REPAIR)) - forward.document("missing mended")["repaired"]
    unmended = [plant.fault for plant in forward.of(Way.REPAIR) if not _is_right(plant, look)]
    touched = [
        plant.fault
        for plant in forward.plants
        if plant.way is not Way.REPAIR and plant.key and look[plant.key] != before[plant.key]
    ]
    assert (unmended, touched) == ([], [])


def test_what_was_taken_away_by_hand_is_mended_then_and_both_sides_agree(forward: Forth) -> None:
    said = forward.document("settled")
    assert (forward.said["settled"].code, said["kinds"]) == (AGREES, {})
    assert said["repaired"] == len([each for each in forward.of(Way.HAND) if each.right])
    assert (forward.said["clean"].code, forward.document("clean")["mismatches"]) == (AGREES, 0)
    assert (forward.document("clean")["expired"], forward.document("clean")["unmapped"]) == (0, 0)
    assert forward.differences == []


def test_five_are_mended_unasked_and_six_are_not(backward: Back) -> None:
    few, left, five = (backward.repairs[name] for name in ("few", "one too many", "five"))
    assert [(each["why"], each["ids"], each["puts"]) for each in few] == [("few enough", 3, 3)]
    assert left == few
    assert len(backward.standing["one too many"]) == back.USERS - back.MOST - 1
    assert [(each["why"], each["ids"], each["puts"]) for each in five[1:]] == [("few enough", 5, 5)]
    assert len(backward.standing["five"]) == back.USERS


def test_what_is_planted_in_the_legacy_tables_after_the_cutover_is_found(backward: Back) -> None:
    kinds: dict[Told, range] = {
        ("missing", ()): back.MISSING,
        ("extra", ()): back.EXTRA,
        ("different", ("role", "shoeSize")): back.DIFFERENT,
    }
    expected = {(f"users/user-{number:06}", each): 1 for each, numbers in kinds.items() for number in numbers}
    assert backward.said["found"].code == DISAGREES
    assert told(backward.said["found"].document) == expected
    would = backward.said["would"].document
    assert would["repairs"] == {"put": 6, "delete": 3}
    assert {each["item"] for each in backward.strays} == {item for item, _ in expected}
    assert {each["reason"] for each in backward.strays} == {"stray"}


def test_the_legacy_tables_are_mended_once_somebody_has_looked_at_the_strays(backward: Back) -> None:
    alone, mended = (backward.said[name].document for name in ("left alone", "mended"))
    assert (alone["repaired"], alone["mismatches"]) == (0, 9)
    assert (mended["repaired"], mended["mismatches"]) == (9, 0)
    assert [backward.said[name].code for name in ("left alone", "mended", "clean")] == [DISAGREES, AGREES, AGREES]
    assert backward.differences == {"legacy": [], "target": []}


def _is_right(plant: Plant, look: Placed) -> bool:
    return plant.key is not None and content(look[plant.key]) == content(plant.right)
