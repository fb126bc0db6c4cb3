"""The twin in bad weather: throttled, failing before or after the effect, slow, late."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from domain.errors import ConditionFailed, FencedError, ThrottledError, TransientError
from domain.guards import Attempt
from domain.items import Item, number, text
from domain.tables import KeyAttribute, TableDefinition, ViewType
from dynamo.conditions import Absent, Equal
from dynamo.memory import MemoryDatabase
from dynamo.ports import Put, ShardPlace
from dynamo.retries import RetryPolicy
from dynamo.weather import FairWeather

QUICK = RetryPolicy(attempt_timeout_s=0.05, budget_s=1, base_delay_s=0, throttled_base_delay_s=0)
TABLE = TableDefinition("t", (KeyAttribute("PK", "S"),), stream=ViewType.NEW_AND_OLD_IMAGES)
KEY: Item = {"PK": text("p")}
FREE = Absent(("PK",))


class StillClock:
    """A clock nobody needs here."""

    def monotonic(self) -> float:
        return 0

    def wall_ms(self) -> int:
        return 0


class Storm(FairWeather):
    """Does the next planned thing to each write; then the sky clears."""

    def __init__(self) -> None:
        self.ahead: list[Callable[[], Awaitable[None]]] = []
        self.behind: list[Callable[[], Awaitable[None]]] = []
        self.limit = 1000

    async def before(self, operation: str, table: str) -> None:
        if self.ahead and operation in {"PutItem", "TransactWriteItems"}:
            await self.ahead.pop(0)()

    async def after(self, operation: str, table: str) -> None:
        if self.behind and operation in {"PutItem", "TransactWriteItems"}:
            await self.behind.pop(0)()

    def shown(self, shard_id: str, available: int) -> int:
        return min(self.limit, available)


class Guard:
    """Allows so many attempts and remembers whether each was answered."""

    def __init__(self, permits: int) -> None:
        self.permits = permits
        self.answers: list[bool] = []

    def begin(self) -> Attempt:
        if not self.permits:
            raise FencedError("no lease")
        self.permits -= 1
        return Attempt(0, 60)

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        self.answers.append(answered)


def raising(error: Exception) -> Callable[[], Awaitable[None]]:
    async def strike() -> None:
        raise error

    return strike


def waiting_for(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def strike() -> None:
        await event.wait()

    return strike


@pytest.fixture
def storm() -> Storm:
    return Storm()


@pytest.fixture
async def twin(storm: Storm) -> MemoryDatabase:
    database = MemoryDatabase(StillClock(), weather=storm, retry=QUICK, random=Random(1))
    await database.create_table(TABLE)
    return database


async def test_a_throttled_write_is_tried_again_until_it_passes(twin: MemoryDatabase, storm: Storm) -> None:
    storm.ahead = [raising(ThrottledError("slow down"))] * 3
    guard = Guard(permits=10)
    await twin.write(Put("t", KEY, FREE), guard=guard)
    assert guard.answers == [True, True, True, True]


async def test_a_put_that_failed_after_its_effect_meets_itself_on_retry(twin: MemoryDatabase, storm: Storm) -> None:
    storm.behind = [raising(TransientError("500"))]
    guard = Guard(permits=10)
    with pytest.raises(ConditionFailed) as refusal:
        await twin.write(Put("t", KEY, FREE), guard=guard)
    assert refusal.value.standing == KEY
    assert guard.answers == [False, True]


async def test_a_transaction_that_failed_after_its_effect_does_not(twin: MemoryDatabase, storm: Storm) -> None:
    storm.behind = [raising(TransientError("500"))] * 2
    await twin.transact([Put("t", KEY, FREE)])
    assert await twin.get_item("t", KEY) == KEY


async def test_a_slow_write_may_land_after_its_lease_was_lost(twin: MemoryDatabase, storm: Storm) -> None:
    gate = asyncio.Event()
    storm.ahead = [waiting_for(gate)]
    guard = Guard(permits=1)
    with pytest.raises(FencedError):
        await twin.write(Put("t", KEY, FREE), guard=guard)
    assert guard.answers == [False]
    assert await twin.get_item("t", KEY) is None
    gate.set()
    await twin.settle()
    assert await twin.get_item("t", KEY) == KEY


async def test_a_cancelled_client_does_not_take_back_what_it_sent(twin: MemoryDatabase, storm: Storm) -> None:
    gate = asyncio.Event()
    storm.ahead = [waiting_for(gate)]
    task = asyncio.create_task(twin.write(Put("t", KEY)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await twin.settle()
    assert await twin.get_item("t", KEY) == KEY


async def test_trouble_that_outlasts_the_budget_is_raised(storm: Storm) -> None:
    storm.ahead = [raising(TransientError("500"))]
    database = MemoryDatabase(StillClock(), weather=storm, retry=RetryPolicy(budget_s=0))
    await database.create_table(TABLE)
    with pytest.raises(TransientError, match="gave up after"):
        await database.write(Put("t", KEY))


async def test_tasks_interleave_between_a_read_and_the_write_that_follows(twin: MemoryDatabase) -> None:
    await twin.write(Put("t", {**KEY, "n": number(0)}))

    async def increment_carelessly() -> None:
        found = await twin.get_item("t", KEY)
        assert found is not None
        await twin.write(Put("t", {**KEY, "n": number(int(found["n"]["N"]) + 1)}))

    await asyncio.gather(*(increment_carelessly() for _ in range(5)))
    assert await twin.get_item("t", KEY) == {**KEY, "n": number(1)}


async def test_conditions_and_writes_are_one_step(twin: MemoryDatabase) -> None:
    await twin.write(Put("t", {**KEY, "n": number(0)}))
    won = 0

    async def compare_and_set() -> None:
        nonlocal won
        try:
            await twin.write(Put("t", {**KEY, "n": number(1)}, Equal(("n",), number(0))))
        except ConditionFailed:
            return
        won += 1

    await asyncio.gather(*(compare_and_set() for _ in range(10)))
    assert won == 1


async def test_records_may_be_held_back_and_an_empty_page_is_not_the_tip(twin: MemoryDatabase, storm: Storm) -> None:
    found = await twin.describe_table("t")
    assert found is not None
    assert found.stream_arn is not None
    await twin.write(Put("t", KEY))
    await twin.disable_stream("t")
    storm.limit = 0
    pages = 0
    records = 0
    for shard in await twin.describe_stream(found.stream_arn):
        iterator: str | None = await twin.shard_iterator(ShardPlace(found.stream_arn, shard.shard_id))
        while iterator is not None:
            page = await twin.get_records(iterator)
            pages += 1
            records += len(page.changes)
            storm.limit = 1 if pages > 3 else 0
            iterator = page.next_iterator
    assert records == 1
    assert pages > 4
