"""Forward: legacy changes into the target; echoes and strays while the target serves (protocol §3, §5, §9)."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apply.door import Door
from apply.stamping import Write
from domain.changes import Change
from domain.errors import DataError
from domain.items import TargetKey, digest
from domain.outcomes import Outcome, Reason
from domain.phases import Side
from domain.positions import Version
from ledger.book import Ledger
from ledger.echoes import GONE
from ledger.findings import Quarantined
from ledger.hints import Touched
from ledger.streams import StreamRow
from ledger.tombstones import Tombstone
from mapping.plan import Plan
from sync.fold import Folded, by_source_id, fold
from sync.followers import Afterwards
from sync.strays import Stray, Strays

Counts = Counter[tuple[str, str, str]]
"""(stream, direction, outcome) → changes, since this process began; for metrics."""


@dataclass(frozen=True, slots=True)
class ForwardPorts:
    """What the forward direction works with; ``limit`` bounds the source ids written at the same time."""

    plan: Plan
    door: Door
    ledger: Ledger
    counts: Counts
    touched: Touched
    limit: asyncio.Semaphore
    strays: Strays


class ForwardHandler:
    """What the records of one legacy stream mean."""

    def __init__(self, ports: ForwardPorts, stream: StreamRow) -> None:
        """Work for one source; the stream's name is the source's."""
        self._ports = ports
        self._source = stream.name
        self._epoch = stream.epoch
        self._adopts = False

    async def refresh(self) -> None:
        """After the first rollback what the new application left in the target is adopted (protocol §9)."""
        self._adopts = (await self._ports.ledger.migration.state()).rollbacks > 0

    async def take(self, changes: Sequence[Change], shard_id: str, /) -> None:
        """Apply the application's changes: ids side by side, one id's in order and folded."""
        quarantined = await self._ports.ledger.quarantine.of(self._source)
        by_id = by_source_id(self._ports.plan, self._source, changes)
        async with asyncio.TaskGroup() as group:
            for source_id, own in by_id.items():
                group.create_task(self._apply(own, shard_id, quarantined.get(source_id)))
        self._ports.touched.note(by_id)

    async def tail(self, changes: Sequence[Change]) -> Afterwards | None:
        """Check that each record is our own echo or TTL's; anything else is a stray and is quarantined."""
        own = by_source_id(self._ports.plan, self._source, [each for each in changes if not each.by_ttl])
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(self._look(source_id, records)) for source_id, records in own.items()]
        self._ports.touched.note(own)
        echoes = [(source_id, seen) for source_id, seen, _ in (look.result() for look in looks)]
        strays = [stray for look in looks for stray in look.result()[2]]
        await self._ports.strays.put(Side.SOURCE, strays)

        async def strike() -> None:
            async with asyncio.TaskGroup() as group:
                for source_id, seen in echoes:
                    group.create_task(self._strike(source_id, seen))

        return strike

    async def _look(self, source_id: str, changes: Sequence[Change]) -> tuple[str, Counter[str], list[Stray]]:
        """Hold the records of one id against the digests awaited; return those that are echoes, and the others."""
        async with self._ports.limit:
            awaited = Counter((await self._ports.ledger.echoes.get(source_id)).awaited)
            seen: Counter[str] = Counter()
            strays: list[Stray] = []
            for change in changes:
                content = GONE if change.new is None else digest(change.new)
                if seen[content] < awaited[content]:
                    seen[content] += 1
                    self._count("echoed")
                else:
                    strays.append(Stray(self._source, source_id, Version(self._epoch, change.sequence), change))
                    self._count("stray")
            return source_id, seen, strays

    async def _strike(self, source_id: str, seen: Counter[str]) -> None:
        async with self._ports.limit:
            await self._ports.ledger.echoes.seen(source_id, seen)

    async def _apply(self, changes: Sequence[Change], shard_id: str, entry: Quarantined | None) -> None:
        kept: tuple[TargetKey, ...] = entry.keys if entry is not None else ()
        folded = fold(self._ports.plan, self._source, changes, epoch=self._epoch, quarantined=kept)
        async with self._ports.limit:
            fault = await self._write(folded, shard_id)
            if fault is not None:
                await self._quarantine(folded, *fault)
            elif entry is not None:
                await self._ports.ledger.quarantine.clear(entry, str(folded.version))

    async def _write(self, folded: Folded, shard_id: str) -> tuple[Reason, str] | None:
        """Put items and tombstones; return what is wrong, if anything."""
        if folded.fault:
            return Reason.UNTRANSLATABLE, folded.fault
        try:
            outcomes = [await self._ports.door.put(write, adopts=self._adopts) for write in folded.puts]
            outcomes += [await self._bury(write, folded, shard_id) for write in folded.tombstones]
        except DataError as fault:
            return Reason.REFUSED, str(fault)
        worst = max(outcomes, key=list(Outcome).index, default=Outcome.APPLIED)
        self._count(worst.value)
        return None if worst.fault is None else (worst.fault, "a target key of this item is taken")

    async def _bury(self, write: Write, folded: Folded, shard_id: str) -> Outcome:
        """List a tombstone, then put it: never the other way round (protocol §3)."""
        stamp, sequence = write.stamp, folded.version.sequence
        stone = Tombstone(write.key, self._source, folded.source_id, stamp.version, stamp.checksum, shard_id, sequence)
        await self._ports.ledger.tombstones.add(stone)
        return await self._ports.door.put(write, adopts=self._adopts)

    async def _quarantine(self, folded: Folded, reason: Reason, detail: str) -> None:
        entry = Quarantined(self._source, folded.source_id, str(folded.version), reason, detail, folded.standing_keys)
        await self._ports.ledger.quarantine.put(entry)
        self._count("quarantined")

    def _count(self, outcome: str) -> None:
        self._ports.counts[self._source, "forward", outcome] += 1
