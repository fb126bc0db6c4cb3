"""Crashes, lost answers, iterators that expire, shards that split, vanish or are trimmed (protocol §4.1, §5)."""

import asyncio
from collections.abc import Callable

import pytest

from cutover.marking import mark_key
from domain.errors import IteratorExpired, TransientError
from domain.items import AttributeValue, Item, TargetKey, text
from domain.phases import Phase
from domain.tables import ViewType
from sync.followers import Pace
from tests.crew import Crew, suppressed_crash
from tests.examples import ADA, BOB, CYD, changed, order
from tests.seams import Matches, puts_to
from tests.world import Venue, World

ADA_AT = TargetKey("USER#ada", "METADATA")


def many(count: int, **attributes: AttributeValue) -> list[Item]:
    return [changed(ADA, id=text(f"user-{each}"), **attributes) for each in range(count)]


def checkpoint_of(world: World, source: str) -> Matches:
    return puts_to(world.ledger_table, f"'shards/{source}/1'", "'checkpoint': {'S'")


async def lead_again(world: World, crew: Crew) -> Crew:
    """Bury a crashed crew and let another one take over."""
    assert crew.database.crashed
    await world.bury()
    return await world.lead()


@pytest.mark.parametrize("answered", [False, True])
async def test_crash_between_apply_and_checkpoint(venue: Venue, *, answered: bool) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    await world.put("users", changed(ADA, name=text("Ada II")), CYD)
    await world.delete("users", BOB)
    crew.database.crash(checkpoint_of(world, "users"), answered=answered)
    await crew.follow_until_crash()
    second = await lead_again(world, crew)
    async with second.following():
        await world.caught_up()
    target = await world.settled(second)
    assert {key.pk for key in target} == {"USER#ada", "USER#cyd"}


@pytest.mark.parametrize("answered", [False, True])
async def test_crash_between_listing_a_tombstone_and_putting_it(venue: Venue, *, answered: bool) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA)
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    await world.delete("users", ADA)
    crew.database.crash(puts_to(world.ledger_table, "'tombstones/", "USER#ada"), answered=answered)
    await crew.follow_until_crash()
    assert ADA_AT in await world.target()
    second = await lead_again(world, crew)
    if answered:
        assert await second.purge() > 0, "its change is not behind the checkpoint yet"
    async with second.following():
        await world.caught_up()
    assert await world.settled(second) == {}
    assert await world.ledger.tombstones.of("users") == []


async def test_crash_of_the_copy_inside_a_page(venue: Venue) -> None:
    """At most the pages in flight are copied again."""
    world = await venue.world("order-desk", "orders")
    crew = await world.lead(tempo=world.one_item_a_page())
    await world.put("orders", *(order(each, customer=f"c{each}") for each in range(9)))
    await crew.enter(Phase.BACKFILL)
    while await copied_items(world) < 4:
        assert await crew.copy_page("orders")
    before = await copied_items(world)
    crew.database.crash(puts_to(world.ledger_table, "'segments/orders/1'"))
    with suppressed_crash():
        await crew.copy()
    second = await lead_again(world, crew)
    assert await copied_items(world) == before
    await second.copy()
    async with second.following():
        await world.caught_up()
    assert len({key.pk for key in await world.settled(second) if key.pk.startswith("C#")}) == 9


async def copied_items(world: World) -> int:
    return sum(segment.items for segment in await world.ledger.segments.of("orders"))


@pytest.mark.looptime
async def test_lost_answers_are_recognised_everywhere(twin: Venue) -> None:
    """Each kind of write takes place once although its answer is lost; followers go on after a restart."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    await world.put("users", changed(ADA, name=text("Ada II")))
    await world.delete("users", BOB)
    for matches in (
        puts_to(world.plan.target.name, "Ada II"),
        puts_to(world.plan.target.name, "'dead'"),
        puts_to(world.ledger_table, "'tombstones/", "USER#bob"),
        checkpoint_of(world, "users"),
    ):
        crew.database.lose_answer(matches)
    while await interrupted(world, crew):
        pass
    target = await world.settled(crew)
    assert {key.pk: item["name"]["S"] for key, item in target.items()} == {"USER#ada": "Ada II"}


async def interrupted(world: World, crew: Crew) -> bool:
    """Follow until all is applied, or something passing comes in between; tell whether it did."""
    try:
        async with crew.following():
            await world.caught_up()
    except* TransientError:
        trouble = True
    else:
        trouble = False
    return trouble


async def never() -> bool:
    return False


async def test_an_iterator_that_expires_is_opened_anew(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", *many(20))
    await crew.enter(Phase.BACKFILL)
    for _ in range(6):
        crew.database.fail(lambda call: call.method == "get_records", IteratorExpired("too old"))
    async with crew.following():
        await world.caught_up()
        await world.put("users", *many(20, name=text("later")))
        await world.caught_up()
        await crew.copy()
    assert len(await world.settled(crew)) == 20


@pytest.mark.looptime
async def test_iterators_that_really_expire(twin: Venue) -> None:
    """The followers look at the tip every 16 minutes; each time their iterator is a minute too old."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead(tempo=world.at_pace(Pace(tip=960.0)))
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    async with crew.following():
        for each in range(3):
            await world.put("users", *many(20, name=text(f"name {each}")))
            await asyncio.sleep(2000)
        await world.caught_up()
    target = await world.settled(crew)
    assert {item["name"]["S"] for item in target.values()} == {"name 2"}


@pytest.mark.looptime
@pytest.mark.parametrize("seed", range(4))
async def test_shards_split_and_roll_while_changes_go_on(twin: Venue, seed: int) -> None:
    """Parents before children: the last image of each item stands at the end, whatever shard told of it."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    table = world.table("users")
    async with crew.following():
        for each in range(6):
            await world.put("users", *many(12, name=text(f"name {each}")))
            await split(world, table, (seed + each) % 3)
            await world.put("users", *many(12, name=text(f"name {each}, then")))
            if (seed + each) % 2:
                await asyncio.sleep(0.1)
        await world.caught_up()
    target = await world.settled(crew)
    assert {item["name"]["S"] for item in target.values()} == {"name 5, then"}
    shards = await world.ledger.streams.shards("users")
    assert sum(shard.ended for shard in shards.values()) == 6


async def split(world: World, table: str, which: int) -> None:
    """Split or roll an open shard of the table's stream."""
    described = await world.database.describe_table(table)
    assert described is not None
    assert described.stream_arn is not None
    is_open = [each for each in await world.database.describe_stream(described.stream_arn) if not each.last_sequence]
    act: Callable[[str, str], object] = world.twin.split_shard if which else world.twin.roll_shard
    act(table, is_open[which % len(is_open)].shard_id)


async def trimmed_away(world: World, source: str) -> None:
    """Close every shard of a source's stream, and lose all there was in it."""
    arn = {stream.name: stream.arn for stream in await world.ledger.streams.all()}[source]
    for shard in await world.database.describe_stream(arn):
        world.twin.roll_shard(world.table(source), shard.shard_id)
    closed = [shard.last_sequence for shard in await world.database.describe_stream(arn) if shard.last_sequence]
    world.twin.trim(world.table(source), max(closed) + 1)


@pytest.mark.looptime
async def test_a_shard_that_vanished_unread_is_a_gap(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    async with crew.following():
        await world.caught_up()
    await crew.enter(Phase.BACKFILL)
    await world.put("users", *many(9))
    await trimmed_away(world, "users")
    assert "trimmed before it was applied" in await stands_still(world, crew)


@pytest.mark.looptime
async def test_records_trimmed_after_scanning_began_are_a_gap(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    async with crew.following():
        await world.caught_up()
    await crew.enter(Phase.BACKFILL)
    await world.put("users", *many(9))
    world.twin.trim(world.table("users"), 10**30)
    assert "trimmed" in await stands_still(world, crew)


@pytest.mark.looptime
async def test_records_trimmed_during_capture_are_no_gap(twin: Venue) -> None:
    """Nothing was scanned yet: the copy reads what the stream has lost."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", *many(9))
    async with crew.following():
        await world.caught_up()
    await world.put("users", *many(9, name=text("lost")))
    world.twin.trim(world.table("users"), 10**30)
    await world.put("users", ADA)
    async with crew.following():
        await world.caught_up()
        await crew.enter(Phase.BACKFILL)
        await crew.copy()
    target = await world.settled(crew)
    assert len(target) == 10
    assert sum(item["name"] == text("lost") for item in target.values()) == 9


@pytest.mark.looptime
async def test_shards_that_vanish_during_capture_are_no_gap(twin: Venue) -> None:
    """Something was read before: it was not applied, or the copy could not bring what was lost since."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", *many(9), BOB)
    async with crew.following():
        await world.caught_up()
    await world.put("users", *many(9, name=text("lost")))
    await world.delete("users", BOB)
    await trimmed_away(world, "users")
    async with crew.following():
        await world.put("users", ADA)
        await world.caught_up()
        await crew.enter(Phase.BACKFILL)
        await crew.copy()
        await asyncio.sleep(60)
    target = await world.settled(crew)
    assert len(target) == 10
    assert sum(item["name"] == text("lost") for item in target.values()) == 9


@pytest.mark.looptime
async def test_a_parent_that_came_and_went_unseen_is_a_gap(twin: Venue) -> None:
    """Its grandparent was read to its end and its child stands: what it held was never applied."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    async with crew.following():
        await world.caught_up()
    arn = {stream.name: stream.arn for stream in await world.ledger.streams.all()}["users"]
    first, *_ = await world.database.describe_stream(arn)
    crew.database.crash(puts_to(world.ledger_table, "'shards/users/1'", f"'parent': {{'S': '{first.shard_id}'}}"))
    with suppressed_crash():
        async with crew.following():
            await world.caught_up()
            (child,) = world.twin.roll_shard(world.table("users"), first.shard_id)
            await world.until(never)
    assert (await world.ledger.streams.shards("users"))[first.shard_id].ended
    await world.put("users", *many(20))
    world.twin.roll_shard(world.table("users"), child)
    closed = {each.shard_id: each.last_sequence for each in await world.database.describe_stream(arn)}[child]
    assert closed is not None
    world.twin.trim(world.table("users"), closed + 1)
    second = await lead_again(world, crew)
    assert "trimmed before anybody saw it" in await stands_still(world, second)


async def test_a_stream_switched_off_and_on_again_is_a_gap(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await crew.enter(Phase.BACKFILL)
    async with crew.following():
        await world.caught_up()
    table = world.table("users")
    await world.database.disable_stream(table)
    await world.put("users", ADA)
    await world.database.enable_stream(table, ViewType.NEW_AND_OLD_IMAGES)
    assert "replaced" in await stands_still(world, crew)


async def stands_still(world: World, crew: Crew) -> str:
    """Follow until the users' stream stands still at a gap, told once; return what was lost."""

    async def lost() -> bool:
        return bool((await world.ledger.streams.get("users")).gap)

    async with crew.following():
        await world.until(lost)
        assert crew.gaps == ["users"]
    return (await world.ledger.streams.get("users")).gap


@pytest.mark.looptime
async def test_told_to_stop_at_a_pending_mark_nothing_behind_it_counts_as_applied(twin: Venue) -> None:
    """The shard is closed and the page is its last one: what stands behind the mark must not be skipped."""
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", *many(30))
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    async with crew.following():
        await world.caught_up()
    await marked_and_closed(world, crew)
    await world.put("users", *many(30, name=text("still there")))
    async with crew.following():
        await asyncio.sleep(5)
    for mark in await crew.ledger.marks.pending():
        await crew.ledger.marks.drop(mark.mark_id)
    async with crew.following():
        await world.caught_up()
    target = await world.settled(crew)
    assert {item["name"]["S"] for item in target.values()} == {"still there"}


async def marked_and_closed(world: World, crew: Crew) -> None:
    """Put a mark, then deletions, into every shard of the users' stream, and close the shards."""
    stream = next(each for each in await world.ledger.streams.all() if each.name == "users")
    key = world.plan.sources["users"].definition.key
    await crew.ledger.marks.announce("m1", "users")
    for _ in range(30):
        await crew.engines.marker._put(stream.table, mark_key(key, "m1"))
    for user in many(30):
        await world.delete("users", user)
    for shard in await world.database.describe_stream(stream.arn):
        world.twin.roll_shard(stream.table, shard.shard_id)
