"""Transactions: all or none, and a refusal says which action and what stands there."""

import asyncio

import pytest

from domain.errors import ConditionFailed, FatalError
from domain.items import Item, number, text
from domain.tables import ViewType
from dynamo.conditions import Absent, Equal, Present
from dynamo.ports import Action, Check, Delete, Put
from tests.contract.arena import N1, N2, Arena, item, key

FREE = Absent(("PK",))
THERE = Present(("PK",))


async def test_all_actions_take_place_together_over_two_tables(arena: Arena) -> None:
    one, other = await arena.table(), await arena.table()
    await arena.put(one, item("gone"), item("checked", n=N1))
    await arena.database.transact(
        [
            Put(one, item("new"), FREE),
            Put(other, item("new"), FREE),
            Delete(one, key("gone"), THERE),
            Check(one, key("checked"), Equal(("n",), N1)),
        ]
    )
    assert await arena.database.get_item(one, key("new")) == item("new")
    assert await arena.database.get_item(other, key("new")) == item("new")
    assert await arena.database.get_item(one, key("gone")) is None
    assert await arena.database.get_item(one, key("checked")) == item("checked", n=N1)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_one_refused_action_cancels_all_and_names_itself(arena: Arena, place: int) -> None:
    table = await arena.table(stream=ViewType.NEW_AND_OLD_IMAGES)
    await arena.put(table, item("there", n=N1))
    refused: list[Action] = [
        Put(table, item("there", n=N2), FREE),
        Delete(table, key("there"), Equal(("n",), N2)),
        Check(table, key("there"), FREE),
    ]
    for each in refused:
        actions: list[Action] = [Put(table, item("a")), Delete(table, key("b"))]
        actions.insert(place, each)
        with pytest.raises(ConditionFailed) as refusal:
            await arena.database.transact(actions)
        assert refusal.value.index == place
        assert refusal.value.standing == item("there", n=N1)
    assert await arena.scanned_all(table) == [item("there", n=N1)]
    assert len(await arena.changes(table, 1)) == 1


async def test_of_several_refused_actions_the_first_is_named(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("b"))
    with pytest.raises(ConditionFailed) as refusal:
        await arena.database.transact(
            [Put(table, item("x")), Check(table, key("a"), THERE), Put(table, item("b"), FREE)]
        )
    assert refusal.value.index == 1
    assert refusal.value.standing is None


async def test_100_actions_are_one_transaction(arena: Arena) -> None:
    table = await arena.table()
    await arena.database.transact([Put(table, item(f"p{each}"), FREE) for each in range(100)])
    assert len(await arena.scanned_all(table)) == 100


async def test_what_no_transaction_may_be_is_our_bug(arena: Arena) -> None:
    table = await arena.table()
    too_many = [Put(table, item(f"p{each}")) for each in range(101)]
    twice: list[Action] = [Put(table, item("p")), Delete(table, key("p"))]
    for actions in ([], too_many, twice):
        with pytest.raises(FatalError):
            await arena.database.transact(actions)
    assert await arena.scanned_all(table) == []


async def test_a_transaction_over_4_mb_is_our_bug(arena: Arena) -> None:
    table = await arena.table()
    large = [Put(table, item(f"p{each}", x=text("x" * 390_000))) for each in range(11)]
    with pytest.raises(FatalError):
        await arena.database.transact(large)


async def test_of_competing_compare_and_sets_exactly_one_wins_each_round(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("p", n=number(0)))
    won = 0
    standings: list[tuple[int, Item | None]] = []

    async def compete(worker: int, round_: int) -> None:
        nonlocal won
        claim = item("p", n=number(round_ + 1), by=number(worker))
        try:
            if worker % 2:
                await arena.database.write(Put(table, claim, Equal(("n",), number(round_))))
            else:
                await arena.database.transact([Put(table, claim, Equal(("n",), number(round_)))])
        except ConditionFailed as refusal:
            standings.append((round_, refusal.standing))
            return
        won += 1

    for round_ in range(10):
        await asyncio.gather(*(compete(worker, round_) for worker in range(6)))
    assert won == 10
    assert len(standings) == 50
    assert all(standing is not None and standing["n"] == number(round_ + 1) for round_, standing in standings)
