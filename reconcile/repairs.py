"""Mends what does not agree, without ever making it worse (protocol §7).

A repair reads the target first and the source second, writes that image with the next repair of the version seen, and
only if exactly what was seen still stands there: it may lose to a newer change, never the other way round.
"""

from dataclasses import dataclass

from apply.door import Door
from domain.errors import DataError
from domain.guards import WriteGuard
from domain.items import TargetKey
from domain.outcomes import Outcome
from domain.phases import Side
from ledger.book import Ledger
from ledger.tombstones import Tombstone
from mapping.plan import Plan
from reconcile.comparison import Mismatch
from reconcile.intentions import Intentions
from reconcile.rechecks import Pair, Rechecker


@dataclass(frozen=True, slots=True)
class RepairPorts:
    """What repairs work with; the guard counts a repair as open from its first read on (§3 c)."""

    plan: Plan
    door: Door
    ledger: Ledger
    guard: WriteGuard
    rechecker: Rechecker


class Repairer:
    """Repairs the target from the source."""

    def __init__(self, ports: RepairPorts, intentions: Intentions) -> None:
        """Nothing is read before `repair`."""
        self._ports = ports
        self._intentions = intentions

    async def repair(self, mismatches: dict[str, list[Mismatch]], *, strays_too: bool = False) -> int:
        """Repair each id once, strays only where somebody has looked at them; return how many puts took place."""
        done = 0
        left_alone = set() if strays_too else await self._ports.ledger.quarantine.strays()
        for source_id, found in mismatches.items():
            if source_id in left_alone:
                continue
            attempt = self._ports.guard.begin()
            try:
                if not await self._may_repair():
                    break
                keys = [each.key for each in found if each.key.pk]
                (pair,) = (await self._ports.rechecker.read({source_id: keys})).pairs
                for key in pair.standing:
                    done += await self._mend(pair, key)
            except DataError:
                continue  # the target refuses the item itself: it stays a mismatch
            finally:
                self._ports.guard.end(attempt, answered=True)
        return done

    async def _may_repair(self) -> bool:
        """Tell whether the target is still ours to mend: asked behind the guard, whose open attempts a switch awaits.

        A repair that began before a switch is waited for before the unfence; one that begins after it stops here.
        """
        ledger = self._ports.ledger
        switch = await ledger.switches.current()
        under_way = switch is not None and switch.is_open
        return not under_way and (await ledger.migration.state()).flag.serving is Side.SOURCE

    async def _mend(self, pair: Pair, key: TargetKey) -> bool:
        """Write what should stand at a key over exactly what does; tell whether that took place."""
        write = self._intentions.of(pair, key)
        if write is None:
            return False
        if key not in pair.expected:
            stone = Tombstone(key, pair.source, pair.source_id, write.stamp.version, write.stamp.checksum, None, 0)
            await self._ports.ledger.tombstones.add(stone)
        return await self._ports.door.put_over(write, pair.standing[key]) is Outcome.APPLIED
