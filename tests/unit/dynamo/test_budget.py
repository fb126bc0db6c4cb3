"""The ceiling on reads, in exact virtual seconds."""

import asyncio

import pytest

from dynamo.budget import ReadBudget
from tests.world import LoopClock

pytestmark = pytest.mark.looptime


async def test_what_was_spent_is_waited_for_whoever_spent_it() -> None:
    budget, now = ReadBudget(LoopClock(), 100), asyncio.get_running_loop().time
    await budget.spend("128.5")
    assert now() == pytest.approx(1.285)
    await asyncio.gather(budget.spend("50"), budget.spend("50"))
    assert now() == pytest.approx(2.285)
    await asyncio.sleep(60)  # what was not used is not saved up
    await budget.spend("100")
    assert now() == pytest.approx(63.285)


async def test_without_a_ceiling_nobody_waits() -> None:
    budget = ReadBudget(LoopClock(), None)
    await budget.spend("1000000")
    assert asyncio.get_running_loop().time() == 0
