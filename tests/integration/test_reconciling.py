"""`tableturn reconcile` with its options, on the twin: parts, samples, restored tables, dry runs, and refusals."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.errors import DataError, FatalError
from domain.items import Item, text
from domain.phases import Phase, Side
from dynamo.ports import Put
from ledger.migration import StateChange
from mapping.plan import Plan, SourceItem
from reconcile.comparison import Kind
from service.reconciling import CompareOptions, compared
from service.session import Session
from service.settings import Settings
from tests.crew import Crew
from tests.examples import ADA, audit, changed
from tests.seams import SeamedDatabase, scans_of
from tests.world import Venue, World

pytestmark = pytest.mark.looptime

PEOPLE = [changed(ADA, id=text(f"p{number:02}"), email=text(f"p{number:02}@example.org")) for number in range(40)]


async def copied(twin: Venue) -> tuple[World, Crew, Session]:
    """Return a world whose users and audit entries are copied, at rest, and an operator's session."""
    world = await twin.world("tyler-setup", "users", "audit")
    crew = await world.lead()
    await world.put("users", *PEOPLE)
    await world.put("audit", audit("a1"))
    await crew.enter(Phase.BACKFILL)
    await crew.copy()
    async with crew.following():
        await world.caught_up()
    return (
        world,
        crew,
        Session(Settings.from_environment(), world.plan, world.database, world.ledger, world.venue.clock),
    )


async def at(world: World, number: int) -> Item:
    return await world.get_target(f"USER#p{number:02}", "METADATA")


async def spoilt(world: World) -> None:
    """p00 and the audit entry are missing, p01 differs, p02 has a double that nothing calls for."""
    await world.delete_target(await at(world, 0))
    await world.put_target({**await at(world, 1), "role": text("nobody")})
    await world.put_target({**await at(world, 2), "PK": text("USER#double"), "id": text("double")})
    await world.delete_target(*world.plan.translate("audit", audit("a1")).items.values())


def found(document: dict[str, Any]) -> dict[str, int]:
    return dict(document["kinds"])


async def test_a_source_is_compared_without_the_others(twin: Venue) -> None:
    world, _, session = await copied(twin)
    await spoilt(world)
    assert found(await compared(session, CompareOptions())) == {"missing": 3, "different": 1, "extra": 1}
    assert found(await compared(session, CompareOptions(source="users"))) == {"missing": 1, "different": 1, "extra": 1}
    only = await compared(session, CompareOptions(source="audit"))
    assert (only["sources"], only["scope"]) == ({"audit": {"missing": 2}}, {"sources": ("audit",)})


async def test_ids_are_looked_at_and_nothing_else_is_read(twin: Venue) -> None:
    world, _, session = await copied(twin)
    await spoilt(world)
    document = await compared(session, CompareOptions(ids=("users/p00", "users/p07", "users/nobody")))
    assert found(document) == {"missing": 1}
    assert (document["compared"], document["suspects"], document["expected_read_units"]) == (0, 3, 3)


async def test_a_sample_is_held_against_the_other_side(twin: Venue) -> None:
    world, _, session = await copied(twin)
    clean = await compared(session, CompareOptions(sample=10))
    assert (found(clean), clean["scope"]) == ({}, {"sample": 10})
    assert 1 <= clean["suspects"] < len(PEOPLE)
    for number in range(len(PEOPLE)):
        await world.put_target({**await at(world, number), "role": text("nobody")})
    assert found(await compared(session, CompareOptions(sample=10)))["different"] >= 1
    everything = await compared(session, CompareOptions(sample=1000))
    assert everything["kinds"]["different"] == len(PEOPLE)


async def test_a_restored_table_stands_in_for_its_original(twin: Venue) -> None:
    world, _, session = await copied(twin)
    users = world.plan.sources["users"].definition
    restored = replace(users, name=f"{users.name}-recovery")
    await world.database.create_table(restored)
    for item in await world.scanned(users.name):
        await world.database.write(Put(restored.name, item))
    against = CompareOptions(source="users", against=restored.name)
    assert found(await compared(session, against)) == {}
    await world.put("users", changed(PEOPLE[3], name=text("written later")))
    assert found(await compared(session, against)) == {}, "the original is not read"
    await world.database.write(Put(restored.name, changed(PEOPLE[4], name=text("spoilt"))))
    assert found(await compared(session, against)) == {"different": 1}
    with pytest.raises(FatalError, match="there is no table nowhere"):
        await compared(session, CompareOptions(against="nowhere"))
    with pytest.raises(FatalError, match="other keys than"):
        await compared(session, CompareOptions(against=restored.name))


async def test_a_dry_run_says_what_a_repair_would_do_and_writes_nothing(twin: Venue, tmp_path: Path) -> None:
    world, _, session = await copied(twin)
    await spoilt(world)
    before, report = await world.standing(), tmp_path / "today.json"
    document = await compared(session, CompareOptions(repair=True, dry_run=True, report=report))
    assert document["repairs"] == {"put": 3, "nothing: what stands there was not written by tableturn": 2}
    assert await world.standing() == before
    assert json.loads(report.read_text()) == json.loads(json.dumps(document))
    page = report.with_suffix(".html").read_text()
    assert "5 mismatches" in page
    assert "p01@example.org" not in page
    some = await compared(session, CompareOptions(repair=True, dry_run=True, kinds=(Kind.MISSING,)))
    assert some["repairs"] == {"put": 3}


async def test_a_dry_run_says_of_what_has_no_way_back_that_nothing_can_be_done(
    twin: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, crew, session = await copied(twin)
    await crew.enter(Phase.BAKE, StateChange(serving=Side.TARGET))
    untranslate = Plan.untranslate

    def stubborn(plan: Plan, item: Item) -> SourceItem | None:
        if item["PK"] == text("USER#p03"):
            raise DataError("no way back")
        return untranslate(plan, item)

    monkeypatch.setattr(Plan, "untranslate", stubborn)
    document = await compared(session, CompareOptions(repair=True, dry_run=True))
    assert [each["attributes"] for each in document["examples"]] == [["irreversible"]]
    assert document["repairs"] == {"nothing: it has no way back": 1}
    assert world.plan.masked("users/p03") == document["examples"][0]["item"]


async def test_a_report_shows_the_ids_that_were_asked_for_as_it_shows_all_others(twin: Venue, tmp_path: Path) -> None:
    world = await twin.world("tyler-setup", "users", "refresh-tokens")
    session = Session(Settings.from_environment(), world.plan, world.database, world.ledger, world.venue.clock)
    report = tmp_path / "today.json"
    await compared(session, CompareOptions(ids=("refresh-tokens/verysecrettoken", "users/p03"), report=report))
    written = report.read_text() + report.with_suffix(".html").read_text()
    assert "verysecrettoken" not in written
    assert "users/p03" in written


async def test_a_comparison_with_a_report_that_was_killed_goes_on(twin: Venue, tmp_path: Path) -> None:
    world, _, session = await copied(twin)
    report = tmp_path / "today.json"
    dying = SeamedDatabase(world.database)
    dying.fail(scans_of(world.plan.target.name), FatalError("killed"))
    with pytest.raises(BaseExceptionGroup):
        await compared(replace(session, database=dying), CompareOptions(report=report))
    assert report.with_suffix(".worksheet").exists()
    reading = SeamedDatabase(world.database)
    document = await compared(replace(session, database=reading), CompareOptions(report=report))
    assert not report.with_suffix(".worksheet").exists()
    assert (found(document), document["compared"]) == ({}, len(PEOPLE) + 2)
    assert not [call for call in reading.calls if scans_of(world.table("users"))(call)]


async def test_what_will_be_read_is_said_before(twin: Venue) -> None:
    world, _, session = await copied(twin)
    reading, told = SeamedDatabase(world.database), list[int]()

    def hear(units: int) -> None:
        assert not [call for call in reading.calls if call.method == "scan_page"]
        told.append(units)

    document = await compared(replace(session, database=reading), CompareOptions(), hear)
    assert told == [document["expected_read_units"]]
    assert told[0] > 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (CompareOptions(source="nobody"), "no source nobody"),
        (CompareOptions(ids=("users",)), "--id"),
        (CompareOptions(ids=("users/",)), "--id"),
        (CompareOptions(ids=("elsewhere/1",)), "--id"),
        (CompareOptions(sample=1, ids=("users/p00",)), "exclude each other"),
        (CompareOptions(source="users", ids=("users/p00",)), "exclude each other"),
        (CompareOptions(report=Path("today.html")), "does not end with .json"),
        (CompareOptions(repair=True, source="users"), "a part cannot be asked for"),
    ],
)
async def test_what_cannot_be_asked_for_is_refused_by_name(twin: Venue, options: CompareOptions, told: str) -> None:
    world = await twin.world("tyler-setup", "users")
    with pytest.raises(FatalError, match=told):
        options.check(world.plan)


async def test_what_the_plan_leaves_out_is_neither_told_nor_mended(twin: Venue) -> None:
    world, _, session = await copied(twin)
    users = replace(world.plan.sources["users"], uncompared=frozenset({"role", "profile"}))
    session = replace(session, plan=replace(world.plan, sources={**world.plan.sources, "users": users}))
    await world.put_target({**await at(world, 1), "role": text("nobody")})
    await world.put_target({**await at(world, 2), "role": text("nobody"), "name": text("spoilt")})
    document = await compared(session, CompareOptions(repair=True, dry_run=True))
    (example,) = document["examples"]
    assert (example["item"], example["attributes"]) == (world.plan.masked("users/p02"), ["name"])
    assert sum(document["repairs"].values()) == 1
