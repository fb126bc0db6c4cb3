"""The twin: a DynamoDB in memory that shows what no emulator does. A `dynamo.ports.Database`, shipped, not mocked.

It has conditions, transactions, indexes, validation and sizes as measured on DynamoDB Local, and beyond it several open
shards, splits, trimming, iterator expiry and a TTL sweep under the caller's clock, and weather (`dynamo.weather`) for
throttling, failures before or after the effect, and requests that land late. Deterministic on a deterministic loop.
``tests/contract`` holds it and the real one to one suite. Next: `dynamo.memory_server`, then one file a plane.
"""

from decimal import Decimal
from random import Random
from typing import Final

from domain.clock import Clock
from domain.items import Item
from dynamo.memory_items import MemoryItems
from dynamo.memory_log import StreamLog, Ticker
from dynamo.memory_server import MemoryServer
from dynamo.memory_streams import MemoryStreams
from dynamo.memory_tables import MemoryTables
from dynamo.observer import NO_OBSERVER, Observer
from dynamo.retries import Retrier, RetryPolicy
from dynamo.weather import FAIR_WEATHER, Weather
from dynamo.witness import Witness

DEFAULT_RETRY: Final = RetryPolicy()

_OLDEST_TTL_S: Final = 5 * 365 * 86_400  # DynamoDB ignores what expired longer ago


class MemoryDatabase(MemoryTables, MemoryItems, MemoryStreams):
    """A whole DynamoDB. Beside the port it has what a test needs to do to it; those methods are synchronous."""

    def __init__(
        self,
        clock: Clock,
        *,
        weather: Weather = FAIR_WEATHER,
        retry: RetryPolicy = DEFAULT_RETRY,
        random: Random | None = None,
        shards: int = 2,
        observer: Observer = NO_OBSERVER,
    ) -> None:
        """``shards`` is how many a new stream opens; ``random`` draws the jitter of retries (a fixed seed if None)."""
        retrier = Retrier(retry, random=random or Random(0), observer=observer)
        super().__init__(MemoryServer(Ticker(clock), weather, retrier, shards))

    def show_to(self, witness: Witness) -> None:
        """Let a witness see every effect from now on."""
        self._server.witness = witness

    def open_shards(self, table: str) -> list[str]:
        """Return the ids of the open shards of the table's stream; none when it is off."""
        log = self._server.table(table).log
        return [] if log is None else [shard.shard_id for shard in log.listed() if shard.last_sequence is None]

    def split_shard(self, table: str, shard_id: str) -> tuple[str, ...]:
        """Close a shard of the table's stream and open two children; return their ids."""
        return self._stream(table).roll(shard_id, children=2)

    def roll_shard(self, table: str, shard_id: str) -> tuple[str, ...]:
        """Close a shard and open one child, as AWS does every four hours or so; return its id."""
        return self._stream(table).roll(shard_id)

    def trim(self, table: str, before_sequence: int) -> None:
        """Lose the table's records before a number, under every ARN it had, and closed shards wholly before it."""
        for log in self._server.streams.values():
            if log.table == table:
                log.trim(before_sequence)

    def expire(self, now_s: float) -> int:
        """Delete what the TTL attributes say has expired by then, as DynamoDB would; return how many items."""
        deleted = 0
        for table in self._server.tables.values():
            for stored in table.everything():
                if table.ttl_attribute is not None and _is_expired(stored.item, table.ttl_attribute, now_s):
                    table.remove(stored.place, by_ttl=True)
                    deleted += 1
        return deleted

    async def settle(self) -> None:
        """Wait until requests that their clients gave up have landed, too."""
        await self._server.settle()

    def _stream(self, table: str) -> StreamLog:
        log = self._server.table(table).log
        if log is None:
            raise ValueError(f"the stream of {table} is off")
        return log


def _is_expired(item: Item, attribute: str, now_s: float) -> bool:
    digits = item.get(attribute, {}).get("N")
    return digits is not None and now_s - _OLDEST_TTL_S < Decimal(digits) <= now_s
