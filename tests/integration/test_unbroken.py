"""What a look may build on, attacked: worksheets gone on with, streams captured anew, breaks and looks side by side."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import FatalError
from domain.items import text
from domain.phases import Phase, Side
from dynamo.scanfile import ScanFile, ScanFileError
from ledger.hints import Touched
from ledger.requests import RequestKind, RequestState
from reconcile.manner import Manner
from reconcile.recent import Recent
from tests.crew import Crew
from tests.examples import ADA, BOB, changed
from tests.integration.test_recapture import lost, switched_on
from tests.integration.test_recent import AT_ONCE, RARELY, followed, known, reads_of, spoilt
from tests.seams import Matches
from tests.world import Venue, World

pytestmark = pytest.mark.looptime

BOB_AT = ("USER#bob", "METADATA")


async def killed_in_a_comparison(venue: Venue, folder: Path) -> tuple[World, Crew]:
    """Return a world in READY whose worker was killed when its comparison had read everything but one suspect again."""
    tempo = replace(RARELY, compare=replace(RARELY.compare, folder=folder))
    world = await replace(venue, tempo=tempo).world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    async with crew.working():
        await world.reach(Phase.READY)
    bob = await world.get_target(*BOB_AT)
    await world.delete_target(bob)
    crew.database.fail(reads_of(world.table("users")), FatalError("killed"))
    lineage = f"revision {(await world.ledger.migration.state()).revision}"
    sheet = folder / f"{world.plan.target.name}.worksheet"
    with pytest.raises(FatalError):
        await crew.engines.comparison.generation(Side.SOURCE, Manner(AT_ONCE, worksheet=sheet, lineage=lineage))
    assert sheet.exists()
    await world.put_target(bob)
    return world, crew


async def test_a_look_builds_on_no_worksheet_of_a_process_before(twin: Venue, tmp_path: Path) -> None:
    world, crew = await killed_in_a_comparison(twin, tmp_path)
    await spoilt(world)
    spoilt_ms = world.venue.clock.wall_ms()
    async with crew.following():  # told of, and looked at by nobody any more
        await world.caught_up(Side.TARGET)
    await crew.retire()
    heir = await world.lead()
    async with heir.working():
        await asyncio.sleep(30)
        found = await known(world)
    assert found["mismatches"] or found["verified_through_ms"] <= spoilt_ms, found


async def test_behind_a_stream_captured_anew_only_a_full_comparison_knows_everything(twin: Venue) -> None:
    world, crew = await verifying_rarely(twin)
    target = world.plan.target
    async with crew.working():
        await world.reach(Phase.READY)
        await world.database.disable_stream(target.name)
        await lost(world, "target")
        await spoilt(world)
        spoilt_ms = world.venue.clock.wall_ms()
        await asyncio.sleep(10)
        await switched_on(world, target)
        assert (await world.ask(crew, RequestKind.RECAPTURE, stream="target", epoch=1)).state is RequestState.DONE
        await asyncio.sleep(60)
        found = await known(world)
    assert found["mismatches"] or found["verified_through_ms"] <= spoilt_ms, found


async def verifying_rarely(venue: Venue, look: float = 5.0) -> tuple[World, Crew]:
    tempo = replace(RARELY, compare=replace(RARELY.compare, look=look))
    world = await replace(venue, tempo=tempo).world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    return world, crew


async def test_a_break_that_comes_between_leaves_no_fenced_look_unsaid(twin: Venue) -> None:
    world, crew = await verifying_rarely(twin, look=3600.0)
    async with crew.working():
        await world.reach(Phase.READY)
        await asyncio.sleep(3)
        await spoilt(world)
        await asyncio.sleep(3)
        assert not (await known(world))["mismatches"]
        request = await world.ledger.requests.ask(RequestKind.VERIFY, fenced=True, within_ms=-1)
        seam = crew.database.hold(shards_of("target"))
        crew.bell.ring()
        await seam.reached.wait()
        crew.touched.note(str(each) for each in range(100_001))
        seam.release()
        await asyncio.sleep(5)
        request = await world.ledger.requests.get(request)
    assert request.answer["mismatches"] == 1, request


def shards_of(stream: str) -> Matches:
    return lambda call: call.method == "query_page" and f"shards/{stream}/" in repr(call.asked)


async def test_one_look_does_not_speak_for_what_another_has_in_its_hands(twin: Venue) -> None:
    world, crew, recent, _ = await followed(twin)
    ground = await recent.begin()
    clean = replace(await crew.compare(), ground=ground)
    await spoilt(world)
    async with crew.following():
        await world.caught_up(Side.TARGET)
    seam = crew.database.hold(reads_of(world.table("users")))
    first = asyncio.create_task(recent.look(Side.SOURCE, AT_ONCE))
    await seam.reached.wait()
    recent.adopt(clean)
    verified = recent.known().verified_ms
    async with crew.following():
        await asyncio.sleep(5)
    second = asyncio.create_task(recent.look(Side.SOURCE, AT_ONCE))
    await asyncio.sleep(1)
    assert recent.known().mismatches or recent.known().verified_ms == verified
    seam.release()
    await asyncio.gather(first, second)
    assert [each.source_id for each in recent.known().mismatches] == ["users/ada"]


async def test_what_changes_during_the_first_full_comparison_is_looked_at_meanwhile(twin: Venue) -> None:
    """Else more changes than `Touched` holds break each comparison that takes long, and none could be built on."""
    world, crew, _, _ = await followed(twin)
    touched = Touched(most=2)
    recent = Recent(crew.engines.comparison.rechecker, crew.ledger.streams, touched, world.venue.clock)
    ground = await recent.begin()
    clean = replace(await crew.compare(), ground=ground)
    await spoilt(world)
    for name in ("ada", "bob", "carl", "dora"):
        touched.note([f"users/{name}"])
        assert not await recent.look(Side.SOURCE, AT_ONCE), "nothing is known yet"
    assert touched.take() == {"users/ada"}, "the others agree"
    touched.note(["users/ada"])
    recent.adopt(clean)
    assert await recent.look(Side.SOURCE, AT_ONCE)
    assert [each.source_id for each in recent.known().mismatches] == ["users/ada"]


async def test_a_worksheet_gone_on_with_forgets_nothing_that_is_known(twin: Venue) -> None:
    world, crew, recent, _ = await followed(twin)
    clean = replace(await crew.compare(), ground=await recent.begin())
    await spoilt(world)
    recent.adopt(replace(await crew.compare(), ground=await recent.begin()))
    await recent.begin()
    assert recent.adopt(replace(clean, resumed=True))
    assert [each.source_id for each in recent.known().mismatches] == ["users/ada"]


async def test_a_look_leaves_what_was_counted_before(twin: Venue) -> None:
    _, crew, recent, touched = await followed(twin)
    found = replace(await crew.compare(), ground=await recent.begin())
    found.verdict.expired, found.verdict.repaired = 3, 2
    recent.adopt(found)
    touched.note(["users/ada"])
    await recent.look(Side.SOURCE, AT_ONCE)
    assert (recent.known().verdict.expired, recent.known().verdict.repaired) == (3, 2)


async def test_a_scan_that_was_killed_has_taken_its_time_as_well(twin: Venue, tmp_path: Path) -> None:
    world, crew, _, _ = await followed(twin)
    manner = Manner(AT_ONCE, worksheet=tmp_path / "sheet", read_units=1)
    whole = await crew.engines.comparison.generation(Side.SOURCE, replace(manner, worksheet=None))
    crew.database.fail(reads_of(world.table("users")), FatalError("killed"))
    bob = await world.get_target(*BOB_AT)
    await world.delete_target(bob)
    with pytest.raises(FatalError):
        await crew.engines.comparison.generation(Side.SOURCE, manner)
    await world.put_target(bob)
    resumed = await crew.engines.comparison.generation(Side.SOURCE, manner)
    assert resumed.resumed
    assert not whole.resumed
    assert 0 < whole.scan_ms // 2 <= resumed.scan_ms <= resumed.duration_ms


async def test_without_room_for_a_worksheet_nothing_is_compared_and_the_streams_are_followed(
    twin: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tempo = replace(RARELY, compare=replace(RARELY.compare, folder=tmp_path, interval=5.0))
    world = await replace(twin, tempo=tempo).world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", ADA, BOB)
    async with crew.working():
        await world.reach(Phase.READY)
        with monkeypatch.context() as full:
            full.setattr(ScanFile, "run_many", no_room)
            before = await known(world)
            await asyncio.sleep(60)
            await world.put("users", changed(ADA, name=text("Ada King")))
            await world.caught_up()
            assert (await known(world))["scanned_through_ms"] <= before["scanned_through_ms"] + 5_000

        async def is_compared_again() -> bool:
            return bool((await known(world))["scanned_through_ms"] > before["scanned_through_ms"] + 60_000)

        await world.until(is_compared_again, seconds=60)


def no_room(self: ScanFile, *_: object) -> int:
    raise ScanFileError("the worksheet cannot be used: database or disk is full")
