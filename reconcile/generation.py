"""One full comparison: both sides scanned into a worksheet, joined, and the suspects looked at again (protocol §7).

Needs no ledger and writes nothing but its worksheet; the main path is `Comparison.generation`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from domain.clock import Clock
from domain.errors import FatalError
from domain.items import Item
from domain.phases import Side
from domain.tables import TableDefinition
from dynamo.budget import ReadBudget
from dynamo.ports import Database
from dynamo.scanfile import Cursor
from dynamo.scanning import Scanning
from mapping.plan import Plan
from reconcile.comparison import Mismatch, Reduction, Seen
from reconcile.rechecks import Mend, Patience, Rechecker, Verdict
from reconcile.worksheet import Worksheet

_ITEMS_A_BREATH = 32
"""Items compared before the other engines get their turn: else the stream falls behind meanwhile."""

Reduce = Callable[[Reduction, Item], list[Seen]]
"""What an item of a side says, counted on the page it came with."""


@dataclass(frozen=True, slots=True)
class CompareSettings:
    """Seconds between scheduled generations, between looks at what changed, and at requests (the bell shortens them).

    Scan segments per table; patience with suspects; most read units a second of a scheduled scan (None: no ceiling);
    the folder of worksheets (None: nowhere, and what was killed begins anew).
    """

    interval: float = 60.0
    look: float = 5.0
    poll: float = 0.5
    segments: int = 4
    patience: Patience = field(default_factory=Patience)
    fenced_patience: Patience = field(default_factory=lambda: Patience(rounds=2, pause=0.1))
    read_units: int | None = None
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class ComparePorts:
    """What the comparison works with; ``ledger`` may be the operator's, then nothing is repaired."""

    database: Database
    plan: Plan
    clock: Clock
    settings: CompareSettings


@dataclass(frozen=True, slots=True)
class Manner:
    """How one generation is done: its patience; what is done about mismatches; which one it goes on with.

    ``lineage`` names what an interrupted generation must be of for this one to go on with it; None begins anew, and
    reads as fast as it can, for somebody waits.
    """

    patience: Patience
    mend: Mend | None = None
    lineage: str | None = None


@dataclass(frozen=True, slots=True)
class Generation:
    """What one full comparison found, and looks since then. Times are wall milliseconds.

    ``through_ms``: everything is compared since then; ``verified_ms``: every write told of up to then is compared.
    ``read_units``: what its scans consumed.
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
            await self._scan_all(sheet, serving, manner)
            suspects = await sheet.find_suspects()
            scanned = int((clock.monotonic() - began) * 1000)
            verdict = await self.rechecker.settle(sheet, serving, manner.patience, manner.mend)
            duration = int((clock.monotonic() - began) * 1000)
            done = True
            return Generation(
                serving,
                sheet.begun_ms,
                sheet.begun_ms,
                scanned,
                duration,
                int(sheet.figure("compared")),
                int(sheet.figure("unmapped")),
                suspects,
                str(sheet.figure("read_units")),
                verdict,
            )
        finally:
            sheet.close(remove=done)

    def _worksheet(self, serving: Side, manner: Manner) -> Worksheet:
        plan, folder = self._ports.plan, self._ports.settings.folder
        path = folder / f"{plan.target.name}.worksheet" if folder is not None and manner.lineage is not None else None
        about = f"{plan.hash} {serving} {manner.lineage}"
        try:
            return Worksheet.open(path, about=about, now_ms=self._ports.clock.wall_ms())
        except FatalError:
            if path is None:
                raise
            return Worksheet.open(None, about=about, now_ms=self._ports.clock.wall_ms())  # a fenced one still holds it

    async def _scan_all(self, sheet: Worksheet, serving: Side, manner: Manner) -> None:
        """Reduce every item of both sides into the worksheet."""
        plan = self._ports.plan
        ceiling = None if manner.lineage is None else self._ports.settings.read_units
        scanning = Scanning(self._ports.database, ReadBudget(self._ports.clock, ceiling), consistent=True)

        async def read(side: Side, table: TableDefinition, reduce: Reduce) -> None:
            async def taken(cursor: Cursor, items: list[Item], units: str) -> None:
                page = Reduction(plan, serving)
                seen = [each async for item in _with_breaths(table.without_marks(items)) for each in reduce(page, item)]
                figures: dict[str, int | str] = {
                    "compared": page.compared,
                    "unmapped": page.unmapped,
                    "read_units": units,
                }
                sheet.take(side, seen, cursor, figures)

            await scanning.read(table.name, sheet.cursors(table.name, self._ports.settings.segments), taken)

        for name, source in plan.sources.items():
            await read(Side.SOURCE, source.definition, partial(_of_source, name))
        await read(Side.TARGET, plan.target, Reduction.of_target)


def _of_source(name: str, page: Reduction, image: Item) -> list[Seen]:
    return page.of_source(name, image)


async def _with_breaths(items: Iterable[Item]) -> AsyncIterator[Item]:
    """Yield items, and let the other engines have their turn in between."""
    for number, item in enumerate(items):
        yield item
        if number % _ITEMS_A_BREATH == 0:
            await asyncio.sleep(0)
