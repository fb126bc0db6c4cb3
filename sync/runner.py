"""Follow every stream of the migration: discover shards, start one follower each, parents first (protocol §5).

The next step down is `followers.ShardFollower.run`; what a record means is said by `forward` and `reverse`.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

from domain.errors import FatalError, GapError
from domain.phases import Phase
from dynamo.ports import Database
from ledger.streams import ShardRow, StreamRow
from sync import lineage
from sync.followers import Handler, ShardFollower, Surroundings


class Sync:
    """Follows all streams the ledger names, for as long as it runs."""

    def __init__(self, database: Database, around: Surroundings, handler_of: Callable[[StreamRow], Handler]) -> None:
        """``handler_of`` makes what says the meaning of a stream's records."""
        self._database = database
        self._around = around
        self._handler_of = handler_of

    async def run(self) -> None:
        """Follow until told to stop. Raises GapError when records are lost, FatalError when a stream was replaced."""
        async with asyncio.TaskGroup() as group:
            for stream in await self._around.ledger.streams.all():
                group.create_task(self._follow(stream))

    async def _follow(self, stream: StreamRow) -> None:
        """Keep one follower on every shard that is ready, and look for new shards."""
        handler = self._handler_of(stream)
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
        table = await self._database.describe_table(stream.table)
        if table is None or table.stream_arn != stream.arn:
            message = f"the stream of {stream.table} is gone or was replaced: changes since then are missing"
            raise FatalError(message, hint="switch it on again and start the migration of this source anew")
        described = await self._around.streams.describe_stream(stream.arn)
        known = await self._around.ledger.streams.shards(stream.name)
        for orphan in lineage.orphans(known, described):
            await self._excuse(f"the parent of shard {orphan} of {stream.name} was trimmed before anybody saw it")
        shards = await self._around.ledger.streams.discover(stream.name, described)
        for shard_id in lineage.lost(shards, [shard.shard_id for shard in described]):
            shards[shard_id] = await self._write_off(shards[shard_id])
        return shards

    async def _write_off(self, shard: ShardRow) -> ShardRow:
        """Before anything was scanned a vanished shard is no loss; afterwards it is (protocol §4.1, §5)."""
        await self._excuse(f"shard {shard.shard_id} of {shard.stream} was trimmed before it was applied to its end")
        return await self._around.ledger.streams.save(replace(shard, ended=True))

    async def _excuse(self, gap: str) -> None:
        """Raise the gap, unless nothing has been scanned yet: then the copy will read what the stream has lost."""
        if (await self._around.ledger.migration.state()).phase is not Phase.CAPTURE:
            raise GapError(gap, hint="changes are lost: the source must be copied again from the start")
