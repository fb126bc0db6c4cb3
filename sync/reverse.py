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
from domain.items import Item, digest
from domain.outcomes import Reason
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


class ReverseHandler:
    """What the records of the target's stream mean."""

    def __init__(self, ports: ReversePorts, stream: StreamRow) -> None:
        """Work for the target's stream."""
        self._ports = ports
        self._epoch = stream.epoch

    async def refresh(self) -> None:
        """Nothing to read again: the ledger's rows are asked each time."""

    async def take(self, changes: Sequence[Change], _shard_id: str, /) -> None:
        """Apply the application's changes of primary items: the last image of each id, at its position."""
        latest: dict[str, Change] = {}
        for change in changes:
            owner = self._ports.plan.owner(self._ports.plan.target_key(change.keys))
            if owner is None or not owner.primary:
                self._count("passed", "target")
            else:
                latest[owner.source_id] = change
        quarantined = await self._quarantined(latest)
        async with asyncio.TaskGroup() as group:
            for source_id, change in latest.items():
                group.create_task(self._apply(source_id, change, quarantined.get(source_id)))
        self._ports.touched.note(latest)

    async def tail(self, changes: Sequence[Change]) -> Afterwards | None:
        """Records outside the application's spans are our own writes: nothing is owed (protocol §4.1).

        Or somebody's who has no business there: comparing tells.
        """
        owners = (self._ports.plan.owner(self._ports.plan.target_key(change.keys)) for change in changes)
        self._ports.touched.note(owner.source_id for owner in owners if owner is not None)
        self._ports.counts["target", "reverse", "tailed"] += len(changes)
        return None

    async def _quarantined(self, source_ids: Iterable[str]) -> dict[str, Quarantined]:
        sources = {self._ports.plan.source_key(source_id)[0] for source_id in source_ids}
        entries: dict[str, Quarantined] = {}
        for source in sources:
            entries |= await self._ports.ledger.quarantine.of(source, Lane.REVERSE)
        return entries

    async def _apply(self, source_id: str, change: Change, entry: Quarantined | None) -> None:
        source, _ = self._ports.plan.source_key(source_id)
        version = Version(self._epoch, change.sequence)
        async with self._ports.limit:
            try:
                outcome = await self._write(source_id, self._untranslated(change), version)
            except DataError as fault:
                await self._ports.ledger.quarantine.put(
                    Quarantined(source, source_id, str(version), Reason.IRREVERSIBLE, str(fault), lane=Lane.REVERSE)
                )
                outcome = "quarantined"
            else:
                if entry is not None:
                    await self._ports.ledger.quarantine.clear(entry, str(version))
        self._count(outcome, source)

    def _untranslated(self, change: Change) -> Item | None:
        if change.new is None:
            return None
        returned = self._ports.plan.untranslate(change.new)
        if returned is None:
            message = "its key no longer belongs to a legacy item"
            raise DataError(message)
        return returned.item

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
