"""Somebody writes where nobody may: before and behind the marks, in both directions, and days into the bake (§9).

His write is found, shown, blocks every switch, and can be settled either way; none is lost in silence.
"""

import asyncio

import pytest

from cutover.facts import gather
from cutover.gates import rollback_gates
from domain.errors import DataError
from domain.items import Item, TargetKey, number, text
from domain.outcomes import Reason
from domain.phases import Phase, Side
from ledger.findings import Lane, Quarantined
from ledger.requests import Request, RequestKind, RequestState
from sync.strays import Alarm
from tests.crew import Crew
from tests.examples import ADA, BOB, changed
from tests.seams import Seam, journal_step
from tests.strategies import TYLER
from tests.world import Venue, World, readable, ready

pytestmark = pytest.mark.looptime

ADA_AT = TargetKey("USER#ada", "METADATA")
BOB_AT = TargetKey("USER#bob", "METADATA")
THEIRS = changed(BOB, name=text("Somebody"))
THEIRS_AT = TYLER.translate("users", THEIRS).items[BOB_AT]


def named(item: Item) -> Item:
    """Return a target item under another name, as the new application writes one."""
    return {**item, **THEIRS_AT}


async def waiting(world: World) -> dict[str, Quarantined]:
    return {entry.source_id: entry for entry in await world.ledger.quarantine.everything()}


async def held_at(crew: Crew, step: str) -> Seam:
    seam = crew.database.hold(journal_step(step))
    await seam.reached.wait()
    return seam


async def switched_with(world: World, crew: Crew, kind: RequestKind, step: str, side: Side) -> Request:
    """Switch, and let somebody write Bob on a side just before a step; return the answer."""
    switching = asyncio.create_task(world.ask(crew, kind))
    seam = await held_at(crew, step)
    if side is Side.SOURCE:
        await world.put("users", THEIRS)
    else:
        await world.put_target(named(await world.get_target(*BOB_AT)))
    seam.release()
    answer = await switching
    await world.caught_up(Side.SOURCE)
    await world.caught_up(Side.TARGET)
    return answer


async def switched(world: World, crew: Crew, kind: RequestKind) -> None:
    async def passes() -> bool:
        return (await world.ask(crew, kind)).state is RequestState.DONE

    await world.until(passes, seconds=300)


async def settled(world: World, crew: Crew, entry: Quarantined) -> Request:
    """Ask for what `tableturn quarantine retry` asks."""
    facts = {"source": entry.source, "source_id": entry.source_id, "lane": entry.lane.value}
    return await world.ask(crew, RequestKind.RETRY, **facts)


async def agreed(world: World, crew: Crew, serving: Side) -> None:
    assert (await crew.compare(serving)).mismatches == []


async def test_a_legacy_write_under_the_fence_of_a_cutover_but_before_the_mark_is_drained(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        answer = await switched_with(world, crew, RequestKind.CUTOVER, "drain", Side.SOURCE)
        assert answer.state is RequestState.DONE
        assert await waiting(world) == {}
        assert (await world.get_target(*BOB_AT))["name"] == text("Somebody")


async def test_a_legacy_write_behind_the_mark_of_a_cutover_is_a_stray(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        answer = await switched_with(world, crew, RequestKind.CUTOVER, "settle", Side.SOURCE)
        assert answer.state is RequestState.DONE
        entry = (await waiting(world))["users/bob"]
        assert (entry.reason, entry.lane) == (Reason.STRAY, Lane.STRAY)
        assert entry.detail.startswith("changed (name) in the legacy table while the target serves, at 2026-11-2")
        assert crew.alarms == [Alarm(Side.SOURCE, "users", ("users/bob",))]
        assert (await world.ask(crew, RequestKind.ROLLBACK)).state is RequestState.REFUSED
        assert (await settled(world, crew, entry)).state is RequestState.DONE
        assert await waiting(world) == {}
        assert (await world.sources())["users/bob"] == readable(BOB), "what the target says is back over it"
        await agreed(world, crew, Side.TARGET)


async def test_a_write_of_the_new_application_under_the_fence_of_a_rollback_but_before_the_mark_goes_back(
    twin: Venue,
) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        answer = await switched_with(world, crew, RequestKind.ROLLBACK, "drain", Side.TARGET)
        assert answer.state is RequestState.DONE, answer.answer
        assert await waiting(world) == {}
        assert (await world.sources())["users/bob"]["name"] == text("Somebody")


@pytest.mark.parametrize("over", [True, False], ids=["the legacy item over it", "taken over by hand"])
async def test_a_write_of_the_new_application_behind_the_mark_of_a_rollback_is_a_stray(
    twin: Venue, *, over: bool
) -> None:
    """Without a record of it the target would be mended from the legacy tables, and nobody would hear of it."""
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        answer = await switched_with(world, crew, RequestKind.ROLLBACK, "settle", Side.TARGET)
        assert answer.state is RequestState.DONE, answer.answer
        entry = (await waiting(world))["users/bob"]
        assert (entry.reason, entry.lane) == (Reason.STRAY, Lane.STRAY)
        assert entry.detail.startswith(
            "changed (fullName, initials, name, profile) in the target while the legacy tables serve"
        )
        assert crew.alarms == [Alarm(Side.TARGET, "users", ("users/bob",))]
        await asyncio.sleep(120)
        assert (await world.get_target(*BOB_AT))["name"] == text("Somebody"), "left alone until somebody has looked"
        if not over:
            await world.put("users", THEIRS)
            await world.caught_up()
            forward = await world.ledger.quarantine.of("users")
            assert {entry.reason for entry in forward.values()} <= {Reason.FOREIGN}
        for each in list(await world.ledger.quarantine.everything()):
            assert (await settled(world, crew, each)).state is RequestState.DONE
        assert await waiting(world) == {}
        assert (await world.get_target(*BOB_AT))["name"] == text("Bob" if over else "Somebody")
        await world.reach(Phase.READY)
        await switched(world, crew, RequestKind.CUTOVER)


async def test_a_stray_found_under_the_fence_of_a_rollback_takes_it_back(twin: Venue) -> None:
    """Else what somebody wrote into the legacy tables would serve."""
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        answer = await switched_with(world, crew, RequestKind.ROLLBACK, "settle", Side.SOURCE)
        assert answer.state is RequestState.REFUSED
        assert "went to quarantine before the mark" in answer.answer["why"]
        state = await world.ledger.migration.state()
        assert (state.phase, state.flag.serving, state.flag.writable) == (Phase.BAKE, Side.TARGET, True)
        assert (await settled(world, crew, (await waiting(world))["users/bob"])).state is RequestState.DONE
        await switched(world, crew, RequestKind.ROLLBACK)
        assert (await world.sources())["users/bob"] == readable(BOB)


async def test_strays_are_counted_by_source_for_status_and_metrics_and_block(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await asyncio.sleep(600)
        before = world.venue.clock.wall_ms()
        await world.put("users", THEIRS)
        await world.delete("users", ADA)
        await world.caught_up()
        facts = await gather(world.ledger, world.database, world.plan, world.venue.clock)
        assert facts.strays == {"users": 2}
        assert before <= facts.stray_ms <= facts.now_ms
        (gate,) = [gate for gate in rollback_gates(facts, crew.place.tempo.limits) if gate.name == "quarantine"]
        assert (gate.passes, gate.value) == (False, "2 stray")


async def test_what_the_operator_took_over_by_hand_is_settled_as_well(twin: Venue) -> None:
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        await world.put("users", THEIRS)
        await world.caught_up()
        await world.put_target(named(await world.get_target(*BOB_AT)))
        await world.caught_up(Side.TARGET)
        assert (await settled(world, crew, (await waiting(world))["users/bob"])).state is RequestState.DONE
        assert (await world.sources())["users/bob"] == readable(THEIRS)
        await agreed(world, crew, Side.TARGET)


async def test_what_could_not_go_back_is_brought_over_by_a_retry(twin: Venue) -> None:
    """The legacy table refused it, for a reason that is gone by now."""
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew):
        await switched(world, crew, RequestKind.CUTOVER)
        refusal = DataError("an index of the legacy table refuses it")
        crew.database.fail(lambda call: call.method == "transact" and call.mentions("users/ada"), refusal)
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(5)))
        await world.caught_up(Side.TARGET)
        entry = (await waiting(world))["users/ada"]
        assert (entry.reason, entry.lane) == (Reason.IRREVERSIBLE, Lane.REVERSE)
        assert (await settled(world, crew, entry)).state is RequestState.DONE
        assert (await world.sources())["users/ada"]["lastLogin"] == number(5)
        assert await waiting(world) == {}
        again = await settled(world, crew, entry)
        assert (again.state, "no such entry" in again.answer["why"]) == (RequestState.REFUSED, True)
