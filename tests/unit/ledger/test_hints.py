"""The bell: it wakes, it lets go after its time, and it never keeps somebody who was told to stop."""

import asyncio

import pytest

from ledger.hints import Bell


async def test_the_bell_wakes_everybody_who_waits() -> None:
    bell = Bell()
    waiting = [asyncio.create_task(bell.wait(3600)) for _ in range(3)]
    await asyncio.sleep(0)
    bell.ring()
    await asyncio.gather(*waiting)


async def test_who_waits_goes_on_after_its_time() -> None:
    await Bell().wait(0.001)


@pytest.mark.parametrize("turns", range(6))
async def test_a_bell_that_rings_as_its_engine_is_cancelled_does_not_keep_it(turns: int) -> None:
    """Found by the simulation: a worker that lost its lease hung for ever, because one engine went on waiting."""
    bell = Bell()

    async def engine() -> None:
        while True:
            await bell.wait(3600)

    waiting = asyncio.create_task(engine())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bell.ring()
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    waiting.cancel()
    assert done
    assert waiting.cancelled()


async def test_a_mark_wakes_whoever_waits_at_the_tip_of_its_stream_and_nobody_else() -> None:
    bell = Bell()
    ours, other = (asyncio.create_task(bell.wait_at_tip(name, 3600)) for name in ("users", "audit"))
    await asyncio.sleep(0)
    bell.mark("users")
    await ours
    assert not other.done()
    other.cancel()


async def test_a_mark_is_not_missed_by_who_was_about_to_wait_and_wakes_nobody_twice() -> None:
    bell = Bell()
    bell.mark("users")
    await bell.wait_at_tip("users", 3600)
    again = asyncio.create_task(bell.wait_at_tip("users", 3600))
    done, _ = await asyncio.wait({again}, timeout=0.01)
    assert not done
    again.cancel()
