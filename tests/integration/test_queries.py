"""The access patterns of Tyler Setup, asked on both sides of a migration; and faults planted in the target."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from domain.items import Item, text
from dynamo.ports import Page, QueryRequest
from reconcile.queries import Difference, Outcome, Questioner
from reconcile.rechecks import Patience
from tests.examples import ADA, BOB, CYD, audit, changed, contractor
from tests.seams import SeamedDatabase
from tests.world import Venue, World, ready

SAMPLE = Path(__file__).resolve().parents[2] / "service/demo/sample"
SOURCES = ("users", "contractors", "refresh-tokens", "audit", "config")
ONCE = Patience(rounds=1)


def sample(source: str) -> list[Item]:
    found = [json.loads(line) for line in (SAMPLE / f"{source}.jsonl").read_text().splitlines()]
    return [each.get("Item", each) for each in found]


async def asked(world: World, *, samples: int = 3) -> dict[str, Outcome]:
    return await Questioner(world.database, world.plan, ONCE, samples=samples).ask_all()


async def difference(world: World, query: str, item: str) -> Difference:
    return (await asked(world, samples=9))[query].differences.get(item, Difference())


async def test_every_pattern_has_equal_answers_on_both_sides(venue: Venue) -> None:
    async with ready(venue, "tyler-setup", **{source: sample(source) for source in SOURCES}) as (world, _):
        outcomes = await asked(world)
    assert outcomes.keys() == world.plan.queries.keys()
    assert {name: found.differences for name, found in outcomes.items() if found.differences} == {}
    assert all(found.cases and found.answers for found in outcomes.values())
    assert outcomes["users-by-creation"].answers == len(sample("users"))
    assert outcomes["audit-of-a-user"].answers > 3


async def planted(world: World, key: tuple[str, str], **attributes: object) -> None:
    """Change what stands in the target behind everybody's back."""
    await world.put_target(changed(await world.get_target(*key), **attributes))  # type: ignore[arg-type]


@pytest.mark.looptime
async def test_a_wrong_sort_key_is_found_by_the_order(twin: Venue) -> None:
    entries = [audit(f"a{number}", moment=1_795_438_300_000 + number * 1000) for number in range(5)]
    async with ready(twin, "tyler-setup", users=[], audit=entries) as (world, _):
        assert await difference(world, "audit-of-a-user", "audit/a0") == Difference()
        await planted(world, ("AUDIT#a2", "METADATA"), GSI3SK=text("1999-01-01T00:00:00.000Z"))
        found = (await asked(world))["audit-of-a-user"].differences
        assert list(found.values()) == [Difference(disordered=True)]


@pytest.mark.looptime
async def test_a_missing_and_a_foreign_answer_are_named(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB, CYD]) as (world, _):
        await planted(world, ("USER#bob", "METADATA"), GSI2PK=text("somebody@example.com"))
        assert await difference(world, "user-by-email", "users/bob") == Difference(missing=("users/bob",))
        await planted(world, ("USER#bob", "METADATA"), GSI2PK=ADA["email"])
        assert await difference(world, "user-by-email", "users/ada") == Difference(extra=("users/bob",))
        shown = (await asked(world))["user-by-email"].document(world.plan)
        assert "example.com" not in str(shown)
        assert {each["asked_for"]: each["extra"] for each in shown["differences"]}["users/ada"] == ["users/bob"]


class Forgetful(SeamedDatabase):
    """A database that loses what comes after the first page of a query with a limit."""

    async def query_page(self, request: QueryRequest) -> Page:
        page = await super().query_page(request)
        return replace(page, last_key=None) if request.limit else page


@pytest.mark.looptime
async def test_pages_that_are_not_the_whole_are_found(twin: Venue) -> None:
    entries = [audit(f"a{number}", moment=1_795_438_300_000 + number * 1000) for number in range(5)]
    async with ready(twin, "tyler-setup", users=[], audit=entries) as (world, _):
        outcomes = await Questioner(Forgetful(world.database), world.plan, ONCE).ask_all()
        assert list(outcomes["audit-of-a-user"].differences.values()) == [Difference(paged=True)]


@pytest.mark.looptime
async def test_conditions_hold_on_both_sides(twin: Venue) -> None:
    """Of contractors of one status the target's list shows all, and those of another status do not count."""
    kim, lee = (
        contractor("kim", ttl=1_895_438_000),
        changed(contractor("lee", ttl=1_895_438_100), status=text("active")),
    )
    async with ready(twin, "tyler-setup", contractors=[kim, lee]) as (world, _):
        outcome = (await asked(world))["contractors-of-a-status"]
        assert (outcome.cases, outcome.answers, outcome.differences) == (2, 2, {})
        await world.delete_target(await world.get_target("CONTRACTOR#lee", "METADATA"))
        found = await difference(world, "contractors-of-a-status", "contractors/lee")
        assert found == Difference(missing=("contractors/lee",))
        assert await difference(world, "contractors-of-a-status", "contractors/kim") == Difference()
