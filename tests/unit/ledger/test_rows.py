"""Rows of the ledger: compare-and-set, the fence, and answers that got lost (protocol §6)."""

import asyncio

import pytest

from domain.errors import ConditionFailed, FencedError, TransientError
from dynamo.memory import MemoryDatabase
from dynamo.weather import FairWeather
from ledger.addresses import address
from ledger.book import ledger_table
from ledger.rows import Rows
from tests.world import LoopClock


class LostAnswers(FairWeather):
    """Lets so many writes take place and loses their answers."""

    def __init__(self) -> None:
        self.left = 0

    async def after(self, operation: str, table: str) -> None:
        if self.left and operation in {"PutItem", "DeleteItem", "TransactWriteItems"}:
            self.left -= 1
            raise TransientError("the answer was lost")


class Stage:
    def __init__(self) -> None:
        self.weather = LostAnswers()
        self.database = MemoryDatabase(LoopClock(), weather=self.weather)
        self.operator = Rows(self.database, "ledger")

    def leader(self, epoch: int) -> Rows:
        return Rows(self.database, "ledger", fence=epoch)


@pytest.fixture
async def stage() -> Stage:
    stage = Stage()
    await stage.database.create_table(ledger_table("ledger"))
    return stage


async def test_fields_come_back_as_they_were_put(stage: Stage) -> None:
    fields = {"a": 1, "b": "x", "c": None, "d": True, "e": [1, "2", None], "f": {"g": {"h": -5}}, "i": [], "j": {}}
    row = await stage.operator.put("p", "n", fields, revision=0)
    found = await stage.operator.get("p", "n")
    assert found == row
    assert found.fields == fields
    assert found.revision == 1


async def test_floats_are_refused(stage: Stage) -> None:
    with pytest.raises(TypeError, match="float"):
        await stage.operator.put("p", "n", {"a": 0.5}, revision=0)


async def test_a_write_on_an_older_revision_is_refused_and_changes_nothing(stage: Stage) -> None:
    await stage.operator.put("p", "n", {"a": 1}, revision=0)
    row = await stage.operator.put("p", "n", {"a": 2}, revision=1)
    for revision in (0, 1):
        with pytest.raises(ConditionFailed):
            await stage.operator.put("p", "n", {"a": 3}, revision=revision)
    assert await stage.operator.get("p", "n") == row


async def test_a_smaller_lease_epoch_never_writes_after_a_greater_one(stage: Stage) -> None:
    old, new = stage.leader(1), stage.leader(2)
    await old.put("p", "n", {"by": 1}, revision=0)
    row = await new.put("p", "n", {"by": 2}, revision=1)
    with pytest.raises(FencedError):
        await old.put("p", "n", {"by": 1}, revision=2)
    with pytest.raises(FencedError):
        await old.update("p", "n", lambda fields: {"by": 1})
    with pytest.raises(FencedError):
        await old.transact([old.put_action("p", "n", {"by": 1}, revision=2)])
    assert not await old.delete(row)
    assert await new.get("p", "n") == row


async def test_the_operator_keeps_a_rows_fence(stage: Stage) -> None:
    """Else a fenced worker could write again what an operator has touched since."""
    await stage.leader(2).put("p", "n", {"by": 2}, revision=0)
    await stage.operator.update("p", "n", lambda fields: {"by": "operator"})
    with pytest.raises(FencedError):
        await stage.leader(1).update("p", "n", lambda fields: {"by": 1})


async def test_an_update_meets_every_other_one(stage: Stage) -> None:
    async def add() -> None:
        await stage.operator.update("p", "n", lambda fields: {"count": fields["count"] + 1 if fields else 1})

    await asyncio.gather(*(add() for _ in range(8)))
    found = await stage.operator.get("p", "n")
    assert found is not None
    assert (found.fields, found.revision) == ({"count": 8}, 8)


async def test_an_update_to_nothing_leaves_the_row(stage: Stage) -> None:
    assert await stage.operator.update("p", "n", lambda _: None) is None
    row = await stage.operator.put("p", "n", {"a": 1}, revision=0)
    assert await stage.operator.update("p", "n", lambda _: None) == row


@pytest.mark.looptime
async def test_a_put_whose_answer_was_lost_is_recognised_as_our_own(stage: Stage) -> None:
    stage.weather.left = 1
    row = await stage.leader(1).put("p", "n", {"a": 1}, revision=0)
    assert await stage.operator.get("p", "n") == row
    stage.weather.left = 1
    assert await stage.leader(1).delete(row) is False, "it met its own success, and cannot know"
    assert await stage.operator.get("p", "n") is None


@pytest.mark.looptime
async def test_another_write_at_the_same_revision_is_not_taken_for_our_own(stage: Stage) -> None:
    await stage.operator.put("p", "n", {"a": 1}, revision=0)
    with pytest.raises(ConditionFailed):
        await stage.operator.put("p", "n", {"a": 2}, revision=0)


@pytest.mark.looptime
async def test_a_transaction_whose_answer_was_lost_takes_place_once(stage: Stage) -> None:
    rows = stage.leader(1)
    stage.weather.left = 1
    await rows.transact([rows.put_action("p", name, {"a": 1}, revision=0) for name in ("m", "n")])
    assert [row.revision for row in await rows.all("p")] == [1, 1]


async def test_a_transaction_is_all_or_none(stage: Stage) -> None:
    rows = stage.leader(1)
    await rows.put("p", "n", {"a": 1}, revision=0)
    with pytest.raises(ConditionFailed):
        await rows.transact([rows.put_action("p", "m", {}, revision=0), rows.put_action("p", "n", {}, revision=0)])
    assert [row.name for row in await rows.all("p")] == ["n"]


async def test_rows_of_a_partition_come_in_order_whatever_their_number(stage: Stage) -> None:
    bulk = "x" * 50_000
    for number in range(45):
        await stage.operator.put("p", f"{number:03}", {"bulk": bulk}, revision=0)
    assert [row.name for row in await stage.operator.all("p")] == [f"{number:03}" for number in range(45)]
    assert [row.name for row in await stage.operator.all("p", "00")] == [f"00{number}" for number in range(10)]


def test_long_names_get_addresses_that_fit_and_differ() -> None:
    long = "users/" + "é" * 900
    assert address("users/ada") == "users/ada"
    assert len(address(long).encode()) < 250
    assert address(long) == address(long) != address(long + "x")
