"""What DynamoDB Local gets wrong about iterators, put right on the way (measured; AWS does not do it).

An iterator that was opened while a shard held no record yet answers with TrimmedDataAccessException instead of the
shard's first record, if any other table was written in between. That happens behind every roll. A fresh iterator reads
that record: nothing is lost. On AWS the same answer means that records are, and the worker must go on taking it so.
"""

import json
from http import HTTPStatus
from typing import Any

from tests.crashes.wire import Database, Message

_TRIMMED = b"TrimmedDataAccessException"


class Corrected:
    """The database without that. ``openings``: iterators from which no record came yet, with what opened the first."""

    def __init__(self, database: Database, openings: dict[str, Message]) -> None:
        """``openings`` is shared by all connections."""
        self._database = database
        self._openings = openings

    async def ask(self, request: Message) -> bytes:
        """Send a request, return the whole answer."""
        answered = await self._database.ask(request)
        opening = self._openings.get(_told(request)["ShardIterator"]) if request.operation == "GetRecords" else None
        if opening is not None and _TRIMMED in answered.body:
            opened = await self._database.ask(opening)
            request = request.saying({**_told(request), "ShardIterator": _told(opened)["ShardIterator"]})
            answered = await self._database.ask(request)
        self._learn(request, answered)
        return answered.whole

    async def ask_and_half_close(self, request: Message) -> bytes:
        """Send a request, then close our half; return what is said to it, or nothing."""
        answered = await self._database.ask_and_half_close(request)
        if answered is None:
            return b""
        self._learn(request, answered)
        return answered.whole

    def close(self) -> None:
        self._database.close()

    def _learn(self, request: Message, answered: Message) -> None:
        if answered.status != HTTPStatus.OK:
            return
        if request.operation == "GetShardIterator" and _told(request)["ShardIteratorType"] == "TRIM_HORIZON":
            self._openings[_told(answered)["ShardIterator"]] = request
        elif request.operation == "GetRecords":
            opening, said = self._openings.get(_told(request)["ShardIterator"]), _told(answered)
            if opening is not None and not said["Records"] and said.get("NextShardIterator"):
                self._openings[said["NextShardIterator"]] = opening


def _told(message: Message) -> dict[str, Any]:
    return dict(json.loads(message.body))
