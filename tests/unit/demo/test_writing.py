"""Both applications write as they claim to: the image in the journal is the one in the table, every time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

import pytest

from domain.items import Item, number, text
from domain.phases import Side
from dynamo.aws import AwsDatabase, connect
from dynamo.ports import Put
from service.demo import expectations as forms
from service.demo.checker import Checker
from service.demo.fill import VOLUMES, clear_away, contents, set_scene
from service.demo.flag import FlagReader, FlagTimes, Permission
from service.demo.journal import Journal, Name
from service.demo.legacy_app import LegacyApp
from service.demo.new_app import NewApp
from service.demo.traffic import Traffic
from service.demo.writing import ONCE, Update, Write, Writer, WritingPorts, key_of, put
from tests.unit.demo.test_expectations import USER

NAME = Name("users", "u1")


@dataclass(frozen=True, slots=True)
class Desk:
    """A filled legacy side, a target with the same content, and one writer for each."""

    database: AwsDatabase
    journal: Journal
    prefix: str

    def writer(self, side: Side, *, once: AwsDatabase) -> Writer:
        flag = FlagReader(self.database, f"{self.prefix}-ledger", times=FlagTimes(longest_request=2.0))
        return Writer(WritingPorts(once, self.database, flag, self.journal, self.prefix), side)

    async def serve(self, side: Side, epoch: int) -> None:
        flag: Item = {"PK": text("migration"), "SK": text("flag"), "serving": text(side.value)}
        item = {**flag, "writable": {"BOOL": True}, "epoch": number(epoch)}
        await self.database.write(Put(f"{self.prefix}-ledger", item))


@pytest.fixture
async def desk(local_database: str, prefix: str) -> AsyncIterator[Desk]:
    prefix = prefix.removesuffix("-")
    async with connect(endpoint_url=local_database) as database:
        key = [{"AttributeName": name, "KeyType": kind} for name, kind in (("PK", "HASH"), ("SK", "RANGE"))]
        attributes = [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")]
        shape = {"KeySchema": key, "AttributeDefinitions": attributes, "BillingMode": "PAY_PER_REQUEST"}
        for table in ("ledger", "entities", "users"):
            own = [{"AttributeName": "id", "KeyType": "HASH"}] if table == "users" else key
            names = [{"AttributeName": "id", "AttributeType": "S"}] if table == "users" else attributes
            more = {"KeySchema": own, "AttributeDefinitions": names, "TableName": f"{prefix}-{table}"}
            await database.call("CreateTable", {**shape, **more})
        yield Desk(database, Journal(), prefix)
        await clear_away(database, prefix)


async def test_what_an_update_leaves_is_what_the_journal_says(desk: Desk) -> None:
    await desk.database.write(Put(f"{desk.prefix}-users", {**USER, "profile": {"M": {"a": text("1")}}}))
    writer = desk.writer(Side.SOURCE, once=desk.database)
    update = Update({"profile.b": {"N": "0.1"}, "email": text("x")}, {"version": 2, "createdAt": 1}, ["role", "none"])
    assert await writer.change(NAME, "update", update.on)
    standing = await desk.database.get_item(f"{desk.prefix}-users", key_of(Side.SOURCE, NAME))
    assert standing == desk.journal.latest(NAME)
    assert standing is not None
    assert (standing["version"], standing["profile"]) == ({"N": "2"}, {"M": {"a": text("1"), "b": {"N": "0.1"}}})
    assert desk.journal.history(NAME)[0].before == {**USER, "profile": {"M": {"a": text("1")}}}


async def test_an_item_that_is_gone_is_not_made_again_by_an_update(desk: Desk) -> None:
    writer = desk.writer(Side.SOURCE, once=desk.database)
    assert not await writer.change(NAME, "update", Update({"name": text("x")}).on)
    assert not desk.journal.entries


async def test_two_tasks_never_write_one_item_at_a_time(desk: Desk) -> None:
    writer = desk.writer(Side.SOURCE, once=desk.database)
    done = await asyncio.gather(*(writer.create(NAME, "create", put({**USER, "n": number(n)})) for n in range(5)))
    assert sum(done) == len(desk.journal.entries)
    first, *later = desk.journal.history(NAME)
    assert first.before is None
    assert all(after.before == before.after for before, after in zip([first, *later], later, strict=False))


async def test_a_write_without_an_answer_is_looked_up_before_the_item_is_written_again(desk: Desk) -> None:
    async with connect(endpoint_url="http://127.0.0.1:9", retry=ONCE) as nowhere:
        writer = desk.writer(Side.SOURCE, once=nowhere)
        creating = asyncio.create_task(writer.create(NAME, "create", put(USER)))
        await asyncio.sleep(0.5)
        assert desk.journal.is_claimed(NAME), "in doubt: nobody may touch it"
        await desk.database.write(Put(f"{desk.prefix}-users", USER))  # it had landed after all
        assert await creating
    assert desk.journal.latest(NAME) == USER
    assert desk.journal.ambiguous == 1


class TurningFlag(FlagReader):
    """A flag that is seen closed once, right after the first permission, and open under another epoch from then on."""

    looks = 0

    async def look(self, side: Side) -> Permission | None:
        self.looks += 1
        later = asyncio.get_running_loop().time() + 5.0
        return None if self.looks == 2 else Permission(side, 1 if self.looks == 1 else 4, later, 2.0)


async def test_what_was_read_before_a_switch_is_read_again(desk: Desk) -> None:
    """A request that waited through a switch must not put back what it had read before."""
    await desk.database.write(Put(f"{desk.prefix}-users", USER))
    flag = TurningFlag(desk.database, f"{desk.prefix}-ledger")
    ports = WritingPorts(desk.database, desk.database, flag, desk.journal, desk.prefix)
    reads: list[Item] = []

    def edit(standing: Item) -> Write:
        reads.append(standing)
        return put({**standing, "reads": number(len(reads))})

    assert await Writer(ports, Side.SOURCE).change(NAME, "change", edit)
    (entry,) = desk.journal.entries
    assert (entry.epoch, entry.after) == (4, {**USER, "reads": {"N": "2"}})


async def test_the_scene_has_the_volumes_of_the_plan_and_every_trap_in_it() -> None:
    found = contents(Random(1))
    assert {table: len(items) for table, items in found.items()} == VOLUMES
    assert any(not user["name"]["S"].isascii() for user in found["users"])
    assert any(len(user["name"]["S"].split()) == 1 for user in found["users"])
    assert any("userId" not in entry for entry in found["audit"])
    assert {"status", "profile", "version", "PK", "_stamp", "expireAt"} <= {
        name for user in found["users"] for name in user
    }
    assert all(int(item["ttl"]["N"]) > 1_795_438_000 for item in found["contractors"])


@pytest.mark.parametrize("side", list(Side))
async def test_an_application_leaves_what_its_journal_says(local_database: str, prefix: str, side: Side) -> None:
    """Two hundred writes of each application at least, every table among them, alone with its side."""
    prefix, journal, random = prefix.removesuffix("-"), Journal(), Random(7)
    async with (
        connect(endpoint_url=local_database) as database,
        connect(endpoint_url=local_database, retry=ONCE) as once,
    ):
        await set_scene(database, prefix, journal, random)
        await _translate(database, prefix, journal)
        desk = Desk(database, journal, prefix)
        await desk.serve(side, 3)
        writer = desk.writer(side, once=once)
        application = LegacyApp(writer, random) if side is Side.SOURCE else NewApp(writer, random)
        traffic = Traffic(writer, application.actions(), rate=100, random=random)
        running, filled = asyncio.create_task(traffic.run()), len(journal.entries)
        async with asyncio.timeout(60):
            while not _enough(journal, filled) and not running.done():
                await asyncio.sleep(0.1)
        traffic.stop()
        await running
        report = await Checker(database, journal, prefix).check("alone", serving=side, epoch=3, follows=False)
        await clear_away(database, prefix)
    assert not report.found
    assert not journal.unexplained
    written = [entry for entry in journal.entries if entry.kind != "fill"]
    assert {entry.name.table for entry in written} == set(VOLUMES)


async def _translate(database: AwsDatabase, prefix: str, journal: Journal) -> None:
    """Make the target by the checker's own forms: the applications are looked at here, not the engines."""
    names = [{"AttributeName": name, "AttributeType": "S"} for name in ("PK", "SK")]
    key = [{"AttributeName": name, "KeyType": kind} for name, kind in (("PK", "HASH"), ("SK", "RANGE"))]
    for table in ("ledger", "entities"):
        shape = {"TableName": f"{prefix}-{table}", "KeySchema": key, "AttributeDefinitions": names}
        await database.call("CreateTable", {**shape, "BillingMode": "PAY_PER_REQUEST"})
    for name, (entry,) in journal.histories.items():
        image = entry.after or {}
        await database.write(Put(f"{prefix}-entities", forms.primary(name.table, image)))
        for item in forms.beside(image).values() if name.table == "audit" else ():
            await database.write(Put(f"{prefix}-entities", item))


def _enough(journal: Journal, filled: int) -> bool:
    """Tell whether so much is written that every table has had its share: how soon, the machine says."""
    written = journal.entries[filled:]
    return len(written) >= 200 and {entry.name.table for entry in written} == set(VOLUMES)
