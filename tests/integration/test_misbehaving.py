"""Actuators that misbehave, and a worker that is stopped meanwhile: two outcomes, and nobody waits for a third."""

import asyncio
from typing import Any

import pytest

from cutover.actuators import Act, Moment
from domain.errors import FatalError, RefusedError, TransientError
from domain.phases import Side
from dynamo.ports import Put
from ledger.requests import RequestKind, RequestState
from tests.levers import BEFORE, Lever, Scene, after, journal, ready, scene_on, switch
from tests.seams import Matches
from tests.world import Venue

pytestmark = pytest.mark.looptime


@pytest.fixture
async def scene(twin: Venue) -> Scene:
    return await scene_on(twin)


UNEXPECTED = {
    "a right that is missing": FatalError("it is not allowed", hint="allow it"),
    "a fault of ours": KeyError("hunter2"),
    "several at once": ExceptionGroup("many", [FatalError("it is not allowed"), TransientError("slow")]),
    "a call that somebody else gave up": asyncio.CancelledError("hunter2"),
}


@pytest.mark.parametrize("error", UNEXPECTED.values(), ids=UNEXPECTED)
async def test_nothing_that_one_raises_ends_the_worker(scene: Scene, error: BaseException) -> None:
    """It carries data meanwhile; and whatever it was, the switch has one of two outcomes and the asker is told."""
    crew = await ready(scene)
    scene.levers["fence"].faults["undo"] = [error]
    scene.levers["switch"].faults["do"] = [error]
    async with crew.working():
        answer = await switch(scene, crew)
        assert answer.state is RequestState.REFUSED
        assert str(answer.answer["why"]).startswith("switch: ")
        assert "hunter2" not in str(answer.answer)
        assert await scene.flag() == (Side.SOURCE, True)
        await scene.settled(BEFORE)
        scene.levers["switch"].faults["preview"] = [error]
        refused = await switch(scene, crew)
        assert [gate["name"] for gate in refused.answer["gates"]] == ["actuators"]
        scene.levers["tidy"].faults["verify"] = [error]
        assert (await switch(scene, crew)).state is RequestState.DONE
        await scene.settled(after(Side.TARGET))


class Standing(Lever):
    """Finds what it is told to find."""

    found: Any = None

    async def standing(self, to: Side) -> dict[str, Any]:
        return {"at": self.at, "found": self.found}


@pytest.mark.parametrize("found", [0.5, "x" * 410_000], ids=["no number of the ledger", "larger than an item"])
async def test_what_cannot_be_written_down_is_not_touched(scene: Scene, found: object) -> None:
    lever = scene.levers["switch"] = Standing()
    crew = await ready(scene)
    lever.found = found
    async with crew.working():
        assert "switch: what stands before it cannot be written" in (await switch(scene, crew)).answer["why"]
        assert (scene.stands, await scene.flag()) == (BEFORE, (Side.SOURCE, True))
        lever.found = None
        assert (await switch(scene, crew)).state is RequestState.DONE


async def test_the_flag_opens_although_the_row_of_a_fence_was_spoiled(scene: Scene) -> None:
    """The worker stops by that row's name, and nobody waits behind the flag until it is mended."""
    crew = await ready(scene)
    crew.database.crash(journal("drain", taken=False))
    await scene.world.ledger.requests.ask(RequestKind.CUTOVER)
    await crew.work_until_crash()
    await scene.world.bury()
    rows = [row for (partition, _), row in (await scene.world.ledger_rows()).items() if partition.startswith("acts/")]
    assert rows
    for row in rows:
        await scene.world.database.write(Put(scene.world.ledger.rows.table, {**row, "state": {"N": "1.5"}}))
    second = await scene.lead()
    with pytest.raises(ExceptionGroup):
        async with second.working():
            await asyncio.Event().wait()
    assert await scene.flag() == (Side.SOURCE, True)


@pytest.mark.parametrize("moment", [Moment.FENCE, Moment.SWITCH])
async def test_told_to_stop_while_an_act_hangs_the_flag_opens_before_the_process_is_gone(
    scene: Scene, moment: Moment
) -> None:
    """Nobody may lead after it for hours: what is left to be undone stands in the ledger."""
    crew = await ready(scene)
    lever = scene.levers[moment.value]
    lever.held = asyncio.Event()
    async with crew.working():
        await scene.world.ledger.requests.ask(RequestKind.CUTOVER, max_blocked_ms=60_000)
        crew.bell.ring()

        async def is_under_way() -> bool:
            return bool(lever.seen)

        await scene.world.until(is_under_way)
    assert await scene.flag() == (Side.SOURCE, True)
    lever.held.set()
    async with crew.working():
        await scene.settled(BEFORE)


class Silent(Lever):
    """Never says what it would do."""

    async def preview(self, to: Side) -> str:
        await asyncio.Event().wait()
        return ""


async def test_one_that_does_not_answer_keeps_nobody_waiting(scene: Scene) -> None:
    crew = await ready(scene)
    await crew.retire()
    scene.levers["switch"], scene.levers["tidy"] = Silent(), Silent()
    crew = await scene.lead()
    async with crew.working():
        began = scene.world.venue.clock.monotonic()
        answer = await switch(scene, crew)
        assert "switch: no answer within 15 s" in str(answer.answer["why"])
        assert scene.world.venue.clock.monotonic() - began < 30


async def test_a_look_that_fails_does_not_end_the_switch_under_way(scene: Scene) -> None:
    crew = await ready(scene)
    lever = scene.levers["smoke"]
    lever.held = asyncio.Event()
    async with crew.working():
        request = await scene.world.ledger.requests.ask(RequestKind.CUTOVER, max_blocked_ms=60_000)
        crew.bell.ring()

        async def is_under_way() -> bool:
            return bool(lever.seen)

        await scene.world.until(is_under_way)
        looks: Matches = lambda call: call.method == "get_item" and call.mentions("'S': 'switch'")  # noqa: E731
        crew.database.fail(looks, TransientError("the ledger is slow"))
        await asyncio.sleep(10)
        lever.held.set()

        async def is_over() -> bool:
            return (await scene.world.ledger.requests.get(request)).over

        await scene.world.until(is_over)
        assert (await scene.world.ledger.requests.get(request)).state is RequestState.DONE


async def test_what_is_settled_is_evidence_at_once(scene: Scene) -> None:
    crew = await ready(scene)
    scene.levers["smoke"].faults["do"] = [RefusedError("it smokes")]
    scene.levers["prepare"].faults["undo"] = [TransientError("nobody answers")] * 3
    async with crew.working():
        await switch(scene, crew)
        await scene.settled(BEFORE)

        async def is_told() -> bool:
            return await scene.owed() == []

        await scene.world.until(is_told, seconds=20)


async def test_what_the_switch_file_names_after_a_switch_waits_for_the_next_one(scene: Scene) -> None:
    """Nobody asked for it, and no gate was held against it; what is struck from the file is not owed any more."""
    crew = await ready(scene)
    scene.levers["tidy"].faults["do"] = [RefusedError("it never will")] * 99
    async with crew.working():
        assert (await switch(scene, crew)).state is RequestState.DONE
    await crew.retire()
    later, other = Lever(), scene.crew()
    other.acts = [*(act for act in other.acts if act.name != "tidy"), Act("later", Moment.TIDY, later)]
    await other.lead()
    async with other.working():

        async def is_settled() -> bool:
            return await scene.owed() == []

        await scene.world.until(is_settled)
        await scene.world.caught_up(Side.TARGET)
        assert later.at == "somewhere"

        async def goes_back() -> bool:
            return (await switch(scene, other, RequestKind.ROLLBACK)).state is RequestState.DONE

        await scene.world.until(goes_back)

        async def is_tidied() -> bool:
            return later.at == Side.SOURCE

        await scene.world.until(is_tidied)
