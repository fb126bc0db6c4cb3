"""What a contract test stands on: a database of one flavor, and all declared differences between flavors."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field

from domain.changes import Change
from domain.items import AttributeValue, Item, number, text
from domain.tables import IndexDefinition, KeyAttribute, TableDefinition, ViewType
from dynamo.ports import Database, Delete, Put, QueryRequest, ScanRequest, ShardPlace


@dataclass(frozen=True, slots=True)
class Flavor:
    """Where the flavors may differ, and nowhere else: each difference is a field with its reason."""

    name: str
    open_shards: int | None
    """Shards of a new stream: the twin opens several, DynamoDB Local one, AWS as many as it likes."""
    created_granularity_ms: int
    """DynamoDB Local truncates ApproximateCreationDateTime to the minute, AWS to the second."""
    page_crosses_1_mb: bool
    """DynamoDB Local gives the item that crosses the limit along, AWS ends the page before it."""
    patience_s: float
    """How long records and TTL settings may take to show."""
    counts_at_once: bool
    """AWS counts a table's items every six hours or so."""
    missing_costs: int = 1
    """Read units for a key of a batch that has no item: one, says AWS; DynamoDB Local takes nothing."""


MEMORY = Flavor(
    "memory", open_shards=2, created_granularity_ms=1, page_crosses_1_mb=False, patience_s=1, counts_at_once=True
)
LOCAL = Flavor(
    "local",
    open_shards=1,
    created_granularity_ms=60_000,
    page_crosses_1_mb=True,
    patience_s=10,
    counts_at_once=True,
    missing_costs=0,
)
AWS = Flavor(
    "aws", open_shards=None, created_granularity_ms=1000, page_crosses_1_mb=False, patience_s=60, counts_at_once=False
)

PK = KeyAttribute("PK", "S")
SK = KeyAttribute("SK", "S")
BY_GROUP = IndexDefinition("by-group", (KeyAttribute("group", "S"), KeyAttribute("rank", "N")))
BY_RANK = IndexDefinition("by-rank", (PK, KeyAttribute("rank", "N")), include=("title",), local=True)


class RealClock:
    """The machine's clocks: the contract runs in real time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


@dataclass(slots=True)
class Arena:
    """A database, its flavor, and tables that go away with the test."""

    database: Database
    flavor: Flavor
    made: list[str] = field(default_factory=list)

    async def table(
        self,
        *,
        key: tuple[KeyAttribute, ...] = (PK, SK),
        indexes: tuple[IndexDefinition, ...] = (),
        stream: ViewType | None = None,
        ttl: str | None = None,
    ) -> str:
        """Create a table of this test's own."""
        name = f"t-{uuid.uuid4().hex[:12]}"
        self.made.append(name)
        definition = TableDefinition(name, key, indexes=indexes, stream=stream, ttl_attribute=ttl)
        await self.database.create_table(definition)
        return name

    async def put(self, table: str, *items: Item) -> None:
        """Put items, one after the other, without condition."""
        for item in items:
            await self.database.write(Put(table, item))

    async def delete(self, table: str, key: Item) -> None:
        """Delete an item without condition."""
        await self.database.write(Delete(table, key))

    async def arn(self, table: str) -> str:
        """Return the ARN of the enabled stream."""
        found = await self.database.describe_table(table)
        assert found is not None
        assert found.stream_arn is not None
        return found.stream_arn

    async def changes(self, table: str, expected: int) -> list[Change]:
        """Read the stream from its beginning until it has what is expected; whatever more it has comes along."""
        return await self.changes_under(await self.arn(table), expected)

    async def changes_under(self, arn: str, expected: int) -> list[Change]:
        """As `changes`, by ARN. Iterators are opened anew each time, which avoids emulators.md §1a."""
        until = time.monotonic() + self.flavor.patience_s
        while True:
            found: list[Change] = []
            for shard in await self.database.describe_stream(arn):
                found += await self.read(ShardPlace(arn, shard.shard_id))
            if len(found) >= expected or time.monotonic() > until:
                assert len(found) >= expected, f"{len(found)} of {expected} records showed"
                return found
            await asyncio.sleep(0.05)

    async def read(self, place: ShardPlace) -> list[Change]:
        """Read a shard from a place to where nothing more comes at the moment."""
        found: list[Change] = []
        iterator: str | None = await self.database.shard_iterator(place)
        while iterator is not None:
            page = await self.database.get_records(iterator)
            if not page.changes:
                break
            found += page.changes
            iterator = page.next_iterator
        return found

    async def scanned(self, request: ScanRequest) -> list[Item]:
        """Scan to the end, page by page."""
        items: list[Item] = []
        while True:
            page = await self.database.scan_page(request)
            items += page.items
            if page.last_key is None:
                return items
            request = ScanRequest(request.table, request.segment, request.total_segments, page.last_key, request.limit)

    async def scanned_all(self, table: str) -> list[Item]:
        """Scan a whole table."""
        return await self.scanned(ScanRequest(table))

    async def queried(self, request: QueryRequest) -> list[Item]:
        """Query to the end, page by page."""
        items: list[Item] = []
        while True:
            page = await self.database.query_page(request)
            items += page.items
            if page.last_key is None:
                return items
            request = QueryRequest(
                request.table,
                request.hash_key,
                sort_prefix=request.sort_prefix,
                index=request.index,
                forward=request.forward,
                limit=request.limit,
                start=page.last_key,
            )


def key(pk: str, sk: str = "a") -> Item:
    """Return a key of the usual schema."""
    return {"PK": text(pk), "SK": text(sk)}


def item(pk: str, sk: str = "a", **attributes: AttributeValue) -> Item:
    """Return an item of the usual schema."""
    return {**key(pk, sk), **attributes}


def names(items: list[Item]) -> list[str]:
    """Return the sort keys, in order."""
    return [each["SK"]["S"] for each in items]


N1 = number(1)
N2 = number(2)
N3 = number(3)
