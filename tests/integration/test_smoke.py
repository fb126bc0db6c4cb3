"""Looks before the unfence: a table that is not there, a query that misses, a cache from the other side."""

import pytest

from domain.errors import RefusedError
from domain.phases import Phase, Side
from dynamo.ports import Put, ScanRequest
from service.purge import CachePurge
from service.smoke import HealthCheck, QueryCheck
from tests.examples import ADA, BOB, audit
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


@pytest.fixture
async def world(twin: Venue) -> World:
    """A migration whose copy is complete."""
    world = await twin.world("tyler-setup")
    await world.put("users", ADA, BOB)
    await world.put("audit", audit("a1"))
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
    return world


@pytest.mark.parametrize("side", list(Side))
async def test_a_sound_side_passes(world: World, side: Side) -> None:
    for check in (HealthCheck(world.database, world.plan), QueryCheck(world.database, world.plan)):
        assert await check.preview(side)
        await check.do(side, {})


@pytest.mark.parametrize("side", list(Side))
async def test_a_table_that_is_gone_is_named(world: World, side: Side) -> None:
    gone = {Side.TARGET: world.plan.companions[0], Side.SOURCE: world.plan.sources["users"].definition}[side].name
    await world.database.delete_table(gone)
    with pytest.raises(RefusedError, match=gone):
        await HealthCheck(world.database, world.plan).do(side, {})


async def test_a_query_that_misses_is_named_and_shows_nobodys_data(world: World) -> None:
    ada = await world.get_target("USER#ada", "METADATA")
    await world.put_target({**ada, "GSI2PK": {"S": "nobody@example.com"}})
    with pytest.raises(RefusedError) as raised:
        await QueryCheck(world.database, world.plan, samples=5).do(Side.TARGET, {})
    assert "e-mail" in str(raised.value) or "email" in str(raised.value)
    assert "ada" not in str(raised.value)


async def test_a_cache_is_emptied_whatever_it_holds(world: World) -> None:
    table = next(each for each in world.plan.companions if each.name.endswith("-cache"))
    for number in range(70):
        await world.database.write(Put(table.name, {"PK": {"S": f"K{number}"}, "SK": {"S": "V"}}))
    purge = CachePurge(world.database, table)
    assert "about 70" in await purge.preview(Side.TARGET)
    await purge.do(Side.TARGET, {})
    assert not (await world.database.scan_page(ScanRequest(table.name))).items
