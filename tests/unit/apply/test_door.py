"""The one door: newer wins, nobody else's item is overwritten, adoption only exactly as seen (protocol §2, §9)."""

import asyncio
from itertools import permutations

import pytest

from apply.door import Door
from apply.refusals import classify
from apply.stamping import Write, stamped, tombstone
from domain.guards import UNGUARDED
from domain.items import Item, TargetKey, number, text
from domain.outcomes import Outcome
from domain.positions import Version
from domain.stamps import Stamp
from domain.tables import KeyAttribute, TableDefinition
from dynamo.memory import MemoryDatabase
from dynamo.ports import Put
from tests.seams import Call, SeamedDatabase
from tests.world import LoopClock

TABLE = TableDefinition("target", (KeyAttribute("PK", "S"), KeyAttribute("SK", "S")))
KEY = TargetKey("USER#ada", "METADATA")
KEY_ITEM: Item = {"PK": text(KEY.pk), "SK": text(KEY.sk)}


def write(sequence: int, *, source: str = "users/ada", repair: int = 0) -> Write:
    return stamped(KEY, {**KEY_ITEM, "n": number(sequence)}, source, Version(1, sequence, repair))


def stone(sequence: int) -> Write:
    return tombstone(KEY, KEY_ITEM, "users/ada", Version(1, sequence))


class Stage:
    def __init__(self) -> None:
        self.database = SeamedDatabase(MemoryDatabase(LoopClock()))
        self.door = Door(self.database, TABLE, guard=UNGUARDED)

    async def stands(self, item: Item) -> Item:
        await self.database.write(Put(TABLE.name, item))
        return item

    async def standing(self) -> Item | None:
        return await self.database.get_item(TABLE.name, KEY_ITEM)


@pytest.fixture
async def stage() -> Stage:
    stage = Stage()
    await stage.database.create_table(TABLE)
    return stage


@pytest.mark.parametrize("order", list(permutations(range(4))))
async def test_whatever_the_order_the_highest_version_stays(stage: Stage, order: tuple[int, ...]) -> None:
    writes = [write(0), write(5), stone(7), write(7, repair=1)]
    for each in order:
        assert await stage.door.put(writes[each]) in {Outcome.APPLIED, Outcome.SUPERSEDED}
    assert await stage.standing() == writes[3].item


async def test_the_same_version_again_is_superseded_and_changes_nothing(stage: Stage) -> None:
    assert await stage.door.put(write(5)) is Outcome.APPLIED
    assert await stage.door.put(write(5)) is Outcome.SUPERSEDED


FOREIGN: list[Item] = [
    {**KEY_ITEM, "whose": text("unstamped")},
    {**write(9).item, "n": number(77)},
    {**write(3).item, "_stamp": text("no stamp at all")},
]


@pytest.mark.parametrize("item", FOREIGN)
async def test_what_somebody_else_wrote_is_foreign_and_stays(stage: Stage, item: Item) -> None:
    await stage.stands(item)
    assert await stage.door.put(write(5)) is Outcome.FOREIGN
    assert await stage.standing() == item


async def test_another_source_id_collides_whatever_the_versions(stage: Stage) -> None:
    other = await stage.stands(write(1, source="users/bob").item)
    assert await stage.door.put(write(9)) is Outcome.COLLISION
    assert await stage.door.put(write(9), adopts=True) is Outcome.COLLISION
    assert await stage.standing() == other


def test_a_refused_put_is_classed_by_what_stands_there() -> None:
    ours = write(5).stamp
    assert classify(write(5).item, ours) is Outcome.SUPERSEDED
    assert classify(stone(9).item, ours) is Outcome.SUPERSEDED
    assert classify(write(9, source="users/bob").item, ours) is Outcome.COLLISION
    for item in FOREIGN:
        assert classify(item, ours) is Outcome.FOREIGN


LEFT: list[Item] = [
    {**KEY_ITEM, "whose": text("put without a stamp")},
    {**write(3).item, "n": number(77)},
    {**write(9, source="users/bob").item, "n": number(8)},
]
"""Put without our stamp; updated under an older stamp; a copy of another item that carries a newer stamp along."""


@pytest.mark.parametrize("item", LEFT)
async def test_after_a_rollback_what_the_application_left_is_adopted(stage: Stage, item: Item) -> None:
    await stage.stands(item)
    assert await stage.door.put(write(5), adopts=True) is Outcome.APPLIED
    assert await stage.standing() == write(5).item


async def test_our_own_stamp_at_a_newer_version_over_other_content_is_not_adopted(stage: Stage) -> None:
    newer = await stage.stands({**write(9).item, "n": number(77)})
    assert await stage.door.put(write(5), adopts=True) is Outcome.FOREIGN
    assert await stage.standing() == newer


async def test_an_item_that_changes_between_refusal_and_adoption_is_looked_at_again(stage: Stage) -> None:
    """Adoption is two steps; what came in between is newer, and wins."""
    await stage.stands(LEFT[0])
    adoption = stage.database.hold(is_adoption)
    putting = asyncio.create_task(stage.door.put(write(5), adopts=True))
    await adoption.reached.wait()
    await stage.stands(write(7).item)
    adoption.release()
    assert await putting is Outcome.SUPERSEDED
    assert await stage.standing() == write(7).item


def is_adoption(call: Call) -> bool:
    return call.method == "put" and "whose" in repr(call.asked.condition)


async def test_a_repair_is_put_over_exactly_what_was_seen(stage: Stage) -> None:
    seen = await stage.stands(write(5).item)
    assert await stage.door.put_over(write(5, repair=1), {**seen, "n": number(6)}) is Outcome.SUPERSEDED
    assert await stage.door.put_over(write(5, repair=1), None) is Outcome.SUPERSEDED
    assert await stage.door.put_over(write(5, repair=1), seen) is Outcome.APPLIED
    assert await stage.door.put_over(write(5, repair=2), seen) is Outcome.SUPERSEDED


async def test_a_repair_of_nothing_needs_nothing_there(stage: Stage) -> None:
    assert await stage.door.put_over(write(0, repair=1), None) is Outcome.APPLIED


async def test_only_the_very_same_tombstone_is_purged(stage: Stage) -> None:
    await stage.door.put(stone(5))
    assert not await stage.door.purge(KEY_ITEM, stone(4).stamp)
    await stage.door.put(write(6))
    assert not await stage.door.purge(KEY_ITEM, stone(5).stamp)
    await stage.door.put(stone(7))
    assert await stage.door.purge(KEY_ITEM, stone(7).stamp)
    assert await stage.standing() is None
    assert not await stage.door.purge(KEY_ITEM, stone(7).stamp)


async def test_a_tombstone_put_back_by_hand_without_dead_is_not_purged(stage: Stage) -> None:
    stamp = Stamp.of(stone(5).item)
    assert stamp is not None
    await stage.stands(write(5).item)
    assert not await stage.door.purge(KEY_ITEM, stamp)
