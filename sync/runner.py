"""Follow every stream of the migration: discover shards, start one follower each, parents first (protocol §5).

A stream that has lost records stands still, loudly, until it is captured anew; the others go on. The next step down is
`followers.ShardFollower.run`; what a record means is said by `forward` and `reverse`.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass

from domain.errors import GapError, first_of
from dynamo.ports import Database
from ledger.streams import ShardRow, StreamRow
from sync import lineage
from sync.followers import Handler, ShardFollower, Surroundings
from sync.loss import copy_has_begun, told


class _Renewed(Exception):
    """The stream was captured anew: what follows it in the old epoch has to end."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """``handler_of`` makes what says the meaning of a stream's records; ``on_gap`` hears of each loss, once."""

    handler_of: Callable[[StreamRow], Handler]
    on_gap: Callable[[StreamRow, str], None]


class Sync:
    """Follows all streams the ledger names, for as long as it runs."""

    def __init__(self, database: Database, around: Surroundings, meaning: Meaning) -> None:
        """Nothing is read before `run`."""
        self._database = database
        self._around = around
        self._meaning = meaning

    async def run(self) -> None:
        """Follow until told to stop."""
        async with asyncio.TaskGroup() as group:
            for stream in await self._around.ledger.streams.all():
                group.create_task(self._keep(stream.name))

    async def _keep(self, name: str) -> None:
        """Follow a stream, epoch after epoch; after a gap it stands still until the next one."""
        while not self._around.stopping.is_set():
            stream = await self._around.ledger.streams.get(name)
            if stream.gap:
                await self._around.bell.wait(self._around.pace.tip)
                continue
            try:
                await self._follow(stream)
            except* _Renewed:
                pass  # its row says where to begin
            except* GapError as gaps:
                await self._stand_still(stream, first_of(gaps))

    async def _follow(self, stream: StreamRow) -> None:
        """Keep one follower on every shard that is ready, and look for new shards."""
        handler = self._meaning.handler_of(stream)
        running: dict[str, asyncio.Task[ShardRow]] = {}
        async with asyncio.TaskGroup() as group:
            while not self._around.stopping.is_set():
                shards = await self._discover(stream)
                for shard in lineage.ready(shards, running.keys()):
                    follower = ShardFollower(self._around, stream, shard, handler)
                    running[shard.shard_id] = group.create_task(follower.run())
                await self._change_of(running.values())
                running = {shard_id: task for shard_id, task in running.items() if not task.done()}

    async def _change_of(self, followers: Collection[asyncio.Task[ShardRow]]) -> None:
        """Return when a follower ended, or it is time to look for new shards again."""
        if followers:
            await asyncio.wait(followers, timeout=self._around.pace.shards, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(self._around.pace.tip)

    async def _discover(self, stream: StreamRow) -> dict[str, ShardRow]:
        """Write new shards down and return all; a shard that is gone before its end is a gap."""
        if (await self._around.ledger.streams.get(stream.name)).epoch != stream.epoch:
            raise _Renewed
        table = await self._database.describe_table(stream.table)
        if table is None or table.stream_arn != stream.arn:
            message = f"the stream of {stream.table} was switched off, or replaced by another one"
            raise GapError(message)
        described = await self._around.streams.describe_stream(stream.arn)
        known = await self._around.ledger.streams.shards(stream.name, stream.epoch)
        for orphan in lineage.orphans(known, described):
            await self._excuse(stream, f"the parent of shard {orphan} was trimmed before anybody saw it")
        shards = await self._around.ledger.streams.discover(stream, described)
        for shard_id in lineage.lost(shards, [shard.shard_id for shard in described]):
            await self._excuse(stream, f"shard {shard_id} was trimmed before it was applied to its end")
            await self._around.ledger.streams.forget(shards.pop(shard_id))  # its child may be gone, unseen, as well
        return shards

    async def _excuse(self, stream: StreamRow, gap: str) -> None:
        """Raise the gap, unless nothing has been scanned yet: then the copy will read what the stream has lost."""
        if await copy_has_begun(self._around.ledger, stream):
            raise GapError(gap)

    async def _stand_still(self, stream: StreamRow, gap: GapError) -> None:
        """Write the gap down and tell of it; nothing of the stream is read from here on (protocol §5)."""
        ledger = self._around.ledger
        lost = told(gap.message, (await ledger.streams.shards(stream.name, stream.epoch)).values())
        await ledger.streams.lose(stream, lost)
        await ledger.history.add("gap", stream=stream.name, epoch=stream.epoch, lost=lost)
        self._meaning.on_gap(stream, lost)
        self._around.bell.ring()
