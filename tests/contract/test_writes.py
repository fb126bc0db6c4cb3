"""Single writes: values come back as they went in, impossible items are refused, the guard is asked each time."""

from dataclasses import replace

import pytest

from domain.errors import ConditionFailed, DataError, FatalError, FencedError
from domain.guards import Attempt
from domain.items import AttributeValue, Item, number, text
from domain.tables import KeyAttribute
from dynamo.conditions import Absent, Equal
from dynamo.ports import Delete, Put, Strip
from tests.contract.arena import BY_GROUP, BY_RANK, N1, PK, Arena, item, key

LARGEST = 409_600

ROUND_TRIPS: list[AttributeValue] = [
    text(""),
    text("ünï\u0000\U0001f600"),
    {"B": "AAECAwQ="},
    {"B": ""},
    {"NULL": True},
    {"BOOL": False},
    {"L": []},
    {"M": {}},
    {"L": [{"M": {"a": {"NULL": True}}}, N1, {"L": [text("")]}]},
    {"N": "12345678901234567890123456789012345678"},
    {"N": "-0.00000000000000000000000000000000000001"},
]

NORMALISED = {
    "1.50": "1.5",
    "0010": "10",
    "1E3": "1000",
    "-0": "0",
    "0.0": "0",
    "+7": "7",
    "-1.5E-3": "-0.0015",
    "1e39": "1" + "0" * 39,
    "9.9e125": "99" + "0" * 124,
    "1e-130": "0." + "0" * 129 + "1",
    "100.": "100",
    ".5": "0.5",
}


def nested(levels: int, innermost: AttributeValue = N1) -> AttributeValue:
    """Return a list in a list in a list …, and what the innermost holds."""
    value = innermost
    for _ in range(levels):
        value = {"L": [value]}
    return value


IMPOSSIBLE: dict[str, Item] = {
    "no sort key": {"PK": text("p")},
    "sort key of another type": {"PK": text("p"), "SK": N1},
    "empty sort key": {"PK": text("p"), "SK": text("")},
    "empty hash key": {"PK": text(""), "SK": text("a")},
    "hash key too long": {"PK": text("x" * 2049), "SK": text("a")},
    "sort key too long": {"PK": text("p"), "SK": text("x" * 1025)},
    "index hash key of another type": item("p", group=N1),
    "index hash key NULL": item("p", group={"NULL": True}),
    "index hash key empty": item("p", group=text("")),
    "index sort key of another type": item("p", rank=text("1")),
    "too large": item("p", x=text("x" * LARGEST)),
    "empty string set": item("p", x={"SS": []}),
    "empty number set": item("p", x={"NS": []}),
    "string twice in a set": item("p", x={"SS": ["a", "a"]}),
    "number twice in a set": item("p", x={"NS": ["1", "1.0"]}),
    "39 digits": item("p", x={"N": "1" * 39}),
    "too great a number": item("p", x={"N": "1e126"}),
    "too small a number": item("p", x={"N": "1e-131"}),
    "no number": item("p", x={"N": "twelve"}),
    "not a finite number": item("p", x={"N": "NaN"}),
    "nested too deep": item("p", x=nested(32)),
    "nested too deep, with nothing in it": item("p", x=nested(31, {"L": []})),
    "a map nested too deep, with nothing in it": item("p", x=nested(31, {"M": {}})),
    "attribute without a name": {**key("p"), "": N1},
    "attribute without a name within a map": item("p", x={"M": {"": N1}}),
    "two types": item("p", x={"S": "a", "N": "1"}),
    "no type": item("p", x={}),
    "false NULL": item("p", x={"NULL": False}),
    "half a surrogate pair": item("p", x=text("\ud800")),
}


class Recorder:
    """A guard that allows so many attempts and writes down what it is told."""

    def __init__(self, attempts: int = 100) -> None:
        self.left = attempts
        self.begun: list[Attempt] = []
        self.ended: list[tuple[Attempt, bool]] = []

    def begin(self) -> Attempt:
        if not self.left:
            raise FencedError("no lease")
        self.left -= 1
        self.begun.append(Attempt(len(self.begun), 60.0))
        return self.begun[-1]

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        self.ended.append((attempt, answered))


async def test_values_come_back_exactly_as_they_went_in(arena: Arena) -> None:
    table = await arena.table()
    for value in ROUND_TRIPS:
        await arena.put(table, item("p", x=value))
        assert await arena.database.get_item(table, key("p")) == item("p", x=value)


async def test_sets_come_back_with_the_same_members(arena: Arena) -> None:
    table = await arena.table()
    sets = item("p", ss={"SS": ["b", "", "a"]}, ns={"NS": ["3", "1.0", "-2"]}, bs={"BS": ["Yg==", "YQ=="]})
    await arena.put(table, sets)
    found = await arena.database.get_item(table, key("p"))
    assert found is not None
    assert sorted(found["ss"]["SS"]) == ["", "a", "b"]
    assert sorted(found["ns"]["NS"]) == ["-2", "1", "3"]
    assert sorted(found["bs"]["BS"]) == ["YQ==", "Yg=="]


async def test_numbers_are_normalised_and_keep_all_38_digits(arena: Arena) -> None:
    table = await arena.table()
    for sent, kept in NORMALISED.items():
        await arena.put(table, item("p", x={"N": sent}))
        assert await arena.database.get_item(table, key("p")) == item("p", x={"N": kept})


async def test_a_number_key_is_found_however_it_is_spelt(arena: Arena) -> None:
    table = await arena.table(key=(KeyAttribute("id", "N"),))
    await arena.put(table, {"id": {"N": "1.50"}, "x": N1})
    assert await arena.database.get_item(table, {"id": {"N": "15e-1"}}) == {"id": {"N": "1.5"}, "x": N1}
    await arena.delete(table, {"id": {"N": "01.5"}})
    assert await arena.database.get_item(table, {"id": {"N": "1.5"}}) is None


async def test_a_binary_key_is_found(arena: Arena) -> None:
    table = await arena.table(key=(KeyAttribute("id", "B"),))
    await arena.put(table, {"id": {"B": "AAEC"}, "x": N1})
    assert await arena.database.get_item(table, {"id": {"B": "AAEC"}}) == {"id": {"B": "AAEC"}, "x": N1}


@pytest.mark.parametrize("fault", IMPOSSIBLE)
async def test_impossible_items_are_data_errors_and_change_nothing(arena: Arena, fault: str) -> None:
    table = await arena.table(indexes=(BY_GROUP, BY_RANK))
    with pytest.raises(DataError):
        await arena.database.write(Put(table, IMPOSSIBLE[fault]))
    with pytest.raises(DataError):
        await arena.database.transact([Put(table, item("fine")), Put(table, IMPOSSIBLE[fault])])
    assert await arena.scanned_all(table) == []


async def test_an_item_of_exactly_400_kb_fits(arena: Arena) -> None:
    table = await arena.table()
    rest = len("PK") + len("p") + len("SK") + len("a") + len("x")
    await arena.put(table, item("p", x=text("x" * (LARGEST - rest))))
    with pytest.raises(DataError):
        await arena.database.write(Put(table, item("p", x=text("x" * (LARGEST - rest + 1)))))


async def test_31_levels_of_lists_fit(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(
        table, item("p", x=nested(31)), item("q", x=nested(30, {"L": []})), item("r", x=nested(31, {"SS": ["x"]}))
    )


async def test_an_item_without_the_index_key_is_fine(arena: Arena) -> None:
    table = await arena.table(indexes=(BY_GROUP,))
    await arena.put(table, item("p"), item("q", group=text("g")))


async def test_deleting_what_is_not_there_is_fine(arena: Arena) -> None:
    table = await arena.table()
    await arena.delete(table, key("nobody"))


async def test_stripping_takes_one_attribute_and_only_on_its_condition(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("p", stamp={"M": {"ver": text("1")}}, x=N1))
    strip = Strip(table, key("p"), "stamp", Equal(("stamp",), {"M": {"ver": text("1")}}))
    await arena.database.write(strip)
    assert await arena.database.get_item(table, key("p")) == item("p", x=N1)
    with pytest.raises(ConditionFailed) as refusal:
        await arena.database.write(strip)
    assert refusal.value.standing == item("p", x=N1)
    with pytest.raises(ConditionFailed) as refusal:
        await arena.database.write(replace(strip, key=key("nobody")))
    assert refusal.value.standing is None
    assert await arena.scanned_all(table) == [item("p", x=N1)]


async def test_deleting_by_a_key_of_another_schema_is_a_data_error(arena: Arena) -> None:
    table = await arena.table()
    for wrong in ({"PK": text("p")}, item("p", x=N1), {"PK": N1, "SK": text("a")}):
        with pytest.raises(DataError):
            await arena.delete(table, wrong)


async def test_a_missing_table_is_fatal_and_named(arena: Arena) -> None:
    with pytest.raises(FatalError, match="no-such-table") as failure:
        await arena.database.write(Put("no-such-table", item("p")))
    assert failure.value.hint
    with pytest.raises(FatalError, match="no-such-table"):
        await arena.database.get_item("no-such-table", key("p"))


async def test_the_guard_is_asked_before_and_told_after_every_write(arena: Arena) -> None:
    table = await arena.table()
    guard = Recorder()
    await arena.database.write(Put(table, item("p")), guard=guard)
    with pytest.raises(ConditionFailed):
        await arena.database.write(Put(table, item("p"), Absent(("PK",))), guard=guard)
    with pytest.raises(DataError):
        await arena.database.write(Put(table, {"PK": text("p")}), guard=guard)
    await arena.database.write(Delete(table, key("p")), guard=guard)
    await arena.database.transact([Put(table, item("p"))], guard=guard)
    assert guard.ended == [(attempt, True) for attempt in guard.begun]
    assert len(guard.begun) == 5


async def test_a_guard_that_says_no_stops_the_write_before_it_is_sent(arena: Arena) -> None:
    table = await arena.table()
    guard = Recorder(attempts=0)
    with pytest.raises(FencedError):
        await arena.database.write(Put(table, item("p")), guard=guard)
    assert guard.ended == []
    assert await arena.database.get_item(table, key("p")) is None


async def test_what_the_caller_does_to_its_item_later_changes_nothing(arena: Arena) -> None:
    table = await arena.table()
    mine = item("p", m={"M": {"n": number(1)}})
    await arena.put(table, mine)
    mine["m"]["M"]["n"] = number(2)
    found = await arena.database.get_item(table, key("p"))
    assert found == item("p", m={"M": {"n": number(1)}})
    found["m"]["M"]["n"] = number(3)
    assert await arena.database.get_item(table, key("p")) == item("p", m={"M": {"n": number(1)}})


async def test_a_table_with_a_hash_key_only_works_as_well(arena: Arena) -> None:
    table = await arena.table(key=(PK,))
    await arena.put(table, {"PK": text("p"), "x": N1})
    with pytest.raises(ConditionFailed):
        await arena.database.write(Put(table, {"PK": text("p")}, Absent(("PK",))))
    await arena.delete(table, {"PK": text("p")})
    assert await arena.database.get_item(table, {"PK": text("p")}) is None
