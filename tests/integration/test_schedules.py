"""Schedules of one item's life during copy and capture: what the target ends up with, exactly (protocol §3–§5)."""

import asyncio

import pytest

from domain.items import TargetKey, number, text
from domain.phases import Phase
from domain.positions import Version
from dynamo.aws import connect
from dynamo.local import run_local
from sync.followers import Pace
from tests.crew import Crew
from tests.examples import ADA, BOB, audit, changed, contractor, logged_in, order
from tests.seams import puts_to, scans_of
from tests.world import Venue, World

ADA_AT = TargetKey("USER#ada", "METADATA")
FIRST = TargetKey("C#c1", "O#1")
BY_DAY = TargetKey("D#2026-11-23", "c1#1")


def by_status(status: str) -> TargetKey:
    return TargetKey(f"S#{status}", "c1#1")


async def copied(world: World, crew: Crew) -> None:
    """Copy everything that stands, with nobody following yet."""
    await crew.enter(Phase.BACKFILL)
    await crew.copy()


async def test_two_updates_of_one_item_within_one_millisecond(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA)
    await copied(world, crew)
    async with crew.following():
        await world.put("users", *(logged_in(ADA, moment) for moment in range(10)))
        await world.caught_up()
    target = await world.settled(crew)
    assert target[ADA_AT]["lastLogin"] == number(9)
    assert target[ADA_AT]["passwordHash"] == ADA["passwordHash"]


@pytest.mark.parametrize("folded", [True, False])
async def test_delete_and_recreate(venue: Venue, *, folded: bool) -> None:
    """In one batch or change by change: the last image stands, and no tombstone of the delete in between."""
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    await copied(world, crew)
    if folded:
        await recreate(world)
    async with crew.following():
        if not folded:
            await recreate(world, crew)
        await world.caught_up()
    target = await world.settled(crew)
    assert set(target) == {ADA_AT}
    assert target[ADA_AT]["name"] == text("Ada the Second")


async def recreate(world: World, crew: Crew | None = None) -> None:
    await world.delete("users", ADA)
    await world.delete("users", BOB)
    if crew is not None:
        await world.caught_up()
        assert await world.target() == {}
    await world.put("users", changed(ADA, name=text("Ada the Second")))


async def test_delete_between_scan_and_write_of_the_page(venue: Venue) -> None:
    """The page was read before the delete and is written after it was applied: the tombstone wins."""
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA)
    await crew.enter(Phase.BACKFILL)
    page = crew.database.hold(scans_of(world.table("users")), answered=True)
    other = crew.database.hold(scans_of(world.table("users")), answered=True)
    async with crew.following():
        copy = asyncio.create_task(crew.copy())
        await page.reached.wait()
        await other.reached.wait()
        await world.delete("users", ADA)
        await world.caught_up()
        assert ADA_AT in await world.tombstones()
        assert await crew.purge() > 0, "a tombstone must stand until the copy is complete"
        page.release()
        other.release()
        await copy
        await world.caught_up()
    assert await world.settled(crew) == {}


async def test_delete_while_the_write_of_a_copied_item_is_on_its_way(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA)
    await crew.enter(Phase.BACKFILL)
    put = crew.database.hold(puts_to(world.plan.target.name, "USER#ada", f"'{Version(1)}'"))
    async with crew.following():
        copy = asyncio.create_task(crew.copy())
        await put.reached.wait()
        await world.delete("users", ADA)
        await world.caught_up()
        put.release()
        await copy
    assert await world.settled(crew) == {}


async def test_update_of_an_item_not_yet_copied(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA)
    await crew.enter(Phase.BACKFILL)
    async with crew.following():
        await world.put("users", logged_in(ADA, 7))
        await world.caught_up()
        newer = await world.get_target(*ADA_AT)
        await crew.copy()
        assert await world.get_target(*ADA_AT) == newer
    target = await world.settled(crew)
    assert target[ADA_AT]["lastLogin"] == number(7)


async def test_changes_older_than_the_scanned_image_end_with_it(venue: Venue) -> None:
    """The copy saw the last image; its changes, older ones first, come afterwards (protocol §4.3)."""
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", order(1, status="o"), order(1, status="p"), order(2))
    await world.delete("orders", order(2))
    await copied(world, crew)
    assert set(await world.target()) == {FIRST, BY_DAY, by_status("p")}
    async with crew.following():
        await world.caught_up()
    assert set(await world.settled(crew)) == {FIRST, BY_DAY, by_status("p")}


@pytest.mark.parametrize("page", [2, 3])
async def test_key_moves_folded_and_delivered_again_with_other_borders(venue: Venue, page: int) -> None:
    """The intermediate key was never written in the first delivery; the second one writes it, and must bury it."""
    world = await venue.world("order-desk", "orders")
    first = await world.lead()
    await world.put("orders", order(1, status="o"))
    await copied(world, first)
    await world.put("orders", *(order(1, status=status) for status in ("p", "s", "p", "s")))
    async with first.following():
        await world.caught_up()
    stood = await world.settled(first)
    assert set(stood) == {FIRST, BY_DAY, by_status("s")}
    await first.retire()
    second = await world.lead(tempo=world.at_pace(Pace(tip=0.02, page=page)))
    await world.rewind(second, "orders")
    async with second.following():
        await world.caught_up()
    assert await world.settled(second) == stood


async def test_a_key_that_goes_away_and_comes_back(venue: Venue) -> None:
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", order(1, status="o"))
    await copied(world, crew)
    async with crew.following():
        for status in ("p", None, "o", None, "s"):
            await world.put("orders", order(1, status=status))
            await world.caught_up()
    target = await world.settled(crew)
    assert set(target) == {FIRST, BY_DAY, by_status("s")}
    assert target[FIRST]["statusWord"] == text("shipped")


async def test_an_audit_entry_that_loses_its_user(venue: Venue) -> None:
    """Its second item goes with the user; without one nothing is called undefined."""
    world = await venue.world("tyler-setup", "users", "audit")
    crew = await world.lead()
    await world.put("audit", audit("a1"), audit("a2", user=None))
    await copied(world, crew)
    assert TargetKey("USER#ada", "AUDIT#a1") in await world.target()
    async with crew.following():
        await world.put("audit", audit("a1", user=None))
        await world.caught_up()
    target = await world.settled(crew)
    assert set(target) == {TargetKey("AUDIT#a1", "METADATA"), TargetKey("AUDIT#a2", "METADATA")}


@pytest.mark.looptime
async def test_a_deletion_by_time_to_live_is_followed(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users", "contractors")
    crew = await world.lead()
    now = twin.clock.wall_ms() // 1000
    await world.put("contractors", contractor("kim", ttl=now + 1), contractor("lee", ttl=now + 86_400))
    await copied(world, crew)
    async with crew.following():
        await asyncio.sleep(2)
        assert world.twin.expire(now + 2) == 2, "the legacy item, and the target's own"
        await world.caught_up()
    assert set(await world.settled(crew)) == {TargetKey("CONTRACTOR#lee", "METADATA")}


@pytest.mark.looptime
async def test_a_deletion_by_time_to_live_of_the_legacy_side_only_is_followed(twin: Venue) -> None:
    """DynamoDB takes up to days on either side: here the target's own deletion has not come yet."""
    world = await twin.world("tyler-setup", "contractors")
    crew = await world.lead()
    now = twin.clock.wall_ms() // 1000
    await world.put("contractors", contractor("kim", ttl=now + 1))
    await copied(world, crew)
    table = crew.place.plan.target.name
    world.twin._server.table(table).ttl_attribute = None
    async with crew.following():
        assert world.twin.expire(now + 2) == 1
        await world.caught_up()
    assert await world.settled(crew) == {}


@pytest.mark.local
async def test_a_deletion_by_time_to_live_is_followed_on_a_database_of_its_own() -> None:
    """DynamoDB Local sweeps one table after the other, so among many tables it would take minutes."""
    with run_local(heap_mb=128) as local:
        async with connect(endpoint_url=local.endpoint_url) as database:
            world = await Venue.on(database, "ttl").world("order-desk", "orders")
            crew = await world.lead()
            now = world.venue.clock.wall_ms() // 1000
            await world.put("orders", order(1, deleteAfter=number(now + 1)), order(2, deleteAfter=number(now + 9999)))
            await copied(world, crew)
            async with crew.following():
                await world.until(lambda: only_the_second_order(world), seconds=60)
                await world.caught_up()
            target = await world.settled(crew)
            assert not [key for key in target if key.sk.endswith("#1")]


async def only_the_second_order(world: World) -> bool:
    return set(await world.sources()) == {"orders/c1/2"}


async def test_changes_delivered_again_change_nothing(venue: Venue) -> None:
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", order(1), order(2), order(3))
    await copied(world, crew)
    async with crew.following():
        await world.put("orders", order(1, status="s"), order(2, rush={"BOOL": True}), order(4))
        await world.delete("orders", order(3))
        await world.caught_up()
    await world.settled(crew)
    stood = await world.standing()
    await world.rewind(crew, "orders")
    async with crew.following():
        await world.caught_up()
    await world.settled(crew)
    assert await world.standing() == stood


async def test_everything_at_once_ends_as_the_source_stands(venue: Venue) -> None:
    """Page by page with writes between the pages, and the whole stream delivered afterwards."""
    world = await venue.world("order-desk", "orders")
    crew = await world.lead(tempo=world.one_item_a_page())
    await world.put("orders", *(order(count, status="ops"[count % 3]) for count in range(6)))
    await crew.enter(Phase.BACKFILL)
    count = 0
    while await crew.copy_page("orders"):
        await world.put("orders", order(count, status="spo"[count % 3], totalCents=number(count)))
        await world.delete("orders", order(5 - count))
        count = (count + 1) % 6
    await crew.copy()
    async with crew.following():
        await world.caught_up()
    assert await world.settled(crew)
