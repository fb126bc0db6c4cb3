"""One comparison: both sides scanned into a worksheet, joined, and the suspects looked at again (protocol §7).

Needs no ledger and writes nothing but its worksheet; the main path is `Comparison.generation`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from functools import partial

from domain.clock import Clock
from domain.errors import FatalError
from domain.items import Item
from domain.phases import Side
from domain.tables import TableDefinition
from dynamo.budget import ReadBudget
from dynamo.scanfile import Cursor
from dynamo.scanning import Scanning
from reconcile.comparison import Mismatch, Reduction, Seen
from reconcile.manner import ComparePorts, Manner, Scope, draw
from reconcile.rechecks import Rechecker, Verdict
from reconcile.worksheet import Worksheet

_ITEMS_A_BREATH = 32
"""Items compared before the other engines get their turn: else the stream falls behind meanwhile."""

Reduce = Callable[[Reduction, Item], list[Seen]]
"""What an item of a side says, counted on the page it came with."""


@dataclass(frozen=True, slots=True)
class Generation:
    """What one full comparison found, and looks since then. Times are wall milliseconds.

    ``through_ms``: everything is compared since then; ``verified_ms``: every write told of up to then is compared.
    ``read_units``: what its scans and rechecks consumed; what is read to mend something is not in it. ``ground``: that
    of its first page, which is another process's where it was gone on with; ``resumed`` tells.
    """

    serving: Side
    through_ms: int
    verified_ms: int
    scan_ms: int
    duration_ms: int
    compared: int
    unmapped: int
    suspects: int
    read_units: str
    verdict: Verdict
    ground: str = ""
    resumed: bool = False

    @property
    def mismatches(self) -> list[Mismatch]:
        """Return what stayed, as far as it was kept, in a fixed order."""
        return self.verdict.kept


class Comparison:
    """Does one generation; needs no ledger, writes nothing but its worksheet."""

    def __init__(self, ports: ComparePorts) -> None:
        """Wrap the ports."""
        self._ports = ports
        self.rechecker = Rechecker(ports.database, ports.plan, ports.clock)

    async def generation(self, serving: Side, manner: Manner) -> Generation:
        """Scan both sides, join, recheck. One that is interrupted leaves its worksheet behind."""
        clock, began = self._ports.clock, self._ports.clock.monotonic()
        sheet, done = self._worksheet(serving, manner), False
        try:
            former, spent = sheet.begin(manner.ground), int(sheet.figure("scan_ms"))
            budget = ReadBudget(clock, manner.read_units)
            suspects = await self._suspects(sheet, serving, manner.scope, budget)
            scanned = spent + int((clock.monotonic() - began) * 1000)
            verdict = await self.rechecker.settle(sheet, serving, manner.patience, mend=manner.mend, budget=budget)
            duration = spent + int((clock.monotonic() - began) * 1000)
            done = True
            return Generation(
                serving=serving,
                through_ms=sheet.begun_ms,
                verified_ms=sheet.begun_ms,
                scan_ms=scanned,
                duration_ms=duration,
                compared=int(sheet.figure("compared")),
                unmapped=int(sheet.figure("unmapped")),
                suspects=suspects,
                read_units=str(sheet.figure("read_units") + verdict.read_units),
                verdict=verdict,
                ground=manner.ground if former is None else former,
                resumed=former is not None,
            )
        finally:
            sheet.close(remove=done)

    def _worksheet(self, serving: Side, manner: Manner) -> Worksheet:
        path, now_ms = manner.worksheet, self._ports.clock.wall_ms()
        about = f"{self._ports.plan.hash} {serving} {manner.lineage}"
        try:
            return Worksheet.open(path, about=about, now_ms=now_ms)
        except FatalError:
            if path is None or manner.insists:
                raise
            return Worksheet.open(None, about=about, now_ms=now_ms)  # a fenced worker still holds it

    async def _suspects(self, sheet: Worksheet, serving: Side, scope: Scope, budget: ReadBudget) -> int:
        """Fill the worksheet with whoever has to be looked at again; return how many."""
        if scope.source_ids:
            return sheet.suspect(dict.fromkeys(scope.source_ids, ()))
        await self._scan_all(sheet, serving, scope, budget)
        return sheet.suspect_all() if scope.sample is not None else await sheet.find_suspects()

    async def _scan_all(self, sheet: Worksheet, serving: Side, scope: Scope, budget: ReadBudget) -> None:
        """Reduce every item of both sides, or of a part of them, into the worksheet."""
        plan = self._ports.plan
        scanning = Scanning(self._ports.database, budget, scope.sample, consistent=True)
        lap = _laps(self._ports.clock)

        async def read(side: Side, table: TableDefinition, reduce: Reduce) -> None:
            async def taken(cursor: Cursor, items: list[Item], units: str) -> None:
                page = Reduction(plan, serving, scope.sources)
                seen = [each async for item in _with_breaths(table.without_marks(items)) for each in reduce(page, item)]
                figures: dict[str, int | str] = {
                    "compared": page.compared,
                    "unmapped": page.unmapped,
                    "read_units": units,
                    "scan_ms": lap(),
                }
                sheet.take(side, seen, cursor, figures)

            await scanning.read(table.name, await self._cursors(sheet, table.name, scope), taken)

        for name in scope.sources or plan.sources:
            await read(Side.SOURCE, plan.sources[name].definition, partial(_of_source, name))
        await read(Side.TARGET, plan.target, Reduction.of_target)

    async def _cursors(self, sheet: Worksheet, table: str, scope: Scope) -> list[Cursor]:
        """Return what to read of a table: all segments, or, of a sample, so many drawn from many."""
        if scope.sample is None:
            return sheet.cursors(table, self._ports.settings.segments)
        described = await self._ports.database.describe_table(table)
        return draw(table, described.item_count if described is not None else 0, scope.sample)


def _laps(clock: Clock) -> Callable[[], int]:
    """Return what tells the milliseconds since it was asked last."""
    last = int(clock.monotonic() * 1000)

    def lap() -> int:
        nonlocal last
        before, last = last, int(clock.monotonic() * 1000)
        return last - before

    return lap


def _of_source(name: str, page: Reduction, image: Item) -> list[Seen]:
    return page.of_source(name, image)


async def _with_breaths(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield items, and let the other engines have their turn in between."""
    for number, item in enumerate(items):
        yield item
        if number % _ITEMS_A_BREATH == 0:
            await asyncio.sleep(0)
