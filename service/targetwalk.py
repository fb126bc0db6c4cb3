"""Reads the whole target and writes what has to go, at a pace: the ground of `discarding` and `stripping`."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, TypeAlias

from domain.clock import Clock
from domain.items import Item
from domain.tables import TableDefinition
from dynamo.budget import ReadBudget
from dynamo.ports import Database
from dynamo.scanfile import Cursor
from dynamo.scanning import Scanning
from proof.capacity import entries

Judge: TypeAlias = Callable[[Item], str | None]
"""Says in a word what an item is; None: nothing to count, nothing to do."""

Act: TypeAlias = Callable[[Item, str], Awaitable[bool]]
"""Writes an item of that word; tells whether it was done, or somebody was quicker."""

OVERTAKEN: Final = "overtaken"
"""Counts items that somebody changed between our look and our write: they were let be."""

_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class Units:
    """Write and read units a second that a walk may take; None: as fast as it can."""

    write: int | None = None
    read: int | None = None


class TargetWalk:
    """One table, walked with consistent reads; it begins anew each time, for every write of it may be repeated."""

    def __init__(self, database: Database, table: TableDefinition, clock: Clock, units: Units) -> None:
        """Nothing is read before `over`."""
        self._scanning = Scanning(database, ReadBudget(clock, units.read), consistent=True)
        self._database = database
        self._table = table
        self._writes = ReadBudget(clock, units.write)

    async def over(self, judge: Judge, written: Collection[str], act: Act) -> Counter[str]:
        """Walk once; return how many items there were of each word. Those of the words ``written`` are acted on."""
        counts: Counter[str] = Counter()

        async def one(item: Item) -> None:
            word = judge(item)
            if word is None:
                return
            done = True
            if word in written:
                await self._writes.spend(str(sum(entry.units for entry in entries(self._table, item))))
                done = await act(item, word)
            counts[word if done else OVERTAKEN] += 1

        async def taken(cursor: Cursor, items: list[Item], units: str) -> None:
            del cursor, units
            for start in range(0, len(items), _AT_ONCE):
                async with asyncio.TaskGroup() as group:
                    for item in items[start : start + _AT_ONCE]:
                        group.create_task(one(item))

        described = await self._database.describe_table(self._table.name)
        segments = self._scanning.segments(0 if described is None else described.size_bytes)
        cursors = [Cursor(self._table.name, segment, segments) for segment in range(segments)]
        await self._scanning.read(self._table.name, cursors, taken)
        return counts
