"""Mends the legacy tables from the target while that one serves: what lost records would have brought back (§5, §9).

A repair reads the version row first, the target second, and writes the legacy item in one transaction with that row,
which must still be the one read: it may lose to a newer change, never the other way round. Ids whose strays wait for a
human are left alone.
"""

from collections.abc import Collection
from dataclasses import dataclass

from apply.returns import ReturnDoor
from domain.errors import ConditionFailed, DataError
from domain.guards import WriteGuard
from domain.items import digest
from domain.phases import Side
from domain.positions import Version
from ledger.book import Ledger
from ledger.echoes import GONE
from ledger.findings import Lane
from mapping.plan import Plan
from reconcile.comparison import Kind, judge
from reconcile.intentions import EVERY_KIND
from reconcile.rechecks import Rechecker


@dataclass(frozen=True, slots=True)
class ReturnPorts:
    """What mending works with; the guard counts a repair as open from its first read on (§3 c)."""

    plan: Plan
    door: ReturnDoor
    ledger: Ledger
    guard: WriteGuard
    rechecker: Rechecker


class Returner:
    """Mends legacy items, each once."""

    def __init__(self, ports: ReturnPorts, kinds: Collection[Kind] = EVERY_KIND) -> None:
        """``kinds``: what is mended at all. Nothing is read before `repair`."""
        self._ports = ports
        self._kinds = kinds

    async def repair(self, source_ids: Collection[str], *, strays_too: bool = False) -> int:
        """Mend some ids, strays only where somebody has looked at them; return how many writes took place."""
        ledger, done = self._ports.ledger, 0
        epoch = await ledger.streams.epoch(Side.TARGET)
        left_alone = set() if strays_too else await ledger.quarantine.strays()
        for source_id in sorted(set(source_ids) - left_alone):
            attempt = self._ports.guard.begin()
            try:
                if not await self._may_repair():
                    break
                done += await self._mend(source_id, Version(epoch))
            except (ConditionFailed, DataError):
                continue  # somebody newer was here, or it has no way back: the next comparison tells
            finally:
                self._ports.guard.end(attempt, answered=True)
        return done

    async def _may_repair(self) -> bool:
        """Tell whether the legacy tables are still ours to mend; see `repairs.Repairer`."""
        switch = await self._ports.ledger.switches.current()
        under_way = switch is not None and switch.is_open
        return not under_way and (await self._ports.ledger.migration.state()).flag.serving is Side.TARGET

    async def _mend(self, source_id: str, least: Version) -> bool:
        """Write what the target says over what stands in the legacy table; tell whether that took place."""
        echo = await self._ports.ledger.echoes.get(source_id)
        (pair,) = (await self._ports.rechecker.read({source_id: ()})).pairs
        wanted = self._ports.rechecker.returned(pair)
        judged = judge(wanted, pair.image, pair.uncompared)
        if judged is None or judged[0] not in self._kinds:
            return False
        source, key = self._ports.plan.source_key(source_id)
        if echo.full and not await self._ports.ledger.streams.has_lost(source):
            return False  # the tail has to catch up first
        version = max(least, Version.parse(echo.version) if echo.version else least).repaired()
        content, standing = (GONE if item is None else digest(item) for item in (wanted, pair.image))
        row = self._ports.ledger.echoes.action(echo.after(str(version), content, standing))
        table = self._ports.plan.sources[source].definition.name
        await self._ports.door.write(table, key, wanted, version_row=row)
        entry = (await self._ports.ledger.quarantine.of(source, Lane.REVERSE)).get(source_id)
        if entry is not None:
            await self._ports.ledger.quarantine.clear(entry, str(version))
        return True
