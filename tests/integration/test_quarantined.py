"""What cannot be applied is set aside with its last good keys, blocks the cutover, and comes back when mended (§2)."""

import asyncio

import pytest

from apply.stamping import stamped
from cutover.facts import gather
from cutover.gates import cutover_gates
from domain.items import Item, TargetKey, text
from domain.outcomes import Reason
from domain.phases import Phase
from domain.positions import Version
from tests.crew import Crew
from tests.examples import ADA, changed, order
from tests.seams import scans_of
from tests.world import Venue, World

FIRST = TargetKey("C#c1", "O#1")
BY_DAY = TargetKey("D#2026-11-23", "c1#1")
ADA_AT = TargetKey("USER#ada", "METADATA")


def bulky(count: int, *, status: str = "o") -> Item:
    """Return an order that fits into the legacy table, and not into the target any more."""
    return order(count, status=status, notes=text("x" * 409_300))


def by_status(status: str) -> TargetKey:
    return TargetKey(f"S#{status}", "c1#1")


async def refused_gates(world: World, crew: Crew) -> set[str]:
    facts = await gather(crew.ledger, world.database, world.plan, world.venue.clock)
    return {gate.name for gate in cutover_gates(facts, crew.place.tempo.limits) if not gate.passes}


async def reasons(world: World) -> dict[str, Reason]:
    return {entry.source_id: entry.reason for entry in await world.ledger.quarantine.everything()}


@pytest.mark.parametrize("folded", [True, False])
async def test_an_item_that_fails_and_is_mended_leaves_none_of_its_former_keys(venue: Venue, *, folded: bool) -> None:
    """Good at o, good at p, bad, mended at s: what stands meanwhile are the keys of o or p, and they all go (V8)."""
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", order(1, status="o"))
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    if not folded:
        async with crew.following():
            await world.put("orders", order(1, status="p"))
            await world.caught_up()
    else:
        await world.put("orders", order(1, status="p"))
    await world.put("orders", bulky(1, status="p"))
    async with crew.following():
        await world.caught_up()
        assert await reasons(world) == {"orders/c1/1": Reason.UNTRANSLATABLE}
        assert "quarantine" in await refused_gates(world, crew)
        assert set(await world.target()) == {FIRST, BY_DAY, by_status("o" if folded else "p")}
        await world.put("orders", order(1, status="s"))
        await world.caught_up()
    assert set(await world.settled(crew)) == {FIRST, BY_DAY, by_status("s")}


async def test_a_bad_item_that_is_deleted_takes_its_former_keys_along(venue: Venue) -> None:
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", order(1, status="o"))
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    await world.put("orders", order(1, status="p"), bulky(1))
    async with crew.following():
        await world.caught_up()
        await world.put("orders", bulky(1, status="s"))
        await world.caught_up()
        await world.delete("orders", order(1))
        await world.caught_up()
    assert await world.settled(crew) == {}


async def test_a_bad_item_met_by_the_copy_is_cleared_by_its_mend(venue: Venue) -> None:
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", bulky(1), order(2))
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    assert await reasons(world) == {"orders/c1/1": Reason.UNTRANSLATABLE}
    async with crew.following():
        await world.caught_up()
        assert await reasons(world) == {"orders/c1/1": Reason.UNTRANSLATABLE}
        await world.put("orders", order(1))
        await world.caught_up()
    assert FIRST in await world.settled(crew)


async def test_a_mend_applied_before_the_copy_met_the_bad_image_leaves_no_entry(venue: Venue) -> None:
    """The page was read before the mend, and is written after the stream has brought it: nothing is wrong any more."""
    world = await venue.world("order-desk", "orders")
    crew = await world.lead()
    await world.put("orders", bulky(1))
    await crew.enter(Phase.BACKFILL)
    pages = [crew.database.hold(scans_of(world.table("orders")), answered=True) for _ in range(2)]
    async with crew.following():
        copy = asyncio.create_task(crew.copy())
        for page in pages:
            await page.reached.wait()
        await world.put("orders", order(1))
        await world.caught_up()
        for page in pages:
            page.release()
        await copy
    assert FIRST in await world.settled(crew)


@pytest.mark.parametrize("by_copy", [True, False])
async def test_a_foreign_item_is_never_overwritten_and_blocks_the_cutover(venue: Venue, *, by_copy: bool) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    strange: Item = {"PK": text("USER#ada"), "SK": text("METADATA"), "whose": text("not ours")}
    await world.put_target(strange)
    assert await met_by(world, crew, by_copy=by_copy) == {"users/ada": Reason.FOREIGN}
    assert await world.get_target(*ADA_AT) == strange
    assert "quarantine" in await refused_gates(world, crew)
    await world.delete_target(strange)
    async with crew.following():
        await world.put("users", changed(ADA, name=text("Ada again")))
        await world.caught_up()
    assert set(await world.settled(crew)) == {ADA_AT}


@pytest.mark.parametrize("by_copy", [True, False])
async def test_an_item_of_another_source_id_is_never_overwritten(venue: Venue, *, by_copy: bool) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    taken: Item = {"PK": text("USER#ada"), "SK": text("METADATA"), "whose": text("another's")}
    write = stamped(ADA_AT, taken, "users/someone-else", Version(1, 5))
    await world.put_target(write.item)
    assert await met_by(world, crew, by_copy=by_copy) == {"users/ada": Reason.COLLISION}
    assert await world.get_target(*ADA_AT) == write.item
    assert "quarantine" in await refused_gates(world, crew)


async def met_by(world: World, crew: Crew, *, by_copy: bool) -> dict[str, Reason]:
    """Bring Ada by the copy, or by the stream; return what is quarantined then."""
    await crew.enter(Phase.BACKFILL)
    if not by_copy:
        await crew.copy()
    await world.put("users", ADA)
    if by_copy:
        await crew.copy()
    else:
        async with crew.following():
            await world.caught_up()
    return await reasons(world)


async def test_an_item_of_ours_that_somebody_changed_is_foreign(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA)
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    changed_by_hand = {**await world.get_target(*ADA_AT), "name": text("Somebody")}
    await world.put_target(changed_by_hand)
    await world.rewind(crew, "users")
    found = await crew.compare()
    assert [each.source_id for each in found.mismatches] == ["users/ada"]
