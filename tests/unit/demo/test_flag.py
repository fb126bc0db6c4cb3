"""The flag's reader: a write that began under an open flag never lands behind the fence; while closed, writes wait."""

import asyncio
from dataclasses import dataclass
from random import Random

import pytest

from domain.errors import TransientError
from domain.items import Item
from domain.phases import Side
from domain.tables import KeyAttribute, TableDefinition
from dynamo.memory import MemoryDatabase
from dynamo.ports import Put
from service.demo.flag import FlagReader, FlagTimes
from service.systemclock import SystemClock

LEDGER = "demo-ledger"
TIMES = FlagTimes(staleness=0.25, longest_request=0.4, poll=0.05, max_wait=5.0)
pytestmark = pytest.mark.looptime


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass(slots=True)
class Switchboard:
    """The worker's part of it: writes the flag."""

    database: MemoryDatabase
    epoch: int = 0

    async def set(self, serving: Side, *, writable: bool) -> None:
        self.epoch += 1
        item: Item = {"PK": {"S": "migration"}, "SK": {"S": "flag"}, "serving": {"S": serving.value}}
        item |= {"writable": {"BOOL": writable}, "epoch": {"N": str(self.epoch)}}
        await self.database.write(Put(LEDGER, item))


@pytest.fixture
async def board() -> Switchboard:
    database = MemoryDatabase(SystemClock())
    await database.create_table(TableDefinition(LEDGER, (KeyAttribute("PK", "S"), KeyAttribute("SK", "S"))))
    return Switchboard(database)


async def test_without_a_flag_the_legacy_side_serves(board: Switchboard) -> None:
    reader = FlagReader(board.database, LEDGER, times=TIMES)
    assert (await reader.permission(Side.SOURCE)).epoch == 0
    assert await reader.look(Side.TARGET) is None
    nowhere = FlagReader(board.database, "no-such-table", times=TIMES)
    assert await nowhere.look(Side.SOURCE) is not None


async def test_a_view_is_believed_for_its_staleness_and_no_longer(board: Switchboard) -> None:
    await board.set(Side.SOURCE, writable=True)
    reader = FlagReader(board.database, LEDGER, times=TIMES)
    first = await reader.permission(Side.SOURCE)
    await board.set(Side.SOURCE, writable=False)
    assert await reader.look(Side.SOURCE) == first, "within the bound the old view counts"
    await asyncio.sleep(TIMES.staleness)
    assert await reader.look(Side.SOURCE) is None


async def test_a_write_has_the_longest_request_or_what_is_left_of_the_view(board: Switchboard) -> None:
    await board.set(Side.SOURCE, writable=True)
    permission = await FlagReader(board.database, LEDGER, times=TIMES).permission(Side.SOURCE)
    read = permission.deadline - TIMES.staleness - TIMES.longest_request
    assert permission.time_out(read) == read + TIMES.longest_request
    assert permission.time_out(read + TIMES.staleness + 0.1) == permission.deadline


async def test_while_closed_writes_wait_and_then_go_on(board: Switchboard) -> None:
    await board.set(Side.SOURCE, writable=False)
    reader = FlagReader(board.database, LEDGER, times=TIMES)
    waiting = asyncio.create_task(reader.permission(Side.SOURCE))
    await asyncio.sleep(2.0)
    assert not waiting.done()
    await board.set(Side.SOURCE, writable=True)
    await asyncio.sleep(2 * TIMES.poll)
    assert waiting.done()
    assert waiting.result().epoch == 2


async def test_waiting_ends(board: Switchboard) -> None:
    await board.set(Side.TARGET, writable=True)
    reader = FlagReader(board.database, LEDGER, times=TIMES)
    began = now()
    with pytest.raises(TransientError, match="source side"):
        await reader.permission(Side.SOURCE)
    assert now() - began == pytest.approx(TIMES.max_wait, abs=0.2)


@pytest.mark.parametrize("seed", range(40))
async def test_no_write_lands_behind_the_fence(board: Switchboard, seed: int) -> None:
    """Forty schedules: requests take any time up to their time-out, fences come at any moment."""
    assert not await landed_behind(board, Random(seed), wait=TIMES.staleness + TIMES.longest_request)


async def test_with_a_shorter_wait_some_would(board: Switchboard) -> None:
    """The test above can fail: neither summand of the wait may be left out."""
    for wait in (TIMES.staleness, TIMES.longest_request):
        assert any([await landed_behind(board, Random(seed), wait=wait) for seed in range(4)])


async def landed_behind(board: Switchboard, random: Random, *, wait: float) -> list[float]:
    """Run five tasks of an application against six fences; return the writes that ended while one held."""
    landed: list[float] = []
    await board.set(Side.SOURCE, writable=True)
    reader = FlagReader(board.database, LEDGER, times=TIMES)

    async def application() -> None:
        while True:
            permission = await reader.permission(Side.SOURCE)
            await asyncio.sleep(random.choice([0.0, random.uniform(0, 0.3)]))
            if permission.deadline > now():
                end = min(now() + random.uniform(0, 0.6), permission.time_out(now()))
                await asyncio.sleep(end - now())
                landed.append(now())

    applications = [asyncio.create_task(application()) for _ in range(5)]
    closed: list[tuple[float, float]] = []
    for _ in range(6):
        await asyncio.sleep(random.uniform(0.1, 2.0))
        await board.set(Side.SOURCE, writable=False)
        await asyncio.sleep(wait)
        closed.append((now(), now() + 1.0))
        await asyncio.sleep(1.0)
        await board.set(Side.SOURCE, writable=True)
    for task in applications:
        task.cancel()
    assert len(landed) > 20
    return [moment for moment in landed for fence, opened in closed if fence + 1e-9 < moment < opened]
