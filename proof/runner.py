"""Prove a plan on its tables: describe, read, look at every item, add up, forecast. Nothing is written but a workbook.

The main path is `Proof.begin` and `Proof.run`. It goes on where an earlier one of the same plan, on the same tables,
was killed (`proof.workbook`).
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, Self

from aws.ports import AccountPort
from domain.clock import Clock
from domain.errors import FatalError
from domain.items import Item
from dynamo.budget import ReadBudget
from dynamo.ports import Database, ScanRequest
from dynamo.scanfile import Cursor
from dynamo.scanning import Scanning
from mapping.plan import Plan, SourceTable
from proof.capacity import TABLE
from proof.census import Census
from proof.examination import Examined, Examiner
from proof.faults import FAULTS, Fault, Grade
from proof.forecast import Forecast, Pace, forecast
from proof.neighbours import Lookout, Neighbours
from proof.prices import Prices
from proof.rehearsal import MOST_ITEMS, Rehearse, Share, document_of, faults_of
from proof.report import SCHEMA, Evidence, Finding, Scope, Surroundings, report
from proof.secrets import hide, hide_item
from proof.tables import describe_all, examine
from proof.workbook import MOST_OFFENDERS, Claim, Workbook

_SAVE_S = 2.0
"""Seconds between writings of the workbook: so much is read again after a kill."""

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class ProofPorts:
    """What a proof works with; ``told`` hears of every page (source, items).

    ``account`` None: nobody to ask; ``rehearse`` None: the plan's queries are not asked.
    """

    database: Database
    plan: Plan
    clock: Clock
    account: AccountPort | None = None
    told: Callable[[str, int], None] = lambda _, __: None
    rehearse: Rehearse | None = None


@dataclass(frozen=True, slots=True)
class ProofSettings:
    """Pace and prices of the forecast; how much is read and how much shown; where the workbook lies (None: nowhere).

    ``ledger``: the ledger table's name; ``principal``: whose permissions are looked at (None: those of whoever asks).
    """

    pace: Pace
    prices: Prices
    ledger: str = ""
    principal: str | None = None
    sample: int | None = None
    shown: int = 1
    workbook: Path | None = None


class Proof:
    """One proof: `begin`, `run`, `close`."""

    def __init__(self, ports: ProofPorts, settings: ProofSettings, seen: Surroundings, workbook: Workbook) -> None:
        """See `begin`."""
        self._ports = ports
        self._settings = settings
        self._plan = ports.plan
        self._seen = seen
        self._workbook = workbook
        self._census = Census.read(workbook.census() or Census().document())
        self._of_all: list[tuple[str, str, str]] = []
        self._share = Share()
        self._queries: dict[str, dict[str, Any]] = {}
        self._examiner = Examiner(ports.plan, now_s=ports.clock.wall_ms() // 1000)
        self._budget = ReadBudget(ports.clock, settings.pace.read_units)
        self._behind: dict[tuple[str, int], Cursor] = {}
        self._saved = ports.clock.monotonic()

    @classmethod
    async def begin(cls, ports: ProofPorts, settings: ProofSettings) -> Self:
        """Look around, and take up what was found before of this plan in these tables; a sample is never taken up.

        Raises FatalError when a legacy table is not there, or the workbook cannot be used.
        """
        described = await describe_all(ports.database, ports.plan)
        tables = examine(ports.plan, described)
        if tables.sources_missing:
            raise FatalError("\n".join(["the plan does not fit the account:", *tables.problems]))
        neighbours = Neighbours()
        if ports.account is not None:
            neighbours = await Lookout(ports.account, ports.plan, described).look(settings.ledger, settings.principal)
        about = json.dumps([SCHEMA, ports.plan.hash, dict(tables.identities)], sort_keys=True)
        path = settings.workbook if settings.sample is None else None
        workbook = Workbook.open(path, about=about, now_ms=ports.clock.wall_ms())
        return cls(ports, settings, Surroundings(tables, neighbours), workbook)

    async def run(self) -> dict[str, Any]:
        """Read everything that is left to read; return the report."""
        await self._read_all()
        expected = None
        if self._settings.sample is None:
            expected = forecast(self._census, self._settings.pace, self._settings.prices)
            self._look_at_keys(expected)
        return report(await self._evidence(expected))

    def offenders(self) -> Iterator[dict[str, str]]:
        """Yield every offender that was kept, masked."""
        yield from self._workbook.offenders()
        for kind, found in self._kinds_of_all():
            yield from ({"kind": kind, "detail": where, "item": key} for where, key in found[:MOST_OFFENDERS])

    def close(self, *, done: bool) -> None:
        """Close the workbook; when all is ``done`` it goes."""
        self._workbook.close(remove=done)

    async def _read_all(self) -> None:
        scanning = Scanning(self._ports.database, self._budget, self._settings.sample)
        for source in self._plan.sources.values():
            segments = scanning.segments(self._seen.tables.sizes[source.name])
            cursors = self._workbook.cursors(source.name, segments)
            self._ports.told(source.name, self._census.items[source.name])
            self._share = Share()
            await scanning.read(source.definition.name, cursors, partial(self._take, source))
            self._save()
            await self._rehearse(source, was_read=any(each.done or each.start for each in cursors))

    async def _take(self, source: SourceTable, cursor: Cursor, items: list[Item], units: str) -> None:
        """Look at a page. Nothing of it counts before its cursor is saved with it."""
        examined = [self._examiner.examine(source, image) for image in items]
        for found in examined:
            self._census.add(self._plan.target, found)
            self._keep(found.source_id, found.faults)
        self._claim(examined)
        if self._is_asked(source):
            self._share.take(items, examined)
        self._census.spent += Fraction(units)
        self._behind[source.name, cursor.segment] = cursor
        if self._ports.clock.monotonic() - self._saved >= _SAVE_S:
            self._save()
        self._ports.told(source.name, len(items))

    def _claim(self, examined: list[Examined]) -> None:
        """Hold every target key against all that were claimed before."""
        claims = [Claim(each.key, found.source_id) for found in examined for each in found.written]
        for lost in self._workbook.claim(claims):
            source = self._plan.source_key(lost.source_id)[0]
            fault = Fault("collision", says=hide(self._plan.masked_target(lost.key)))
            self._census.note(source, (fault,))
            self._keep(lost.source_id, (fault,))

    def _keep(self, source_id: str, faults: Iterable[Fault]) -> None:
        for fault in faults:
            if FAULTS[fault.kind].grade is not Grade.NOTE:
                shown = hide(self._plan.masked(source_id))
                self._workbook.offend(fault.kind, hide(fault.says) or fault.detail, shown)

    def _is_asked(self, source: SourceTable) -> bool:
        patterns = self._plan.queries.values()
        return self._ports.rehearse is not None and any(pattern.source == source.name for pattern in patterns)

    async def _rehearse(self, source: SourceTable, *, was_read: bool) -> None:
        """Ask the queries of a source; ``was_read``: some of its items were, by an earlier process."""
        if self._ports.rehearse is None or not self._is_asked(source):
            return
        if was_read:
            await self._read_again(source)
        found = await self._ports.rehearse(source.name, self._share.kept())
        for name, asked in found.asked.items():
            faults = list(faults_of(self._plan.queries[name], asked, self._share))
            on = {"source": source.name, "items": found.items, "read": self._census.items[source.name]}
            self._queries[name] = {**on, **document_of(self._plan, asked, (kind for kind, _ in faults))}
            for kind, source_id in faults:
                shown = hide(self._plan.masked(source_id)) if source_id else source.name
                self._of_all.append((kind, name, shown))

    async def _read_again(self, source: SourceTable) -> None:
        """Fill the share of a source whose items were not kept."""
        request = ScanRequest(source.definition.name, limit=MOST_ITEMS, consistent=False)
        while not self._share.is_full:
            page = await self._ports.database.scan_page(request)
            await self._budget.spend(page.units)
            self._share.take(page.items, [self._examiner.examine(source, image) for image in page.items])
            if page.last_key is None:
                return
            request = replace(request, start=page.last_key)

    def _look_at_keys(self, expected: Forecast) -> None:
        """Find what only all items together show; it is worked out anew each time, and never saved."""
        self._of_all += [(kind, TABLE, key) for kind, key in self._census.grown()]
        if expected.is_hot:
            self._of_all.append(("hot-partition", *expected.hottest[:2]))

    def _save(self) -> None:
        self._workbook.save(self._behind.values(), self._census.document())
        self._behind.clear()
        self._saved = self._ports.clock.monotonic()

    async def _evidence(self, expected: Forecast | None) -> Evidence:
        samples = [sample for source in self._plan.sources.values() for sample in await self._samples(source)]
        scope = Scope(self._settings.sample, self._workbook.begun_ms, self._ports.clock.wall_ms())
        prices = self._settings.prices
        return Evidence(
            self._plan, scope, self._seen, self._census, self._findings(), expected, prices, samples, self._queries
        )

    def _findings(self) -> list[Finding]:
        found = [
            Finding(kind, where.total(), dict(where), self._workbook.examples(kind, _EXAMPLES))
            for kind, where in self._census.faults_by_kind().items()
        ]
        for kind, own in self._kinds_of_all():
            where = dict(Counter(where for where, _ in own))
            found.append(Finding(kind, len(own), where, [key for _, key in own[:_EXAMPLES]]))
        return found

    def _kinds_of_all(self) -> Iterator[tuple[str, list[tuple[str, str]]]]:
        for kind in sorted({kind for kind, _, _ in self._of_all}):
            yield kind, [(where, key) for each, where, key in self._of_all if each == kind]

    async def _samples(self, source: SourceTable) -> list[dict[str, Any]]:
        """Return a few items of a source, masked, with what becomes of them."""
        limit = self._settings.shown
        if not limit:
            return []
        page = await self._ports.database.scan_page(ScanRequest(source.definition.name, limit=limit, consistent=False))
        await self._budget.spend(page.units)
        found = []
        for image in page.items:
            written = self._examiner.examine(source, image).written
            after = [hide_item(self._plan.masked_item(each.item)) for each in written]
            found.append({"source": source.name, "before": hide_item(self._plan.masked_item(image)), "after": after})
        return found
