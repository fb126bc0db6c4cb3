"""Copy all sources: every segment page by page, each item under version (epoch, 0), so that the stream wins (§4.2).

A source that is copied again, after a gap, is swept when it is copied (§5). The next steps down: `walk` for how a table
is walked, `sweep` for what a second copy leaves behind.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from apply.stamping import stamped
from backfill.sweep import Sweep
from backfill.walk import CopyPorts, Scan, Walk
from domain.errors import DataError
from domain.items import Item, digest
from domain.outcomes import Outcome, Reason
from domain.positions import Version
from ledger.findings import Quarantined
from ledger.streams import StreamRow


class Backfill:
    """The copy of every source, from wherever its cursors stand."""

    def __init__(self, ports: CopyPorts) -> None:
        """Nothing is read before `run`."""
        self._ports = ports
        self._writes = asyncio.Semaphore(ports.settings.writes_at_once)
        self._walk = Walk(ports)
        self._sweep = Sweep(ports, self._walk)
        self._adopts = False

    async def run(self) -> None:
        """Copy until every segment of every source is done, or until told to stop."""
        self._adopts = (await self._ports.ledger.migration.state()).rollbacks > 0
        async with asyncio.TaskGroup() as group:
            for source in self._ports.plan.sources:
                group.create_task(self._source(await self._ports.ledger.streams.get(source)))

    async def _source(self, stream: StreamRow) -> None:
        """Copy one source; sweep after it what an earlier epoch has left."""
        copied = await self.copy(stream)
        if copied and stream.copy_epoch > 1:
            await self._sweep.run(stream, adopts=self._adopts)

    async def copy(self, stream: StreamRow) -> bool:
        """Copy one source; tell whether all of it is copied."""
        return await self._walk.over(self.scan(stream))

    def scan(self, stream: StreamRow) -> Scan:
        """Return how a source is walked to be copied."""
        settle = partial(self._settle, stream.name, Version(stream.copy_epoch))
        table = self._ports.plan.sources[stream.name].definition
        return Scan(table, self._ports.ledger.segments, stream, settle)

    async def _settle(self, source: str, version: Version, images: Sequence[Item]) -> int:
        """Write the images of a page; return how many went to quarantine."""
        waiting = await self._ports.ledger.quarantine.of(source)
        async with asyncio.TaskGroup() as group:
            writes = [group.create_task(self._write(source, image, version, waiting)) for image in images]
        return sum(write.result() for write in writes)

    async def _write(self, source: str, image: Item, version: Version, waiting: Mapping[str, Quarantined]) -> bool:
        """Write what one item translates to; tell whether it went to quarantine instead."""
        source_id = self._ports.plan.source_id(source, image)
        async with self._writes:
            try:
                items = self._ports.plan.translate(source, image).items
                writes = [stamped(key, item, source_id, version) for key, item in items.items()]
                outcomes = [await self._ports.door.put(write, adopts=self._adopts) for write in writes]
            except DataError as fault:
                return await self._quarantine(source, image, version, (Reason.UNTRANSLATABLE, str(fault)))
            worst = max(outcomes, key=list(Outcome).index)
            if worst.fault is not None:
                return await self._quarantine(source, image, version, (worst.fault, "a target key of it is taken"))
            if source_id in waiting:  # of an earlier epoch; what stands at its other keys is the sweep's
                await self._ports.ledger.quarantine.clear(waiting[source_id], str(version))
            return False

    async def _quarantine(self, source: str, image: Item, version: Version, why: tuple[Reason, str]) -> bool:
        source_id = self._ports.plan.source_id(source, image)
        entry = Quarantined(source, source_id, str(version), *why)
        await self._ports.ledger.quarantine.put(entry)
        table = self._ports.plan.sources[source].definition
        standing = await self._ports.database.get_item(table.name, table.key_of(image))
        if standing is not None and digest(standing) == digest(image):
            return True
        # It changed since it was scanned, so its fate is the stream's, which may have settled it already.
        await self._ports.ledger.quarantine.clear(entry, entry.version)
        return False
