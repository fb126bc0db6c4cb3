"""What GetRecords, DescribeStream and the reads answer: understood whole, digits and all, or the process stops."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.changes import Change
from domain.errors import FatalError
from domain.items import Item
from domain.positions import Version
from dynamo.aws_items import batch, page
from dynamo.aws_streams import description, records
from tests.fuzz.broken import BROKEN_VALUES, JSON, mutated
from tests.fuzz.effort import fuzzed
from tests.strategies import TEXT, wire_values

IMAGES = st.dictionaries(TEXT, wire_values(), min_size=1, max_size=3)
SEQUENCES = st.one_of(st.integers(0, 10**40 - 1), st.integers(10**20, 10**38)).map("{:021}".format)
TIMES: st.SearchStrategy[Any] = st.one_of(st.integers(0, 2 * 10**9), st.floats(0, 2e9))


@st.composite
def sound_records(draw: st.DrawFn) -> dict[str, Any]:
    event = draw(st.sampled_from(["INSERT", "MODIFY", "REMOVE"]))
    data: dict[str, Any] = {"Keys": draw(IMAGES), "SequenceNumber": draw(SEQUENCES), "SizeBytes": 5}
    data |= {"ApproximateCreationDateTime": draw(TIMES), "StreamViewType": "NEW_AND_OLD_IMAGES"}
    data |= {"NewImage": draw(IMAGES)} if event != "REMOVE" else {}
    data |= {"OldImage": draw(IMAGES)} if event != "INSERT" else {}
    return {"eventName": event, "eventID": "1", "awsRegion": "x", "unheardOf": draw(JSON), "dynamodb": data}


SHARDS = st.fixed_dictionaries(
    {"ShardId": st.text(min_size=1, max_size=8), "SequenceNumberRange": st.fixed_dictionaries({}, optional={
        "StartingSequenceNumber": SEQUENCES, "EndingSequenceNumber": SEQUENCES})},
    optional={"ParentShardId": st.text(min_size=1, max_size=8)},
)  # fmt: skip
PAGES = st.fixed_dictionaries({"Records": st.lists(sound_records(), max_size=2)}, optional={"NextShardIterator": TEXT})


def assert_sound(change: Change) -> None:
    """A change holds items and whole numbers, and its version sorts where it belongs."""
    assert type(change.sequence) is int
    assert type(change.created_ms) is int
    assert all(isinstance(value, dict) for image in (change.keys, change.old, change.new) for value in _values(image))
    assert Version.parse(str(Version(1, change.sequence))).sequence == change.sequence


def _values(image: Item | None) -> list[Any]:
    return list((image or {}).values())


@fuzzed()
@given(answer=PAGES)
def test_sound_records_become_changes_with_every_digit(answer: dict[str, Any]) -> None:
    found = records(answer)
    assert len(found.changes) == len(answer["Records"])
    for change, record in zip(found.changes, answer["Records"], strict=True):
        assert_sound(change)
        data = record["dynamodb"]
        assert (change.keys, change.old, change.new) == (data["Keys"], data.get("OldImage"), data.get("NewImage"))
        assert f"{change.sequence:021}" == data["SequenceNumber"]


def gone_wrong(document: Any) -> dict[str, Any]:
    record = {"eventName": "INSERT", "dynamodb": document}
    return {"Records": [record]}


ADA: dict[str, Any] = {"Keys": {"id": {"S": "ada"}}, "NewImage": {"id": {"S": "ada"}}, "SequenceNumber": "1"}


@fuzzed()
@given(answer=st.one_of(PAGES.flatmap(mutated), st.fixed_dictionaries({"Records": JSON}), JSON))
@example({"Records": [{}]}).via("was a KeyError")
@example(gone_wrong({**ADA, "ApproximateCreationDateTime": "1795438266"})).via("was a ValueError, or worse a number")
@example(gone_wrong({**ADA, "ApproximateCreationDateTime": None})).via("was a TypeError")
@example(gone_wrong({**ADA, "ApproximateCreationDateTime": float("inf")})).via("was an OverflowError")
@example(gone_wrong({**ADA, "SequenceNumber": "9" * 41})).via("its version sorted before smaller ones")
@example(gone_wrong({**ADA, "SequenceNumber": "٣"})).via("was taken for 3")
@example(gone_wrong({**ADA, "SequenceNumber": -1})).via("was taken for a position")
@example(gone_wrong({"Keys": ADA["Keys"], "SequenceNumber": "1"})).via("passed for a delete: it has no image")
@example({"Records": [{"eventName": "MODIFY", "dynamodb": {**ADA, "OldImage": None}}]}).via("lost the old keys")
@example({"Records": "abc"}).via("was a TypeError")
def test_a_page_of_records_is_understood_whole_or_stops_the_process(answer: Any) -> None:
    if not isinstance(answer, dict):
        return
    try:
        found = records(answer)
    except FatalError as error:
        assert error.hint  # noqa: PT017 - else every example would have to be told apart before
        return
    assert len(found.changes) == len(answer.get("Records", []))
    for change, record in zip(found.changes, answer.get("Records", []), strict=True):
        assert_sound(change)
        if record["dynamodb"].get("StreamViewType") in {None, "NEW_AND_OLD_IMAGES"}:
            assert (change.new is None) == (record["eventName"] == "REMOVE"), "only a delete has no new image"


@fuzzed()
@given(answer=st.fixed_dictionaries({"StreamDescription": st.fixed_dictionaries(
    {"Shards": st.lists(SHARDS, max_size=3)}, optional={"LastEvaluatedShardId": TEXT})}).flatmap(mutated))  # fmt: skip
@example({}).via("was a KeyError")
@example({"StreamDescription": {"Shards": [{"ShardId": "s", "SequenceNumberRange": {"EndingSequenceNumber": "x"}}]}})
def test_a_page_of_shards_is_understood_whole_or_stops_the_process(answer: Any) -> None:
    if not isinstance(answer, dict):
        return
    try:
        shards, _ = description(answer)
    except FatalError:
        return
    assert len(shards) == len(answer["StreamDescription"].get("Shards", []))
    for shard in shards:
        assert isinstance(shard.shard_id, str)
        assert isinstance(shard.parent_id, str | None)
        assert isinstance(shard.last_sequence, int | None)


@fuzzed()
@given(items=st.lists(IMAGES, max_size=3), data=st.data())
def test_a_page_of_items_is_understood_whole_or_stops_the_process(items: list[Item], data: st.DataObject) -> None:
    key = items[0] if items else {"id": {"S": "a"}}
    scanned = {"Items": items, "LastEvaluatedKey": key, "ConsumedCapacity": {"CapacityUnits": 1.5}}
    told = {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 0.5}]}
    got = {"Responses": {"t": items}, "UnprocessedKeys": {"t": {"Keys": [key]}}, **told}
    answer, read = data.draw(mutated(scanned)), data.draw(mutated(got))
    try:
        found = page("Scan", answer if isinstance(answer, dict) else {})
        assert len(found.items) == len(answer["Items"])
        returned = batch(read if isinstance(read, dict) else {}, "t")
        assert all(isinstance(each, dict) for each in (*returned.items, *returned.left, *found.items))
    except FatalError:
        return


@pytest.mark.parametrize("value", [1, 1.5, None, True, "x", [], {}, {"S": "a", "N": "1"}])
def test_an_attribute_that_has_no_one_value_stops_the_process(value: Any) -> None:
    with pytest.raises(FatalError, match="is no item"):
        page("Scan", {"Items": [{"a": value}]})


@fuzzed()
@given(value=BROKEN_VALUES)
def test_what_an_answer_holds_stays_out_of_the_message(value: Any) -> None:
    with pytest.raises(FatalError) as refusal:
        records(gone_wrong({**ADA, "SequenceNumber": {"secret": value}}))
    assert "secret" not in str(refusal.value)
