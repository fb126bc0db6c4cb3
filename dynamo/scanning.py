"""Read whole tables, segments side by side, within a budget; a page at a time goes to whoever looks at it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from domain.items import Item
from dynamo.budget import ReadBudget
from dynamo.ports import Database, Page, ScanRequest
from dynamo.retries import slowdowns
from dynamo.scanfile import Cursor
from dynamo.segments import planned

_MOST_SEGMENTS = 64
_AT_ONCE = 4
"""Segments read side by side: pages in flight bound the memory."""

_PAGE_UNITS = 128
"""Read units of a full page (1 MB, eventually consistent): with less than so many a second each, one reads alone."""

Taken = Callable[[Cursor, list[Item], str], Awaitable[None]]
"""What happens to a page: the cursor behind it, its items, the read units that it took."""


@dataclass(frozen=True, slots=True)
class Scanning:
    """How to read. ``sample`` bounds the items read per table; None reads all."""

    database: Database
    budget: ReadBudget
    sample: int | None = None
    consistent: bool = False

    def segments(self, size_bytes: int) -> int:
        """Return how many segments a table of that size is read in."""
        wanted = planned(size_bytes, at_least=_AT_ONCE, at_most=_MOST_SEGMENTS)
        return wanted if self.sample is None else min(wanted, self.sample)

    async def read(self, table: str, cursors: list[Cursor], taken: Taken) -> None:
        """Read what the cursors have left of a table."""
        allowed = self.budget.per_second
        limit = asyncio.Semaphore(_AT_ONCE if allowed is None or allowed >= _AT_ONCE * _PAGE_UNITS else 1)

        left = None if self.sample is None else -(-self.sample // max(1, len(cursors)))

        async def one(cursor: Cursor) -> None:
            async with limit:
                await self._segment(table, cursor, taken, left)

        async with asyncio.TaskGroup() as group:
            for cursor in cursors:
                if not cursor.done:
                    group.create_task(one(cursor))

    async def _segment(self, table: str, cursor: Cursor, taken: Taken, left: int | None) -> None:
        while not cursor.done:
            began = self.budget.clock.monotonic()
            with slowdowns() as throttled:
                page = await self._page(table, cursor, left)
            took = self.budget.clock.monotonic() - began
            if left is not None:
                left -= len(page.items)
            start = page.last_key if left is None or left > 0 else None
            cursor = replace(cursor, start=start, done=start is None)
            await taken(cursor, list(page.items), page.units)
            await self.budget.spend(page.units, took=took, throttled=bool(throttled))

    async def _page(self, table: str, cursor: Cursor, limit: int | None) -> Page:
        return await self.database.scan_page(
            ScanRequest(
                table, cursor.segment, cursor.segments, start=cursor.start, limit=limit, consistent=self.consistent
            )
        )
