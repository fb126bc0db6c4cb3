"""Reverse: the new application's changes into the legacy tables, from the switch on (protocol §9).

Only primary items count; whose record it is was decided by position before it came here. The version of a legacy item
stands in the ledger and is written in one transaction with it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apply.returns import ReturnDoor
from domain.changes import Change
from domain.errors import ConditionFailed, DataError, TransientError
from domain.fates import Tally
from domain.items import Item, digest
from domain.outcomes import Reason
from domain.phases import Side
from domain.positions import Version
from dynamo.ports import Items
from ledger.book import Ledger
from ledger.echoes import GONE
from ledger.findings import Lane, Quarantined
from ledger.hints import Touched
from ledger.streams import StreamRow
from mapping.plan import Plan
from sync.followers import Afterwards
from sync.forward import Counts
from sync.strays import Stray, Strays, is_ours
from sync.weighing import Weighed, weigh

_ROUNDS = 20
"""Rounds of read and transaction for one id before its contention is reported."""


@dataclass(frozen=True, slots=True)
class ReversePorts:
    """What the reverse direction works with; ``items`` reads the legacy tables."""

    plan: Plan
    door: ReturnDoor
    items: Items
    ledger: Ledger
    counts: Counts
    touched: Touched
    limit: asyncio.Semaphore
    strays: Strays


class ReverseHandler:
    """What the records of the target's stream mean."""

    def __init__(self, ports: ReversePorts, stream: StreamRow) -> None:
        """Work for the target's stream."""
        self._ports = ports
        self._epoch = stream.epoch
        self._bake = 0
        self._watches = False

    async def refresh(self) -> None:
        """Every rollback ends a bake, whose writes are counted apart, and a span: what comes behind it is watched."""
        self._bake = (await self._ports.ledger.migration.state()).rollbacks
        self._watches = any(span.closed for span in await self._ports.ledger.marks.spans(Side.TARGET))

    async def take(self, changes: Sequence[Change], _shard_id: str, /) -> Tally:
        """Apply the application's changes of primary items, the last image of each id; return what all came to."""
        bake, latest, tally = self._bake, dict[str, Weighed](), Tally(self._bake)
        for weighed in [weigh(self._ports.plan, change) for change in changes]:
            if weighed.source_id is None:
                self._count("passed", "target")
                tally = tally.plus(weighed.counted(bake))
                continue
            if weighed.source_id in latest:
                tally = tally.plus(latest[weighed.source_id].counted(bake))
            latest[weighed.source_id] = weighed
        quarantined = await self._quarantined(latest)
        async with asyncio.TaskGroup() as group:
            applying = [
                group.create_task(self._apply(source_id, weighed, quarantined.get(source_id)))
                for source_id, weighed in latest.items()
            ]
        self._ports.touched.note(latest)
        for each in applying:
            tally = tally.plus(each.result().counted(bake))
        return tally

    async def tail(self, changes: Sequence[Change]) -> Afterwards | None:
        """Records outside the application's spans are our own writes: nothing is owed (protocol §4.1).

        Or a stray's. Before the first rollback whatever is not ours stays as it is, and comparing tells; from then on
        it would be adopted, as what the new application left, so it is told. In an epoch begun since then the records
        of the bake may come again, so that nothing is told before the next rollback.
        """
        plan, strays = self._ports.plan, list[Stray]()
        for change in changes:
            owner = plan.owner(plan.target_key(change.keys))
            if owner is None:
                continue
            self._ports.touched.note((owner.source_id,))
            if self._watches and not is_ours(change):
                strays.append(Stray(owner.source, owner.source_id, Version(self._epoch, change.sequence), change))
        self._ports.counts["target", "reverse", "tailed"] += len(changes)
        if strays:
            self._ports.counts["target", "reverse", "stray"] += len(strays)
            await self._ports.strays.put(Side.TARGET, strays)
        return None

    async def _quarantined(self, source_ids: Iterable[str]) -> dict[str, Quarantined]:
        sources = {self._ports.plan.source_key(source_id)[0] for source_id in source_ids}
        entries: dict[str, Quarantined] = {}
        for source in sources:
            entries |= await self._ports.ledger.quarantine.of(source, Lane.REVERSE)
        return entries

    async def _apply(self, source_id: str, weighed: Weighed, entry: Quarantined | None) -> Weighed:
        """Write one id's last image, or set it aside; return it with the fate it met."""
        source, _ = self._ports.plan.source_key(source_id)
        version = Version(self._epoch, weighed.change.sequence)
        async with self._ports.limit:
            try:
                if weighed.fault is not None:
                    raise weighed.fault
                outcome = await self._write(source_id, weighed.item, version)
            except DataError as fault:
                weighed = weighed.refused()
                await self._ports.ledger.quarantine.put(
                    Quarantined(source, source_id, str(version), Reason.IRREVERSIBLE, str(fault), lane=Lane.REVERSE)
                )
                outcome = "quarantined"
            else:
                if entry is not None:
                    await self._ports.ledger.quarantine.clear(entry, str(version))
        self._count(outcome, source)
        return weighed

    async def _write(self, source_id: str, item: Item | None, version: Version) -> str:
        """Write item and version row in one transaction, unless something newer was written."""
        source, key = self._ports.plan.source_key(source_id)
        table = self._ports.plan.sources[source].definition.name
        content = GONE if item is None else digest(item)
        for _ in range(_ROUNDS):
            echo = await self._ports.ledger.echoes.get(source_id)
            if echo.version >= str(version):
                return "superseded"
            if echo.full and not await self._ports.ledger.streams.has_lost(source):
                message = f"{len(echo.awaited)} echoes of one item are outstanding: the tail has to catch up first"
                raise TransientError(message)
            standing = await self._ports.items.get_item(table, key)
            row = echo.after(str(version), content, GONE if standing is None else digest(standing))
            try:
                await self._ports.door.write(table, key, item, version_row=self._ports.ledger.echoes.action(row))
            except ConditionFailed:
                continue
            return "applied"
        message = "the version row of a legacy item is written by others all the time"
        raise TransientError(message)

    def _count(self, outcome: str, source: str) -> None:
        self._ports.counts[source, "reverse", outcome] += 1
