"""Sweeps the target after a source was copied again: what the lost records would have deleted (protocol §5).

A target item of that source which still carries an older epoch was not copied again. If the source item is gone, or no
longer calls for that key, a tombstone is put there, not a delete: version (epoch, 0), over exactly what was seen, so
that anything newer wins. Items without a fitting stamp are somebody else's, and swept only after a rollback, when what
the new application left is adopted (§9); else they are left to the comparison, which shows them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from apply.stamping import tombstone
from backfill.walk import CopyPorts, Scan, Walk
from domain.errors import DataError
from domain.items import Item, TargetKey
from domain.outcomes import Outcome
from domain.positions import Version
from domain.stamps import Stamp, is_tombstone
from ledger.streams import StreamRow
from ledger.tombstones import Tombstone


class Sweep:
    """One source at a time."""

    def __init__(self, ports: CopyPorts, walk: Walk) -> None:
        """Nothing is read before `run`."""
        self._ports = ports
        self._walk = walk

    async def run(self, stream: StreamRow, *, adopts: bool) -> None:
        """Walk the target once; then what waited in quarantine for items that are gone is settled.

        Nothing sent in an older epoch may still land behind the sweep, so that is awaited first (§3 c).
        """
        sweeps = self._ports.ledger.sweeps
        if await sweeps.done(stream.name, stream.copy_epoch):
            return
        await self._ports.guard.quiet()
        scan = Scan(self._ports.plan.target, sweeps, stream, partial(self._settle, stream, adopts))
        if await self._walk.over(scan):
            await self._settle_quarantine(stream)

    async def _settle(self, stream: StreamRow, adopts: bool, items: Sequence[Item]) -> int:  # noqa: FBT001 - bound
        """Bury what of a page is left over; nothing goes to quarantine."""
        plan, version = self._ports.plan, Version(stream.copy_epoch)
        left = {plan.target_key(item): item for item in items if self._is_old(item, stream.name, version, adopts)}
        owners = {key: owner.source_id for key in left if (owner := plan.owner(key)) is not None}
        called = await self._called_for(stream.name, owners.values())
        for key, source_id in owners.items():
            if source_id not in called:
                await self._keep(key, stream.name, source_id)
            elif key not in called[source_id]:
                await self._bury(key, source_id, left[key], version)
        return 0

    async def _keep(self, key: TargetKey, source: str, source_id: str) -> None:
        """Note a last good key of an id that the second copy found untranslatable: it goes when that is mended (§2)."""
        entry = (await self._ports.ledger.quarantine.of(source)).get(source_id)
        if entry is not None:
            await self._ports.ledger.quarantine.put(replace(entry, keys=(key,)))

    def _is_old(self, item: Item, source: str, version: Version, adopts: bool) -> bool:  # noqa: FBT001 - bound
        """Tell whether an item of this source was not written in this epoch."""
        owner = self._ports.plan.owner(self._ports.plan.target_key(item))
        if owner is None or owner.source != source or is_tombstone(item):
            return False
        stamp = Stamp.of(item)
        if stamp is None or stamp.source != owner.source_id or not stamp.fits(item):
            return adopts
        return stamp.version < str(version)

    async def _called_for(self, source: str, source_ids: Iterable[str]) -> Mapping[str, set[TargetKey]]:
        """Return the target keys that source items call for, by id, as they are now; untranslatable ones are left out.

        The target was read before: a source item that appears later is the stream's to bring.
        """
        plan, table = self._ports.plan, self._ports.plan.sources[source].definition
        found: dict[str, set[TargetKey]] = {source_id: set() for source_id in source_ids}
        keys = [plan.source_key(source_id)[1] for source_id in found]
        for image in (await self._ports.database.batch_get(table.name, keys)).items:
            source_id = plan.source_id(source, image)
            try:
                found[source_id] = set(plan.translate(source, image).items)
            except DataError:
                del found[source_id]  # quarantined: its last good items stay
        return found

    async def _bury(self, key: TargetKey, source_id: str, standing: Item, version: Version) -> Outcome:
        """List a tombstone, then put it over exactly what was seen: never the other way round (protocol §3)."""
        plan = self._ports.plan
        source, _ = plan.source_key(source_id)
        write = tombstone(key, plan.key_item(key), source_id, version)
        stone = Tombstone(key, source, source_id, str(version), write.stamp.checksum, None, 0)
        await self._ports.ledger.tombstones.add(stone)
        return await self._ports.door.put_over(write, standing)

    async def _settle_quarantine(self, stream: StreamRow) -> None:
        """Clear the entries of older epochs whose source item is gone: what stood at their keys is buried now."""
        waiting = await self._ports.ledger.quarantine.of(stream.name)
        version = str(Version(stream.copy_epoch))
        old = {name: entry for name, entry in waiting.items() if entry.version < version}
        called = await self._called_for(stream.name, old)
        for source_id, entry in old.items():
            if called.get(source_id) == set():
                await self._ports.ledger.quarantine.clear(entry, entry.version)
