"""Rows of the ledger table: plain fields, a revision for compare-and-set, and the lease epoch as a fence.

Invariants:
    * `revision` of a row grows by one with each write and is part of every write's condition;
    * a row written under lease epoch N is never again written under a smaller one (protocol §6);
    * a write that was retried because its answer got lost is recognised as our own and counts as done.

Fields are str, int, bool, None, lists and dicts of those; floats are refused (numbers keep their digits). Every row
is held against `ledger.shapes` as it is read: one that somebody changed by hand stops the process, by name.
"""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from domain.errors import ConditionFailed, FencedError, TransientError
from domain.guards import UNGUARDED, WriteGuard
from domain.items import AttributeValue, Item
from dynamo.conditions import Absent, AllOf, AnyOf, Condition, Equal, Less
from dynamo.ports import Action, Delete, Items, Put, QueryRequest
from ledger import shapes

Fields: TypeAlias = dict[str, Any]

_RESERVED = ("PK", "SK", "revision", "fence", "nonce")
_WHOLE: Final = re.compile(r"-?[0-9]{1,38}")
_ATTEMPTS = 20
"""Compare-and-set rounds before a contended row is reported; each lost round means that somebody else won one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as read: its address, fields and revision (0: not there yet)."""

    partition: str
    name: str
    fields: Fields
    revision: int
    fence: int
    nonce: str = ""


class Rows:
    """Access to the rows of one ledger table, as one writer (``fence`` is its lease epoch; 0: the operator)."""

    def __init__(self, items: Items, table: str, *, fence: int = 0, guard: WriteGuard = UNGUARDED) -> None:
        """Wrap a table; the guard bounds every write to what the lease allows."""
        self._items = items
        self.table = table
        self._fence = fence
        self._guard = guard

    async def get(self, partition: str, name: str) -> Row | None:
        """Read one row, strongly consistent. Raises FatalError for one that cannot be read."""
        item = await self._items.get_item(self.table, _key(partition, name))
        return None if item is None else self._row(item)

    async def all(self, partition: str, prefix: str = "", *, at_most: int | None = None) -> list[Row]:
        """Read the rows of a partition, strongly consistent, in the order of names; ``at_most`` so many."""
        sort = ("SK", prefix) if prefix else None
        found: list[Row] = []
        start: Item | None = None
        while True:
            request = QueryRequest(
                self.table, ("PK", partition), sort_prefix=sort, start=start, consistent=True, limit=at_most
            )
            page = await self._items.query_page(request)
            found.extend(self._row(item) for item in page.items)
            start = page.last_key
            if start is None or (at_most is not None and len(found) >= at_most):
                return found[:at_most]

    def put_action(self, partition: str, name: str, fields: Fields, *, revision: int, standing_fence: int = 0) -> Put:
        """Return the conditional put that replaces ``revision`` (0: none there) by the fields given."""
        item = {**_key(partition, name), **{key: _wire(value) for key, value in fields.items()}}
        item |= {"revision": _wire(revision + 1), "fence": _wire(max(self._fence, standing_fence))}
        item |= {"nonce": _wire(secrets.token_hex(6))}  # tells our own lost success from another's equal write
        here: Condition = Absent(("PK",)) if revision == 0 else Equal(("revision",), _wire(revision))
        return Put(self.table, item, AllOf((here, self._unfenced())) if self._fence else here)

    async def put(self, partition: str, name: str, fields: Fields, *, revision: int, standing_fence: int = 0) -> Row:
        """Compare-and-set. Raises ConditionFailed when the row moved on, FencedError when a newer lease wrote it."""
        action = self.put_action(partition, name, fields, revision=revision, standing_fence=standing_fence)
        try:
            await self._items.write(action, guard=self._guard)
        except ConditionFailed as refusal:
            self._explain(refusal, mine=action.item)
        return self._row(action.item)

    async def update(self, partition: str, name: str, change: Callable[[Fields | None], Fields | None]) -> Row | None:
        """Read, change, compare-and-set until it holds. ``change`` returning None leaves the row as it is."""
        for _ in range(_ATTEMPTS):
            row = await self.get(partition, name)
            fields = change(dict(row.fields) if row else None)
            if fields is None:
                return row
            try:
                revision, fence = (row.revision, row.fence) if row else (0, 0)
                return await self.put(partition, name, fields, revision=revision, standing_fence=fence)
            except ConditionFailed:
                continue
        message = f"ledger row {shapes.shown(partition, name)} is written by others all the time"
        raise TransientError(message)

    def delete_action(self, row: Row) -> Delete:
        """Return the delete of exactly the write that was read: a row written anew starts at revision 1 again."""
        here: Condition = Equal(("nonce",), _wire(row.nonce))
        condition = AllOf((here, self._unfenced())) if self._fence else here
        return Delete(self.table, _key(row.partition, row.name), condition)

    async def delete(self, row: Row) -> bool:
        """Delete a row unless it moved on; tell whether it is gone by our hand."""
        try:
            await self._items.write(self.delete_action(row), guard=self._guard)
        except ConditionFailed:
            return False
        return True

    async def transact(self, actions: Sequence[Action]) -> None:
        """Do several writes, all or none. Raises ConditionFailed or FencedError like `put`."""
        try:
            await self._items.transact(actions, guard=self._guard)
        except ConditionFailed as refusal:
            self._explain(refusal, mine=None)  # its token makes a retry idempotent: a refusal is never our own success

    def _unfenced(self) -> Condition:
        return AnyOf((Absent(("fence",)), Less(("fence",), _wire(self._fence + 1))))

    def _explain(self, refusal: ConditionFailed, *, mine: Item | None) -> None:
        """Return when the standing item is our own lost success; raise what the refusal means otherwise."""
        standing = refusal.standing
        if standing is not None and standing == mine:
            return
        if self._fence and standing is not None and self._row(standing).fence > self._fence:
            message = f"a worker with a newer lease wrote the ledger (ours: epoch {self._fence})"
            raise FencedError(message) from refusal
        raise refusal

    def _row(self, item: Item) -> Row:
        """Read a stored item; raises FatalError naming table, row and field when it is not as we write it."""
        partition, name = (str(item[part].get("S", "")) for part in ("PK", "SK"))
        address, nonce = shapes.shown(partition, name), item.get("nonce", {}).get("S")
        try:
            content = {field: _field(field, value) for field, value in item.items() if field not in ("PK", "SK")}
        except _Unwritable as error:
            raise shapes.unreadable(self.table, address, str(error), nonce=nonce) from None
        fields = {field: value for field, value in content.items() if field not in _RESERVED}
        wrong = shapes.OF_EVERY_ROW.misfit(content) or shapes.check(partition, name, fields)
        if wrong is not None:
            raise shapes.unreadable(self.table, address, wrong, nonce=nonce)
        return Row(partition, name, fields, content["revision"], content["fence"], content["nonce"])


class _Unwritable(ValueError):
    """An attribute holds what `_wire` never writes; the text names it and never its value."""


def _key(partition: str, name: str) -> Item:
    return {"PK": {"S": partition}, "SK": {"S": name}}


def _field(name: str, value: AttributeValue) -> Any:  # noqa: ANN401 - whatever was put in
    try:
        return _plain(value)
    except _Unwritable as error:
        raise _Unwritable(f"{name} holds {error}") from None


def _wire(value: object) -> AttributeValue:
    """Return the attribute value of a field."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, Mapping):
        return {"M": {name: _wire(each) for name, each in value.items()}}
    if isinstance(value, Sequence):
        return {"L": [_wire(each) for each in value]}
    message = f"a ledger row cannot hold a {type(value).__name__}"
    raise TypeError(message)


def _plain(value: AttributeValue) -> Any:  # noqa: ANN401 - the inverse of `_wire`: whatever was put in
    ((kind, content),) = value.items()
    if kind == "N" and not _WHOLE.fullmatch(content):
        raise _Unwritable("a number that is not whole")
    if kind not in _KINDS:
        raise _Unwritable(f"type {kind}, which no row has")
    return _KINDS[kind](content)


_KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "S": lambda content: content,
    "N": int,
    "BOOL": lambda content: content,
    "NULL": lambda _: None,
    "M": lambda content: {name: _plain(each) for name, each in content.items()},
    "L": lambda content: [_plain(each) for each in content],
}
