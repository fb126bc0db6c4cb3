"""``tableturn rollback --discard``: what this migration put into the target goes, once the migration is ABORTED.

Never while the target serves or might: a migration that goes on is aborted first, which no phase after the switch
allows, and after which no worker writes. To be the only one who does, it takes the lease and waits until nothing that a
worker sent before can still land (protocol §3 c, §6). An item goes if it is exactly as we wrote it, on the condition
that it still is; what anybody else wrote is counted and stays, and so do the table and the ledger.
"""

import asyncio
from collections import Counter
from typing import Any, Final

from apply.door import Door
from domain.errors import RefusedError
from domain.items import STAMP, Item, mark_id
from domain.phases import Phase
from domain.stamps import Stamp
from ledger.book import Ledger, leader_ledger, operator_ledger
from ledger.lease import Lease, LeaseGuard, LeaseTimes
from service.confirming import check_typed
from service.session import Session
from service.targetwalk import TargetWalk, Units

EVIDENCE: Final = "discarded"
OURS, MARKS, FOREIGN, CHANGED = "ours", "marks", "foreign", "changed"
_GOES: Final = (OURS, MARKS)


class Discard:
    """The target of one migration that was given up."""

    def __init__(self, opened: Session, *, who: str, units: Units) -> None:
        """``who`` names this process as the lease's owner; it must be unique."""
        self._opened = opened
        self._who = who
        self._walk = TargetWalk(opened.database, opened.plan.target, opened.clock, units)

    async def preview(self) -> dict[str, Any]:
        """Count what would go and what would stay, in whatever phase; nothing is changed."""
        return dict(await self._walk.over(self._judged, (), _untouched))

    async def run(self, typed: str | None) -> dict[str, Any]:
        """Clear the target; return how many items went and how many stayed, by what they are.

        Raises RefusedError unless the migration is ABORTED and the plan's name typed; also when a worker leads.
        """
        await self._check_phase(self._opened.ledger)
        check_typed(self._opened.plan.name, typed, f"delete what was copied into {self._opened.plan.target.name}")
        settings, clock = self._opened.settings, self._opened.clock
        guard = LeaseGuard(clock, LeaseTimes(settings.lease_seconds, settings.request_seconds))
        table = self._opened.ledger.rows.table
        plain = operator_ledger(self._opened.database, table, clock, who=self._who)
        lease = Lease(plain.rows, clock, guard, owner=self._who)
        epoch = await lease.acquire(wait=False)
        ledger = leader_ledger(self._opened.database, table, clock, who=self._who, guard=guard, epoch=epoch)
        try:
            async with asyncio.TaskGroup() as group:
                keeper = group.create_task(lease.keep())
                await self._check_phase(ledger)
                counts = await self._discarded(ledger, guard)
                keeper.cancel()
        finally:
            await lease.release()
        return dict(counts)

    async def _discarded(self, ledger: Ledger, guard: LeaseGuard) -> Counter[str]:
        """Wait until nothing sent before can land, then delete."""
        await guard.quiet()
        door = Door(self._opened.database, self._opened.plan.target, guard=guard)
        await ledger.history.add("discarding", table=self._opened.plan.target.name)
        counts = await self._walk.over(self._judged, _GOES, lambda item, _: door.remove(item))
        await ledger.evidence.put(EVIDENCE, dict(counts))
        await ledger.history.add("discarded", table=self._opened.plan.target.name, **counts)
        return counts

    async def _check_phase(self, ledger: Ledger) -> None:
        phase = (await ledger.migration.state()).phase
        if phase is Phase.ABORTED:
            return
        hint = "`tableturn abort` first, if the migration is to be given up"
        if phase in {Phase.CUTOVER, Phase.BAKE, Phase.DONE}:
            hint = "the target serves, or is about to: its items are the application's"
        raise RefusedError(f"nothing is discarded in phase {phase}, only once ABORTED", hint=hint)

    def _judged(self, item: Item) -> str:
        """Say whose an item is: ours as we wrote it, ours but changed since, a mark left behind, or somebody else's."""
        if mark_id(self._opened.plan.target.key_of(item)) is not None:
            return MARKS
        stamp = Stamp.of(item)
        if stamp is None:
            return CHANGED if STAMP in item else FOREIGN
        return OURS if stamp.fits(item) else CHANGED


async def _untouched(item: Item, word: str) -> bool:
    del item, word
    return True
