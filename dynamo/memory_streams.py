"""DynamoDB Streams of the twin: shards, iterators, records. Next: `dynamo.memory_log`."""

from typing import Final

import orjson

from domain.changes import Change
from domain.errors import FatalError, IteratorExpired
from dynamo.failures import NotFound
from dynamo.item_rules import copied
from dynamo.memory_log import StreamLog
from dynamo.memory_server import MemoryServer
from dynamo.ports import RecordsPage, ShardDescription, ShardPlace
from dynamo.retries import Subject

_ITERATOR_LIFE_S: Final = 900.0
_LARGEST_PAGE: Final = 1000


class MemoryStreams:
    """Keeps `dynamo.ports.Streams`. An iterator is JSON text: ARN, shard, number read up to, time of birth."""

    def __init__(self, server: MemoryServer) -> None:
        """Work on this server."""
        self._server = server

    async def describe_stream(self, stream_arn: str) -> tuple[ShardDescription, ...]:
        """List every shard still known. Raises FatalError when the stream is gone."""
        subject = Subject("DescribeStream", _table_in(stream_arn))
        return await self._server.ask(subject, lambda: self._log(stream_arn).listed())

    async def shard_iterator(self, place: ShardPlace) -> str:
        """Open an iterator. Raises GapError when the place was trimmed or the shard is gone."""
        subject = Subject("GetShardIterator", _table_in(place.stream_arn))
        return await self._server.ask(subject, lambda: self._opened(place))

    async def get_records(self, iterator: str, *, limit: int = 1000) -> RecordsPage:
        """Read on. Raises IteratorExpired after 15 minutes, GapError on trimmed data."""
        if not 1 <= limit <= _LARGEST_PAGE:
            raise FatalError(f"GetRecords takes 1 to {_LARGEST_PAGE} records, not {limit}")
        subject = Subject("GetRecords", _table_in(orjson.loads(iterator)[0]))
        return await self._server.ask(subject, lambda: self._read(iterator, limit))

    def _log(self, arn: str) -> StreamLog:
        found = self._server.streams.get(arn)
        if found is None:
            raise NotFound(f"no stream {arn}", hint="its table was deleted or its stream switched off too long ago")
        return found

    def _opened(self, place: ShardPlace) -> str:
        """Start after what is trimmed, or after a record. That very record may not be trimmed: AWS refuses it, too."""
        shard = self._log(place.stream_arn).shard(place.shard_id)
        if place.after is None:
            return self._iterator(place.stream_arn, place.shard_id, shard.trimmed)
        shard.waiting(place.after - 1)
        return self._iterator(place.stream_arn, place.shard_id, place.after)

    def _read(self, iterator: str, limit: int) -> RecordsPage:
        arn, shard_id, written, born = orjson.loads(iterator)
        if self._server.ticker.clock.monotonic() - born > _ITERATOR_LIFE_S:
            raise IteratorExpired(f"iterator of {shard_id} is older than {_ITERATOR_LIFE_S:.0f} s")
        shard, after = self._log(arn).shard(shard_id), int(written)
        waiting = shard.waiting(after)
        page = waiting[: min(limit, self._server.weather.shown(shard_id, len(waiting)))]
        if shard.closed_at is not None and len(page) == len(waiting):
            return RecordsPage(tuple(_copied(each) for each in page), None)
        last = page[-1].sequence if page else after
        return RecordsPage(tuple(_copied(each) for each in page), self._iterator(arn, shard_id, last))

    def _iterator(self, arn: str, shard_id: str, after: int) -> str:
        return orjson.dumps([arn, shard_id, str(after), self._server.ticker.clock.monotonic()]).decode()


def _table_in(arn: str) -> str:
    return arn.partition(":table/")[2].partition("/")[0]


def _copied(change: Change) -> Change:
    return Change(
        keys=copied(change.keys),
        old=None if change.old is None else copied(change.old),
        new=None if change.new is None else copied(change.new),
        sequence=change.sequence,
        created_ms=change.created_ms,
        by_ttl=change.by_ttl,
    )
