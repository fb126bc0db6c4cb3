"""Between full comparisons what changed is looked at again, and nothing seen to be wrong is forgotten (protocol §7)."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.errors import FatalError
from domain.items import number, text
from domain.phases import Phase, Side
from ledger.hints import Touched
from ledger.requests import RequestKind, RequestState
from reconcile.recent import Recent
from reconcile.rechecks import Patience
from tests.crew import Crew
from tests.examples import ADA, BOB, changed
from tests.seams import Matches, journal_step, scans_of
from tests.world import UNHURRIED, Venue, World

pytestmark = pytest.mark.looptime

STEPS = ("drain", "unfence")
ADA_AT = ("USER#ada", "METADATA")
AT_ONCE = Patience(rounds=1, pause=0)
RARELY = replace(UNHURRIED, compare=replace(UNHURRIED.compare, interval=3600.0))
"""One full comparison a phase, so that all that comes after it comes of looks."""


async def verifying(venue: Venue) -> tuple[World, Crew]:
    """Return a world whose users are to be copied, and the crew that leads it."""
    world = await replace(venue, tempo=RARELY).world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    return world, crew


async def known(world: World, side: Side = Side.SOURCE) -> dict[str, Any]:
    return await world.ledger.evidence.get(f"reconcile/{side}") or {}


async def test_verified_through_follows_the_writes_and_scanned_through_stands(twin: Venue) -> None:
    world, crew = await verifying(twin)
    async with crew.working():
        await world.reach(Phase.READY)
        began = found = await known(world)
        for turn in range(30):
            await world.put("users", changed(ADA, turn=number(turn)))
            await world.caught_up()
            found = await known(world)
            assert world.venue.clock.wall_ms() - found["verified_through_ms"] < 15_000
    assert found["scanned_through_ms"] == began["scanned_through_ms"]
    assert found["verified_through_ms"] > began["verified_through_ms"]
    assert found["mismatches"] == 0


async def test_a_foreign_write_is_found_by_the_next_look_with_its_age_and_gone_when_it_is_mended(twin: Venue) -> None:
    world, crew = await verifying(twin)
    async with crew.working():
        await world.reach(Phase.READY)
        standing = await world.get_target(*ADA_AT)
        await world.put_target({**standing, "role": text("nobody")})

        async def is_found() -> bool:
            return bool((await known(world))["mismatches"])

        await world.until(is_found, seconds=60)
        first = await known(world)
        (example,) = first["examples"]
        assert (example["kind"], example["source"], example["attributes"]) == ("different", "users", ["role"])
        assert example["first_seen_ms"] == first["oldest_ms"] <= world.venue.clock.wall_ms()
        assert first["sources"] == {"users": {"different": 1}}

        async def is_looked_at_again() -> bool:
            return bool((await known(world))["verified_through_ms"] > first["verified_through_ms"])

        await world.until(is_looked_at_again, seconds=60)
        assert (await known(world))["oldest_ms"] == first["oldest_ms"], "it was first seen when it was first seen"
        await world.put_target(standing)

        async def is_gone() -> bool:
            return not (await known(world))["mismatches"]

        await world.until(is_gone, seconds=60)
    assert (await known(world))["oldest_ms"] == 0


async def test_an_age_outlasts_the_process(twin: Venue) -> None:
    world, crew = await verifying(twin)
    async with crew.working():
        await world.reach(Phase.READY)
        await world.put_target({**await world.get_target(*ADA_AT), "role": text("nobody")})

        async def is_found() -> bool:
            return bool((await known(world))["mismatches"])

        await world.until(is_found, seconds=60)
    first = await known(world)
    await crew.retire()
    heir = await world.lead()
    async with heir.working():

        async def is_compared_again() -> bool:
            return bool((await known(world))["scanned_through_ms"] > first["scanned_through_ms"])

        await world.until(is_compared_again, seconds=60)
    assert (await known(world))["oldest_ms"] == first["oldest_ms"]


# ---- what a look may build on ---------------------------------------------------------------------------------------


async def followed(venue: Venue) -> tuple[World, Crew, Recent, Touched]:
    """Return a world at rest, compared in full once, and somebody who looks at what changes."""
    world, crew = await verifying(venue)
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    async with crew.following():
        await world.caught_up()
    crew.touched.take()
    recent = Recent(crew.engines.comparison.rechecker, crew.ledger.streams, crew.touched, world.venue.clock)
    recent.adopt(replace(await crew.compare(), ground=await recent.begin()))
    return world, crew, recent, crew.touched


async def spoilt(world: World) -> None:
    await world.put_target({**await world.get_target(*ADA_AT), "role": text("nobody")})


async def test_behind_a_break_only_a_full_comparison_knows_everything(twin: Venue) -> None:
    world, crew, recent, touched = await followed(twin)
    assert await recent.is_ready(Side.SOURCE)
    assert not await recent.is_ready(Side.TARGET)
    began_before = await recent.begin()
    touched.note(str(each) for each in range(100_001))
    await spoilt(world)
    assert not await recent.look(Side.SOURCE, AT_ONCE)
    assert not await recent.is_ready(Side.SOURCE)
    assert recent.known().mismatches == []
    recent.adopt(replace(await crew.compare(), ground=began_before))
    assert not await recent.is_ready(Side.SOURCE), "it began before the break"
    recent.adopt(replace(await crew.compare(), ground=await recent.begin()))
    assert await recent.is_ready(Side.SOURCE)
    assert [each.source_id for each in recent.known().mismatches] == ["users/ada"]


async def test_what_went_wrong_while_everything_was_compared_is_not_forgotten_with_the_result(twin: Venue) -> None:
    world, crew, recent, touched = await followed(twin)
    ground = await recent.begin()
    clean = replace(await crew.compare(), ground=ground)
    await spoilt(world)
    touched.note(["users/ada"])
    await recent.look(Side.SOURCE, AT_ONCE)
    assert recent.adopt(clean), "there is something to look at"
    assert [each.source_id for each in recent.known().mismatches] == ["users/ada"]
    await world.put_target({**await world.get_target(*ADA_AT), "role": ADA["role"]})
    await recent.look(Side.SOURCE, AT_ONCE)
    assert recent.known().mismatches == []


async def test_a_look_that_is_overtaken_by_a_full_comparison_leaves_its_ids_to_the_next(twin: Venue) -> None:
    world, crew, recent, touched = await followed(twin)
    clean = await crew.compare()
    touched.note(["users/ada"])
    seam = crew.database.hold(reads_of(world.table("users")))
    look = asyncio.create_task(recent.look(Side.SOURCE, AT_ONCE))
    await seam.reached.wait()
    recent.adopt(replace(clean, ground=await recent.begin()))
    seam.release()
    await look
    assert touched.take() == {"users/ada"}
    assert recent.known().verdict is clean.verdict


@pytest.mark.parametrize("called_off", [True, False])
async def test_a_look_that_does_not_come_to_its_end_leaves_its_ids_to_the_next(
    twin: Venue, *, called_off: bool
) -> None:
    world, crew, recent, touched = await followed(twin)
    touched.note(["users/ada"])
    before = recent.known()
    if called_off:
        seam = crew.database.hold(reads_of(world.table("users")))
        look = asyncio.create_task(recent.look(Side.SOURCE, AT_ONCE))
        await seam.reached.wait()
        look.cancel()
        with pytest.raises(asyncio.CancelledError):
            await look
    else:
        crew.database.fail(reads_of(world.table("users")), FatalError("no more"))
        with pytest.raises(FatalError):
            await recent.look(Side.SOURCE, AT_ONCE)
    assert recent.known() is before
    assert touched.take() == {"users/ada"}


def reads_of(table: str) -> Matches:
    return lambda call: call.method == "batch_get" and call.table == table


# ---- under the fence -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [False, True])
async def test_what_changed_is_enough_under_the_fence_where_everything_takes_too_long(
    twin: Venue, *, broken: bool
) -> None:
    slowly = replace(RARELY, compare=replace(RARELY.compare, read_units=1))
    world = await replace(twin, tempo=slowly).world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    async with crew.working():
        await world.reach(Phase.READY)
        assert (await known(world))["scan_ms"] > 5_000
        await world.put("users", changed(ADA, name=text("written just before")))
        await world.caught_up()
        began = await known(world)

        async def keeps_up() -> bool:
            return bool((await known(world))["verified_through_ms"] > began["verified_through_ms"])

        await world.until(keeps_up, seconds=60)
        if broken:
            crew.touched.note(str(each) for each in range(100_001))
        answer = await world.ask(crew, RequestKind.CUTOVER)
        assert answer.state is RequestState.DONE
        assert answer.answer["verified"] == ("everything" if broken else "what changed")
    calls = crew.database.calls
    fenced, over = (next(place for place, call in enumerate(calls) if journal_step(step)(call)) for step in STEPS)
    under_the_fence = [call for call in calls[fenced:over] if scans_of(world.table("users"))(call)]
    assert bool(under_the_fence) is broken, "a break in between: everything, as fast as it can be read"


async def test_a_look_under_the_fence_waits_for_what_the_targets_stream_has_not_told_of_yet(twin: Venue) -> None:
    world, crew, recent, _ = await followed(twin)
    await spoilt(world)
    now_ms = world.venue.clock.wall_ms()
    look = asyncio.create_task(recent.look(Side.SOURCE, AT_ONCE, since_ms=now_ms))
    await asyncio.sleep(5)
    assert not look.done(), "nobody has read that stream since"
    async with crew.following():
        assert await look
    assert [each.source_id for each in recent.known().mismatches] == ["users/ada"]
    assert recent.known().verified_ms >= now_ms
