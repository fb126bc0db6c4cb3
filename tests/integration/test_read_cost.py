"""What a comparison reads, as DynamoDB itself bills it, against one consistent GetItem per target item."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from domain.items import Item, TargetKey, text
from domain.phases import Phase, Side
from dynamo.aws import connect
from dynamo.observer import Kind, NoObserver
from dynamo.ports import ScanRequest
from reconcile.generation import Comparison, Generation
from reconcile.manner import ComparePorts, CompareSettings, Manner
from reconcile.rechecks import Patience
from service.demo.fill import contents
from tests.examples import ADA, changed
from tests.world import Venue, World


@dataclass
class Meter(NoObserver):
    """Read units by table, as the answers tell them."""

    units: Counter[str] = field(default_factory=Counter)

    def on_consumed(self, table: str, kind: Kind, units: float) -> None:
        if kind == "read":
            self.units[table] += units  # type: ignore[assignment] # halves are units as well

    def spent(self) -> float:
        """Return what was consumed since the last look."""
        total, self.units = self.units.total(), Counter()
        return float(total)


@pytest.fixture
def meter() -> Meter:
    return Meter()


@pytest.fixture
async def copied(local_database: str, prefix: str, meter: Meter) -> AsyncIterator[World]:
    """The demo's mix of all five tables, copied into the target, stamps and all."""
    async with connect(endpoint_url=local_database, observer=meter) as database:
        world = await Venue.on(database, prefix.removesuffix("-")).world("tyler-setup")
        for source, items in contents(Random(5)).items():
            await world.put(source, *items)
        crew = await world.lead()
        crew.guard.extend(float("inf"))  # nobody renews the lease, however long the copy takes here
        await crew.enter(Phase.BACKFILL)
        await crew.copy()
        yield world


async def compared(world: World, patience: Patience, *, ceiling: int | None = None) -> Generation:
    """Do one generation with the product's own settings; one with a ceiling is a scheduled one."""
    ports = ComparePorts(world.database, world.plan, world.venue.clock, CompareSettings())
    return await Comparison(ports).generation(Side.SOURCE, Manner(patience, read_units=ceiling))


async def one_by_one(world: World) -> tuple[int, int]:
    """Scan the source as it costs least, and get each target item by itself; return how many items either side has."""
    sources, keys = 0, set[TargetKey]()
    for name, source in world.plan.sources.items():
        request: ScanRequest | None = ScanRequest(source.definition.name, consistent=False)
        while request is not None:
            page = await world.database.scan_page(request)
            sources += len(page.items)
            for image in page.items:
                keys |= world.plan.translate(name, image).items.keys()
            request = None if page.last_key is None else replace(request, start=page.last_key)
    for key in keys:
        assert await world.database.get_item(world.plan.target.name, world.plan.key_item(key)) is not None
    return sources, len(keys)


async def test_a_comparison_reads_five_times_less_than_one_get_per_item(copied: World, meter: Meter) -> None:
    """And what its rechecks cost is told as well; the copy is made once for both."""
    world = copied
    meter.spent()
    found = await compared(world, Patience())
    ours = meter.spent()
    assert found.mismatches == []
    assert float(found.read_units) == ours, "what is said is what is billed"
    sources, targets = await one_by_one(world)
    theirs = meter.spent()
    assert found.compared == targets
    assert theirs >= 5 * ours, f"{ours / sources * 1000:.0f} units against {theirs / sources * 1000:.0f} for 1000 items"

    await _the_cost_of_rechecks_is_told(world, meter)


async def _the_cost_of_rechecks_is_told(world: World, meter: Meter) -> None:
    wrong: list[Item] = [{**item, "role": text("nobody")} for item in (await world.scanned(world.table("users")))[:70]]
    await world.put("users", *wrong)
    meter.spent()
    found = await compared(world, Patience(rounds=2, pause=0))
    assert found.verdict.source_ids == 70
    assert float(found.read_units) == meter.spent()
    assert found.verdict.read_units == 2 * 2 * 70, "each side of each suspect, each time"


@pytest.mark.looptime
async def test_rechecks_keep_to_the_ceiling_as_scans_do(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    await world.put("users", *(changed(ADA, id=text(f"user-{count}")) for count in range(300)))
    unhurried = await compared(world, Patience(rounds=2, pause=0))
    began = twin.clock.monotonic()
    found = await compared(world, Patience(rounds=2, pause=0), ceiling=100)
    took = twin.clock.monotonic() - began
    assert found.verdict.source_ids == 300
    assert found.read_units == unhurried.read_units
    assert found.verdict.read_units == 2 * 2 * 300, "what is missing costs as much as what is there"
    assert took == pytest.approx(float(found.read_units) / 100, abs=1)
