"""How both applications write: under the flag, once, and into the journal.

A write takes the permission, reads what it changes, takes the permission again (another flag epoch means that the other
side served in between: start over), is sent exactly once, and is given up at the permission's time-out. One without an
answer is in doubt: its item stays claimed until a later read has shown what became of it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from domain.errors import ConditionFailed, TransientError
from domain.items import AttributeValue, Item, digest
from domain.phases import Side
from dynamo.aws import AwsDatabase
from dynamo.calls import Document
from dynamo.retries import RetryPolicy
from service.demo.flag import FlagReader, Permission
from service.demo.journal import Entry, Journal, Name, wall_ms

ONCE: Final = RetryPolicy(attempt_timeout_s=1.0, budget_s=0.0)
"""For the client that writes: no second attempt, for it could land behind the fence."""

_LANDED: Final = 2.0
"""Seconds after which a write without an answer has landed or never will."""

KEYS: Final = {"users": "id", "contractors": "id", "refresh-tokens": "token", "audit": "id", "config": "key"}
ENTITIES: Final = {
    "users": "USER",
    "contractors": "CONTRACTOR",
    "refresh-tokens": "REFRESH_TOKEN",
    "audit": "AUDIT",
    "config": "CONFIG",
}


def key_of(side: Side, name: Name) -> Item:
    """Return the key of an item on a side."""
    if side is Side.SOURCE:
        return {KEYS[name.table]: {"S": name.key}}
    return {"PK": {"S": f"{ENTITIES[name.table]}#{name.key}"}, "SK": {"S": "METADATA"}}


@dataclass(frozen=True, slots=True)
class Write:
    """One request that changes one item (and perhaps others with it), and the image it leaves; None: none."""

    operation: str
    parameters: Document
    after: Item | None


Edit = Callable[[Item], Write | None]
"""Given the item as it stands, what to write; None for nothing."""


def put(item: Item) -> Write:
    """Put an item whole."""
    return Write("PutItem", {"Item": item}, item)


def delete() -> Write:
    """Delete the item."""
    return Write("DeleteItem", {}, None)


@dataclass(frozen=True, slots=True)
class Update:
    """An UpdateItem: values to set (a dot leads into a map), whole numbers to add, names to remove."""

    sets: Item = field(default_factory=dict)
    adds: Mapping[str, int] = field(default_factory=dict)
    removes: Sequence[str] = ()

    def on(self, standing: Item) -> Write:
        """Return the request and the image it makes of ``standing``."""
        names, values = _Placeholders("#"), _Placeholders(":")
        sets = [f"{names.path(name)} = {values.one(value)}" for name, value in self.sets.items()]
        adds = [f"{names.path(name)} {values.one({'N': str(step)})}" for name, step in self.adds.items()]
        removes = [names.path(name) for name in self.removes]
        clauses = {"SET": sets, "ADD": adds, "REMOVE": removes}
        parameters: Document = {
            "UpdateExpression": " ".join(f"{word} {', '.join(each)}" for word, each in clauses.items() if each),
            "ExpressionAttributeNames": names.given,
        }
        if values.given:
            parameters["ExpressionAttributeValues"] = values.given
        return Write("UpdateItem", parameters, self._image(standing))

    def _image(self, standing: Item) -> Item:
        image = dict(standing)
        for name, value in self.sets.items():
            outer, _, inner = name.partition(".")
            image[outer] = {"M": {**image[outer]["M"], inner: value}} if inner else value
        for name, step in self.adds.items():
            image[name] = {"N": str(int(image.get(name, {"N": "0"})["N"]) + step)}
        for name in self.removes:
            image.pop(name, None)
        return image


class _Placeholders:
    """Names or values of an expression under short aliases."""

    def __init__(self, sign: str) -> None:
        self._sign = sign
        self.given: dict[str, str | AttributeValue] = {}

    def one(self, value: str | AttributeValue) -> str:
        """Return the alias of a value."""
        alias = f"{self._sign}{len(self.given)}"
        self.given[alias] = value
        return alias

    def path(self, name: str) -> str:
        """Return the alias of a path, part by part."""
        return ".".join(self.one(part) for part in name.split("."))


@dataclass(frozen=True, slots=True)
class WritingPorts:
    """What an application writes with: ``once`` for writes (policy `ONCE`), ``reads`` for everything else."""

    once: AwsDatabase
    reads: AwsDatabase
    flag: FlagReader
    journal: Journal
    prefix: str


@dataclass(frozen=True, slots=True)
class _Sent:
    """A write on its way: what, with which permission, over which image."""

    name: Name
    kind: str
    write: Write
    permission: Permission
    standing: Item | None

    @property
    def fresh(self) -> bool:
        """Tell whether nobody has read what stood there: the item is a new one."""
        return self.standing == {}


class Writer:
    """Writes one side for one application."""

    def __init__(self, ports: WritingPorts, side: Side) -> None:
        """Nothing is read or written before somebody asks."""
        self._ports = ports
        self.journal = ports.journal
        self.side = side
        self._sending: set[asyncio.Task[bool]] = set()

    def table(self, name: Name) -> str:
        """Return the real name of the table an item stands in."""
        return f"{self._ports.prefix}-{name.table if self.side is Side.SOURCE else 'entities'}"

    async def ready(self) -> None:
        """Wait until this side serves and may be written."""
        await self._ports.flag.permission(self.side)

    async def create(self, name: Name, kind: str, write: Write) -> bool:
        """Write an item that nobody else knows yet; tell whether that took place."""
        return await self._write(name, kind, lambda _: write, fresh=True)

    async def change(self, name: Name | None, kind: str, edit: Edit) -> bool:
        """Change an item that exists; tell whether that took place (not when it is gone, or another task has it)."""
        return name is not None and await self._write(name, kind, edit, fresh=False)

    async def finish(self) -> None:
        """Wait for the writes that are under way or in doubt."""
        while self._sending:
            await asyncio.wait(set(self._sending))

    async def _write(self, name: Name, kind: str, edit: Edit, *, fresh: bool) -> bool:
        """Permission, reading, permission again, sending; the item is not claimed while writes are blocked."""
        while True:
            permission = await self._ports.flag.permission(self.side)
            if not self.journal.claim(name):
                return False
            sending: asyncio.Task[bool] | None = None
            try:
                standing = {} if fresh else await self._read(name)
                write = edit(standing) if standing is not None else None
                if write is None:
                    return False
                again = await self._ports.flag.look(self.side)
                if again is None or again.epoch != permission.epoch:
                    continue
                sending = asyncio.create_task(self._send(_Sent(name, kind, write, again, standing)))
                self._sending.add(sending)
                sending.add_done_callback(self._sending.discard)
            finally:
                if sending is None:
                    self.journal.release(name)
            return await asyncio.shield(sending)

    async def _send(self, sent: _Sent) -> bool:
        """Send once and acknowledge; the claim ends with it. Not to be cancelled: the outcome must be known."""
        try:
            try:
                time_out = sent.permission.time_out(asyncio.get_running_loop().time())
                async with asyncio.timeout_at(time_out):
                    answer = await self._ports.once.call(sent.write.operation, self._parameters(sent))
            except (TimeoutError, TransientError):
                return await self._find_out(sent)
            except ConditionFailed:
                return False
            tells = sent.write.operation != "TransactWriteItems"
            before = answer.get("Attributes") if tells else sent.standing or None
            self._acknowledge(sent, before=before, seen=tells or not sent.fresh)
            return True
        finally:
            self.journal.release(sent.name)

    async def _find_out(self, sent: _Sent) -> bool:
        """Read what became of a write without an answer. Nobody else writes the item: it is still claimed."""
        self.journal.ambiguous += 1
        await asyncio.sleep(_LANDED)
        found = await self._read(sent.name)
        if _same(found, sent.write.after):
            self._acknowledge(sent, before=sent.standing or None, seen=not sent.fresh)
            return True
        if not _same(found, sent.standing or None):
            self.journal.unexplained.append(sent.name)
        return False

    def _acknowledge(self, sent: _Sent, *, before: Item | None, seen: bool) -> None:
        epoch, after = sent.permission.epoch, sent.write.after
        self.journal.acknowledge(Entry(sent.name, self.side, epoch, sent.kind, before, after, seen, wall_ms()))

    def _parameters(self, sent: _Sent) -> Document:
        name, write = sent.name, sent.write
        if write.operation == "TransactWriteItems":
            return write.parameters
        where: Document = {"TableName": self.table(name), "ReturnValues": "ALL_OLD"}
        if write.operation == "PutItem":
            return {**write.parameters, **where}
        where["Key"] = key_of(self.side, name)
        if write.operation == "DeleteItem":
            return {**write.parameters, **where}
        hash_name = next(iter(where["Key"]))
        names = {**write.parameters["ExpressionAttributeNames"], "#key": hash_name}
        condition = {"ConditionExpression": "attribute_exists(#key)", "ExpressionAttributeNames": names}
        return {**write.parameters, **where, **condition}

    async def _read(self, name: Name) -> Item | None:
        return await self._ports.reads.get_item(self.table(name), key_of(self.side, name))


def _same(one: Item | None, other: Item | None) -> bool:
    return (one is None) == (other is None) and (one is None or other is None or digest(one) == digest(other))
