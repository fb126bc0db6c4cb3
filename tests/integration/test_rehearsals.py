"""The plan's queries, asked by `tableturn plan` before there is a target; and plans whose target answers otherwise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import proof.rehearsal as rehearsing
import proof.runner as proving
from domain.items import Item, text
from mapping.plan import Plan, load_plan
from mapping.templates import open_template
from proof.forecast import Pace
from proof.runner import ProofPorts
from service.console import as_html
from service.planning import PlanOptions, proven
from service.planreport import page
from tests.examples import ADA, BOB, CYD, audit, changed, order
from tests.integration.test_queries import SOURCES, sample
from tests.seams import Crashed, SeamedDatabase, scans_of
from tests.world import PLANS, Venue, World

CREATED = 'GSI1: [USER, "{createdAt|iso8601}"]'
LOGINS = [audit(f"a{number}", user=f"u{number % 2}", moment=1_795_438_300_000 + number) for number in range(6)]


async def rehearsed(world: World, plan: Plan | None = None, **options: Any) -> dict[str, Any]:
    ports = ProofPorts(world.database, plan or world.plan, world.venue.clock)
    return await proven(ports, PlanOptions(**{"pace": Pace(1000), "shown": 0, **options}), "ledger")


async def filled(venue: Venue, **sources: list[Item]) -> World:
    world = await venue.world("tyler-setup", *sources, initialised=False)
    for source, items in sources.items():
        await world.put(source, *items)
    return world


def variant(world: World, folder: Path, given: str, instead: str) -> Plan:
    """Return the world's plan with a part of it as somebody might have written it."""
    written = (PLANS / "tyler-setup.yaml").read_text()
    assert given in written
    path = folder / "variant.yaml"
    path.write_text(written.replace(given, instead))
    plan = load_plan(path, variables={"SECRETS_PREFIX": world.venue.prefix})
    queries = {name: query for name, query in plan.queries.items() if query.source in world.plan.sources}
    return replace(plan, sources=world.plan.sources, companions=(), queries=queries)


def faults(document: dict[str, Any]) -> dict[str, dict[str, int]]:
    return {each["kind"]: each["where"] for each in document["faults"] if each["kind"].startswith("query-")}


@pytest.mark.looptime
async def test_every_query_of_the_sample_has_equal_answers_and_its_figures_say_on_how_many_items(twin: Venue) -> None:
    world = await filled(twin, **{source: sample(source) for source in SOURCES})
    document = await rehearsed(world)
    assert (document["verdict"], faults(document)) == ("pass", {})
    assert document["queries"].keys() == world.plan.queries.keys()
    assert len(document["queries"]) == 12
    for each in document["queries"].values():
        assert (each["verdict"], each["differing"], each["differences"]) == ("pass", 0, [])
        assert each["cases"] >= 1
        assert each["answers"] >= 1
        assert each["items"] == each["read"] == len(sample(each["source"]))
    assert document["queries"]["users-by-creation"]["answers"] == len(sample("users"))


@pytest.mark.looptime
async def test_a_wrong_sort_key_is_named_before_there_is_a_target(twin: Venue, tmp_path: Path) -> None:
    early = changed(BOB, name=text("Zoe"), createdAt={"N": "1795000000000"})
    world = await filled(twin, users=[ADA, early])
    document = await rehearsed(world, variant(world, tmp_path, CREATED, 'GSI1: [USER, "{name}"]'))
    assert (document["verdict"], faults(document)) == ("fail", {"query-disordered": {"users-by-creation": 1}})
    found = document["queries"]["users-by-creation"]
    assert (found["verdict"], found["differing"], found["differences"][0]["disordered"]) == ("fail", 1, True)
    assert document["queries"]["user-by-email"]["verdict"] == "pass"
    (fault,) = (each for each in document["faults"] if each["kind"] == "query-disordered")
    assert fault["way_out"].startswith("make the sort key of that index of what the query is sorted by")
    shown = as_html(page(document))
    assert "query-disordered" in shown
    assert "has another order" in shown
    assert await world.database.describe_table(world.plan.target.name) is None


@pytest.mark.looptime
async def test_a_wrong_sort_key_of_a_few_items_among_many_hash_keys_is_found(twin: Venue, tmp_path: Path) -> None:
    """Answers of one item have no order: the questions with the most answers come first."""
    alone = [audit(f"b{number:03}", user=f"v{number}", moment=1_795_438_400_000 + number) for number in range(50)]
    pair = [audit("z1", moment=1_795_438_500_002), audit("z2", moment=1_795_438_500_001)]
    world = await filled(twin, audit=[*alone, *pair])
    wrong = variant(
        world, tmp_path, '["AUDIT_BY_USER#{userId}", "{timestamp|iso8601}"]', '["AUDIT_BY_USER#{userId}", "{id}"]'
    )
    assert faults(await rehearsed(world, wrong)) == {"query-disordered": {"audit-of-a-user": 1}}


@pytest.mark.looptime
async def test_items_that_an_index_does_not_show_are_named_by_query(twin: Venue, tmp_path: Path) -> None:
    world = await filled(twin, users=[ADA, BOB])
    document = await rehearsed(world, variant(world, tmp_path, 'GSI2: ["{email}", USER]', 'GSI2: ["{mail}", USER]'))
    assert (document["verdict"], faults(document)) == ("fail", {"query-lacks": {"user-by-email": 2}})
    assert [each["missing"] for each in document["queries"]["user-by-email"]["differences"]] == [
        ["users/ada"],
        ["users/bob"],
    ]
    assert "lacks users/ada" in as_html(page(document))
    assert "example.com" not in str(document)


@pytest.mark.looptime
async def test_who_differs_is_listed_up_to_a_number_and_counted_all_the_same(
    twin: Venue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "MOST_OFFENDERS", 1)
    world = await filled(twin, users=[ADA, BOB])
    wrong = variant(world, tmp_path, 'GSI2: ["{email}", USER]', 'GSI2: ["{mail}", USER]')
    document = await rehearsed(world, wrong, report=tmp_path / "plan.json")
    (line,) = (tmp_path / "plan.offenders.jsonl").read_text().splitlines()
    assert json.loads(line) == {"kind": "query-lacks", "detail": "user-by-email", "item": "users/ada"}
    assert faults(document) == {"query-lacks": {"user-by-email": 2}}


@pytest.mark.looptime
async def test_an_index_whose_hash_key_is_too_wide_adds_items(twin: Venue, tmp_path: Path) -> None:
    world = await filled(twin, audit=LOGINS)
    wide = await rehearsed(world, variant(world, tmp_path, "AUDIT_BY_USER#{userId}", "AUDIT_BY_USER#{stage}"))
    assert (wide["verdict"], faults(wide)) == ("fail", {"query-adds": {"audit-of-a-user": 6}})
    assert len(wide["queries"]["audit-of-a-user"]["differences"][0]["extra"]) == 3


@pytest.mark.looptime
async def test_what_a_fault_of_its_own_keeps_out_of_an_index_is_a_warning_unless_that_is_everything(
    twin: Venue,
) -> None:
    unknown = changed(CYD, createdAt={"NULL": True})
    world = await filled(twin, users=[ADA, BOB, unknown])
    document = await rehearsed(world)
    assert (document["verdict"], faults(document)) == ("warn", {"query-lacks-told": {"users-by-creation": 1}})
    assert document["queries"]["users-by-creation"]["verdict"] == "warn"
    await world.put("users", *(changed(each, createdAt={"NULL": True}) for each in (ADA, BOB)))
    document = await rehearsed(world)
    assert (document["verdict"], faults(document)) == ("fail", {"query-lacks": {"users-by-creation": 3}})


@pytest.mark.looptime
async def test_a_query_that_no_item_fills_in_is_a_warning_and_an_empty_table_is_none(twin: Venue) -> None:
    world = await filled(twin, users=[], audit=[audit("a1", user=None)])
    document = await rehearsed(world)
    assert (document["verdict"], faults(document)) == ("warn", {"query-unasked": {"audit-of-a-user": 1}})
    unread = document["queries"]["user-by-id"]
    assert (unread["verdict"], unread["items"], unread["read"], unread["cases"]) == ("pass", 0, 0, 0)


@pytest.mark.looptime
async def test_what_cannot_be_translated_is_no_fault_of_a_query(twin: Venue) -> None:
    world = await filled(twin, users=[ADA, changed(BOB, id=text("x" * 2045))])
    document = await rehearsed(world)
    assert (document["verdict"], faults(document)) == ("fail", {})
    assert (document["queries"]["user-by-id"]["items"], document["queries"]["user-by-id"]["read"]) == (1, 2)


@pytest.mark.looptime
async def test_of_a_large_table_a_share_is_asked_and_the_page_says_so(
    twin: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsing, "MOST_ITEMS", 20)
    world = await filled(twin, users=[changed(ADA, id=text(f"u{number:03}")) for number in range(64)])
    document = await rehearsed(world)
    found = document["queries"]["users-by-creation"]
    assert (found["items"], found["read"], found["answers"]) == (20, 64, 20)
    assert "20 of 64 read of users" in as_html(page(document))
    sampled = await rehearsed(world, sample=8)
    assert sampled["queries"]["users-by-creation"]["read"] == sampled["items"]["users"] <= 8


@pytest.mark.looptime
async def test_nothing_is_read_for_the_queries_that_the_proof_does_not_read_anyway(twin: Venue) -> None:
    world = await filled(twin, users=[ADA, BOB], audit=LOGINS)
    reading = SeamedDatabase(world.database)
    asked, unasked = world.plan, replace(world.plan, queries={})
    for plan in (asked, unasked):
        await proven(ProofPorts(reading, plan, twin.clock), PlanOptions(Pace(1000), shown=0), "ledger")
    calls = [(call.method, call.table) for call in reading.calls]
    assert calls[: len(calls) // 2] == calls[len(calls) // 2 :]
    assert {method for method, _ in calls} == {"describe_table", "scan_page"}


@pytest.mark.looptime
async def test_a_proof_that_was_killed_asks_the_same_as_if_it_had_not_been(twin: Venue, tmp_path: Path) -> None:
    """What the first process read is gone with it, and is read again: within the budget, and no more than a share."""
    users = [changed(ADA, id=text(f"u{number:03}")) for number in range(400)]
    world = await filled(twin, users=users, audit=LOGINS)
    whole = await rehearsed(world)
    dying = SeamedDatabase(world.database)
    dying.crash(scans_of(world.table("audit")))
    ports, report = ProofPorts(dying, world.plan, twin.clock), tmp_path / "plan.json"
    with pytest.raises((Crashed, BaseExceptionGroup)):
        await proven(ports, PlanOptions(Pace(1000), shown=0, report=report), "ledger")
    reading = SeamedDatabase(world.database)
    began = twin.clock.monotonic()
    again = await proven(
        replace(ports, database=reading), PlanOptions(Pace(1000, read_units=2), shown=0, report=report), "ledger"
    )
    pages = [call.asked for call in reading.calls if call.method == "scan_page" and call.table == world.table("users")]
    assert [each.limit for each in pages] == [rehearsing.MOST_ITEMS]
    assert twin.clock.monotonic() - began > 3, "some seven units, two a second"
    assert again["queries"] == whole["queries"]
    assert again["queries"]["users-by-creation"]["answers"] == 400


@pytest.mark.looptime
async def test_a_plan_without_queries_says_so(twin: Venue) -> None:
    world = await twin.world("order-desk", initialised=False)
    await world.put("orders", order(1), order(2, status="p"))
    document = await rehearsed(world)
    assert (document["queries"], faults(document)) == ({}, {})
    assert "the plan has no queries" in as_html(page(document))


@pytest.mark.looptime
async def test_a_plan_of_another_shape_is_asked_as_well(twin: Venue, tmp_path: Path) -> None:
    """Composite keys, an index without sort key, one that sorts by a number, items that are found through others."""
    queries = """queries:
  customer-by-mail:
    {source: customers, legacy: {index: by-mail, key: mail}, target: {index: tagged, key: "{mail}"}}
  orders-of-a-customer:
    {source: orders, legacy: {key: customerId}, target: {key: ["C#{customerId}", "O#"]}, order: orderNo}
  orders-by-total:
    {source: orders, where: "{currency}", target: {index: by-total, key: "{currency}"}, order: totalCents}
  orders-of-a-status:
    {source: orders, where: "{status}", target: {key: "S#{status}"}}
"""
    path = tmp_path / "desk.yaml"
    path.write_text((PLANS / "order-desk.yaml").read_text() + queries)
    (tmp_path / "order_desk.py").write_text((PLANS / "order_desk.py").read_text())
    world = await twin.world("order-desk", initialised=False)
    customer = {"customerId": text("c1"), "name": text("Kim"), "mail": text("kim@example.com")}
    await world.put("customers", customer)
    await world.put("orders", *(order(count, totalCents={"N": str(2000 - count)}) for count in range(8, 12)))
    document = await rehearsed(world, load_plan(path, variables={"DESK": twin.prefix}))
    assert document["queries"]["orders-by-total"]["verdict"] == "pass"
    assert document["queries"]["orders-of-a-status"]["answers"] == 4
    assert document["queries"]["customer-by-mail"]["verdict"] == "pass"
    assert faults(document) == {"query-disordered": {"orders-of-a-customer": 1}}, "10 sorts before 8, as text"


@pytest.mark.looptime
async def test_no_secret_stands_in_what_the_queries_leave(twin: Venue, tmp_path: Path) -> None:
    """Whatever differs is named, and no name of it may be printed that is a secret."""
    tokens: list[Item] = [
        {"token": text(f"TOPSECRETTOKEN-{number}"), "userId": text("u"), "expiresAt": {"N": str(1_795_438_300_000)}}
        for number in range(3)
    ]
    keys: list[Item] = [{"key": text("AKIAABCDEFGHIJKLMNOP")}]
    world = await filled(twin, **{"refresh-tokens": tokens, "config": keys})
    odd = variant(world, tmp_path, 'GSI2: ["USER#{userId}", "{expiresAt|iso8601}"]', 'GSI2: ["USR#{userId}", "{ip}"]')
    pattern = odd.queries["config-by-key"]
    elsewhere = replace(pattern, target=replace(pattern.target, hash=open_template("CONF#{key}", types={})))
    odd = replace(odd, queries={**odd.queries, "config-by-key": elsewhere})
    report = tmp_path / "plan.json"
    document = await rehearsed(world, odd, report=report)
    assert faults(document) == {"query-lacks": {"config-by-key": 1, "tokens-of-a-user": 3}}
    written = [str(document), *(report.with_suffix(each).read_text() for each in (".html", ".offenders.jsonl"))]
    assert [each for each in written if "TOPSECRET" in each or "AKIA" in each] == []
    assert "tokens-of-a-user" in written[2]
