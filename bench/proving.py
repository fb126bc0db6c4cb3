"""A proof of very many items that nobody keeps: rate and peak memory. ``python -m bench.proving [ITEMS]`` (1,000,000).

The items come from a stub that makes pages of audit entries and users as they are asked for; the workbook is on disk.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.generated import PAGE, audit, peak_mb, user
from domain.items import text
from dynamo.ports import Page, ScanRequest, TableDescription
from mapping.plan import Plan, load_plan
from proof.forecast import Pace
from proof.prices import read_prices
from proof.runner import Proof, ProofPorts, ProofSettings
from service.systemclock import SystemClock


class Generated:
    """Two tables, nine audit entries to a user; knows only what a proof asks of a database."""

    def __init__(self, plan: Plan, items: int) -> None:
        """``items`` in both tables together."""
        self._tables = {source.definition.name: source for source in plan.sources.values()}
        self._counts = {"users": items // 10, "audit": items - items // 10}
        self.peak_at_half = 0
        self._left = items // 2

    async def describe_table(self, table: str) -> TableDescription | None:
        """Describe a legacy table as the plan wants it; the target is not there yet."""
        source = self._tables.get(table)
        if source is None:
            return None
        definition, count = source.definition, self._counts.get(source.name, 0)
        ttl = definition.ttl_attribute
        return TableDescription(
            table, definition.key, definition.indexes, None, None, ttl, "ACTIVE", count, count * 300, identity=table
        )

    async def scan_page(self, request: ScanRequest) -> Page:
        """Make a page: the items of a segment are numbered through."""
        source = self._tables[request.table].name
        count = self._counts.get(source, 0)
        first, last = (count * part // request.total_segments for part in (request.segment, request.segment + 1))
        start = first if request.start is None else int(request.start["id"]["S"])
        end = min(last, start + (request.limit or PAGE))
        self._look(end - start)
        make = user if source == "users" else audit
        items = tuple(make(each) for each in range(start, end))
        return Page(items, None if end >= last else {"id": text(str(end))}, "32")

    def _look(self, items: int) -> None:
        self._left -= items
        if self._left <= 0 and not self.peak_at_half:
            self.peak_at_half = peak_mb()


async def prove(items: int) -> None:
    """Prove Tyler Setup over generated items, and print what it took."""
    plan = load_plan(Path(__file__).parent.parent / "plans/tyler-setup.yaml", variables={"SECRETS_PREFIX": "bench"})
    database = Generated(plan, items)
    began, before = time.monotonic(), peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        workbook = Path(folder) / "plan.workbook"
        settings = ProofSettings(Pace(10_000), read_prices(None), workbook=workbook)
        proof = await Proof.begin(ProofPorts(database, plan, SystemClock()), settings)  # type: ignore[arg-type]
        document = await proof.run()
        size_mb = workbook.stat().st_size // 1024**2
        proof.close(done=True)
    took = time.monotonic() - began
    print(f"{items} items, verdict {document['verdict']}: {took:.0f} s, {items / took:.0f} items/s")
    print(f"target items {sum(document['target_items'].values())}, write units {sum(document['write_units'].values())}")
    print(f"peak memory {before} MB before, {database.peak_at_half} MB at half, {peak_mb()} MB; workbook {size_mb} MB")


def main(words: Sequence[str]) -> None:
    """Read the number of items."""
    asyncio.run(prove(int(words[0]) if words else 1_000_000))


if __name__ == "__main__":
    main(sys.argv[1:])
