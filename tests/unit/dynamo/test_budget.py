"""The ceiling on reads, and what throttling takes from it, in exact virtual seconds."""

import asyncio

import pytest

from domain.errors import ThrottledError
from domain.items import Item
from dynamo.budget import ReadBudget
from dynamo.ports import ScanRequest
from dynamo.retries import Subject, slowdowns
from dynamo.scanfile import Cursor
from dynamo.scanning import Scanning
from dynamo.weather import FairWeather
from tests.world import LoopClock, Venue

pytestmark = pytest.mark.looptime


async def test_what_was_spent_is_waited_for_whoever_spent_it() -> None:
    budget, now = ReadBudget(LoopClock(), 100), asyncio.get_running_loop().time
    await budget.spend("128.5")
    assert now() == pytest.approx(1.285)
    await asyncio.gather(budget.spend("50"), budget.spend("50"))
    assert now() == pytest.approx(2.285)
    await asyncio.sleep(60)  # what was not used is not saved up
    await budget.spend("100")
    assert now() == pytest.approx(63.285)


async def test_without_a_ceiling_nobody_waits() -> None:
    budget = ReadBudget(LoopClock(), None)
    await budget.spend("1000000")
    assert asyncio.get_running_loop().time() == 0


async def test_who_is_throttled_reads_half_of_the_time_and_earns_it_back() -> None:
    budget, now = ReadBudget(LoopClock(), None), asyncio.get_running_loop().time
    await budget.spend("1", took=1.0)
    assert now() == 0
    await budget.spend("1", took=1.0, throttled=True)
    assert now() == pytest.approx(1.0), "a second of reading, a second of rest"
    await budget.spend("1", took=1.0, throttled=True)
    assert now() == pytest.approx(1.0 + 3.0)
    for _ in range(12):
        await budget.spend("1", took=1.0)
    began = now()
    await budget.spend("1", took=1.0)
    assert now() == began, "a dozen good pages later it reads all the time again"
    for _ in range(20):
        await budget.spend("1", throttled=True)
    began = now()
    await budget.spend("1", took=1.0, throttled=True)
    assert now() - began == pytest.approx(15.0), "it never stands still for good"


async def test_a_scan_slows_down_where_the_table_asks_for_it() -> None:
    world = await Venue.in_memory(weather=Throttling()).world("tyler-setup", "users", initialised=False)
    table, units = world.table("users"), list[str]()
    with slowdowns() as gathered:
        await world.database.scan_page(ScanRequest(table, 0, 1))
    assert gathered == [Subject("Scan", table)]

    async def taken(_cursor: Cursor, _items: list[Item], consumed: str) -> None:
        units.append(consumed)

    budget = ReadBudget(world.venue.clock, None)
    await Scanning(world.database, budget).read(table, [Cursor(table, number, 40) for number in range(40)], taken)
    assert len(units) == 40
    assert budget._share < 0.1


class Throttling(FairWeather):
    """Weather in which every scan is told once to slow down."""

    def __init__(self) -> None:
        self._told = False

    async def before(self, operation: str, table: str) -> None:
        """Refuse every other time."""
        if operation == "Scan":
            self._told = not self._told
            if self._told:
                message = f"{table}: slow down"
                raise ThrottledError(message)
