"""What the director tells: answers, steps, history, and what becomes of a request cut short (protocol §8)."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest

from cutover.facts import WORKER
from cutover.gates import Limits
from cutover.sequence import SwitchSettings
from domain.errors import ConditionFailed, TransientError
from domain.items import TargetKey, number
from domain.outcomes import Reason
from domain.phases import Phase, Side
from domain.positions import Version
from ledger.findings import Quarantined
from ledger.requests import Request, RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, BOB, changed
from tests.seams import journal_step, puts_to, transacts
from tests.world import Venue, World

pytestmark = pytest.mark.looptime

ADA_AT = TargetKey("USER#ada", "METADATA")
STEPS = ["prepare", "approach", "fence", "drain", "verify", "settle", "mark", "switch", "smoke", "unfence"]
ENDS = [(RequestKind.COMPLETE, Phase.DONE), (RequestKind.ABORT, Phase.ABORTED)]


async def ready(twin: Venue, switch: SwitchSettings | None = None) -> tuple[World, Crew]:
    """Return a migration that may be cut over, led by a crew."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = await world.lead(tempo=replace(twin.tempo, switch=switch or SwitchSettings()))
    async with crew.working():
        await world.reach(Phase.READY)
    return world, crew


async def baking(twin: Venue) -> tuple[World, Crew]:
    """Return a migration that was cut over and compared since."""
    world, crew = await ready(twin)
    async with crew.working():
        assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE
        await freshly_compared(world, Side.TARGET)
    return world, crew


async def freshly_compared(world: World, side: Side) -> None:
    async def is_there() -> bool:
        found = await world.ledger.evidence.get(f"reconcile/{side}")
        return found is not None and found["mismatches"] == 0

    await world.until(is_there)


async def before_its_end(twin: Venue, kind: RequestKind) -> tuple[World, Crew]:
    return await (baking(twin) if kind is RequestKind.COMPLETE else ready(twin))


async def told(world: World, event: str) -> list[Mapping[str, object]]:
    return [each for each in await world.ledger.history.all() if each["event"] == event]


async def answered(world: World, request: Request) -> Request:
    async def is_over() -> bool:
        return (await world.ledger.requests.get(request)).over

    await world.until(is_over, seconds=90)
    return await world.ledger.requests.get(request)


@pytest.mark.parametrize(("kind", "end"), ENDS)
@pytest.mark.parametrize("reason", ["", "the vendor went away"])
async def test_an_end_is_answered_with_its_phase_and_told_with_its_reason(
    twin: Venue, kind: RequestKind, end: Phase, reason: str
) -> None:
    world, crew = await before_its_end(twin, kind)
    async with crew.working():
        answer = await world.ask(crew, kind, **({"reason": reason} if reason else {}))
    assert (answer.state, answer.answer["why"]) == (RequestState.DONE, end.value)
    assert (await world.ledger.migration.state()).phase is end
    *_, last = await told(world, "phase")
    assert (last["to"], last["why"]) == (end.value, reason or "asked for")


@pytest.mark.parametrize(("kind", "end"), ENDS)
async def test_an_end_that_somebody_forestalled_is_refused(twin: Venue, kind: RequestKind, end: Phase) -> None:
    world, crew = await before_its_end(twin, kind)
    crew.database.fail(transacts(f"'phase': {{'S': '{end.value}'}}"), ConditionFailed("the phase moved"))
    async with crew.working():
        answer = await world.ask(crew, kind)
    assert answer.state is RequestState.REFUSED
    assert "ask again" in answer.answer["why"]
    assert (await world.ledger.migration.state()).phase is not end


@pytest.mark.parametrize("took_place", [True, False])
@pytest.mark.parametrize(("kind", "end"), ENDS)
async def test_after_a_crash_the_one_who_asked_for_an_end_is_told_what_became_of_it(
    twin: Venue, kind: RequestKind, end: Phase, *, took_place: bool
) -> None:
    world, crew = await before_its_end(twin, kind)
    request = await world.ledger.requests.ask(kind)
    crew.database.crash(transacts(f"'phase': {{'S': '{end.value}'}}"), answered=took_place)
    await crew.work_until_crash()
    await world.bury()
    second = await world.lead(wait=True)
    async with second.working():
        answer = await answered(world, request)
    assert answer.state is (RequestState.DONE if took_place else RequestState.REFUSED)
    assert answer.answer["switched"] is took_place
    assert ("took place" if took_place else "earlier state") in answer.answer["why"]


async def test_after_the_switch_a_migration_cannot_be_aborted_and_nothing_changes(twin: Venue) -> None:
    world, crew = await baking(twin)
    async with crew.working():
        answer = await world.ask(crew, RequestKind.ABORT)
    assert answer.state is RequestState.REFUSED
    assert [gate["name"] for gate in answer.answer["gates"]] == ["before-the-switch"]
    assert answer.answer["why"].startswith(
        "refused by its gates, nothing was changed: before-the-switch: BAKE, wanted "
    )
    assert (await world.ledger.migration.state()).phase is Phase.BAKE
    (event,) = await told(world, "refused")
    assert (event["what"], event["gates"]) == ("abort", answer.answer["gates"])


@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_a_switch_is_told_step_by_step_and_measured(twin: Venue, kind: RequestKind) -> None:
    """The steps in order, each with the time since writes were blocked; the same in answer, history and evidence."""
    world, crew = await (ready(twin) if kind is RequestKind.CUTOVER else baking(twin))
    seam = crew.database.hold(journal_step("settle"))
    async with crew.working():
        request = await world.ledger.requests.ask(kind)
        crew.bell.ring()
        await seam.reached.wait()
        so_far = (await world.ledger.requests.get(request)).answer
        assert so_far["step"] == "verify"
        assert 3000 <= so_far["blocked_ms"] < 5000, "staleness and longest request have passed, and a drain"
        seam.release()
        answer = await answered(world, request)
    assert answer.state is RequestState.DONE
    told_of = {name: answer.answer[name] for name in ("switched", "why", "blocked_ms", "steps")}
    assert (told_of["switched"], told_of["why"]) == (True, "switched")
    assert list(told_of["steps"]) == STEPS
    times = list(told_of["steps"].values())[STEPS.index("fence") :]
    assert times == sorted(times)
    assert (times[0], times[1]) == (0, 3000)
    assert times[2] == so_far["blocked_ms"]
    assert times[-1] <= told_of["blocked_ms"] < 10_000
    (event,) = await told(world, kind.value)
    assert {name: event[name] for name in told_of} == told_of
    evidence = await world.ledger.evidence.get(f"switch/{kind}")
    assert evidence is not None
    assert {name: evidence[name] for name in told_of} == told_of


async def test_the_flag_tells_why_it_changed_and_rollbacks_are_counted(twin: Venue) -> None:
    world, crew = await baking(twin)
    assert (await world.ledger.migration.state()).rollbacks == 0
    whys = [each["why"] for each in await world.ledger.history.all() if each["event"] in {"flag", "phase"}]
    assert sorted(map(str, whys[-3:])) == ["fence", "switch", "unfence"]
    async with crew.working():
        assert (await world.ask(crew, RequestKind.ROLLBACK)).state is RequestState.DONE
        await world.reach(Phase.READY)
    assert (await world.ledger.migration.state()).rollbacks == 1
    for stream, count in (("users", 2), ("target", 1)):
        spans = await world.ledger.marks.spans(stream)
        assert len(spans) == count
        assert all(span.closed is not None for span in spans[:-1])
        assert (spans[-1].closed is None) == (stream == "users")
    (bake,) = await world.ledger.marks.spans("target")
    assert bake.opened is not None
    assert len(bake.opened.places) == 3, "one place a shard"


@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_a_switch_whose_last_answer_was_lost_is_told_as_switched(twin: Venue, kind: RequestKind) -> None:
    world, crew = await (ready(twin) if kind is RequestKind.CUTOVER else baking(twin))
    crew.database.lose_answer(transacts("{'S': 'unfence'}"))
    async with crew.working():
        answer = await world.ask(crew, kind)
    assert (answer.answer["switched"], answer.answer["why"]) == (True, "switched")


@pytest.mark.parametrize(("asked", "seconds", "within_ms"), [({}, 10.0, 4000), ({"max_blocked_ms": 5500}, 5.5, 2750)])
async def test_a_switch_keeps_to_the_deadline_it_was_given(
    twin: Venue, asked: dict[str, int], seconds: float, within_ms: int
) -> None:
    """The verification never comes: it is withdrawn, so that nobody goes on with it."""
    world, crew = await ready(twin, SwitchSettings(verify=4.0))
    seam = crew.database.hold(lambda call: call.method == "scan_page")
    async with crew.working():
        answer = await world.ask(crew, RequestKind.CUTOVER, **asked)
        assert answer.state is RequestState.REFUSED
        assert f"{seconds} s" in answer.answer["why"]
        assert answer.answer["blocked_ms"] == int(seconds * 1000)
        rows = await world.ledger.requests._rows.all(f"requests/{RequestKind.VERIFY}")
        (verify,) = rows
        assert verify.fields["state"] == RequestState.REFUSED
        facts = verify.fields["facts"]
        assert (facts["fenced"], facts["within_ms"]) == (True, within_ms), "half of it at most, no patience"
        assert "taken back" in verify.fields["answer"]["why"]
        seam.release()


@pytest.mark.parametrize("error", [TransientError("the mark was not put"), ConditionFailed("the mark was refused")])
async def test_a_mark_that_cannot_be_put_takes_the_switch_back_and_is_told_as_it_is(
    twin: Venue, error: Exception
) -> None:
    world, crew = await ready(twin)
    crew.database.fail(puts_to(world.table("users")), error)
    async with crew.working():
        answer = await world.ask(crew, RequestKind.CUTOVER)
        assert answer.state is RequestState.REFUSED
        assert answer.answer["why"] == str(error)
        await world.reach(Phase.READY)
    assert (await world.ledger.migration.state()).flag.writable
    assert await world.ledger.marks.pending() == []


async def test_a_mismatch_under_the_fence_is_told_with_what_helps(twin: Venue) -> None:
    world, crew = await ready(twin)
    await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(77)))
    async with crew.working():
        answer = await world.ask(crew, RequestKind.CUTOVER)
    assert answer.state is RequestState.REFUSED
    assert "found 1 mismatches" in answer.answer["why"]
    assert "then repair" in answer.answer["why"]


async def test_a_cutover_waits_for_the_last_tombstone_before_it_marks_the_target(twin: Venue) -> None:
    world, crew = await ready(twin)
    seam = crew.database.hold(lambda call: call.method == "delete" and call.table == world.plan.target.name)
    async with crew.working():
        await world.delete("users", BOB)
        await seam.reached.wait()
        request = await world.ledger.requests.ask(RequestKind.CUTOVER)
        crew.bell.ring()
        await asyncio.sleep(8)
        so_far = await world.ledger.requests.get(request)
        assert so_far.answer["step"] == "settle"
        assert (await world.ledger.migration.state()).phase is Phase.CUTOVER
        seam.release()
        assert (await answered(world, request)).state is RequestState.DONE
    assert set(await world.standing()) == {ADA_AT}


@pytest.mark.parametrize(("kind", "drained"), [(RequestKind.CUTOVER, "source"), (RequestKind.ROLLBACK, "target")])
async def test_an_item_that_went_to_quarantine_since_the_gates_looked_takes_the_switch_back(
    twin: Venue, kind: RequestKind, drained: str
) -> None:
    """Even if both sides agree by now: somebody has to look at it first."""
    world, crew = await (ready(twin) if kind is RequestKind.CUTOVER else baking(twin))
    seam = crew.database.hold(journal_step("verify"))
    async with crew.working():
        request = await world.ledger.requests.ask(kind)
        crew.bell.ring()
        await seam.reached.wait()
        entry = Quarantined("users", "users/bob", str(Version(1, 5)), Reason.FOREIGN, "somebody was here")
        await crew.ledger.quarantine.put(entry)
        seam.release()
        answer = await answered(world, request)
        assert answer.state is RequestState.REFUSED
        assert f"1 items went to quarantine while the {drained} was drained" in answer.answer["why"]
        assert "quarantine list" in answer.answer["why"]
    state = await world.ledger.migration.state()
    assert (state.flag.serving.value, state.flag.writable) == (drained, True)


async def test_the_sign_of_life_tells_which_lease_it_comes_from_and_is_given_every_five_seconds(twin: Venue) -> None:
    world, crew = await ready(twin)
    async with crew.working():
        seen: set[int] = set()
        for _ in range(60):
            await asyncio.sleep(0.5)
            shown = await world.ledger.evidence.get(WORKER)
            assert shown is not None
            assert (shown["epoch"], shown["settled"]) == (crew.guard.epoch, True)
            seen.add(shown["at_ms"])
    assert 6 <= len(seen) <= 8
    assert {later - earlier for earlier, later in pairwise(sorted(seen))} <= {5000, 6000}


async def test_before_the_switch_a_rollback_is_refused_and_after_it_a_cutover(twin: Venue) -> None:
    world, crew = await ready(twin)
    async with crew.working():
        answer = await world.ask(crew, RequestKind.ROLLBACK)
        assert "phase: READY, wanted BAKE" in answer.answer["why"]
        assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE
        answer = await world.ask(crew, RequestKind.CUTOVER)
        assert "phase: BAKE, wanted READY" in answer.answer["why"]


async def test_a_bake_is_completed_when_it_is_over_and_not_before(twin: Venue) -> None:
    world, crew = await baking(replace(twin, tempo=replace(twin.tempo, limits=Limits(bake_ms=120_000, stable_ms=0))))
    async with crew.working():
        refused = await world.ask(crew, RequestKind.COMPLETE)
        assert [gate["name"] for gate in refused.answer["gates"]] == ["baked"]
        await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(5)))
        await asyncio.sleep(120)
        assert (await world.ask(crew, RequestKind.COMPLETE)).state is RequestState.DONE
    assert (await world.sources())["users/ada"]["lastLogin"] == number(5)
