"""Whole switches in one process: over, back, and over again, with both applications writing (protocol §8, §9)."""

import asyncio

import pytest

from domain.items import Item, TargetKey, number, text
from domain.outcomes import Reason
from domain.phases import Phase, Side
from domain.stamps import Stamp
from ledger.requests import RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, BOB, CYD, audit, changed, contractor, order, without
from tests.world import Venue, World, readable, ready

ADA_AT = TargetKey("USER#ada", "METADATA")
FAR = 1_895_438_000


def at(item: Item, name: str) -> Item:
    """Return a target item moved to another user's key, as a copying application does: stamp and all."""
    return changed(item, PK=text(f"USER#{name}"), id=text(name))


async def switched(world: World, crew: Crew, kind: RequestKind) -> None:
    answer = await world.ask(crew, kind)
    assert answer.state is RequestState.DONE, answer.answer
    state = await world.ledger.migration.state()
    serving = Side.TARGET if kind is RequestKind.CUTOVER else Side.SOURCE
    assert (state.flag.serving, state.flag.writable) == (serving, True)


async def agreed(world: World, crew: Crew, serving: Side) -> dict[str, Item]:
    """Wait until the other side has everything; assert that both agree; return the legacy items."""
    await world.caught_up(serving)
    found = await crew.compare(serving)
    assert found.mismatches == []
    return await world.sources()


async def new_application_writes(world: World) -> None:
    """Everything the new application may do, some of it with a stamp of ours in its hands."""
    ada, bob, cyd = [await world.get_target(f"USER#{name}", "METADATA") for name in ("ada", "bob", "cyd")]
    await world.put_target(changed(ada, lastLogin=number(5), theme=text("dark")))
    await world.put_target(at(bob, "eve"))
    await world.put_target(changed(bob, status=text("INACTIVE")))
    await world.put_target(without(changed(cyd, name=text("Oops")), "_stamp"), cyd)
    dan = without(at(cyd, "dan"), "_stamp", "initials", "profile", "GSI1PK", "GSI1SK")
    await world.put_target(dan)
    fay = without(at(cyd, "fay"), "_stamp")
    await world.put_target(fay)
    await world.delete_target(fay)
    await world.put_target(changed(fay, email=text("fay@example.com"), GSI2PK=text("fay@example.com")))
    await world.delete_target(await world.get_target("CONTRACTOR#kim", "METADATA"))


def as_legacy_should_stand() -> dict[str, Item]:
    """What the legacy tables hold after that, but for what travels in `_target`."""
    users = {
        "ada": changed(ADA, lastLogin=number(5)),
        "bob": changed(BOB, isActive={"BOOL": False}),
        "cyd": CYD,
        "dan": changed(CYD, id=text("dan")),
        "eve": changed(BOB, id=text("eve")),
        "fay": changed(CYD, id=text("fay"), email=text("fay@example.com")),
    }
    found = {f"users/{name}": readable(user) for name, user in users.items()}
    return {**found, "audit/a1": readable(audit("a1"))}


async def test_over_and_back_and_over_again(venue: Venue) -> None:
    """Every write of either application stands on the other side, whoever's stamp it carried."""
    world = await venue.world("tyler-setup")
    await world.put("users", ADA, BOB, CYD)
    await world.put("audit", audit("a1"))
    await world.put("contractors", contractor("kim", ttl=FAR))
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)
        assert await world.target() == await world.expected()
        assert not await world.tombstones()
        await new_application_writes(world)
        legacy = await agreed(world, crew, Side.TARGET)
        assert {name: without(item, "_target") for name, item in legacy.items()} == as_legacy_should_stand()
        assert "dark" in repr(legacy["users/ada"]["_target"])
        assert "_target" not in legacy["users/cyd"]
        await switched(world, crew, RequestKind.ROLLBACK)
        await world.put("users", changed(ADA, name=text("Ada III")), changed(BOB, id=text("eve"), name=text("Eve")))
        await world.delete("users", changed(CYD, id=text("dan")))
        await world.put("users", changed(CYD, role=text("owner")), changed(BOB, isActive={"BOOL": True}))
        await world.delete("audit", audit("a1"))
        await world.caught_up()
        await world.reach(Phase.READY)
        assert (await crew.compare()).mismatches == []
        assert await world.target() == await world.expected()
        await switched(world, crew, RequestKind.CUTOVER)
        assert not await world.tombstones()
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(9)))
        await world.delete_target(await world.get_target("USER#eve", "METADATA"))
        legacy = await agreed(world, crew, Side.TARGET)
        assert set(legacy) == {f"users/{name}" for name in ("ada", "bob", "cyd", "fay")}
        assert legacy["users/ada"]["name"] == text("Ada III")
        assert legacy["users/ada"]["lastLogin"] == number(9)
        assert await world.ledger.quarantine.everything() == []
        assert (await world.ask(crew, RequestKind.COMPLETE)).state is RequestState.DONE
    assert (await world.ledger.migration.state()).phase is Phase.DONE


async def test_items_with_keys_that_move_go_over_and_back(venue: Venue) -> None:
    """The new application changes a status and leaves the derived item where it was: after the rollback it moves."""
    world = await venue.world("order-desk", "orders")
    await world.put("orders", order(1, status="o"), order(2, status="p"))
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)
        first = await world.get_target("C#c1", "O#1")
        await world.put_target(changed(first, status=text("s"), statusWord=text("shipped")))
        legacy = await agreed(world, crew, Side.TARGET)
        assert legacy["orders/c1/1"]["status"] == text("s")
        await switched(world, crew, RequestKind.ROLLBACK)
        await world.put("orders", order(2, status="o"))
        await world.caught_up()
        await world.reach(Phase.READY)
        assert await world.target() == await world.expected()
        await switched(world, crew, RequestKind.CUTOVER)
        assert not await world.tombstones()
        assert {key.pk for key in await world.target()} == {"C#c1", "S#s", "S#o", "D#2026-11-23"}


@pytest.mark.looptime
async def test_nothing_echoes_for_ever(twin: Venue) -> None:
    """After each write and each switch the number of records stops growing."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        for kind in (RequestKind.CUTOVER, RequestKind.ROLLBACK):
            await switched(world, crew, kind)
            if kind is RequestKind.CUTOVER:
                await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(5)))
                await world.caught_up(Side.TARGET)
            else:
                await world.put("users", changed(BOB, name=text("Bob II")))
                await world.reach(Phase.READY)
            await world.caught_up()
            records = await world.records()
            await asyncio.sleep(1)
            assert await world.records() == records


async def held_tail(world: World, crew: Crew) -> None:
    """Hold every follower of the legacy users' stream at its next page."""
    arn = {stream.name: stream.arn for stream in await world.ledger.streams.all()}["users"]
    shards = await world.database.describe_stream(arn)
    seams = [
        crew.database.hold(lambda call: call.method == "get_records" and call.mentions(world.table("users") + "/"))
        for _ in shards
    ]
    for seam in seams:
        await seam.reached.wait()
    crew.held = seams


async def test_our_own_echoes_are_never_strays(venue: Venue) -> None:
    """The reverse writes A, B, nothing, A and A again before the tail sees the first of them (V6)."""
    world = await venue.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)
        await world.caught_up()
        await held_tail(world, crew)
        first = await world.get_target(*ADA_AT)
        second = changed(first, lastLogin=number(5))
        for item in (second, first, None, first, second, first):
            await (world.delete_target(first) if item is None else world.put_target(item))
            await world.caught_up(Side.TARGET)
        for seam in crew.held:
            seam.release()
        await world.caught_up()
        assert await world.ledger.quarantine.everything() == []

        async def all_seen() -> bool:
            return (await world.ledger.echoes.get("users/ada")).awaited == ()

        await world.until(all_seen)
        assert (await world.sources())["users/ada"] == readable(ADA)


async def test_a_stray_blocks_rollback_and_completion(venue: Venue) -> None:
    """Somebody writes into a legacy table while the target serves."""
    world = await venue.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)
        await world.put("users", changed(BOB, name=text("Somebody")))
        await world.caught_up()
        entries = {each.source_id: each for each in await world.ledger.quarantine.everything()}
        assert {name: each.reason for name, each in entries.items()} == {"users/bob": Reason.STRAY}
        for kind in (RequestKind.COMPLETE, RequestKind.ROLLBACK):
            answer = await world.ask(crew, kind)
            assert answer.state is RequestState.REFUSED
            assert "quarantine" in answer.answer["why"]
        assert (await world.get_target("USER#bob", "METADATA"))["name"] == text("Bob")
        assert (await world.ledger.migration.state()).phase is Phase.BAKE


@pytest.mark.looptime
async def test_time_to_live_on_either_side_of_the_switch(twin: Venue) -> None:
    """Before it the source decides, after it the target; a deletion by TTL is never a stray."""
    world = await twin.world("tyler-setup", "users", "contractors")
    now = twin.clock.wall_ms() // 1000
    await world.put("contractors", *(contractor(name, ttl=now + 100) for name in ("kim", "lee", "max")))
    crew = await world.lead()
    table = world.twin._server.table(world.table("contractors"))
    async with crew.working():
        await world.reach(Phase.READY)
        table.ttl_attribute = None
        assert world.twin.expire(now + 100) == 3, "the target's own deletions come first"
        await world.put("contractors", contractor("kim", ttl=now + 9999))
        await world.caught_up()
        table.ttl_attribute = "ttl"
        assert world.twin.expire(now + 100) == 2, "then those of the legacy side"
        await world.caught_up()
        await switched(world, crew, RequestKind.CUTOVER)
        assert set(await agreed(world, crew, Side.TARGET)) == {"contractors/kim"}
        kim = await world.get_target("CONTRACTOR#kim", "METADATA")
        await world.put_target(at_contractor(kim, "ned"), at_contractor(kim, "ann"))
        await world.caught_up(Side.TARGET)
        table.ttl_attribute = None
        assert world.twin.expire(now + 9999) == 3
        assert await agreed(world, crew, Side.TARGET) == {}
        assert await world.ledger.quarantine.everything() == []


def at_contractor(item: Item, name: str) -> Item:
    return changed(item, PK=text(f"CONTRACTOR#{name}"), id=text(name))


@pytest.mark.looptime
async def test_a_copy_that_carries_a_stamp_may_be_written_after_the_rollback(twin: Venue) -> None:
    """The application copied Ada to Bob's key: after the rollback Bob's next change adopts what stands there (V5)."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)
        await world.put_target(at(await world.get_target(*ADA_AT), "bob"))
        legacy = await agreed(world, crew, Side.TARGET)
        assert legacy["users/bob"]["name"] == text("Ada Lovelace")
        await switched(world, crew, RequestKind.ROLLBACK)
        await world.put("users", changed(BOB, name=text("Bob again")))
        await world.caught_up()
        standing = await world.get_target("USER#bob", "METADATA")
        assert standing["name"] == text("Bob again")
        stamp = Stamp.of(standing)
        assert stamp is not None
        assert (stamp.source, stamp.fits(standing)) == ("users/bob", True)
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)


@pytest.mark.looptime
async def test_a_verification_that_somebody_answers_by_hand_takes_the_switch_back(twin: Venue) -> None:
    """An answer that says nothing of what was found is not a clean one."""
    async with ready(twin, "tyler-setup", users=[ADA]) as (world, crew):
        taking = crew.database.hold(lambda call: call.method == "put" and call.mentions("requests/verify", "taken"))
        switching = asyncio.create_task(world.ask(crew, RequestKind.CUTOVER))
        await taking.reached.wait()
        (request,) = await world.ledger.requests.waiting(RequestKind.VERIFY)
        await world.ledger.requests.answer(request, done=True)
        taking.release()
        answer = await switching
        assert answer.state is RequestState.REFUSED
        assert "found nobody knows how many mismatches" in answer.answer["why"]
        assert (await world.ledger.migration.state()).flag.writable
