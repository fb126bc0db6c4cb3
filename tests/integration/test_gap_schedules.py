"""What a reviewer did to gaps and recaptures: each schedule once lost something, stood for ever, or told a lie (§5)."""

import asyncio
from dataclasses import replace

import pytest

import ledger.echoes as echo_rows
from domain.errors import GapError
from domain.items import number, text
from domain.phases import Phase
from domain.tables import ViewType
from ledger.requests import RequestKind, RequestState
from tests.examples import ADA, BOB, CYD, changed, order
from tests.integration.test_recapture import (
    ADA_AT,
    bulky,
    lost,
    many,
    quarantined,
    recaptured,
    switched,
    switched_off_and_on,
    switched_on,
    users_of,
)
from tests.seams import Call, transacts
from tests.world import Venue, World, ready

pytestmark = pytest.mark.looptime

A_DAY = 60.0
"""Seconds that stand for the 24 hours that records are kept."""


async def test_a_hot_item_is_brought_back_after_a_gap_of_the_tailed_source(
    twin: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echo_rows, "MOST_AWAITED", 20)  # the product: 2,000
    async with ready(twin, "tyler-setup", users=[ADA]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.database.disable_stream(world.table("users"))
        await lost(world, "users")
        for each in range(22):  # the new application goes on while the operator sleeps
            await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(each)))
            await asyncio.sleep(2)
        await world.database.enable_stream(world.table("users"), ViewType.NEW_AND_OLD_IMAGES)
        assert (await recaptured(world, crew, "users")).state is RequestState.DONE

        async def back() -> bool:
            return (await world.sources())["users/ada"]["lastLogin"] == number(21)

        await world.until(back, seconds=600)


async def test_complete_sees_what_was_written_in_the_gap_of_a_tailed_source(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)

        async def compared() -> bool:
            return bool(await world.ledger.evidence.get("reconcile/target"))

        await world.until(compared)
        await asyncio.sleep(5)
        await world.database.disable_stream(world.table("users"))
        await world.put("users", BOB)  # a stray: somebody ignored the flag
        await world.database.enable_stream(world.table("users"), ViewType.NEW_AND_OLD_IMAGES)
        await lost(world, "users")
        scan = crew.database.hold(lambda call: call.method == "scan_page")  # a comparison takes its time
        await recaptured(world, crew, "users")
        await asyncio.sleep(5)
        answer = await world.ask(crew, RequestKind.COMPLETE)
        scan.release()
        assert answer.state is RequestState.REFUSED, "bob is in the legacy table, and nobody was told"


async def test_second_gap_while_the_sweep_waits_for_quiet(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB, CYD, *many(5)]) as (world, crew):
        await switched_off_and_on(world, users_of(world))
        await lost(world, "users")
        await world.put("users", *many(5, name=text("b")))
        attempt = crew.guard.begin()  # one long request of ours: the sweep waits for it
        await recaptured(world, crew, "users")

        async def copied() -> bool:
            return await world.ledger.segments.done("users")

        await world.until(copied)
        await world.database.disable_stream(world.table("users"))
        await world.delete("users", BOB)
        await switched_on(world, users_of(world))
        await lost(world, "users")
        await recaptured(world, crew, "users")
        crew.guard.end(attempt, answered=True)
        await asyncio.sleep(60)
        await world.reach(Phase.READY)


async def test_what_became_untranslatable_in_a_gap_keeps_its_last_good_keys(twin: Venue) -> None:
    orders = [order(number) for number in range(4)]
    async with ready(twin, "order-desk", orders=orders) as (world, crew):
        await world.database.disable_stream(world.table("orders"))
        await world.put("orders", bulky(0))
        await switched_on(world, world.plan.sources["orders"].definition)
        await lost(world, "orders")
        await recaptured(world, crew, "orders")
        await world.until(lambda: quarantined(world, 1))
        await world.until(lambda: world_swept(world))
        await world.delete("orders", orders[0])
        await world.until(lambda: quarantined(world, 0))
        await asyncio.sleep(60)
        await world.reach(Phase.READY)


async def world_swept(world: World) -> bool:
    return await world.ledger.sweeps.done("orders")


async def test_a_stray_of_a_double_gap_is_told_before_it_is_overwritten(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.database.disable_stream(world.table("users"))
        await world.database.disable_stream(world.plan.target.name)
        await world.put("users", BOB)  # a stray's new user
        await world.database.enable_stream(world.table("users"), ViewType.NEW_AND_OLD_IMAGES)
        await switched_on(world, world.plan.target)
        await lost(world, "users")
        await lost(world, "target")
        await recaptured(world, crew, "users")
        await recaptured(world, crew, "target")
        await asyncio.sleep(120)
        assert "users/bob" in await world.sources(), "nobody was told of it yet"
        assert "once you have looked" in (await world.ask(crew, RequestKind.ROLLBACK)).answer["why"]
        await world.ask(crew, RequestKind.VERIFY, repair=True)
        await switched(world, crew, RequestKind.ROLLBACK)


async def test_shards_carried_over_before_a_crash_are_not_those_of_a_newer_stream(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, *many(8)]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        world.twin.trim(world.plan.target.name, 10**30)
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(1)))
        world.twin.trim(world.plan.target.name, 10**30)
        await asyncio.sleep(1000)
        await lost(world, "target")
    crew.database.crash(transacts("recaptured"))
    await world.ledger.requests.ask(RequestKind.RECAPTURE, stream="target", epoch=1)
    await crew.work_until_crash()
    await world.bury()
    second = await world.lead(wait=True)
    await switched_off_and_on(world, world.plan.target)
    async with second.working():
        await recaptured(world, second, "target")
        stream = await world.ledger.streams.get("target")
        await asyncio.sleep(30)
        stream = await world.ledger.streams.get("target")
        assert stream.gap == ""


async def test_a_shard_never_read_that_was_trimmed_is_a_gap(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA)
    tempo = replace(twin.tempo, pace=replace(twin.tempo.pace, retention=A_DAY))
    crew = await world.lead(tempo=tempo)
    async with crew.working():
        await world.reach(Phase.READY)
        for shard in world.twin.open_shards(world.table("users")):
            world.twin.roll_shard(world.table("users"), shard)  # as they do every four hours
        await asyncio.sleep(30)
    await crew.retire()
    await world.put("users", changed(ADA, lastLogin=number(7)))
    await asyncio.sleep(2 * A_DAY)  # nobody reads for a day ...
    world.twin.trim(world.table("users"), 10**30)  # ... and the record is trimmed
    await world.put("users", BOB)
    second = await world.lead(tempo=tempo, wait=True)
    async with second.working():
        assert "may have been trimmed" in await lost(world, "users")


async def test_a_tombstone_of_an_earlier_epoch_does_not_keep_a_cutover_waiting(twin: Venue) -> None:
    """Its record was trimmed before the checkpoint passed it; in the new epoch its shard stays quiet."""
    async with ready(twin, "tyler-setup", users=[ADA, BOB, *many(9)]) as (world, crew):
        await asyncio.sleep(5)
        stream = await world.ledger.streams.get("users")
        known = {str(row.checkpoint) for row in (await world.ledger.streams.shards("users")).values()}

        def moves(call: Call) -> bool:
            if call.method != "put" or not call.mentions("shards/users/1"):
                return False
            written = call.asked.item["checkpoint"].get("S")
            return written is not None and written not in known

        held = crew.database.hold(moves)
        await world.delete("users", BOB)
        await held.reached.wait()
        world.twin.trim(world.table("users"), 10**30)
        lost_elsewhere = GapError("another shard was trimmed")
        crew.database.fail(lambda call: call.method == "get_records" and call.mentions(stream.arn), lost_elsewhere)
        await lost(world, "users")
        held.release()
        await recaptured(world, crew, "users")
        await world.reach(Phase.READY)
        await asyncio.sleep(60)
        assert await world.ledger.tombstones.count(["users"], at_most=9) == 0
        await switched(world, crew, RequestKind.CUTOVER)
