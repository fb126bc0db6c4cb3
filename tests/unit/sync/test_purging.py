"""When a tombstone may go: its source copied, its checkpoint passed, no older write on its way (protocol §3)."""

import asyncio

import pytest

from apply.stamping import Write, stamped, tombstone
from domain.items import TargetKey
from domain.phases import Phase
from domain.positions import Version
from ledger.streams import ShardRow
from ledger.tombstones import Tombstone
from sync.purging import PurgePorts, Purger, passed
from tests.examples import ADA
from tests.unit.sync.stage import Stage, stage

pytestmark = pytest.mark.looptime

OPEN = ShardRow("users", "s1", None, epoch=1, checkpoint=7)


def stone(sequence: int = 7, shard: str | None = "s1") -> Tombstone:
    return Tombstone(
        TargetKey("USER#ada", "METADATA"), "users", "users/ada", str(Version(2, sequence)), "sum", shard, sequence
    )


@pytest.mark.parametrize(
    ("listed", "shards", "may_go"),
    [
        (stone(7), {"s1": OPEN}, True),
        (stone(8), {"s1": OPEN}, False),
        (stone(8), {"s1": ShardRow("users", "s1", None, epoch=1, checkpoint=7, ended=True)}, True),
        (stone(0), {"s1": ShardRow("users", "s1", None, epoch=1)}, False),
        (stone(8, "s2"), {"s1": OPEN}, False),
        (stone(8, None), {"s1": OPEN}, True),
    ],
    ids=["at the checkpoint", "beyond it", "shard ended", "nothing applied", "shard unknown", "a repair's"],
)
def test_a_tombstone_has_been_passed_when(listed: Tombstone, shards: dict[str, ShardRow], *, may_go: bool) -> None:
    assert passed(listed, shards, epoch=2) is may_go
    assert passed(listed, shards, epoch=3), "what is read again in a new epoch is newer"


def purger(at: Stage, stopping: asyncio.Event | None = None) -> Purger:
    crew = at.crew
    door = crew.engines.door
    ports = PurgePorts(at.world.plan, door, crew.ledger, crew.guard, crew.bell, stopping or asyncio.Event())
    return Purger(ports)


async def buried(at: Stage, name: str, *, sequence: int = 5, shard: str | None = None) -> Write:
    """List and put a tombstone of a user."""
    key = TargetKey(f"USER#{name}", "METADATA")
    write = tombstone(key, at.world.plan.key_item(key), f"users/{name}", Version(1, sequence))
    listed = Tombstone(
        key, "users", f"users/{name}", write.stamp.version, write.stamp.checksum, shard or None, sequence
    )
    await at.crew.ledger.tombstones.add(listed)
    await at.crew.engines.door.put(write)
    return write


async def copied(at: Stage) -> None:
    await at.crew.enter(Phase.BACKFILL)
    await at.crew.copy()


async def left(at: Stage) -> int:
    return len(await at.crew.ledger.tombstones.of("users"))


async def test_nothing_is_purged_before_its_source_is_copied() -> None:
    at = await stage("users")
    await buried(at, "ada")
    await purger(at).round()
    assert await left(at) == 1
    await copied(at)
    await purger(at).round()
    assert await left(at) == 0
    assert await at.world.standing() == {}


async def test_only_what_the_checkpoint_has_passed_goes() -> None:
    at = await stage("users")
    await copied(at)
    stream = await at.crew.ledger.streams.get("users")
    (first, *_) = await at.crew.ledger.streams.discover(stream, await at.world.database.describe_stream(stream.arn))
    await buried(at, "ada")
    await buried(at, "bob", shard=first)
    await purger(at).round()
    assert set(await at.world.standing()) == {TargetKey("USER#bob", "METADATA")}
    assert await left(at) == 1


async def test_what_came_to_stand_over_a_tombstone_stays_and_the_tombstone_is_struck_from_the_list() -> None:
    at = await stage("users")
    await copied(at)
    await buried(at, "ada")
    ((key, item),) = at.world.plan.translate("users", ADA).items.items()
    await at.crew.engines.door.put(stamped(key, item, "users/ada", Version(1, 9)))
    await purger(at).round()
    assert set(await at.world.target()) == {key}
    assert await left(at) == 0


async def test_a_write_that_may_still_land_is_waited_for() -> None:
    """A put of ours without an answer: for the settling time no tombstone goes."""
    at = await stage("users")
    await copied(at)
    await buried(at, "ada")
    at.crew.guard.extend(float("inf"))
    at.crew.guard.doubt()
    purging = asyncio.create_task(purger(at).round())
    await asyncio.sleep(at.crew.guard.times.settling - 1)
    assert await left(at) == 1
    await asyncio.sleep(2)
    assert await left(at) == 0
    await purging


async def test_at_most_32_tombstones_are_purged_at_a_time() -> None:
    at = await stage("users")
    await copied(at)
    for count in range(40):
        await buried(at, f"user-{count}")
    seams = [at.crew.database.hold(lambda call: call.method == "delete") for _ in range(33)]
    purging = asyncio.create_task(purger(at).round())
    await asyncio.sleep(1)
    assert [seam.reached.is_set() for seam in seams] == [True] * 32 + [False]
    for seam in seams:
        seam.release()
    await purging
    assert await left(at) == 0


async def test_purging_goes_on_every_two_seconds_or_when_the_bell_rings_until_told_to_stop() -> None:
    at = await stage("users")
    await copied(at)
    stopping = asyncio.Event()
    running = asyncio.create_task(purger(at, stopping).run())
    await asyncio.sleep(0.5)
    await buried(at, "ada")
    await asyncio.sleep(1)
    assert await left(at) == 1
    await asyncio.sleep(1)
    assert await left(at) == 0
    await buried(at, "bob")
    at.crew.bell.ring()
    await asyncio.sleep(0.1)
    assert await left(at) == 0
    stopping.set()
    at.crew.bell.ring()
    async with asyncio.timeout(1):
        await running


async def test_who_waits_for_the_last_tombstone_is_woken() -> None:
    at = await stage("users")
    await copied(at)
    await buried(at, "ada")
    waiting = asyncio.create_task(at.crew.bell.wait(1000))
    await asyncio.sleep(0)
    await purger(at).round()
    async with asyncio.timeout(1):
        await waiting
