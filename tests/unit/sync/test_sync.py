"""Discovery by itself: how soon a child, another epoch, or a vanished shard is seen (protocol §5)."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain.changes import Change
from domain.phases import Phase
from ledger.streams import StreamRow
from sync.followers import Handler, Pace, Surroundings
from sync.runner import Meaning, Sync
from tests.crew import Crew
from tests.examples import ADA
from tests.unit.sync.stage import Stage, stage
from tests.world import World

pytestmark = pytest.mark.looptime

PACE = Pace(tip=0.5, shards=20.0, idle_checkpoint=5.0)


class Following:
    """A sync of its own pace, and of which streams, in which epochs, it made a handler."""

    def __init__(self, at: Stage, pace: Pace = PACE) -> None:
        self.stopping = asyncio.Event()
        self.begun: list[tuple[str, int]] = []
        self.lost: list[str] = []
        self._at = at
        crew: Crew = at.crew
        crew.guard.extend(float("inf"))
        around = Surroundings(crew.database, crew.ledger, at.world.venue.clock, crew.bell, pace, self.stopping)
        self._sync = Sync(
            crew.database, around, Meaning(self._handler, lambda stream, _: self.lost.append(stream.name))
        )
        self._running = asyncio.create_task(self._sync.run())

    def _handler(self, stream: StreamRow) -> Handler:
        self.begun.append((stream.name, stream.epoch))
        return Deaf()

    async def stop(self) -> None:
        self.stopping.set()
        self._at.crew.bell.ring()
        async with asyncio.timeout(60):
            await self._running


class Deaf:
    """A handler that nothing means anything to."""

    async def refresh(self) -> None:
        """Nothing to read again."""

    async def take(self, changes: Sequence[Change], _shard_id: str, /) -> None:
        """Nothing to do."""

    async def tail(self, changes: Sequence[Change]) -> None:
        """Nothing to do."""


async def ended(world: World) -> dict[str, bool]:
    return {name: shard.ended for name, shard in (await world.ledger.streams.shards("users")).items()}


async def test_a_child_is_followed_as_soon_as_its_parent_has_ended() -> None:
    """Long before the list of shards would be looked at anyway."""
    at = await stage("users")
    following = Following(at)
    await asyncio.sleep(1)
    first, *_ = await at.world.ledger.streams.shards("users")
    (child,) = at.world.twin.roll_shard(at.world.table("users"), first)
    await asyncio.sleep(8)
    shards = await at.world.ledger.streams.shards("users")
    assert shards[first].ended
    assert shards[child].parent_id == first
    assert shards[child].through_ms > 0
    await following.stop()


async def test_another_epoch_is_seen_when_the_shards_are_looked_at_and_begins_at_once() -> None:
    at = await stage("users")
    following = Following(at)
    await asyncio.sleep(1)
    assert sorted(following.begun) == [("target", 1), ("users", 1)]
    stream = await at.crew.ledger.streams.get("users")
    renewal = at.crew.ledger.streams.renewal(replace(stream, epoch=2, copy_epoch=2))
    await at.crew.database.transact([renewal], guard=at.crew.guard)
    await asyncio.sleep(15)
    assert ("users", 2) not in following.begun
    await asyncio.sleep(6)
    assert ("users", 2) in following.begun
    assert set(await ended(at.world)) == {
        shard.shard_id for shard in await at.world.database.describe_stream(stream.arn)
    }
    await following.stop()


async def test_a_shard_that_vanished_before_anything_was_scanned_is_written_off() -> None:
    at = await stage("users")
    stream = await at.crew.ledger.streams.get("users")
    shards = await at.crew.ledger.streams.discover(stream, await at.world.database.describe_stream(stream.arn))
    for shard in shards:
        at.world.twin.roll_shard(at.world.table("users"), shard)
    at.world.twin.trim(at.world.table("users"), 10**30)
    following = Following(at)
    await asyncio.sleep(1)
    now = await ended(at.world)
    assert now
    assert not now.keys() & shards.keys()
    assert following.lost == []
    await following.stop()


async def test_shards_written_off_with_children_that_nobody_ever_saw_hold_nothing_up() -> None:
    """The worker was away for longer than a shard and its child live; nothing was scanned, so that is no gap (§4.1)."""
    at = await stage("users")
    table, stream = at.world.table("users"), await at.crew.ledger.streams.get("users")
    shards = await at.crew.ledger.streams.discover(stream, await at.world.database.describe_stream(stream.arn))
    for shard in shards:
        for child in at.world.twin.roll_shard(table, shard):
            at.world.twin.roll_shard(table, child)
    at.world.twin.trim(table, 10**30)
    following = Following(at)
    await asyncio.sleep(60)
    through_ms = await at.crew.ledger.streams.through_ms(stream)
    assert following.lost == []
    assert at.world.venue.clock.wall_ms() - through_ms < 10_000
    await following.stop()


async def test_a_stream_with_a_gap_is_not_read_until_another_epoch_begins_and_the_gap_is_told_once() -> None:
    at = await stage("users")
    await at.crew.enter(Phase.BACKFILL)
    following = Following(at)
    await asyncio.sleep(1)
    await at.world.database.disable_stream(at.world.table("users"))
    await asyncio.sleep(30)
    assert following.lost == ["users"]
    assert following.begun.count(("users", 1)) == 1
    at.crew.database.calls.clear()
    await at.world.put("users", ADA)
    await asyncio.sleep(5)
    arn = (await at.crew.ledger.streams.get("users")).arn
    assert not [call for call in at.crew.database.calls if call.table == arn]
    await following.stop()
