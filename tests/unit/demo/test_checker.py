"""The checker on the twin: it reads both sides in full, and finds what stands in neither journal nor sense."""

import asyncio
from dataclasses import dataclass

import pytest

from domain.items import Item
from domain.phases import Side
from domain.tables import KeyAttribute, TableDefinition
from dynamo.memory import MemoryDatabase
from dynamo.ports import Delete, Put
from service.demo import expectations as forms
from service.demo.checker import Checker, Report
from service.demo.demands import Kind
from service.demo.fill import legacy_tables
from service.demo.journal import Entry, Journal, Name
from service.systemclock import SystemClock
from tests.unit.demo.test_expectations import AUDIT, CONFIG, USER

PREFIX = "demo-test"
EPOCH = 3
PEOPLE = Name("users", "u1")


@dataclass(frozen=True, slots=True)
class Scene:
    """Legacy tables and target, as after a cutover that went well."""

    database: MemoryDatabase
    journal: Journal
    checker: Checker

    async def check(self, *, serving: Side = Side.TARGET, follows: bool = False) -> Report:
        return await self.checker.check("test", serving=serving, epoch=EPOCH, follows=follows)

    async def put(self, item: Item, table: str = "entities") -> None:
        await self.database.write(Put(f"{PREFIX}-{table}", item))

    def write(self, name: Name, after: Item | None, *, before: Item | None = None, side: Side = Side.TARGET) -> None:
        epoch = EPOCH if side is Side.TARGET else 0
        self.journal.acknowledge(Entry(name, side, epoch, "write", before, after, seen=True, at_ms=0))


@pytest.fixture
async def scene() -> Scene:
    database, journal = MemoryDatabase(SystemClock()), Journal()
    for definition in legacy_tables(PREFIX):
        await database.create_table(definition)
    key = (KeyAttribute("PK", "S"), KeyAttribute("SK", "S"))
    await database.create_table(TableDefinition(f"{PREFIX}-entities", key))
    made = Scene(database, journal, Checker(database, journal, PREFIX))
    for table, item in (("users", USER), ("audit", AUDIT), ("config", CONFIG)):
        name = Name(table, item[forms.KEYS[table]]["S"])
        journal.acknowledge(Entry(name, Side.SOURCE, 0, "fill", None, item, seen=False, at_ms=0))
        await made.put(item, table)
        await made.put({**forms.primary(table, item), "_stamp": {"M": {}}})
    for item in forms.beside(AUDIT).values():
        await made.put(item)
    return made


def kinds(report: Report) -> list[Kind]:
    return [each.kind for each in report.found]


async def test_what_is_right_is_counted(scene: Scene) -> None:
    report = await scene.check(follows=True)
    assert not report.found
    assert (report.figures["writes"], report.figures["items"], report.figures["beside"]) == (3, 6, 1)
    assert report.figures["password_hashes"] == 2


async def test_nothing_may_stand_there_that_no_write_explains(scene: Scene) -> None:
    await scene.put({"PK": {"S": "USER#undefined"}, "SK": {"S": "AUDIT#a9"}})
    await scene.put({"PK": {"S": "tableturn-mark:1#2"}, "SK": {"S": "tableturn-mark:1#3"}})
    await scene.put({"PK": {"S": "USER#u9"}, "SK": {"S": "METADATA"}, "_stamp": {"M": {}}})
    assert sorted(kinds(await scene.check())) == [Kind.EXTRA, Kind.MARK, Kind.TOMBSTONE]


async def test_a_tombstone_is_no_fault_where_nobody_reads(scene: Scene) -> None:
    await scene.put({"PK": {"S": "USER#u9"}, "SK": {"S": "METADATA"}, "_stamp": {"M": {}}})
    assert not (await scene.check(serving=Side.TARGET)).count(Kind.LOST)
    report = await scene.checker.check("before", serving=Side.SOURCE, epoch=0)
    assert not report.found


async def test_an_item_that_is_gone_is_lost(scene: Scene) -> None:
    await scene.database.write(Delete(f"{PREFIX}-entities", {"PK": {"S": "USER#u1"}, "SK": {"S": "METADATA"}}))
    found = (await scene.check()).found
    assert [(each.kind, each.check, each.item) for each in found] == [(Kind.LOST, "state", "users/u1…")]


async def test_a_lost_write_shows_even_when_a_later_one_covered_it(scene: Scene) -> None:
    """The legacy application renamed; the new one found the former name, and wrote over it."""
    renamed, there = {**USER, "name": {"S": "Cher"}}, forms.primary("users", USER)
    scene.write(PEOPLE, renamed, before=USER, side=Side.SOURCE)
    covered = {**there, "lastSeenAt": {"S": "now"}}
    scene.write(PEOPLE, covered, before=there)
    await scene.put(covered)
    found = (await scene.check()).found
    assert [(each.kind, each.check) for each in found] == [(Kind.LOST, "chain")]
    assert "name" in found[0].attributes


async def test_somebody_elses_write_on_the_serving_side_shows(scene: Scene) -> None:
    there = forms.primary("users", USER)
    scene.write(PEOPLE, {**there, "a": {"S": "1"}}, before=there)
    scene.write(PEOPLE, {**there, "b": {"S": "1"}}, before={**there, "c": {"S": "1"}})
    await scene.put({**there, "b": {"S": "1"}})
    assert [(each.kind, each.check) for each in (await scene.check()).found] == [(Kind.WRONG, "chain")]


async def test_an_item_that_was_deleted_and_stood_there_again_shows(scene: Scene) -> None:
    there = forms.primary("users", USER)
    scene.write(PEOPLE, None, before=there)
    scene.write(PEOPLE, {**there, "version": {"N": "2"}}, before=there)
    await scene.put({**there, "version": {"N": "2"}})
    assert kinds(await scene.check()) == [Kind.RESURRECTED]


async def test_names_are_masked(scene: Scene) -> None:
    secret = "9de84713dd7283065ab7b6827ee1b39c"
    await scene.put({"PK": {"S": f"REFRESH_TOKEN#{secret}"}, "SK": {"S": "METADATA"}, "x": {"S": secret}})
    (found,) = (await scene.check()).found
    assert found.item == "refresh-tokens/9de84713…"
    assert secret not in repr(found)


async def test_a_suspect_is_looked_at_again_until_its_write_is_acknowledged(scene: Scene) -> None:
    """Under traffic a scan sees writes whose acknowledgement is still on its way."""
    there = {**forms.primary("users", USER), "version": {"N": "2"}}
    await scene.put(there)
    scene.journal.claim(PEOPLE)

    async def acknowledge() -> None:
        await asyncio.sleep(0.4)
        scene.write(PEOPLE, there, before=forms.primary("users", USER))
        scene.journal.release(PEOPLE)

    later = asyncio.create_task(acknowledge())
    assert not (await scene.check()).found
    await later
