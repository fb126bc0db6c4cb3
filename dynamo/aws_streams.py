"""DynamoDB Streams on AWS: shards, iterators, records.

Sources: AWS DynamoDB Streams API reference, DescribeStream, GetShardIterator, GetRecords, Identity. Next:
`dynamo.calls`; who follows shards from parents to children is `sync`.
"""

from collections.abc import Mapping
from typing import Any, Final

from domain.changes import Change
from domain.tables import ViewType
from dynamo import answers
from dynamo.calls import Calls, Document
from dynamo.ports import RecordsPage, ShardDescription, ShardPlace

_SEQUENCE_DIGITS: Final = 21  # the least DynamoDB takes; DynamoDB Local pads with zeros to it
_ENDING: Final = "EndingSequenceNumber"
_IMAGES: Final[Mapping[str, tuple[str, ...]]] = {
    "INSERT": ("NewImage",),
    "MODIFY": ("OldImage", "NewImage"),
    "REMOVE": ("OldImage",),
}
"""Images that a record must have: without its new one a change would pass for a delete."""

_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    ViewType.KEYS_ONLY: (),
    ViewType.NEW_IMAGE: ("NewImage",),
    ViewType.OLD_IMAGE: ("OldImage",),
    ViewType.NEW_AND_OLD_IMAGES: ("OldImage", "NewImage"),
}

_BY_TTL: Final = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


class AwsStreams:
    """Keeps `dynamo.ports.Streams`."""

    def __init__(self, calls: Calls) -> None:
        """Work through these calls."""
        self._calls = calls

    async def describe_stream(self, stream_arn: str) -> tuple[ShardDescription, ...]:
        """List every shard still known, all pages. Raises FatalError when the stream is gone."""
        shards: list[ShardDescription] = []
        asked: set[str] = set()
        parameters: Document = {"StreamArn": stream_arn}
        while True:
            page, last = description(await self._calls.call("DescribeStream", parameters))
            shards.extend(page)
            if last is None:
                return tuple(shards)
            if last in asked:
                raise answers.strange("DescribeStream", "LastEvaluatedShardId leads back")
            asked.add(last)
            parameters = {"StreamArn": stream_arn, "ExclusiveStartShardId": last}

    async def shard_iterator(self, place: ShardPlace) -> str:
        """Open an iterator. Raises GapError when the place was trimmed or the shard is gone."""
        start: Document = {"ShardIteratorType": "TRIM_HORIZON"}
        if place.after is not None:
            number = f"{place.after:0>{_SEQUENCE_DIGITS}}"
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
        parameters = {"StreamArn": place.stream_arn, "ShardId": place.shard_id, **start}
        answer = await self._calls.call("GetShardIterator", parameters)
        return answers.text("GetShardIterator", answer, "ShardIterator")

    async def get_records(self, iterator: str, *, limit: int = 1000) -> RecordsPage:
        """Read on. Raises IteratorExpired after 15 minutes, GapError on trimmed data."""
        return records(await self._calls.call("GetRecords", {"ShardIterator": iterator, "Limit": limit}))


def description(answer: Document) -> tuple[tuple[ShardDescription, ...], str | None]:
    """Return a page of shards, and where the next one starts. Raises FatalError for what cannot be understood."""
    told = answers.mapping("DescribeStream", answer.get("StreamDescription"), "StreamDescription")
    shards = tuple(_shard(each) for each in answers.listed("DescribeStream", told, "Shards"))
    return shards, answers.optional_text("DescribeStream", told, "LastEvaluatedShardId")


def records(answer: Document) -> RecordsPage:
    """Return a page of changes; all of them or none. Raises FatalError for what cannot be understood."""
    changes = tuple(_change(each) for each in answers.listed("GetRecords", answer, "Records"))
    return RecordsPage(changes, answers.optional_text("GetRecords", answer, "NextShardIterator"))


def _shard(told: object) -> ShardDescription:
    shard = answers.mapping("DescribeStream", told, "a shard")
    numbers = answers.mapping("DescribeStream", shard.get("SequenceNumberRange", {}), "SequenceNumberRange")
    return ShardDescription(
        answers.text("DescribeStream", shard, "ShardId"),
        answers.optional_text("DescribeStream", shard, "ParentShardId"),
        answers.sequence("DescribeStream", numbers, _ENDING) if numbers.get(_ENDING) is not None else None,
    )


def _change(told: object) -> Change:
    record = answers.mapping("GetRecords", told, "a record")
    data = answers.mapping("GetRecords", record.get("dynamodb"), "dynamodb")
    identity = answers.mapping("GetRecords", record.get("userIdentity") or {}, "userIdentity")
    images = {name: answers.optional_item("GetRecords", data, name) for name in ("OldImage", "NewImage")}
    event = answers.text("GetRecords", record, "eventName")
    for name in _needed(event, data):
        if images[name] is None:
            raise answers.strange("GetRecords", f"a record of {event} lacks its {name}")
    return Change(
        keys=answers.item("GetRecords", data.get("Keys"), "Keys"),
        old=images["OldImage"],
        new=images["NewImage"] if event != "REMOVE" else None,
        sequence=answers.sequence("GetRecords", data, "SequenceNumber"),
        created_ms=answers.milliseconds("GetRecords", data, "ApproximateCreationDateTime"),
        by_ttl=all(identity.get(name) == value for name, value in _BY_TTL.items()),
    )


def _needed(event: str, data: Mapping[str, Any]) -> list[str]:
    """Return the images that a record must have, given what happened and what its stream shows."""
    view = answers.optional_text("GetRecords", data, "StreamViewType") or ViewType.NEW_AND_OLD_IMAGES.value
    if event not in _IMAGES:
        raise answers.strange("GetRecords", "eventName is none of INSERT, MODIFY, REMOVE")
    if view not in _SHOWN:
        raise answers.strange("GetRecords", "StreamViewType is none that is known")
    return [name for name in _IMAGES[event] if name in _SHOWN[view]]
