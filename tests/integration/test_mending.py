"""What is mended, when, and why: by kind, unasked while few, and said in the history (protocol §7)."""

from dataclasses import replace
from typing import Any

import pytest

from domain.items import Item, text
from domain.phases import Phase
from ledger.requests import RequestKind
from reconcile.comparison import Kind
from tests.crew import Crew
from tests.examples import ADA, changed
from tests.world import UNHURRIED, Venue, World

pytestmark = pytest.mark.looptime

PEOPLE = [changed(ADA, id=text(f"p{number:02}"), email=text(f"p{number:02}@example.org")) for number in range(12)]


async def ready(venue: Venue, **settings: object) -> tuple[World, Crew]:
    compare = replace(UNHURRIED.compare, interval=30.0, **settings)  # type: ignore[arg-type]
    world = await replace(venue, tempo=replace(UNHURRIED, compare=compare)).world("tyler-setup", "users")
    crew = await world.lead()
    await world.put("users", *PEOPLE)
    return world, crew


async def at(world: World, number: int) -> Item:
    return await world.get_target(f"USER#p{number:02}", "METADATA")


async def spoilt(world: World) -> None:
    """One of each kind: p00 is missing, p01 differs, and p02 has nothing that calls for it."""
    await world.delete_target(await at(world, 0))
    await world.put_target({**await at(world, 1), "role": text("nobody")})
    await world.put_target({**await at(world, 2), "PK": text("USER#stranger"), "id": text("stranger")})


async def known(world: World) -> dict[str, Any]:
    return await world.ledger.evidence.get("reconcile/source") or {}


async def repairs(world: World) -> list[dict[str, Any]]:
    return [dict(entry) for entry in await world.ledger.history.all() if entry["event"] == "repaired"]


async def test_only_the_kinds_that_are_named_are_mended(twin: Venue) -> None:
    world, crew = await ready(twin)
    async with crew.working():
        await world.reach(Phase.READY)
        await spoilt(world)
        answer = (await world.ask(crew, RequestKind.VERIFY, repair=True, kinds=["missing"])).answer
        assert answer["kinds"] == {"different": 1, "extra": 1}
        assert answer["repaired"] == 1
        (entry,) = await repairs(world)
        assert (entry["why"], entry["ids"], entry["puts"]) == ("asked", 3, 1)
        assert len(entry["items"]) == 3


async def test_what_disagrees_is_mended_unasked_while_it_is_little_and_of_those_kinds(twin: Venue) -> None:
    world, crew = await ready(twin, auto_repair=3, auto_repair_kinds=(Kind.MISSING,))
    async with crew.working():
        await world.reach(Phase.READY)
        await spoilt(world)

        async def is_mended() -> bool:
            return bool(await repairs(world)) and (await known(world))["kinds"] == {"different": 1, "extra": 1}

        await world.until(is_mended, seconds=120)
        assert {entry["why"] for entry in await repairs(world)} == {"few enough"}
        assert (await at(world, 0))["email"] == PEOPLE[0]["email"]


@pytest.mark.parametrize(("most", "count"), [(0, 1), (3, 4)])
async def test_nothing_is_mended_unasked_when_nobody_said_so_or_too_much_disagrees(
    twin: Venue, most: int, count: int
) -> None:
    world, crew = await ready(twin, auto_repair=most)
    async with crew.working():
        await world.reach(Phase.READY)
        for number in range(count):
            await world.delete_target(await at(world, number))
        began = (await known(world))["scanned_through_ms"]

        async def is_compared_twice() -> bool:
            found = await known(world)
            return bool(found["scanned_through_ms"] > began + 60_000)

        await world.until(is_compared_twice, seconds=240)
        assert (await known(world))["kinds"] == {"missing": count}
        assert await repairs(world) == []
