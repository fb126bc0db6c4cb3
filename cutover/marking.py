"""Writes marks until every open shard of a stream has shown one (protocol §1, §8.2).

Call it only under a fence: then everything of the application lies before the mark, in every shard.
"""

import asyncio
import base64
import secrets

from domain.cuts import Cut
from domain.errors import FatalError
from domain.guards import WriteGuard
from domain.items import MARK_PREFIX, AttributeValue, Item
from domain.tables import KeyAttribute
from dynamo.ports import Database, Delete, Put
from ledger.book import Ledger
from ledger.hints import Bell
from ledger.streams import StreamRow

_LOOK = 0.1
"""Seconds until a look at which shards have shown the mark; the bell brings it sooner, whoever rings."""

_LOOKS = 5
"""Looks, at most, until more mark items are put."""

_A_SHARD = 2
"""Mark items put at once for each open shard, where there are several: each falls into one by the hash of its key."""

_MOST_AT_ONCE = 128
"""… and at most, on a stream of many shards."""


def mark_key(key: tuple[KeyAttribute, ...], mark_id: str) -> Item:
    """Return a random key that names the mark in its string parts. Raises FatalError when the key has none."""
    if not any(attribute.type == "S" for attribute in key):
        message = "a table without a string in its key cannot show marks, so nothing can prove it drained"
        raise FatalError(message, hint="such a source is not supported")
    return {attribute.name: _random_part(attribute.type, mark_id) for attribute in key}


def _random_part(kind: str, mark_id: str) -> AttributeValue:
    if kind == "S":
        return {"S": f"{MARK_PREFIX}{mark_id}#{secrets.token_hex(8)}"}
    if kind == "N":
        return {"N": str(secrets.randbelow(10**12))}
    return {"B": base64.b64encode(secrets.token_bytes(8)).decode()}


class Marker:
    """Puts marks and waits for their followers to meet them."""

    def __init__(self, database: Database, ledger: Ledger, bell: Bell, *, guard: WriteGuard) -> None:
        """The guard bounds the puts to the lease."""
        self._database = database
        self._ledger = ledger
        self._bell = bell
        self._guard = guard
        self._shown: list[tuple[str, Item]] = []

    async def cut(self, stream: StreamRow, key: tuple[KeyAttribute, ...], mark_id: str) -> Cut:
        """Announce the mark, put it until every open shard is applied up to one; return where they stand.

        From here until `clear` followers write down at once how far they see: a switch waits for it.
        """
        self._bell.presses = True
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ledger.marks.announce(mark_id, stream.name))
            known = group.create_task(self._ledger.streams.shards(stream.name))
        shards = sum(not shard.ended for shard in known.result().values())
        at_once = 1 if shards <= 1 else min(_MOST_AT_ONCE, _A_SHARD * shards)
        while True:
            async with asyncio.TaskGroup() as group:
                for left in reversed(range(at_once)):
                    wakes = "" if left else stream.name  # once a look: a shard may be read five times a second
                    group.create_task(self._put(stream.table, mark_key(key, mark_id), wakes=wakes))
            if (cut := await self._met(mark_id, stream)) is not None:
                return cut
            at_once = min(_MOST_AT_ONCE, 2 * at_once)  # there may be shards that nobody has written down yet

    async def _met(self, mark_id: str, stream: StreamRow) -> Cut | None:
        """Look a few times whether every shard has shown the mark: when the bell rings, and when it does not."""
        for _ in range(_LOOKS):
            rang = await self._bell.wait(_LOOK)
            cut = await self._ledger.marks.cut(mark_id)
            if await self._is_whole(cut, stream):
                return cut
            if not rang:
                break
        return None

    async def clear(self) -> None:
        """Take away the marks that an interruption left standing: after the outcome, when nobody waits."""
        self._bell.presses = False
        while self._shown:
            table, key = self._shown[-1]
            await self._database.write(Delete(table, key), guard=self._guard)
            self._shown.pop()

    async def _is_whole(self, cut: Cut, stream: StreamRow) -> bool:
        """Tell whether every lineage shows the mark. The stream itself is asked last: it may not be asked often."""
        shards = await self._ledger.streams.shards(stream.name)
        lineage = {shard_id: shard.parent_id for shard_id, shard in shards.items()}
        if not cut.covers((shard_id for shard_id, shard in shards.items() if not shard.ended), lineage):
            return False
        described = await self._database.describe_stream(stream.arn)
        lineage |= {shard.shard_id: shard.parent_id for shard in described}
        # A closed shard may be listed before its children are: it is the leaves that count, open or not.
        leaves = {shard.shard_id for shard in described} - {shard.parent_id for shard in described}
        return bool(leaves) and cut.covers(leaves, lineage)

    async def _put(self, table: str, key: Item, *, wakes: str = "") -> None:
        """Show the mark, wake whoever reads that stream, and take it away at once; the stream keeps both records."""
        self._shown.append((table, key))
        await self._database.write(Put(table, key), guard=self._guard)
        if wakes:
            self._bell.mark(wakes)
        await self._database.write(Delete(table, key), guard=self._guard)
        self._shown.remove((table, key))
