"""The copy gives way when the streams run short of time, and goes on when they have caught up (protocol §5)."""

import asyncio
from dataclasses import replace

import pytest

from backfill.walk import CopySettings
from domain.items import text
from domain.phases import Phase
from tests.examples import ADA, changed
from tests.seams import Call
from tests.world import Venue, World

RETENTION = 80.0
"""Seconds, instead of a day."""


@pytest.mark.looptime
async def test_a_stream_that_lags_slows_the_copy_down_and_then_stops_it(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    await world.put("users", *(changed(ADA, id=text(f"user-{each}")) for each in range(300)))
    copying = CopySettings(least_segments=1, page_items=1, retention=RETENTION)
    crew = await world.lead(tempo=replace(twin.tempo, copying=copying))
    slow = crew.database.hold(lambda call: call.method == "scan_page", answered=True)
    async with crew.working():
        await slow.reached.wait()
        stream = (await world.ledger.streams.get("users")).arn
        stuck = crew.database.hold(lambda call: is_reading(call, stream))
        await stuck.reached.wait()
        await asyncio.sleep(RETENTION * 0.9)  # less than a quarter is left
        slow.release()
        await asyncio.sleep(30)
        before = await copied(world)
        assert before < 10, "it has looked by now, and stands"
        await asyncio.sleep(30)
        assert await copied(world) == before
        stuck.release()
        await world.until(lambda: is_ready(world), seconds=300)
    assert len(await world.settled(crew)) == 300


def is_reading(call: Call, arn: str) -> bool:
    return call.method == "get_records" and call.mentions(arn)


async def copied(world: World) -> int:
    return sum(segment.items for segment in await world.ledger.segments.of("users"))


async def is_ready(world: World) -> bool:
    return (await world.ledger.migration.state()).phase is Phase.READY
