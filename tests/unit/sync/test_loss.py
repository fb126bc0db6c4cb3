"""When lost records are a gap, what is said of it, and that it is said once (protocol §4.1, §5)."""

import asyncio
from dataclasses import replace

import pytest

from domain.phases import Phase
from ledger.streams import ShardRow
from sync.loss import copy_has_begun, told
from tests.crew import Crew
from tests.world import Venue, World

FIRST = ShardRow("users", "s1", None, epoch=1, through_ms=1_795_438_000_999)
LATER = replace(FIRST, shard_id="s2", through_ms=1_795_438_060_000)


@pytest.mark.parametrize(
    ("shards", "since"),
    [
        ([FIRST, LATER], "2026-11-23T12:46:40+00:00"),
        ([replace(LATER, parent_id="s1"), replace(FIRST, ended=True)], "2026-11-23T12:47:40+00:00"),
        ([replace(LATER, parent_id="s1"), FIRST], "2026-11-23T12:46:40+00:00"),
        ([replace(LATER, ended=True), replace(FIRST, ended=True)], "2026-11-23T12:46:40+00:00"),
        ([LATER, replace(FIRST, through_ms=0)], "the start"),
        ([], "the start"),
    ],
)
def test_a_gap_is_told_with_the_time_since_which_changes_may_be_missing(shards: list[ShardRow], since: str) -> None:
    """The earliest of the shards that no child goes on with; in UTC, to the second."""
    assert told("the shard was trimmed", shards) == f"the shard was trimmed; changes since {since} may be missing"


async def scene() -> tuple[World, Crew]:
    world = await Venue.in_memory().world("tyler-setup", "users")
    return world, await world.lead()


@pytest.mark.looptime
async def test_the_copy_has_begun_in_every_phase_after_capture_and_once_there_are_segments_in_capture_too() -> None:
    world, crew = await scene()
    users, target = await crew.ledger.streams.get("users"), await crew.ledger.streams.get("target")
    assert not await copy_has_begun(world.ledger, users)
    await crew.enter(Phase.BACKFILL)
    assert await copy_has_begun(world.ledger, users)
    assert await copy_has_begun(world.ledger, target)
    await crew.copy()
    await crew.enter(Phase.CAPTURE)
    assert await copy_has_begun(world.ledger, users)
    assert not await copy_has_begun(world.ledger, target), "nothing is ever copied from it before the switch"


@pytest.mark.looptime
async def test_a_gap_is_in_the_history_with_stream_epoch_and_loss_and_told_once() -> None:
    world, crew = await scene()
    async with crew.following():
        await asyncio.sleep(15)
        await crew.enter(Phase.BACKFILL)
        await world.database.disable_stream(world.table("users"))

        async def stands_still() -> bool:
            return bool((await world.ledger.streams.get("users")).gap)

        await world.until(stands_still)
        lost = (await world.ledger.streams.get("users")).gap
        events = [each for each in await world.ledger.history.all() if each["event"] == "gap"]
        assert [(each["stream"], each["epoch"], each["lost"]) for each in events] == [("users", 1, lost)]
        assert crew.gaps == ["users"]
    assert lost.startswith(
        f"the stream of {world.table('users')} was switched off, or replaced by another one; changes"
    )
    assert "the start" not in lost
