"""What a migration leaves in the target: cleared when it was given up, stripped of its stamps when it is done."""

import asyncio

import pytest

from apply.stamping import tombstone
from domain.errors import RefusedError
from domain.items import STAMP, TargetKey, text
from domain.phases import Phase
from domain.positions import Version
from ledger.requests import RequestKind
from service.discarding import Discard
from service.session import Session
from service.settings import Settings
from service.stripping import Stripping
from service.targetwalk import Units
from tests.examples import ADA, changed
from tests.seams import SeamedDatabase
from tests.world import Venue, World, ready

pytestmark = pytest.mark.looptime
BOB = {**ADA, "id": text("bob"), "email": text("bob@example.org")}
MARK = {"PK": text("tableturn-mark:m1"), "SK": text("tableturn-mark:m1")}


def opened(world: World, database: SeamedDatabase | None = None) -> Session:
    settings = Settings.from_environment()
    return Session(settings, world.plan, database or world.database, world.ledger, world.venue.clock)


def discard(world: World) -> Discard:
    return Discard(opened(world), who="operator:1", units=Units(write=1000))


async def test_what_was_copied_goes_and_what_others_wrote_stays(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        with pytest.raises(RefusedError, match="in phase READY, only once ABORTED"):
            await discard(world).run("tyler-setup")
        await world.ask(crew, RequestKind.ABORT)
        await crew.retire()
    foreign = {"PK": text("USER#eve"), "SK": text("METADATA")}
    first, second = [item for item in (await world.standing()).values() if item["SK"] == text("METADATA")]
    await world.put_target(foreign, changed(first, note=text("mine")), MARK)
    with pytest.raises(RefusedError, match="plan's name typed"):
        await discard(world).run("tyler")
    assert await discard(world).preview() == {"ours": 1, "changed": 1, "foreign": 1, "marks": 1}
    assert await discard(world).run("tyler-setup") == {"ours": 1, "changed": 1, "foreign": 1, "marks": 1}
    assert sorted(key.pk for key in await world.standing()) == sorted(["USER#eve", first["PK"]["S"]])
    assert second["PK"] not in [item["PK"] for item in (await world.standing()).values()]
    assert await discard(world).run("tyler-setup") == {"changed": 1, "foreign": 1}


async def test_nothing_is_discarded_under_the_hands_of_a_worker(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    await world.ledger.migration.move(await world.ledger.migration.state(), Phase.ABORTED, why="a test says so")
    async with crew.following():
        with pytest.raises(RefusedError, match="another worker leads"):
            await discard(world).run("tyler-setup")


async def test_stamps_go_when_all_is_done_and_nothing_else_of_an_item_does(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, _):
        with pytest.raises(RefusedError, match="stamps stay in phase READY"):
            await Stripping(opened(world), Units()).run()
    state = await world.ledger.migration.state()
    for phase in (Phase.CUTOVER, Phase.BAKE, Phase.DONE):
        state = await world.ledger.migration.move(state, phase, why="a test says so")
    before = await world.target()
    grave = tombstone(TargetKey("USER#old", "METADATA"), {"PK": text("USER#old"), "SK": text("METADATA")},
                      "users/old", Version(1))  # fmt: skip
    door = SeamedDatabase(world.database)
    standing = {item["PK"]["S"]: item for item in (await world.standing()).values() if item["SK"] == text("METADATA")}
    ada, bob = (standing[f"USER#{each['id']['S']}"] for each in (ADA, BOB))
    written = changed({name: value for name, value in ada.items() if name != STAMP}, note=text("the application's"))
    await world.put_target(grave.item, MARK)
    seams = [door.hold(lambda call, pk=each["PK"]["S"]: call.method == "strip" and call.mentions(pk))  # type: ignore[misc]
             for each in (ada, bob)]  # fmt: skip
    stripping = asyncio.create_task(Stripping(opened(world, door), Units()).run())
    for seam in seams:
        await seam.reached.wait()
    await world.put_target(written)
    await world.delete_target(bob)
    for seam in seams:
        seam.release()
    assert await stripping == {"stamps": 2, "tombstones": 1, "marks": 1}
    del before[world.plan.target_key(bob)]
    assert await world.target() == {**before, world.plan.target_key(written): written}
    assert not [item for item in (await world.standing()).values() if STAMP in item]
    assert await Stripping(opened(world), Units()).run() == {}
