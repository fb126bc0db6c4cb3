"""DynamoDB Streams on AWS: shards, iterators, records.

Sources: AWS DynamoDB Streams API reference, DescribeStream, GetShardIterator, GetRecords, Identity. Next:
`dynamo.calls`; who follows shards from parents to children is `sync`.
"""

from typing import Any, Final

from domain.changes import Change
from dynamo.calls import Calls, Document
from dynamo.ports import RecordsPage, ShardDescription, ShardPlace

_SEQUENCE_DIGITS: Final = 21  # the least DynamoDB takes; DynamoDB Local pads with zeros to it
_BY_TTL: Final = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}


class AwsStreams:
    """Keeps `dynamo.ports.Streams`."""

    def __init__(self, calls: Calls) -> None:
        """Work through these calls."""
        self._calls = calls

    async def describe_stream(self, stream_arn: str) -> tuple[ShardDescription, ...]:
        """List every shard still known, all pages. Raises FatalError when the stream is gone."""
        shards: list[ShardDescription] = []
        parameters: Document = {"StreamArn": stream_arn}
        while True:
            answer = (await self._calls.call("DescribeStream", parameters))["StreamDescription"]
            shards.extend(_shard(each) for each in answer.get("Shards", ()))
            last = answer.get("LastEvaluatedShardId")
            if last is None:
                return tuple(shards)
            parameters = {"StreamArn": stream_arn, "ExclusiveStartShardId": last}

    async def shard_iterator(self, place: ShardPlace) -> str:
        """Open an iterator. Raises GapError when the place was trimmed or the shard is gone."""
        start: Document = {"ShardIteratorType": "TRIM_HORIZON"}
        if place.after is not None:
            number = f"{place.after:0>{_SEQUENCE_DIGITS}}"
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": number}
        parameters = {"StreamArn": place.stream_arn, "ShardId": place.shard_id, **start}
        answer = await self._calls.call("GetShardIterator", parameters)
        return str(answer["ShardIterator"])

    async def get_records(self, iterator: str, *, limit: int = 1000) -> RecordsPage:
        """Read on. Raises IteratorExpired after 15 minutes, GapError on trimmed data."""
        answer = await self._calls.call("GetRecords", {"ShardIterator": iterator, "Limit": limit})
        changes = tuple(_change(record) for record in answer.get("Records", ()))
        return RecordsPage(changes, answer.get("NextShardIterator"))


def _shard(shard: Document) -> ShardDescription:
    ending = shard.get("SequenceNumberRange", {}).get("EndingSequenceNumber")
    return ShardDescription(shard["ShardId"], shard.get("ParentShardId"), None if ending is None else int(ending))


def _change(record: dict[str, Any]) -> Change:
    data = record["dynamodb"]
    identity = record.get("userIdentity") or {}
    return Change(
        keys=data["Keys"],
        old=data.get("OldImage"),
        new=data.get("NewImage"),
        sequence=int(data["SequenceNumber"]),
        created_ms=int(data.get("ApproximateCreationDateTime", 0) * 1000),
        by_ttl=all(identity.get(name) == value for name, value in _BY_TTL.items()),
    )
