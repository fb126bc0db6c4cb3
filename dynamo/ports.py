"""The contract of a DynamoDB: what the engines may ask, and nothing more.

Two adapters keep it: `dynamo.aws` (aiobotocore) and `dynamo.memory` (the twin). Items, keys and start keys are wire
items (`domain.items`). Every method may raise TransientError (retries within the budget are already spent),
FatalError (with a hint) and, where a guard is given, FencedError. Source of each call: AWS DynamoDB API reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from domain.changes import Change
from domain.guards import UNGUARDED, WriteGuard
from domain.items import Item
from domain.tables import IndexDefinition, KeyAttribute, TableDefinition, ViewType
from dynamo.conditions import Condition


@dataclass(frozen=True, slots=True)
class TableDescription:
    """What DescribeTable and DescribeTimeToLive say. ``stream_arn`` is None unless the stream is enabled.

    ``identity`` is this very table's, not that of one made anew under its name. ``replicas`` are Regions of a Global
    Table; ``encryption_key`` the ARN of a key that is not DynamoDB's own. ``building``: names of indexes that are not
    ACTIVE; ``provisioned``: read and write units of the table, None on demand.
    """

    name: str
    key: tuple[KeyAttribute, ...]
    indexes: tuple[IndexDefinition, ...]
    stream_arn: str | None
    stream_view: ViewType | None
    ttl_attribute: str | None
    status: str
    item_count: int
    size_bytes: int
    deletion_protection: bool = False
    replicas: tuple[str, ...] = ()
    encryption_key: str | None = None
    identity: str = ""
    building: tuple[str, ...] = ()
    provisioned: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A page of Scan or Query; ``last_key`` None means the end. ``units`` are consumed read units, as text figures."""

    items: tuple[Item, ...]
    last_key: Item | None
    units: str = "0"


@dataclass(frozen=True, slots=True)
class Found:
    """The items that some keys have, in any order; ``units`` are the read units that looking for them consumed."""

    items: tuple[Item, ...]
    units: str = "0"


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One page of a parallel scan, strongly consistent unless said otherwise."""

    table: str
    segment: int = 0
    total_segments: int = 1
    start: Item | None = None
    limit: int | None = None
    consistent: bool = True


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """One page of a query: hash key equality, optional ``begins_with`` on the sort key, optional index."""

    table: str
    hash_key: tuple[str, str]
    sort_prefix: tuple[str, str] | None = None
    index: str | None = None
    forward: bool = True
    limit: int | None = None
    start: Item | None = None
    consistent: bool = False


@dataclass(frozen=True, slots=True)
class Put:
    """A put, alone or in a transaction."""

    table: str
    item: Item
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """A delete, alone or in a transaction; deleting what is not there is fine unless the condition says no."""

    table: str
    key: Item
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """A condition that a transaction depends on without writing."""

    table: str
    key: Item
    condition: Condition


@dataclass(frozen=True, slots=True)
class Strip:
    """The removal of one attribute of an item, alone; everything else of the item stays as whoever wrote it left it.

    Source: AWS, UpdateItem, REMOVE. The condition must say that the item stands: DynamoDB makes one where none does.
    """

    table: str
    key: Item
    attribute: str
    condition: Condition


Action: TypeAlias = Put | Delete | Check
Single: TypeAlias = Put | Delete | Strip
"""What can be written by itself."""


@dataclass(frozen=True, slots=True)
class ShardDescription:
    """A shard as DescribeStream lists it; ``last_sequence`` is None while it is open."""

    shard_id: str
    parent_id: str | None
    last_sequence: int | None = None


@dataclass(frozen=True, slots=True)
class RecordsPage:
    """A page of GetRecords. ``next_iterator`` None: the shard ended here. An empty page is not the tip."""

    changes: tuple[Change, ...]
    next_iterator: str | None


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Where reading starts: after a sequence number, or at the oldest record kept (``after`` None)."""

    stream_arn: str
    shard_id: str
    after: int | None = field(default=None)


class Tables(Protocol):
    """Control plane."""

    async def describe_table(self, table: str) -> TableDescription | None:
        """Describe a table; None when there is none of that name."""
        ...

    async def create_table(self, definition: TableDefinition) -> None:
        """Create a table and wait until it is ACTIVE, TTL and recovery set. Raises RefusedError when it exists."""
        ...

    async def enable_stream(self, table: str, view: ViewType) -> None:
        """Switch the stream on and wait until it is. Raises RefusedError when one of another view type is on."""
        ...

    async def disable_stream(self, table: str) -> None:
        """Switch the stream off."""
        ...

    async def delete_table(self, table: str) -> None:
        """Delete a table; one that is not there is fine."""
        ...


class Items(Protocol):
    """Data plane. Writes ask the guard before every attempt."""

    async def get_item(self, table: str, key: Item, *, consistent: bool = True) -> Item | None:
        """Return the item or None."""
        ...

    async def batch_get(self, table: str, keys: Sequence[Item], *, consistent: bool = True) -> Found:
        """Return the items that exist; unprocessed keys are asked for again.

        Any number of keys; equal ones count once.
        """
        ...

    async def scan_page(self, request: ScanRequest) -> Page:
        """Return one page of a scan."""
        ...

    async def query_page(self, request: QueryRequest) -> Page:
        """Return one page of a query."""
        ...

    async def write(self, action: Single, *, guard: WriteGuard = UNGUARDED) -> None:
        """Do one put, delete or strip.

        Raises ConditionFailed with the item that stands there, DataError when the item itself is refused (too large,
        wrong key type). A retry may meet the success of an earlier attempt whose answer was lost: then the standing
        item is the very one to be written (for a delete: nothing stands there), and the caller has to recognise it.
        """
        ...

    async def transact(self, actions: Sequence[Action], *, guard: WriteGuard = UNGUARDED) -> None:
        """Do up to 100 actions, all or none; a retry never meets the success of an earlier attempt.

        Raises ConditionFailed (index and item of the first refused one), DataError, TransientError on a conflict that
        outlasts the retries.
        """
        ...


class Streams(Protocol):
    """DynamoDB Streams."""

    async def describe_stream(self, stream_arn: str) -> tuple[ShardDescription, ...]:
        """List every shard still known, all pages. Raises FatalError when the stream is gone."""
        ...

    async def shard_iterator(self, place: ShardPlace) -> str:
        """Open an iterator. Raises GapError when the place was trimmed or the shard is gone."""
        ...

    async def get_records(self, iterator: str, *, limit: int = 1000) -> RecordsPage:
        """Read on. Raises IteratorExpired when it is older than 15 minutes, GapError on trimmed data."""
        ...


class Database(Tables, Items, Streams, Protocol):
    """All three."""
