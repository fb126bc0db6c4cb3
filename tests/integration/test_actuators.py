"""Actuators in a switch: all done or all undone, whatever fails or crashes, each in its moment (protocol §8)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from cutover.actuators import Act, Moment
from cutover.sequence import SwitchSettings
from domain.errors import FatalError, RefusedError, TransientError
from domain.phases import Phase, Side
from ledger.requests import RequestKind, RequestState
from tests.levers import BEFORE, Lever, Scene, after, journal, ready, scene_on, switch
from tests.seams import Call, Matches
from tests.world import Venue

pytestmark = pytest.mark.looptime


@pytest.fixture
async def scene(twin: Venue) -> Scene:
    return await scene_on(twin)


async def test_each_acts_in_its_moment_and_only_what_lasts_stays(scene: Scene) -> None:
    crew = await ready(scene)
    async with crew.working():
        assert (await switch(scene, crew)).state is RequestState.DONE
        await scene.settled(after(Side.TARGET))
        assert {name: lever.seen for name, lever in scene.levers.items()} == {
            "prepare": [("do", "source", True)],
            "fence": [("do", "source", False), ("undo", "target", True)],
            "switch": [("do", "target", False)],
            "smoke": [("do", "target", False)],
            "tidy": [("do", "target", True)],
        }
        assert await scene.owed() == []


@pytest.mark.parametrize("kind", [RequestKind.CUTOVER, RequestKind.ROLLBACK])
@pytest.mark.parametrize("method", ["standing", "do", "verify"])
@pytest.mark.parametrize("moment", [Moment.PREPARE, Moment.FENCE, Moment.SWITCH, Moment.SMOKE])
async def test_one_that_fails_takes_all_back(scene: Scene, moment: Moment, method: str, kind: RequestKind) -> None:
    crew = await ready(scene, kind)
    before, flag = scene.stands, await scene.flag()
    scene.levers[moment.value].faults[method] = [RefusedError("the lever is jammed")]
    async with crew.working():
        answer = await switch(scene, crew, kind)
        assert (answer.state, answer.answer["why"]) == (RequestState.REFUSED, f"{moment}: the lever is jammed")
        assert scene.stands == before
        assert await scene.flag() == flag
        assert answer.answer["unsettled"] == []
        assert (answer.answer["blocked_ms"] == 0) is (moment is Moment.PREPARE), "nothing was blocked before the fence"


def act_is(name: str, state: str) -> Matches:
    """Match the ledger's write of how far an act is."""

    def matches(call: Call) -> bool:
        written = call.mentions("'PK': {'S': 'acts/", f"'SK': {{'S': '{name}'}}", f"'state': {{'S': '{state}'}}")
        return call.method == "put" and written

    return matches


STEPS = ("prepare", "approach", "fence", "drain", "verify", "settle", "mark", "switch", "smoke")
CRASHES = {
    **{f"{step}, first": (journal(step, taken=False), False, False) for step in STEPS},
    **{f"{step}, begun": (journal(step, taken=False), True, False) for step in (*STEPS, "unfence")},
    **{f"{step}, taken": (journal(step, taken=True), False, False) for step in STEPS},
    **{f"{moment} lever, first": (act_is(moment, "begun"), False, False) for moment in list(Moment)[:-1]},
    **{f"{moment} lever, begun": (act_is(moment, "begun"), True, False) for moment in list(Moment)[:-1]},
    **{f"{moment} lever, done": (act_is(moment, "done"), False, False) for moment in list(Moment)[:-1]},
    "tidy lever, begun": (act_is("tidy", "begun"), True, True),
    "tidy lever, done": (act_is("tidy", "done"), False, True),
    "fence lever, undone": (act_is("fence", "undone"), False, True),
}
"""Which write is the last of the process, whether it still takes place, and whether the switch has taken place then."""


@pytest.mark.parametrize("crash", CRASHES.values(), ids=CRASHES)
async def test_a_crash_anywhere_ends_in_one_of_two_outcomes(scene: Scene, crash: tuple[Matches, bool, bool]) -> None:
    matches, answered, took_place = crash
    crew = await ready(scene)
    crew.database.crash(matches, answered=answered)
    await scene.world.ledger.requests.ask(RequestKind.CUTOVER)
    await crew.work_until_crash()
    await scene.world.bury()
    second = await scene.lead()
    async with second.working():
        await scene.settled(after(Side.TARGET) if took_place else BEFORE)

        async def is_open() -> bool:
            return await scene.flag() == (Side.TARGET if took_place else Side.SOURCE, True)

        await scene.world.until(is_open)
        assert await scene.owed() == []
        if not took_place:
            await scene.world.reach(Phase.READY)
            assert (await switch(scene, second)).state is RequestState.DONE, "and it can be asked for again"


async def test_an_undo_is_tried_until_it_holds_and_no_switch_begins_before(scene: Scene) -> None:
    crew = await ready(scene)
    lever = scene.levers["prepare"]
    scene.levers["smoke"].faults["do"] = [RefusedError("it smokes")]
    lever.faults["undo"] = [TransientError("nobody answers")] * 3
    async with crew.working():
        answer = await switch(scene, crew)
        assert answer.answer["unsettled"] == ["prepare: nobody answers"]
        assert await scene.flag() == (Side.SOURCE, True), "applications do not wait for it"
        again = await switch(scene, crew)
        assert again.state is RequestState.REFUSED
        assert [(gate["name"], gate["value"]) for gate in again.answer["gates"]] == [
            ("actuators", "prepare: nobody answers")
        ]
        await scene.settled(BEFORE)
        assert (await switch(scene, crew)).state is RequestState.DONE


async def test_what_is_tidied_after_the_unfence_is_tried_until_it_is_done(scene: Scene) -> None:
    crew = await ready(scene)
    scene.levers["tidy"].faults["do"] = [RefusedError("not yet")] * 3
    async with crew.working():
        assert (await switch(scene, crew)).state is RequestState.DONE

        async def is_told() -> bool:
            return await scene.owed() == ["tidy: not yet"]

        await scene.world.until(is_told)
        await scene.settled(after(Side.TARGET))


async def test_nothing_is_completed_before_it_is_settled(scene: Scene) -> None:
    """Behind the end there is no leader who could."""
    crew = await ready(scene)
    async with crew.working():
        assert (await switch(scene, crew)).state is RequestState.DONE
        await scene.settled(after(Side.TARGET))
        await scene.world.caught_up(Side.TARGET)
        scene.levers["tidy"].faults["do"] = [RefusedError("not yet")] * 99
        switches = scene.world.ledger.switches
        standing = await switches.current()
        assert standing is not None
        owed = replace(standing, switch_id="another", is_open=False)
        await crew.ledger.switches.save(owed)

        async def says_so() -> bool:
            answer = await switch(scene, crew, RequestKind.COMPLETE)
            assert answer.state is RequestState.REFUSED
            return "tidy: not yet" in str(answer.answer["why"])

        await scene.world.until(says_so)
        scene.levers["tidy"].faults.clear()

        async def completes() -> bool:
            return (await switch(scene, crew, RequestKind.COMPLETE)).state is RequestState.DONE

        await scene.world.until(completes)


async def test_when_the_deadline_passes_an_act_comes_to_its_end_before_it_is_undone(scene: Scene) -> None:
    """A call that is out cannot be recalled: undone first, it would take effect afterwards."""
    crew = await ready(scene)
    lever = scene.levers["switch"]
    lever.held = asyncio.Event()
    asyncio.get_running_loop().call_later(12, lever.held.set)
    async with crew.working():
        request = await scene.world.ledger.requests.ask(RequestKind.CUTOVER, max_blocked_ms=8_000)
        crew.bell.ring()

        async def is_over() -> bool:
            return (await scene.world.ledger.requests.get(request)).over

        await scene.world.until(is_over)
        assert scene.stands == BEFORE
        assert [what for what, _, _ in lever.seen] == ["do", "undo"]


async def test_one_that_left_the_switch_file_is_missed_while_it_has_to_be_undone(scene: Scene) -> None:
    crew = await ready(scene)
    crew.database.crash(journal("drain", taken=False))
    await scene.world.ledger.requests.ask(RequestKind.CUTOVER)
    await crew.work_until_crash()
    await scene.world.bury()
    other = scene.crew()
    other.acts = [act for act in other.acts if act.name != "prepare"]
    await other.lead()
    async with other.working():

        async def is_told() -> bool:
            return any("prepare acted in the last switch" in line for line in await scene.owed())

        await scene.world.until(is_told)
    await other.retire()
    async with (await scene.lead()).working():
        await scene.settled(BEFORE)


async def test_what_cannot_be_reached_is_evidence_before_anything_is_done(scene: Scene) -> None:
    scene.levers["switch"].faults["preview"] = [RefusedError("there is no such function")] * 9
    await ready(scene)
    assert await scene.owed() == ["switch: there is no such function"]


async def test_two_of_one_name_are_refused(scene: Scene) -> None:
    crew = scene.crew()
    crew.acts = [Act("x", Moment.SWITCH, Lever()), Act("x", Moment.TIDY, Lever())]
    with pytest.raises(FatalError, match="x"):
        await crew.lead()


async def test_nothing_is_blocked_before_the_streams_are_at_their_tips(scene: Scene) -> None:
    """A stream that lags keeps the fence from beginning, and in the end the switch, with nothing changed."""
    quick = replace(scene.world.venue.tempo, switch=SwitchSettings(approach=30.0))
    await (await ready(scene)).retire()
    crew = await scene.lead(tempo=quick)
    async with crew.working():
        reading: Callable[[Call], bool] = lambda call: call.method == "get_records"  # noqa: E731 - a matcher
        began = scene.world.venue.clock.monotonic()
        holds = [crew.database.hold(reading) for _ in range(6)]
        await asyncio.gather(*(hold.reached.wait() for hold in holds))
        await asyncio.sleep(3)  # else their tips were seen a moment ago
        answer = await switch(scene, crew)
        assert "writes were never blocked" in str(answer.answer["why"])
        assert scene.world.venue.clock.monotonic() - began >= 30
        assert await scene.flag() == (Side.SOURCE, True)
        for hold in holds:
            hold.release()

        async def goes_over() -> bool:
            return (await switch(scene, crew)).state is RequestState.DONE

        await scene.world.until(goes_over)
