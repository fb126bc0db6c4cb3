"""Removes tombstones that have done their work (protocol §3).

A tombstone is purged as soon as (a) the copy of its source is complete, (b) the checkpoint has passed its version and
(c) no write sent before that can still land. The delete is conditional on the very same stamp.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from apply.door import Door
from domain.positions import Version
from domain.stamps import Stamp
from ledger.book import Ledger
from ledger.hints import Bell
from ledger.lease import LeaseGuard
from ledger.rows import Row
from ledger.streams import ShardRow
from ledger.tombstones import Tombstone
from mapping.plan import Plan

_PAUSE = 2.0
"""Seconds between rounds; the bell shortens them while a cutover waits."""

_AT_ONCE = 32
"""Tombstones purged side by side."""


@dataclass(frozen=True, slots=True)
class PurgePorts:
    """What purging works with; the guard answers (c)."""

    plan: Plan
    door: Door
    ledger: Ledger
    guard: LeaseGuard
    bell: Bell
    stopping: asyncio.Event


class Purger:
    """Purges all the time, round by round."""

    def __init__(self, ports: PurgePorts) -> None:
        """Nothing is purged before `run`."""
        self._ports = ports

    async def run(self) -> None:
        """Purge until told to stop."""
        while not self._ports.stopping.is_set():
            await self.round()
            await self._ports.bell.wait(_PAUSE)

    async def round(self) -> None:
        """Purge what may go, source by source."""
        for source in self._ports.plan.sources:
            await self._purge(source)

    async def _purge(self, source: str) -> None:
        """The list is read before the epoch: a stone that is put later, in a new one, is not judged by the old."""
        listed = await self._ports.ledger.tombstones.of(source)
        stream = await self._ports.ledger.streams.get(source)
        shards = await self._ports.ledger.streams.shards(source, stream.epoch)
        done = [(stone, row) for stone, row in listed if passed(stone, shards, stream.epoch)]
        if not done or not await self._ports.ledger.segments.done(source, stream.copy_epoch):
            return
        await self._ports.guard.quiet()
        limit = asyncio.Semaphore(_AT_ONCE)

        async def purge(stone: Tombstone, row: Row) -> None:
            stamp = Stamp(stone.source_id, stone.version, stone.checksum, dead=True)
            async with limit:
                await self._ports.door.purge(self._ports.plan.key_item(stone.key), stamp)
                await self._ports.ledger.tombstones.remove(row)

        async with asyncio.TaskGroup() as group:
            for stone, row in done:
                group.create_task(purge(stone, row))
        self._ports.bell.ring()


def passed(stone: Tombstone, shards: Mapping[str, ShardRow], epoch: int) -> bool:
    """Tell whether the checkpoint has passed a tombstone's version (b); a repair's has no shard to wait for.

    One of an earlier epoch has been passed: whatever is read again since carries a newer version.
    """
    if stone.shard_id is None or Version.parse(stone.version).epoch < epoch:
        return True
    shard = shards.get(stone.shard_id)
    return shard is not None and (shard.ended or (shard.checkpoint or -1) >= stone.sequence)
