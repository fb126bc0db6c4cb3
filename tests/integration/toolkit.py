"""How the toolkit that AWS's own people propose follows a table and validates the copy, to be held against ours.

Pull requests 163 and 164 of awslabs/amazon-dynamodb-tools, `stream_replay`, `convergence_check`, `verify_cutover` and
`cleanup`: what they do, written anew over our port. One item becomes one item; versions are whole seconds; a sample is
looked up under the source's key; what is not in the sample is counted.
"""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from domain.changes import Change
from domain.clock import Clock
from domain.errors import ConditionFailed, DataError
from domain.items import Item, number
from domain.tables import TableDefinition
from dynamo.conditions import Absent, AnyOf, Less
from dynamo.ports import Database, Delete, Put, ScanRequest, ShardPlace

Transform = Callable[[Item], Item | None]

_WHEN, _GRAVE = "_migration_ts", "_tombstone"
_METADATA = ("_migration", "_tombstone", "_ttl")
_IDLE_S, _MOST_S, _POLL_S, _MOST_AGE_MS = 120, 600, 10, 1_000
_DRIFT = 0.005


def loaded(module: str) -> Transform:
    """Return the transform of a module; a module that cannot be loaded is a warning, and items stay as they are."""
    try:
        found: Transform = importlib.import_module(module).transform
    except (ImportError, AttributeError):
        return lambda item: item
    return found


@dataclass(frozen=True)
class Verified:
    """What became of a sample."""

    matched: int
    missing: int
    diverged: int

    @property
    def good(self) -> bool:
        return self.missing == self.diverged == 0


@dataclass
class Toolkit:
    """One table on its way into another. ``dead_letters`` are records that failed for good."""

    database: Database
    clock: Clock
    source: TableDefinition
    target: TableDefinition
    transform: Transform
    dead_letters: list[Change] = field(default_factory=list)
    _ages: list[tuple[float, int]] = field(default_factory=list)
    _read: dict[str, int] = field(default_factory=dict)

    async def backfill(self) -> None:
        """Copy what is there, at the lowest version."""
        async for image in self._scanned(self.source):
            await self._put(self.transform(image), 0)

    async def replay(self) -> None:
        """Be invoked with all records that are not read yet; one that fails goes to the dead letters."""
        for change in [change async for change in self._records()]:
            try:
                await self._replay(change)
            except DataError:
                self.dead_letters.append(change)
            self._ages.append((self.clock.monotonic(), self.clock.wall_ms() - change.created_ms))

    async def _replay(self, change: Change) -> None:
        when = change.created_ms // 1000
        if change.new is not None:
            await self._put(self.transform(change.new), when)
        else:
            await self._put({**change.keys, _GRAVE: {"BOOL": True}}, when)

    async def _put(self, item: Item | None, when: int) -> None:
        if item is None:
            return
        version = number(when)
        newer = AnyOf((Absent((self.target.key[0].name,)), Less((_WHEN,), version)))
        try:
            await self.database.write(Put(self.target.name, {**item, _WHEN: version}, newer))
        except ConditionFailed:
            return  # something newer stands there: skipped

    async def converged(self, *, counting: bool = True) -> bool:
        """Tell whether one may cut over: the stream's age, the dead letters, both counts."""
        counted = not counting or await self._counts_agree()
        return await self._caught_up() and not self.dead_letters and counted

    async def _caught_up(self) -> bool:
        """Tell whether the last invocations were young; two minutes without any pass for an idle table."""
        silent_since, until = None, self.clock.monotonic() + _MOST_S
        while (now := self.clock.monotonic()) < until:
            ages = [age for at, age in self._ages if at > now - _IDLE_S]
            if ages and max(ages) <= _MOST_AGE_MS:
                return True
            silent_since = None if ages else (now if silent_since is None else silent_since)
            if silent_since is not None and now - silent_since >= _IDLE_S:
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _counts_agree(self) -> bool:
        ours = len([1 async for _ in self._scanned(self.source)])
        theirs = len([1 async for item in self._scanned(self.target) if _GRAVE not in item])
        return ours == 0 or abs(ours - theirs) / ours <= _DRIFT

    async def verified(self, sample: int, random: Random, *, generously: bool = True) -> Verified:
        """Hold so many source items, transformed, against what the target has under their own keys.

        ``generously`` looks under the keys of the transformed items instead, as its user would soon have it do.
        """
        items = [image async for image in self._scanned(self.source)]
        found = {"matched": 0, "missing": 0, "diverged": 0}
        for image in random.sample(items, min(sample, len(items))):
            expected = self.transform(dict(image))
            key = self.target.key_of(expected if generously and expected is not None else image)
            standing = await self.database.get_item(self.target.name, key, consistent=False)
            if standing is None:
                found["missing"] += 1
            elif expected is not None and _plain(expected) == _plain(standing):
                found["matched"] += 1
            else:
                found["diverged"] += 1
        return Verified(**found)

    async def clean_up(self) -> None:
        """Take away what the toolkit left in the target, as it does after the switch."""
        for item in [item async for item in self._scanned(self.target)]:
            if _GRAVE in item:
                await self.database.write(Delete(self.target.name, self.target.key_of(item)))
            else:
                kept = {name: value for name, value in item.items() if name != _WHEN}
                await self.database.write(Put(self.target.name, kept))

    async def _scanned(self, table: TableDefinition) -> AsyncIterator[Item]:
        request: ScanRequest | None = ScanRequest(table.name, consistent=False)
        while request is not None:
            page = await self.database.scan_page(request)
            for item in page.items:
                yield item
            request = None if page.last_key is None else replace(request, start=page.last_key)

    async def _records(self) -> AsyncIterator[Change]:
        described = await self.database.describe_table(self.source.name)
        assert described is not None
        assert described.stream_arn is not None
        for shard in await self.database.describe_stream(described.stream_arn):
            place = ShardPlace(described.stream_arn, shard.shard_id, self._read.get(shard.shard_id))
            page = await self.database.get_records(await self.database.shard_iterator(place))
            for change in page.changes:
                self._read[shard.shard_id] = change.sequence
                yield change


def _plain(item: Item) -> dict[str, Any]:
    return {name: value for name, value in item.items() if not name.startswith(_METADATA)}
