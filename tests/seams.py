"""A database with seams: a call can be held, fail, lose its answer, or be the last one its process ever made.

`SeamedDatabase` delegates everything to a real one (the twin or DynamoDB Local); each crew of `tests.crew` has its own,
so what happens to one worker does not happen to another. A seam bites once, on the next call that matches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from domain.errors import TransientError
from domain.guards import UNGUARDED, WriteGuard
from domain.items import Item
from domain.tables import TableDefinition, ViewType
from dynamo.ports import (
    Action,
    Database,
    Found,
    Page,
    QueryRequest,
    RecordsPage,
    ScanRequest,
    ShardDescription,
    ShardPlace,
    Single,
    TableDescription,
)

Answer = TypeVar("Answer")


class Crashed(BaseException):
    """The process is gone: whatever it still tries reaches nobody. No handler of an engine may catch it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the port: method, table (or ARN), and what was asked."""

    method: str
    table: str
    asked: Any = None

    def mentions(self, *texts: str) -> bool:
        """Tell whether all texts occur in what is asked."""
        written = repr(self.asked)
        return all(text in written for text in texts)


ASKED: ContextVar[Call | None] = ContextVar("asked", default=None)
"""The call that a task makes: the twin's server half runs in its context, so its weather may ask what it carries."""

Matches = Callable[[Call], bool]


@dataclass(slots=True)
class Seam:
    """One planned disturbance; ``answered``: after the call took place, before its caller hears of it."""

    matches: Matches
    answered: bool
    error: BaseException | None = None
    holds: bool = False
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        """Let the held call go on."""
        self.released.set()


class SeamedDatabase:
    """Keeps `dynamo.ports.Database` by delegation."""

    def __init__(self, inner: Database) -> None:
        self._inner = inner
        self._seams: list[Seam] = []
        self.crashed = False
        self.awake = asyncio.Event()
        self.awake.set()
        self.calls: list[Call] = []

    def hold(self, matches: Matches, *, answered: bool = False) -> Seam:
        """Hold the next such call until it is released."""
        return self._plan(Seam(matches, answered, holds=True))

    def fail(self, matches: Matches, error: BaseException) -> Seam:
        """Let the next such call fail without any effect."""
        return self._plan(Seam(matches, answered=False, error=error))

    def lose_answer(self, matches: Matches) -> Seam:
        """Let the next such call take place, and fail."""
        return self._plan(Seam(matches, answered=True, error=TransientError("the answer was lost")))

    def crash(self, matches: Matches, *, answered: bool = False) -> Seam:
        """Let the next such call be the end of this process."""
        return self._plan(Seam(matches, answered, error=Crashed()))

    def _plan(self, seam: Seam) -> Seam:
        self._seams.append(seam)
        return seam

    async def _through(self, call: Call, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        await self._meet(call, answered=False)
        self.calls.append(call)
        ASKED.set(call)
        answer = await ask()
        await self._meet(call, answered=True)
        return answer

    async def _meet(self, call: Call, *, answered: bool) -> None:
        await self.awake.wait()  # cleared: the process is stopped, it neither sends nor hears
        if self.crashed:
            raise Crashed
        seam = next((each for each in self._seams if each.answered is answered and each.matches(call)), None)
        if seam is None:
            return
        self._seams.remove(seam)
        seam.reached.set()
        if seam.holds:
            await seam.released.wait()
        if isinstance(seam.error, Crashed):
            self.crashed = True
        if seam.error is not None:
            raise seam.error

    async def describe_table(self, table: str) -> TableDescription | None:
        return await self._through(Call("describe_table", table), lambda: self._inner.describe_table(table))

    async def create_table(self, definition: TableDefinition) -> None:
        await self._through(Call("create_table", definition.name), lambda: self._inner.create_table(definition))

    async def enable_stream(self, table: str, view: ViewType) -> None:
        await self._through(Call("enable_stream", table), lambda: self._inner.enable_stream(table, view))

    async def disable_stream(self, table: str) -> None:
        await self._through(Call("disable_stream", table), lambda: self._inner.disable_stream(table))

    async def delete_table(self, table: str) -> None:
        await self._through(Call("delete_table", table), lambda: self._inner.delete_table(table))

    async def get_item(self, table: str, key: Item, *, consistent: bool = True) -> Item | None:
        call = Call("get_item", table, key)
        return await self._through(call, lambda: self._inner.get_item(table, key, consistent=consistent))

    async def batch_get(self, table: str, keys: Sequence[Item], *, consistent: bool = True) -> Found:
        call = Call("batch_get", table, keys)
        return await self._through(call, lambda: self._inner.batch_get(table, keys, consistent=consistent))

    async def scan_page(self, request: ScanRequest) -> Page:
        call = Call("scan_page", request.table, request)
        return await self._through(call, lambda: self._inner.scan_page(request))

    async def query_page(self, request: QueryRequest) -> Page:
        call = Call("query_page", request.table, request)
        return await self._through(call, lambda: self._inner.query_page(request))

    async def write(self, action: Single, *, guard: WriteGuard = UNGUARDED) -> None:
        method = type(action).__name__.lower()
        call = Call(method, action.table, action)
        await self._through(call, lambda: self._inner.write(action, guard=guard))

    async def transact(self, actions: Sequence[Action], *, guard: WriteGuard = UNGUARDED) -> None:
        call = Call("transact", ",".join(sorted({action.table for action in actions})), actions)
        await self._through(call, lambda: self._inner.transact(actions, guard=guard))

    async def describe_stream(self, stream_arn: str) -> tuple[ShardDescription, ...]:
        call = Call("describe_stream", stream_arn)
        return await self._through(call, lambda: self._inner.describe_stream(stream_arn))

    async def shard_iterator(self, place: ShardPlace) -> str:
        call = Call("shard_iterator", place.stream_arn, place)
        return await self._through(call, lambda: self._inner.shard_iterator(place))

    async def get_records(self, iterator: str, *, limit: int = 1000) -> RecordsPage:
        call = Call("get_records", "", iterator)
        return await self._through(call, lambda: self._inner.get_records(iterator, limit=limit))


def puts_to(table: str, *texts: str) -> Matches:
    """Match single puts into a table that mention the texts."""
    return lambda call: call.method == "put" and call.table == table and call.mentions(*texts)


def scans_of(table: str) -> Matches:
    """Match pages of a scan."""
    return lambda call: call.method == "scan_page" and call.table == table


def journal_step(step: str) -> Matches:
    """Match the journal's write of a step of a switch (`ledger.switches`)."""
    return lambda call: call.method == "put" and call.mentions("'S': 'switch'", f"'step': {{'S': '{step}'}}")


def writes_of_a_switch(call: Call) -> bool:
    """Match every write of a switch's journal, and of the flag, whatever steps there are."""
    wrote = call.method in {"put", "transact"}
    return wrote and any(call.mentions(f"'PK': {{'S': '{each}") for each in ("switch'", "acts/", "migration'"))


def transacts(*texts: str) -> Matches:
    """Match transactions that mention the texts."""
    return lambda call: call.method == "transact" and call.mentions(*texts)
