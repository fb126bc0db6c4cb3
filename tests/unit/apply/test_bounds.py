"""What the doors keep to at the edge: the lease, the length of an expression, equal versions (protocol §2, §6)."""

import asyncio

import pytest

from apply.door import Door
from apply.returns import ReturnDoor
from apply.stamping import Write, stamped, tombstone
from domain.errors import ConditionFailed, FencedError, TransientError
from domain.guards import UNGUARDED, Attempt, WriteGuard
from domain.items import Item, TargetKey, number, text
from domain.outcomes import Outcome
from domain.positions import Version
from domain.tables import KeyAttribute, TableDefinition
from dynamo.conditions import AllOf
from dynamo.expressions import condition_parameters
from dynamo.memory import MemoryDatabase
from dynamo.ports import Items, Put, Single
from tests.seams import SeamedDatabase
from tests.world import LoopClock

TABLE = TableDefinition("target", (KeyAttribute("PK", "S"), KeyAttribute("SK", "S")))
KEY = TargetKey("USER#ada", "METADATA")
KEY_ITEM: Item = {"PK": text(KEY.pk), "SK": text(KEY.sk)}
OPERATORS = 300
"""DynamoDB refuses an expression with more."""


class Fenced:
    """The guard of a worker whose lease is over."""

    def begin(self) -> Attempt:
        raise FencedError("another worker leads")

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        """Nothing was begun."""


def write(sequence: int, **attributes: str) -> Write:
    item = {**KEY_ITEM, **{name: text(value) for name, value in attributes.items()}}
    return stamped(KEY, item, "users/ada", Version(1, sequence))


def foreign(attributes: int) -> Item:
    """Return an item of so many attributes that the new application left, without a stamp."""
    return {**KEY_ITEM, **{f"a{count:03}": number(count) for count in range(attributes - len(KEY_ITEM))}}


async def database_with(*items: Item) -> SeamedDatabase:
    database = SeamedDatabase(MemoryDatabase(LoopClock()))
    await database.create_table(TABLE)
    for item in items:
        await database.write(Put(TABLE.name, item))
    return database


def door(database: Items) -> Door:
    return Door(database, TABLE, guard=UNGUARDED)


async def test_a_fenced_worker_neither_puts_nor_purges() -> None:
    stone = tombstone(KEY, KEY_ITEM, "users/ada", Version(1, 5))
    database = await database_with(stone.item)
    fenced = Door(database, TABLE, guard=Fenced())
    with pytest.raises(FencedError):
        await fenced.put(write(6))
    with pytest.raises(FencedError):
        await fenced.put_over(write(6), stone.item)
    with pytest.raises(FencedError):
        await fenced.purge(KEY_ITEM, stone.stamp)
    assert await database.get_item(TABLE.name, KEY_ITEM) == stone.item


@pytest.mark.parametrize("item", [None, {**KEY_ITEM, "n": number(1)}])
async def test_a_fenced_worker_writes_nothing_back(item: Item | None) -> None:
    database = await database_with({**KEY_ITEM, "n": number(7)})
    row = Put(TABLE.name, {**KEY_ITEM, "SK": text("VERSION")})
    with pytest.raises(FencedError):
        await ReturnDoor(database, guard=Fenced()).write(TABLE.name, KEY_ITEM, item, version_row=row)
    assert await database.get_item(TABLE.name, KEY_ITEM) == {**KEY_ITEM, "n": number(7)}


@pytest.mark.parametrize("attributes", [2, 99, 100])
async def test_what_is_adopted_is_compared_whole(attributes: int) -> None:
    standing = foreign(attributes)
    condition = door(await database_with()).exactly(standing)
    assert isinstance(condition, AllOf)
    assert len(condition.parts) == attributes + 1


@pytest.mark.parametrize("attributes", [100, 101, 400])
async def test_no_condition_is_longer_than_an_expression_may_be(attributes: int) -> None:
    """Beyond it an item is known by its key and its stamp."""
    condition = door(await database_with()).exactly(foreign(attributes))
    expression = condition_parameters(condition)["ConditionExpression"]
    assert sum(expression.count(operator) for operator in (" = ", " AND ", "attribute_")) <= OPERATORS
    assert await adopted(foreign(attributes))


async def adopted(standing: Item) -> bool:
    database = await database_with(standing)
    return await door(database).put(write(5), adopts=True) is Outcome.APPLIED


async def test_other_content_under_a_stamp_as_new_as_ours_is_not_adopted() -> None:
    """A stray changed what we wrote, stamp left as it was: its change is newer than ours, and stays."""
    standing = {**write(5).item, "n": number(77)}
    assert not await adopted(standing)


class Restless(MemoryDatabase):
    """A target key that the new application changes just before each of the next writes."""

    def __init__(self, changes: int) -> None:
        super().__init__(LoopClock())
        self._changes = changes

    async def write(self, action: Single, *, guard: WriteGuard = UNGUARDED) -> None:
        if self._changes:
            self._changes -= 1
            await super().write(Put(TABLE.name, foreign(3 + self._changes)))
        await super().write(action, guard=guard)


async def adopted_after(changes: int) -> Outcome:
    database = Restless(changes)
    await database.create_table(TABLE)
    return await door(database).put(write(5), adopts=True)


async def test_a_key_that_keeps_changing_is_tried_ten_times_and_then_reported() -> None:
    assert await adopted_after(9) is Outcome.APPLIED
    with pytest.raises(TransientError, match="target keeps changing"):
        await adopted_after(10)


async def test_a_key_that_was_freed_meanwhile_is_put_all_the_same() -> None:
    """A database may refuse and have nothing to show for it: the item is gone by then."""
    database = await database_with()
    database.fail(lambda call: call.method == "put", ConditionFailed("refused"))
    assert await door(database).put(write(5)) is Outcome.APPLIED


async def test_a_change_that_meets_a_repair_on_its_way_to_adopt_is_not_superseded_by_it() -> None:
    """Refused as foreign, then again because a repair of an older image was quicker: the change is the newer one."""
    left = foreign(4)
    database = await database_with(left)
    second = database.hold(lambda call: call.method == "put" and call.mentions("a000"))
    putting = asyncio.create_task(door(database).put(write(7, name="newest"), adopts=True))
    await second.reached.wait()
    repaired = stamped(KEY, {**KEY_ITEM, "name": text("older")}, "users/ada", Version(1).repaired())
    assert await door(database).put_over(repaired, left) is Outcome.APPLIED
    second.release()
    assert await putting is Outcome.APPLIED
    standing = await database.get_item(TABLE.name, KEY_ITEM)
    assert standing is not None
    assert standing["name"] == text("newest")
