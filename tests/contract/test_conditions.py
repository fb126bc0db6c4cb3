"""Conditions mean the same on every database, and a refused write brings what stands there."""

from typing import Any

import pytest

from domain.errors import ConditionFailed, FatalError
from domain.items import Item, number, text
from dynamo.conditions import Absent, AllOf, AnyOf, Condition, Equal, Less, Present
from dynamo.ports import Delete, Put
from tests.contract.arena import N1, Arena, item, key

STANDING: Item = item(
    "p",
    n=number(10),
    s=text("m"),
    b={"B": "gICA"},
    ss={"SS": ["a", "b"]},
    ns={"NS": ["1", "2.50"]},
    m={"M": {"deep": {"M": {"n": number(5)}}, "plain": text("x")}},
    l={"L": [N1, text("y")]},
    null={"NULL": True},
    flag={"BOOL": True},
    empty={"S": ""},
)

HOLDS: list[Condition] = [
    Present(("PK",)),
    Present(("null",)),
    Present(("m", "deep", "n")),
    Absent(("other",)),
    Absent(("m", "other", "n")),
    Absent(("s", "deep")),
    Equal(("n",), number(10)),
    Equal(("n",), {"N": "10.0"}),
    Equal(("n",), {"N": "1e1"}),
    Equal(("empty",), text("")),
    Equal(("flag",), {"BOOL": True}),
    Equal(("null",), {"NULL": True}),
    Equal(("ss",), {"SS": ["b", "a"]}),
    Equal(("ns",), {"NS": ["2.5", "1"]}),
    Equal(("m",), {"M": {"plain": text("x"), "deep": {"M": {"n": {"N": "5.0"}}}}}),
    Equal(("l",), {"L": [N1, text("y")]}),
    Equal(("m", "deep", "n"), number(5)),
    Equal(("b",), {"B": "gICA"}),
    Less(("n",), number(11)),
    Less(("n",), {"N": "10.5"}),
    Less(("s",), text("n")),
    Less(("s",), text("ma")),
    Less(("s",), text("é")),
    Less(("b",), {"B": "gIGA"}),
    Less(("m", "deep", "n"), number(6)),
    AllOf((Present(("s",)), Less(("n",), number(11)))),
    AnyOf((Absent(("s",)), Less(("n",), number(11)))),
    AnyOf((Absent(("PK",)), AllOf((Equal(("s",), text("m")), Less(("n",), number(11)))))),
]

FAILS: list[Condition] = [
    Absent(("PK",)),
    Absent(("m", "deep", "n")),
    Present(("other",)),
    Present(("m", "other")),
    Present(("s", "deep")),
    Equal(("other",), number(1)),
    Equal(("n",), text("10")),
    Equal(("ss",), {"SS": ["a"]}),
    Equal(("ss",), {"L": [text("a"), text("b")]}),
    Equal(("l",), {"L": [text("y"), N1]}),
    Equal(("m",), {"M": {"plain": text("x")}}),
    Less(("n",), number(10)),
    Less(("n",), number(9)),
    Less(("n",), text("11")),
    Less(("s",), text("m")),
    Less(("s",), text("Z")),
    Less(("other",), number(1)),
    Less(("ss",), text("z")),
    AllOf((Present(("s",)), Absent(("n",)))),
    AnyOf((Absent(("s",)), Absent(("n",)))),
]


@pytest.mark.parametrize("write", [Put, Delete])
async def test_conditions_that_hold_let_the_write_pass(arena: Arena, write: Any) -> None:
    table = await arena.table()
    for condition in HOLDS:
        await arena.put(table, STANDING)
        subject = STANDING if write is Put else key("p")
        await arena.database.write(write(table, subject, condition))


async def test_conditions_that_fail_refuse_it_and_bring_the_standing_item(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, STANDING)
    standing = await arena.database.get_item(table, key("p"))
    assert standing is not None
    for condition in FAILS:
        for action in (Put(table, item("p", n=N1), condition), Delete(table, key("p"), condition)):
            with pytest.raises(ConditionFailed) as refusal:
                await arena.database.write(action)
            assert refusal.value.standing == standing, condition
    assert await arena.database.get_item(table, key("p")) == standing


async def test_a_refusal_where_nothing_stands_brings_nothing(arena: Arena) -> None:
    table = await arena.table()
    for condition in (Present(("PK",)), Equal(("n",), N1), Less(("n",), N1)):
        with pytest.raises(ConditionFailed) as refusal:
            await arena.database.write(Put(table, item("p"), condition))
        assert refusal.value.standing is None
    assert await arena.database.get_item(table, key("p")) is None


async def test_names_that_are_reserved_or_hold_dots_and_hashes_are_only_names(arena: Arena) -> None:
    table = await arena.table()
    hostile = {"size": N1, "a.b": N1, "#n0": N1, ":v0": N1, "with space": N1, "attribute_exists": N1}
    await arena.put(table, {**key("p"), **hostile})
    for name in hostile:
        await arena.database.write(Put(table, {**key("p"), **hostile}, Equal((name,), N1)))
        with pytest.raises(ConditionFailed):
            await arena.database.write(Put(table, item("p"), Absent((name,))))


async def test_the_door_of_the_protocol_lets_the_newer_pass_and_nobody_else(arena: Arena) -> None:
    """The condition of protocol §2, as `apply` writes it."""
    table = await arena.table()

    def stamped(source: str, version: str) -> Item:
        return item("p", _stamp={"M": {"src": text(source), "ver": text(version)}})

    def door(source: str, version: str) -> Condition:
        same = Equal(("_stamp", "src"), text(source))
        return AnyOf((Absent(("PK",)), AllOf((same, Less(("_stamp", "ver"), text(version))))))

    async def put(source: str, version: str) -> None:
        await arena.database.write(Put(table, stamped(source, version), door(source, version)))

    await put("users/1", "2")
    await put("users/1", "3")
    for source, version in (("users/1", "3"), ("users/1", "2"), ("users/2", "4")):
        with pytest.raises(ConditionFailed) as refusal:
            await put(source, version)
        assert refusal.value.standing == stamped("users/1", "3")


async def test_less_than_a_value_without_order_is_our_bug(arena: Arena) -> None:
    table = await arena.table()
    with pytest.raises(FatalError):
        await arena.database.write(Put(table, item("p"), Less(("n",), {"BOOL": True})))
