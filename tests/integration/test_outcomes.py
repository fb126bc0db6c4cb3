"""A switch has two outcomes and no third: over, or exactly back; and a gate that refuses changes nothing (§8)."""

import asyncio

import pytest

from domain.items import Item, TargetKey, number, text
from domain.phases import Phase, Side
from domain.stamps import is_tombstone
from ledger.requests import Request, RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, BOB, changed, without
from tests.seams import Matches, journal_step, transacts
from tests.world import Venue, World

ADA_AT = TargetKey("USER#ada", "METADATA")
STEPS = ("fence", "drain", "verify", "settle", "mark", "switch", "unfence")
UNFENCE = transacts("{'S': 'unfence'}")


async def prepared(world: World, kind: RequestKind) -> Crew:
    """Bring a migration to where a cutover, or a rollback, may be asked for; return the crew that leads it."""
    await world.put("users", ADA, BOB)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        if kind is RequestKind.ROLLBACK:
            assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE
            await world.put_target(changed(await world.get_target(*ADA_AT), lastLogin=number(1)))
            await world.caught_up(Side.TARGET)
            await world.caught_up()
            await freshly_compared(world, Side.TARGET)
    return crew


async def freshly_compared(world: World, side: Side) -> None:
    """Wait for evidence of this side serving."""

    async def is_there() -> bool:
        found = await world.ledger.evidence.get(f"reconcile/{side}")
        return found is not None and found["mismatches"] == 0

    await world.until(is_there)


async def both_sides(world: World) -> tuple[dict[str, Item], dict[TargetKey, Item]]:
    return await world.sources(), await world.standing()


async def exactly_back(world: World, kind: RequestKind) -> None:
    """The side that served serves again and may be written; no mark is pending, no journal open."""
    state = await world.ledger.migration.state()
    serving = Side.SOURCE if kind is RequestKind.CUTOVER else Side.TARGET
    assert (state.flag.serving, state.flag.writable) == (serving, True)
    assert state.phase in ({Phase.READY, Phase.VERIFY} if kind is RequestKind.CUTOVER else {Phase.BAKE})
    assert await world.ledger.marks.pending() == []
    journal = await world.ledger.switches.current()
    assert journal is None or not journal.is_open


async def goes_on(world: World, crew: Crew, kind: RequestKind) -> None:
    """The side that serves is followed, and the switch succeeds when it is asked for again."""
    if kind is RequestKind.CUTOVER:
        await world.put("users", changed(BOB, name=text("Bob, later")))
        await world.caught_up()
        assert (await world.get_target("USER#bob", "METADATA"))["name"] == text("Bob, later")
        await world.reach(Phase.READY)
    else:
        await world.put_target(changed(await world.get_target("USER#bob", "METADATA"), lastLogin=number(2)))
        await world.caught_up(Side.TARGET)
        assert (await world.sources())["users/bob"]["lastLogin"] == number(2)
    await again(world, crew, kind)


async def again(world: World, crew: Crew, kind: RequestKind) -> None:
    """Ask until the gates let it pass: evidence has to be renewed first."""

    async def passes() -> bool:
        answer = await world.ask(crew, kind)
        return answer.state is RequestState.DONE

    await world.until(passes, seconds=90)
    serving = Side.TARGET if kind is RequestKind.CUTOVER else Side.SOURCE
    assert (await world.ledger.migration.state()).flag.serving is serving
    await world.caught_up(serving.other)
    await world.caught_up(serving)
    assert (await crew.compare(serving)).mismatches == []


async def without_answer(world: World, kind: RequestKind) -> Request:
    return await world.ledger.requests.ask(kind)


@pytest.mark.looptime
@pytest.mark.parametrize(("step", "answered"), [(STEPS[0], False), *((step, True) for step in STEPS)])
@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_a_crash_at_any_step_of_the_journal_ends_in_one_of_two_outcomes(
    twin: Venue, kind: RequestKind, step: str, *, answered: bool
) -> None:
    """Nothing but the unfence is a point of no return: a crash at the writing of any step takes all back."""
    world = await twin.world("tyler-setup", "users")
    crew = await prepared(world, kind)
    sources, _ = await both_sides(world)
    await crash(world, crew, kind, journal_step(step), answered=answered)
    second = await taken_over(world)
    async with second.working():
        await over(world, request := (await all_requests(world, kind))[-1])
        assert (await world.ledger.requests.get(request)).state is RequestState.REFUSED
        await exactly_back(world, kind)
        assert {name: item for name, item in (await world.sources()).items() if "mark" not in name} == sources
        await goes_on(world, second, kind)


async def crash(world: World, crew: Crew, kind: RequestKind, where: Matches, *, answered: bool) -> None:
    """Ask for a switch and let the worker die in the middle."""
    crew.database.crash(where, answered=answered)
    await without_answer(world, kind)
    await crew.work_until_crash()


async def taken_over(world: World) -> Crew:
    await world.bury()
    return await world.lead()


async def all_requests(world: World, kind: RequestKind) -> list[Request]:
    rows = await world.ledger.rows.all(f"requests/{kind}")
    return [Request(kind, row.name, revision=row.revision) for row in rows]


async def over(world: World, request: Request) -> None:
    async def is_over() -> bool:
        return (await world.ledger.requests.get(request)).over

    await world.until(is_over)


@pytest.mark.looptime
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_a_crash_at_the_unfence(twin: Venue, kind: RequestKind, *, answered: bool) -> None:
    """Before it all is back; once it took place it stays, and the one who asked is told so."""
    world = await twin.world("tyler-setup", "users")
    crew = await prepared(world, kind)
    await crash(world, crew, kind, UNFENCE, answered=answered)
    second = await taken_over(world)
    async with second.working():
        await over(world, request := (await all_requests(world, kind))[-1])
        state = (await world.ledger.requests.get(request)).state
        assert state is (RequestState.DONE if answered else RequestState.REFUSED)
        if not answered:
            await exactly_back(world, kind)
            return
        serving = Side.TARGET if kind is RequestKind.CUTOVER else Side.SOURCE
        flag = (await world.ledger.migration.state()).flag
        assert (flag.serving, flag.writable) == (serving, True)


@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_an_unfence_whose_answer_was_lost_took_place(venue: Venue, kind: RequestKind) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await prepared(world, kind)
    crew.database.lose_answer(UNFENCE)
    async with crew.working():
        answer = await world.ask(crew, kind)
        assert answer.state is RequestState.DONE, answer.answer
        flag = (await world.ledger.migration.state()).flag
        assert flag.writable
        assert flag.serving is (Side.TARGET if kind is RequestKind.CUTOVER else Side.SOURCE)


@pytest.mark.looptime
@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
async def test_a_deadline_that_passes_puts_the_earlier_state_back(twin: Venue, kind: RequestKind) -> None:
    """A follower cannot reach its mark: writes are open again, marks dropped, and applying resumes."""
    world = await twin.world("tyler-setup", "users")
    crew = await prepared(world, kind)
    before = await both_sides(world)
    arn = {stream.name: stream.arn for stream in await world.ledger.streams.all()}
    stream = arn["users" if kind is RequestKind.CUTOVER else "target"]
    table = stream.partition(":table/")[2].partition("/")[0]
    fenced = crew.database.hold(journal_step("fence"), answered=True)
    async with crew.working():
        asking = asyncio.create_task(world.ask(crew, kind, max_blocked_ms=7000))
        await fenced.reached.wait()
        seam = crew.database.hold(lambda call: call.method == "get_records" and call.mentions(f"{table}/"))
        fenced.release()
        answer = await asking
        assert answer.state is RequestState.REFUSED
        assert "deadline" in answer.answer["why"]
        await exactly_back(world, kind)
        assert await both_sides(world) == before
        seam.release()
        await goes_on(world, crew, kind)


async def test_a_verification_that_fails_under_the_fence_takes_all_back(venue: Venue) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await prepared(world, RequestKind.CUTOVER)
    broken = changed(await world.get_target(*ADA_AT), role=text("nobody"))
    await world.put_target(broken)
    async with crew.working():
        answer = await world.ask(crew, RequestKind.CUTOVER)
        assert answer.state is RequestState.REFUSED
        assert "mismatch" in answer.answer["why"]
        await exactly_back(world, RequestKind.CUTOVER)
        await world.reach(Phase.VERIFY)
        assert await world.get_target(*ADA_AT) == broken


async def test_a_rollback_whose_verification_fails_leaves_the_target_serving(venue: Venue) -> None:
    """Somebody changed a legacy item behind the back of everything: TTL-like, unseen by the lag, seen by the proof."""
    world = await venue.world("tyler-setup", "users")
    crew = await prepared(world, RequestKind.ROLLBACK)
    async with crew.working():
        await world.put("users", changed(BOB, name=text("a stray")))
        answer = await world.ask(crew, RequestKind.ROLLBACK)
        assert answer.state is RequestState.REFUSED
        await exactly_back(world, RequestKind.ROLLBACK)


@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK, RequestKind.COMPLETE])
async def test_a_gate_that_refuses_changes_nothing(venue: Venue, kind: RequestKind) -> None:
    world = await venue.world("tyler-setup", "users")
    crew = await prepared(world, RequestKind.CUTOVER if kind is RequestKind.CUTOVER else RequestKind.ROLLBACK)
    await world.put("users", changed(BOB, notes=text("x" * 409_300)))
    async with crew.working():
        await world.caught_up()
        assert await world.ledger.quarantine.everything()
        await asyncio.sleep(0.5)
        before = await both_sides(world), await world.ledger_rows()
        answer = await world.ask(crew, kind)
        assert answer.state is RequestState.REFUSED
        assert "quarantine" in answer.answer["why"]
        assert (await both_sides(world), await world.ledger_rows()) == before
    told = [each for each in await world.ledger.history.all() if each["event"] == "refused"]
    assert [each["what"] for each in told] == [kind]


@pytest.mark.looptime
async def test_told_to_stop_in_the_middle_of_a_cutover_it_takes_itself_back(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    crew = await prepared(world, RequestKind.CUTOVER)
    seam = crew.database.hold(journal_step("verify"), answered=True)
    async with crew.working():
        request = await without_answer(world, RequestKind.CUTOVER)
        crew.bell.ring()
        await seam.reached.wait()
        seam.release()
    assert (await world.ledger.requests.get(request)).over
    await exactly_back(world, RequestKind.CUTOVER)
    await world.sources()
    async with crew.working():
        await goes_on(world, crew, RequestKind.CUTOVER)
    live = [item for item in (await world.standing()).values() if not is_tombstone(item)]
    assert {without(item, "_stamp")["id"]["S"] for item in live} == {"ada", "bob"}
