"""What the gates are told: ledger and target as they stand, and nothing that was not looked at (protocol §8)."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cutover.facts import WORKER, gather
from cutover.gates import Facts
from domain.items import TargetKey
from domain.outcomes import Reason
from domain.phases import Phase, Side
from domain.positions import Version
from domain.tables import ViewType
from dynamo.ports import Database, ShardDescription, TableDescription
from ledger.findings import Lane, Quarantined
from ledger.tombstones import Tombstone
from tests.crew import Crew
from tests.examples import ADA, audit
from tests.seams import SeamedDatabase
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


async def scene(*sources: str) -> tuple[World, Crew]:
    world = await Venue.in_memory().world("tyler-setup", *sources)
    return world, await world.lead()


async def facts_of(world: World) -> Facts:
    return await gather(world.ledger, world.database, world.plan, world.venue.clock)


async def test_at_the_start_nothing_is_known_and_the_target_is_fine() -> None:
    world, _ = await scene("users")
    facts = await facts_of(world)
    assert (facts.phase, facts.serving, facts.captured, facts.copied) == (Phase.CAPTURE, Side.SOURCE, False, False)
    assert facts.now_ms == world.venue.clock.wall_ms()
    assert facts.through_ms == {"users": 0, "target": 0}
    assert (facts.reconciled, facts.quarantined, facts.gaps) == ({}, {}, {})
    assert (facts.tombstones, facts.worker_ms, facts.worker_settled, facts.target_trouble) == (0, 0, False, "")


async def test_facts_follow_the_phase() -> None:
    world, crew = await scene("users")
    before = await facts_of(world)
    await crew.enter(Phase.BACKFILL)
    state = await world.ledger.migration.state()
    after = await facts_of(world)
    assert (after.phase, after.since_ms, after.revision) == (Phase.BACKFILL, state.since_ms, state.revision)
    assert after.revision > before.revision


async def test_captured_means_that_every_shard_of_every_stream_was_looked_at() -> None:
    world, crew = await scene("users")
    async with crew.following():
        await world.caught_up()

        async def captured() -> bool:
            return (await facts_of(world)).captured

        await world.until(captured)
    facts = await facts_of(world)
    assert all(0 < through <= facts.now_ms for through in facts.through_ms.values())
    shards = await world.ledger.streams.shards("users")
    assert facts.through_ms["users"] == min(shard.through_ms for shard in shards.values())
    slowest, *_ = shards.values()
    await crew.ledger.streams.save(replace(slowest, through_ms=0))
    assert not (await facts_of(world)).captured


async def test_a_shard_that_ended_bounds_what_is_seen_until_its_child_is_known() -> None:
    world, crew = await scene("users")
    async with crew.following():
        await world.caught_up()
    streams = crew.ledger.streams
    ended, *others = (await streams.shards("users")).values()
    await streams.save(replace(ended, through_ms=1_000, ended=True))
    for other in others:
        await streams.save(replace(other, through_ms=5_000))
    assert (await facts_of(world)).through_ms["users"] == 1_000
    await streams.discover(await streams.get("users"), (ShardDescription("child", ended.shard_id),))
    assert (await facts_of(world)).through_ms["users"] == 0, "nobody has looked at it"
    await streams.save(replace((await streams.shards("users"))["child"], through_ms=4_000))
    assert (await facts_of(world)).through_ms["users"] == 4_000


async def test_copied_means_every_segment_of_every_source() -> None:
    world, crew = await scene("users", "audit")
    await world.put("users", ADA)
    await world.put("audit", audit("a1"))
    await crew.enter(Phase.BACKFILL)
    assert not (await facts_of(world)).copied
    await crew.copy()
    assert (await facts_of(world)).copied
    for source in ("users", "audit"):
        segment, *_ = await crew.ledger.segments.of(source)
        undone = await crew.ledger.segments.save(replace(segment, done=False))
        assert not (await facts_of(world)).copied
        await crew.ledger.segments.save(replace(undone, done=True))


def found(mismatches: int) -> dict[str, int]:
    return {"mismatches": mismatches, "scanned_through_ms": 1, "scan_ms": 1, "state": 1, "items": 1}


async def test_evidence_is_told_by_side() -> None:
    world, crew = await scene("users")
    await crew.ledger.evidence.put(f"reconcile/{Side.TARGET}", found(3))
    facts = await facts_of(world)
    assert set(facts.reconciled) == {Side.TARGET}
    assert facts.reconciled[Side.TARGET]["mismatches"] == 3
    await crew.ledger.evidence.put(f"reconcile/{Side.SOURCE}", found(0))
    assert set((await facts_of(world)).reconciled) == set(Side)


@pytest.mark.parametrize("settled", [True, False])
async def test_the_worker_shows_when_it_was_alive_and_whether_it_is_settled(*, settled: bool) -> None:
    world, crew = await scene("users")
    await crew.ledger.evidence.put(WORKER, {"settled": settled, "epoch": 1})
    facts = await facts_of(world)
    assert (facts.worker_ms, facts.worker_settled) == (world.venue.clock.wall_ms(), settled)


async def test_quarantine_is_counted_by_reason_over_all_lanes_and_tombstones_over_all_sources() -> None:
    world, crew = await scene("users", "audit")
    for source_id, reason, lane in (
        ("users/a", Reason.FOREIGN, Lane.FORWARD),
        ("users/b", Reason.FOREIGN, Lane.REVERSE),
        ("users/c", Reason.STRAY, Lane.STRAY),
    ):
        await crew.ledger.quarantine.put(Quarantined("users", source_id, str(Version(1)), reason, "why", lane=lane))
    for source in ("users", "audit"):
        await crew.ledger.tombstones.add(
            Tombstone(TargetKey("P", "S"), source, f"{source}/a", str(Version(1)), "sum", None, 0)
        )
    facts = await facts_of(world)
    assert facts.quarantined == {"foreign": 2, "stray": 1}
    assert facts.tombstones == 2


async def test_a_gap_is_told_by_stream_and_a_target_captured_anew_until_it_is_mended_from() -> None:
    world, crew = await scene("users")
    await crew.ledger.streams.lose(await crew.ledger.streams.get("users"), "trimmed")
    assert (await facts_of(world)).gaps == {"users": "trimmed"}


class Altered(SeamedDatabase):
    """A database that describes the target otherwise than it is."""

    def __init__(self, inner: Database, alter: Callable[[TableDescription], TableDescription | None]) -> None:
        super().__init__(inner)
        self._alter = alter

    async def describe_table(self, table: str) -> TableDescription | None:
        described = await super().describe_table(table)
        return None if described is None else self._alter(described)


async def trouble(alter: Callable[[TableDescription], TableDescription | None]) -> str:
    world, _ = await scene("users")
    told = (await gather(world.ledger, Altered(world.database, alter), world.plan, world.venue.clock)).target_trouble
    return told.replace(world.plan.target.name, "target")


async def test_a_target_that_is_gone_not_active_or_lacks_indexes_is_trouble() -> None:
    assert await trouble(lambda _: None) == "table target is gone"
    assert await trouble(lambda target: replace(target, status="UPDATING")) == "table target is UPDATING"
    assert await trouble(lambda target: replace(target, indexes=target.indexes[2:])) == "indexes missing: GSI1, GSI2"
    assert await trouble(lambda target: target) == ""


async def test_a_target_that_cannot_hold_what_the_plan_says_is_trouble() -> None:
    assert await trouble(lambda target: replace(target, building=("GSI2",))) == "indexes not ACTIVE: GSI2"
    assert await trouble(lambda target: replace(target, ttl_attribute=None)) == "time to live is off"
    assert await trouble(lambda target: replace(target, ttl_attribute="other")) == "time to live is on other"


async def test_what_the_target_may_consume_is_told() -> None:
    world, _ = await scene("users")
    assert (await facts_of(world)).capacity == "on demand"
    database = Altered(world.database, lambda target: replace(target, provisioned=(5, 6)))
    facts = await gather(world.ledger, database, world.plan, world.venue.clock)
    assert facts.capacity == "provisioned: 5 read units, 6 write units"


@pytest.mark.parametrize(
    ("view", "told", "replaced"),
    [
        (None, "the target's stream is off", {}),
        (ViewType.KEYS_ONLY, "it shows KEYS_ONLY only", {}),
        (ViewType.NEW_AND_OLD_IMAGES, "", {"target": "the stream of TABLE was replaced"}),
    ],
)
async def test_a_target_whose_stream_is_off_or_another_one_is_told_once(
    view: ViewType | None, told: str, replaced: dict[str, str]
) -> None:
    """Another one of the right view type is no less bad: its records since then are nobody's."""
    world, _ = await scene("users")
    await world.database.disable_stream(world.plan.target.name)
    if view is not None:
        await world.database.enable_stream(world.plan.target.name, view)
    facts = await facts_of(world)
    found = {name: what.replace(world.plan.target.name, "TABLE") for name, what in facts.streams_trouble.items()}
    assert (facts.target_trouble, facts.no_return, found) == ("", told, replaced)


async def test_a_source_whose_stream_is_off_replaced_or_gone_is_told_by_name() -> None:
    world, _ = await scene("users", "audit")
    table = world.table("users")
    assert (await facts_of(world)).streams_trouble == {}
    await world.database.disable_stream(table)
    assert (await facts_of(world)).streams_trouble == {"users": f"the stream of {table} is off"}
    await world.database.enable_stream(table, ViewType.NEW_AND_OLD_IMAGES)
    assert (await facts_of(world)).streams_trouble == {"users": f"the stream of {table} was replaced"}
    await world.database.delete_table(table)
    assert (await facts_of(world)).streams_trouble == {"users": f"table {table} is gone"}


async def test_where_tables_are_not_looked_at_the_target_is_not_ready() -> None:
    world, _ = await scene("users")
    facts = await gather(world.ledger, None, world.plan, world.venue.clock)
    assert facts.target_trouble == "not looked at"
    assert replace(facts, target_trouble="", capacity="on demand") == await facts_of(world)


async def test_a_worker_leads_for_as_long_as_it_says_unless_another_took_the_lease_since() -> None:
    world, crew = await scene("users")
    await crew.ledger.evidence.put(WORKER, {"settled": True, "epoch": crew.guard.epoch, "leading_ms": 4_000})
    assert (await facts_of(world)).leading_ms == 4_000
    await crew.ledger.evidence.put(WORKER, {"settled": True, "epoch": crew.guard.epoch - 1, "leading_ms": 4_000})
    assert (await facts_of(world)).leading_ms == 0


async def test_what_stands_on_paper_is_told_by_source() -> None:
    world, crew = await scene("users", "audit")
    backup = {"arn": "arn", "name": "b", "made_ms": 1, "available": True, "pitr": True}
    await crew.ledger.evidence.put("backups/users", backup)
    await world.ledger.controls.postpone(7, reason="wait", by="me")
    papers = (await facts_of(world)).papers
    assert papers.backups["audit"] is None
    assert (papers.backups["users"] or {})["name"] == "b"
    assert papers.proof is not None
    assert (papers.postponed or {})["reason"] == "wait"
    await world.ledger.controls.postpone(0, reason="go", by="me")
    assert (await facts_of(world)).papers.postponed is None
    events = [event for event in await world.ledger.history.all() if "postpone" in str(event["event"])]
    assert {(event["event"], event["by"], event["why"]) for event in events} == {
        ("postponed", "me", "wait"),
        ("postponement-ended", "me", "go"),
    }
