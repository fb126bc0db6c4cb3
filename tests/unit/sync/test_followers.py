"""One shard by itself: what of a page is kept when the leader does not last until its end (§5)."""

import asyncio
from collections.abc import Sequence

import pytest

from domain.changes import Change
from domain.errors import FencedError
from domain.items import text
from domain.phases import Phase
from ledger.hints import Bell
from sync.followers import Afterwards, Pace, ShardFollower, Surroundings
from tests.examples import ADA, changed
from tests.world import Venue

pytestmark = pytest.mark.looptime

WRITTEN, BEARABLE = 450, 300


class Weary:
    """A leader's handler that loses its lease after some changes."""

    def __init__(self) -> None:
        self.taken = 0

    async def refresh(self) -> None:
        """Nothing is kept."""

    async def take(self, changes: Sequence[Change], shard_id: str, /) -> None:
        self.taken += len(changes)
        if self.taken > BEARABLE:
            raise FencedError("the lease is over")

    async def tail(self, changes: Sequence[Change]) -> Afterwards | None:
        return None


async def test_a_leader_that_does_not_last_for_a_page_leaves_its_work_behind() -> None:
    world = await Venue.in_memory(shards=1).world("tyler-setup", "users")
    crew = await world.lead()
    state = await crew.ledger.migration.state()
    await crew.ledger.migration.move(state, Phase.BACKFILL, why="the copy has begun")
    for number in range(WRITTEN):
        await world.put("users", changed(ADA, id=text(f"user-{number}")))
    stream = await crew.ledger.streams.get("users")
    described = await crew.database.describe_stream(stream.arn)
    (shard,) = (await crew.ledger.streams.discover(stream, described)).values()
    around = Surroundings(crew.database, crew.ledger, crew.place.clock, Bell(), Pace(), asyncio.Event())
    handler = Weary()
    with pytest.raises(FencedError):
        await ShardFollower(around, stream, shard, handler).run()
    (kept,) = (await crew.ledger.streams.shards("users")).values()
    assert kept.checkpoint is not None
    follower = ShardFollower(around, stream, kept, handler)
    assert len((await follower._page()).changes) <= BEARABLE, "it goes on inside the page"
