"""Data plane on AWS: reads, pages, conditional writes, transactions.

What holds: a refused write carries the item that stands there; a retried write may meet its own earlier success, which
then *is* the standing item (a transaction does not: its token makes it idempotent for ten minutes). Sources: AWS API
reference, GetItem, BatchGetItem, Scan, Query, PutItem, DeleteItem, UpdateItem, TransactWriteItems.
Next: `dynamo.calls`.
"""

import uuid
from collections.abc import Sequence
from typing import Final

from domain.guards import UNGUARDED, WriteGuard
from domain.items import Item
from dynamo import answers
from dynamo.batches import Answer, read_all
from dynamo.calls import Calls, Document
from dynamo.expressions import condition_parameters, key_condition_parameters, removal_parameters
from dynamo.ports import Action, Check, Delete, Found, Page, Put, QueryRequest, ScanRequest, Single, Strip

_TOTAL: Final = {"ReturnConsumedCapacity": "TOTAL"}


class AwsItems:
    """Keeps `dynamo.ports.Items`."""

    def __init__(self, calls: Calls) -> None:
        """Work through these calls."""
        self._calls = calls

    async def get_item(self, table: str, key: Item, *, consistent: bool = True) -> Item | None:
        """Return the item or None."""
        parameters = {"TableName": table, "Key": key, "ConsistentRead": consistent, **_TOTAL}
        return answers.optional_item("GetItem", await self._calls.call("GetItem", parameters), "Item")

    async def batch_get(self, table: str, keys: Sequence[Item], *, consistent: bool = True) -> Found:
        """Return the items that exist. Any number of keys; equal ones count once."""

        async def once(pending: list[Item]) -> Answer:
            request = {table: {"Keys": pending, "ConsistentRead": consistent}}
            answer = await self._calls.once("BatchGetItem", {"RequestItems": request, **_TOTAL})
            return batch(answer, table)

        return await read_all(self._calls.retrier, table, keys, once)

    async def scan_page(self, request: ScanRequest) -> Page:
        """Return one page of a scan."""
        parameters: Document = {
            "TableName": request.table,
            "ConsistentRead": request.consistent,
            **_paging(request.limit, request.start),
        }
        if request.total_segments > 1:
            parameters |= {"Segment": request.segment, "TotalSegments": request.total_segments}
        return page("Scan", await self._calls.call("Scan", parameters))

    async def query_page(self, request: QueryRequest) -> Page:
        """Return one page of a query."""
        parameters: Document = {
            "TableName": request.table,
            "ConsistentRead": request.consistent,
            "ScanIndexForward": request.forward,
            **key_condition_parameters(request),
            **_paging(request.limit, request.start),
        }
        if request.index is not None:
            parameters["IndexName"] = request.index
        return page("Query", await self._calls.call("Query", parameters))

    async def write(self, action: Single, *, guard: WriteGuard = UNGUARDED) -> None:
        """Do one put, delete or strip. Raises ConditionFailed with what stands there, DataError for what cannot be."""
        if isinstance(action, Strip):
            what = {"Key": action.key, **removal_parameters(action.attribute, action.condition)}
            await self._calls.call("UpdateItem", {"TableName": action.table, **what, **_TOTAL}, guard=guard)
            return
        operation = "PutItem" if isinstance(action, Put) else "DeleteItem"
        await self._calls.call(operation, {**_action(action), **_TOTAL}, guard=guard)

    async def transact(self, actions: Sequence[Action], *, guard: WriteGuard = UNGUARDED) -> None:
        """Do up to 100 actions, all or none. Raises ConditionFailed (first refused), DataError."""
        parameters = {
            "TransactItems": [{_MEMBERS[type(action)]: _action(action)} for action in actions],
            "ClientRequestToken": str(uuid.uuid4()),
            **_TOTAL,
        }
        await self._calls.call("TransactWriteItems", parameters, guard=guard)


_MEMBERS: Final[dict[type, str]] = {Put: "Put", Delete: "Delete", Check: "ConditionCheck"}


def _action(action: Action) -> Document:
    what: Document = {"Item": action.item} if isinstance(action, Put) else {"Key": action.key}
    return {"TableName": action.table, **what, **condition_parameters(action.condition)}


def _paging(limit: int | None, start: Item | None) -> Document:
    parameters: Document = dict(_TOTAL)
    if limit is not None:
        parameters["Limit"] = limit
    if start is not None:
        parameters["ExclusiveStartKey"] = start
    return parameters


def page(operation: str, answer: Document) -> Page:
    """Return a page of items; all of them or none. Raises FatalError for what cannot be understood."""
    if "Items" not in answer:
        raise answers.strange(operation, "Items is missing")
    items = tuple(answers.item(operation, each, "one of Items") for each in answers.listed(operation, answer, "Items"))
    consumed = answers.mapping(operation, answer.get("ConsumedCapacity", {}), "ConsumedCapacity")
    units = answers.amount(operation, consumed, "CapacityUnits")
    return Page(items, answers.optional_item(operation, answer, "LastEvaluatedKey"), f"{units:g}")


def batch(answer: Document, table: str) -> Answer:
    """Return the items of a table, and the keys to ask for again. Raises FatalError likewise."""
    found = answers.mapping("BatchGetItem", answer.get("Responses", {}), "Responses")
    unread = answers.mapping("BatchGetItem", answer.get("UnprocessedKeys", {}), "UnprocessedKeys")
    left = answers.mapping("BatchGetItem", unread.get(table, {}), "UnprocessedKeys")
    items = [answers.item("BatchGetItem", each, "an item") for each in answers.listed("BatchGetItem", found, table)]
    keys = [answers.item("BatchGetItem", each, "a key") for each in answers.listed("BatchGetItem", left, "Keys")]
    consumed = answers.consumed("BatchGetItem", answer)
    return Answer(items, keys, sum(answers.amount("BatchGetItem", each, "CapacityUnits") for each in consumed))
