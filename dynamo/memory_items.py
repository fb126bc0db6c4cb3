"""Data plane of the twin: reads, pages, conditional writes, transactions.

What holds: as `dynamo.aws_items`, a retried write included that meets its own earlier success; a retried transaction
does not, for its first attempt is remembered as AWS remembers its token. Next: `dynamo.memory_pages`,
`dynamo.evaluation`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from domain.errors import ConditionFailed, FatalError
from domain.guards import UNGUARDED, WriteGuard
from domain.items import Item
from dynamo import memory_pages
from dynamo.batches import Answer, read_all
from dynamo.conditions import Condition
from dynamo.evaluation import holds
from dynamo.item_rules import copied, size
from dynamo.memory_server import MemoryServer
from dynamo.memory_store import Place, Stored, StoredTable
from dynamo.ports import Action, Check, Delete, Found, Page, Put, QueryRequest, ScanRequest, Single, Strip
from dynamo.retries import Subject

_Written = TypeVar("_Written", bound=Action | Strip)

_OPERATIONS: Final[dict[type, str]] = {Put: "PutItem", Delete: "DeleteItem", Strip: "UpdateItem"}
_MOST_ACTIONS: Final = 100
_LARGEST_TRANSACTION: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Step:
    """An action, validated: where it acts, on what condition, and what it does there."""

    table: StoredTable
    place: Place
    condition: Condition | None
    act: Callable[[], None]
    size: int = 0

    def refusal(self, index: int) -> ConditionFailed | None:
        standing = self.table.at(self.place)
        if holds(self.condition, standing):
            return None
        text = f"{self.table.definition.name}: action {index} refused: The conditional request failed"
        return ConditionFailed(text, standing=None if standing is None else copied(standing), index=index)


class MemoryItems:
    """Keeps `dynamo.ports.Items`."""

    def __init__(self, server: MemoryServer) -> None:
        """Work on this server."""
        self._server = server

    async def get_item(self, table: str, key: Item, *, consistent: bool = True) -> Item | None:
        """Return the item or None; always as a consistent read would."""
        del consistent
        return await self._server.ask(Subject("GetItem", table), lambda: self._get(table, key))

    async def batch_get(self, table: str, keys: Sequence[Item], *, consistent: bool = True) -> Found:
        """Return the items that exist. Any number of keys; equal ones count once."""
        share = 1.0 if consistent else 0.5

        async def once(pending: list[Item]) -> Answer:
            subject = Subject("BatchGetItem", table)
            return await self._server.serve(subject, lambda: self._get_some(table, pending, share))

        return await read_all(self._server.retrier, table, keys, once)

    async def scan_page(self, request: ScanRequest) -> Page:
        """Return one page of a scan."""
        subject = Subject("Scan", request.table)
        return await self._server.ask(subject, lambda: memory_pages.scan(self._server.table(request.table), request))

    async def query_page(self, request: QueryRequest) -> Page:
        """Return one page of a query."""
        subject = Subject("Query", request.table)
        return await self._server.ask(subject, lambda: memory_pages.query(self._server.table(request.table), request))

    async def write(self, action: Single, *, guard: WriteGuard = UNGUARDED) -> None:
        """Do one put, delete or strip. Raises ConditionFailed with what stands there, DataError for what cannot be."""
        subject = Subject(_OPERATIONS[type(action)], action.table)
        sent = [_sent(action)]
        await self._server.ask(subject, lambda: self._act(sent), guard=guard)

    async def transact(self, actions: Sequence[Action], *, guard: WriteGuard = UNGUARDED) -> None:
        """Do up to 100 actions, all or none. Raises ConditionFailed (first refused), DataError."""
        sent = [_sent(action) for action in actions]
        done = False

        def once() -> None:
            nonlocal done
            if not done:
                self._transact(sent)
            done = True

        tables = ",".join(sorted({action.table for action in actions}))
        await self._server.ask(Subject("TransactWriteItems", tables), once, guard=guard)

    def _get(self, name: str, key: Item) -> Item | None:
        table = self._server.table(name)
        found = table.at(table.asked_for(key))
        return None if found is None else copied(found)

    def _get_some(self, name: str, keys: list[Item], share: float) -> Answer:
        processed = self._server.weather.processed(len(keys))
        found = [self._get(name, key) for key in keys[:processed]]
        units = sum(memory_pages.units_of(0 if item is None else size(item)) for item in found)
        return Answer([item for item in found if item is not None], keys[processed:], units * share)

    def _transact(self, actions: Sequence[Action]) -> None:
        if not 1 <= len(actions) <= _MOST_ACTIONS:
            raise FatalError(f"a transaction has 1 to {_MOST_ACTIONS} actions, not {len(actions)}")
        self._act(actions)

    def _act(self, actions: Sequence[Action | Strip]) -> None:
        """Validate all, check all, then do all."""
        steps = [self._step(action) for action in actions]
        if len({(step.table.definition.name, step.place) for step in steps}) < len(steps):
            raise FatalError("Transaction request cannot include multiple operations on one item")
        if sum(step.size for step in steps) > _LARGEST_TRANSACTION:
            raise FatalError("Transaction payload size cannot exceed 4MB")
        refusals = [step.refusal(index) for index, step in enumerate(steps)]
        for refusal in refusals:
            if refusal is not None:
                raise refusal
        for step in steps:
            step.act()

    def _step(self, action: Action | Strip) -> _Step:
        table = self._server.table(action.table)
        match action:
            case Put(item=item, condition=condition):
                return _put_step(table, table.prepared(item), condition)
            case Delete(key=key, condition=condition):
                place = table.place_of(key)
                return _Step(table, place, condition, lambda: table.remove(place))
            case Strip(key=key, attribute=attribute, condition=condition):
                standing = table.at(table.place_of(key)) or key
                left = {name: value for name, value in standing.items() if name != attribute}
                return _put_step(table, table.prepared(left), condition)
            case Check(key=key, condition=condition):
                return _Step(table, table.place_of(key), condition, lambda: None)


def _sent(action: _Written) -> _Written:
    """Return the action as it leaves the client: what the caller does to its item afterwards changes nothing."""
    if isinstance(action, Put):
        return replace(action, item=copied(action.item))
    return replace(action, key=copied(action.key))


def _put_step(table: StoredTable, stored: Stored, condition: Condition | None) -> _Step:
    return _Step(table, stored.place, condition, lambda: table.put(stored), stored.size)
