"""Mends what does not agree on the side that follows, when it is asked to, or owes it (protocol §5, §7, §9)."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

from domain.items import TargetKey
from domain.phases import Side
from ledger.book import Ledger
from ledger.lease import LeaseGuard
from ledger.streams import StreamRow
from mapping.plan import Plan
from reconcile.comparison import Kind, Mismatch
from reconcile.intentions import EVERY_KIND, Intentions
from reconcile.repairs import Repairer, RepairPorts
from reconcile.returning import Returner, ReturnPorts


@dataclass(frozen=True, slots=True)
class MendPorts:
    """What the side that follows is mended with: the target from the source, or the legacy tables from the target."""

    forward: RepairPorts
    back: ReturnPorts
    guard: LeaseGuard


@dataclass(frozen=True, slots=True)
class Mandate:
    """Why something is mended, as the history says it, and which kinds. ``asked``: somebody has looked and said so."""

    why: str
    kinds: Collection[Kind] = EVERY_KIND
    asked: bool = True


async def intentions_now(plan: Plan, ledger: Ledger, kinds: Collection[Kind] = EVERY_KIND) -> Intentions:
    """Return what may be written to the target as the migration stands now."""
    epochs = {stream.name: stream.epoch for stream in await ledger.streams.all()}
    return Intentions(plan, epochs, adopts=(await ledger.migration.state()).rollbacks > 0, kinds=kinds)


class Mender:
    """Carries mandates out, batch by batch; ``writing`` is held meanwhile, so that nobody calls it off in a write."""

    def __init__(self, ports: MendPorts, writing: asyncio.Lock) -> None:
        """Nothing is written before `mend`."""
        self._ports = ports
        self._ledger = ports.forward.ledger
        self._writing = writing

    async def mend(self, serving: Side, mandate: Mandate, wrong: dict[str, list[Mismatch]]) -> int:
        """Mend what does not agree; return how many puts took place."""
        if not mandate.asked and await self._strays_untold():
            return 0
        async with self._writing:
            if serving is Side.SOURCE:
                return await (await self.repairer(mandate.kinds)).repair(wrong)
            return await Returner(self._ports.back, mandate.kinds).repair(wrong)

    async def mend_one(self, serving: Side, source_id: str, keys: Collection[TargetKey]) -> int:
        """Mend one id, at the target keys given and all that are its own; somebody has looked at it and says so."""
        async with self._writing:
            if serving is Side.TARGET:
                return await Returner(self._ports.back).repair([source_id], strays_too=True)
            suspects = {source_id: [Mismatch(Kind.DIFFERENT, source_id, key) for key in keys]}
            return await (await self.repairer()).repair(suspects, strays_too=True)

    async def repairer(self, kinds: Collection[Kind] = EVERY_KIND) -> Repairer:
        """Return what mends the target as the migration stands now."""
        return Repairer(self._ports.forward, await intentions_now(self._ports.forward.plan, self._ledger, kinds))

    async def owed_back(self, serving: Side) -> StreamRow | None:
        """Return the target's stream if it lost records while it served that the legacy tables are still owed (§5).

        What was sent in its old epoch must not land behind the comparison, so that is awaited (§3 c).
        """
        stream = await self._ledger.streams.get(Side.TARGET)
        if serving is Side.SOURCE or not await self._ledger.segments.owed(stream):
            return None
        await self._ports.guard.quiet()
        return stream

    async def _strays_untold(self) -> bool:
        """Tell whether a legacy stream has lost records as well: what looks owed may be a stray that nobody told of.

        Then nothing is mended before the operator has looked and says so (`reconcile --repair`).
        """
        sources = [stream for stream in await self._ledger.streams.all() if stream.side is Side.SOURCE]
        return any([await self._ledger.streams.has_lost(stream.name) for stream in sources])
