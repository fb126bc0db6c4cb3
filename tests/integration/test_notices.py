"""Notices on the twin: each once, however often the worker is started anew, and a migration that they never stop."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from cutover.actuators import Act, Moment
from domain.errors import FencedError, RefusedError, TransientError
from domain.notices import DeliveryState, NoticeState
from domain.phases import Phase
from ledger.requests import RequestKind, RequestState
from service.herald import Herald
from service.noticefile import NoticeFile
from service.settings import Settings
from service.supervisor import supervise
from service.tidings import Tidings
from tests.examples import ADA, BOB
from tests.levers import Lever
from tests.world import Venue, World, ready

pytestmark = pytest.mark.looptime

HOUR = 3_600.0
KINDS = ("announcement", "final-notice", "cut-over", "status-report", "rolled-back", "postponed", "phase", "refused")


@dataclass
class Letterbox:
    """A route that keeps what it is sent. ``faults``: errors to come, next first; ``shut`` holds every delivery up."""

    faults: list[Exception] = field(default_factory=list)
    shut: asyncio.Event | None = None
    letters: list[dict[str, Any]] = field(default_factory=list)

    async def send(self, document: Any) -> None:
        self.letters.append(dict(document))
        if self.shut is not None:
            await self.shut.wait()
        if self.faults:
            raise self.faults.pop(0)

    @property
    def kinds(self) -> list[str]:
        return [letter["kind"] for letter in self.letters]


def notice_file(*kinds: str) -> NoticeFile:
    return NoticeFile.model_validate(
        {
            "notices": "tyler-setup",
            "contact": "the desk, desk@example.com",
            "routes": {"box": {"kind": "command", "words": "x"}},
            "audiences": {"all": "box"},
            "send": dict.fromkeys(kinds, "all"),
        }
    )


def herald_of(world: World, box: Letterbox, *kinds: str) -> Herald:
    tidings = Tidings(
        world.ledger,
        world.database,
        world.plan,
        world.venue.clock,
        Settings.model_validate({}),
        notice_file(*(kinds or KINDS)),
    )
    return Herald(tidings, {"box": box}, asyncio.Event(), Random(7))


@asynccontextmanager
async def heralded(world: World, box: Letterbox, *kinds: str) -> AsyncIterator[Herald]:
    """Run a herald for the length of the block, and let it end as a worker that is stopped does."""
    herald = herald_of(world, box, *kinds)
    running = asyncio.create_task(herald.run())
    try:
        yield herald
    finally:
        herald.stopping.set()
        await running


async def begun(twin: Venue) -> World:
    """Return a migration in phase CAPTURE, whose history begins with that."""
    return await twin.world("tyler-setup", "users")


async def until(moment_ms: int, world: World) -> None:
    await asyncio.sleep((moment_ms - world.venue.clock.wall_ms()) / 1000)


async def test_each_notice_before_the_switch_goes_out_at_its_time_and_once(twin: Venue) -> None:
    """Looks are five seconds apart; the worker is started anew again and again."""
    world = await begun(twin)
    box, planned = Letterbox(), world.venue.clock.wall_ms() + int(60 * HOUR * 1000)
    await world.ledger.notices.plan(planned, by="operator")
    for hours in (48, 2):
        await until(planned - int(hours * HOUR * 1000) - 8_000, world)
        for _ in range(3):
            async with heralded(world, box, "announcement", "final-notice"):
                await asyncio.sleep(7)
    assert box.kinds == ["announcement", "final-notice"]
    for letter, hours in zip(box.letters, (48, 2), strict=True):
        assert 0 <= letter["written_ms"] - (planned - hours * 3_600_000) <= 5_000
        assert letter["planned_ms"] == planned
        assert "desk@example.com" in letter["text"]


async def test_a_worker_that_was_started_late_sends_no_announcement_after_the_final_notice(twin: Venue) -> None:
    world = await begun(twin)
    box, planned = Letterbox(), world.venue.clock.wall_ms() + int(HOUR * 1000)
    await world.ledger.notices.plan(planned, by="operator")
    async with heralded(world, box, "announcement", "final-notice"):
        await asyncio.sleep(6)
    assert box.kinds == ["final-notice"]
    skipped = await world.ledger.notices.get(f"announcement-{planned}")
    assert skipped is not None
    assert skipped.state is NoticeState.SKIPPED


async def test_what_is_called_off_is_told_and_what_is_planned_anew_is_announced_anew(twin: Venue) -> None:
    world = await begun(twin)
    box, planned = Letterbox(), world.venue.clock.wall_ms() + int(24 * HOUR * 1000)
    async with heralded(world, box, "announcement", "postponed"):
        await world.ledger.notices.plan(planned, by="operator")
        await asyncio.sleep(6)
        await world.ledger.notices.call_off(reason="ask carol@example.com", by="operator")
        await asyncio.sleep(6)
        await world.ledger.notices.plan(planned + 1, by="operator")
        await asyncio.sleep(6)
    assert box.kinds == ["announcement", "postponed", "announcement"]
    assert "carol@example.com" not in json.dumps(box.letters[1])


async def test_a_day_with_a_cutover_and_a_rollback_is_told_with_its_facts(twin: Venue) -> None:
    box = Letterbox()
    async with ready(twin, "tyler-setup", users=[ADA, BOB]) as (world, crew), heralded(world, box):
        assert (await world.ask(crew, RequestKind.COMPLETE)).state is RequestState.REFUSED
        assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE
        await asyncio.sleep(60)
        assert (await world.ask(crew, RequestKind.ROLLBACK)).state is RequestState.DONE
        await asyncio.sleep(60)
        history = await world.ledger.history.all()
    phases = [event["to"] for event in history if event["event"] == "phase"]
    assert [letter["event"]["to"] for letter in box.letters if letter["kind"] == "phase"] == phases
    by_kind = {letter["kind"]: letter for letter in box.letters}
    assert box.kinds.count("cut-over") == box.kinds.count("rolled-back") == box.kinds.count("refused") == 1
    assert "phase: READY" in by_kind["refused"]["text"]
    for kind, switch in (("cut-over", "cutover"), ("rolled-back", "rollback")):
        (blocked_ms,) = (event["blocked_ms"] for event in history if event["event"] == switch)
        assert by_kind[kind]["switch"]["blocked_ms"] == blocked_ms
        assert "Writes were blocked for" in by_kind[kind]["text"]
    assert all(letter["subject"].startswith("[tyler-setup] ") for letter in box.letters)


async def test_a_switch_that_is_taken_back_is_told_with_step_and_reason(twin: Venue) -> None:
    box = Letterbox()
    async with ready(twin, "tyler-setup", users=[ADA]) as (world, crew), heralded(world, box, "taken-back"):
        crew.acts.append(Act("smoke", Moment.SMOKE, Lever(faults={"do": [RefusedError("it smells of burning")]})))
        crew.engines = crew._wired()
    async with crew.working(), heralded(world, box, "taken-back"):
        assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.REFUSED
        await asyncio.sleep(60)
    ((letter),) = box.letters
    assert (letter["event"]["to"], letter["event"]["step"], letter["serving"]) == ("target", "smoke", "source")
    assert "it smells of burning" in letter["text"]
    assert letter["switch"]["blocked_ms"] > 0


async def test_a_route_that_fails_is_tried_again_with_pauses_that_grow(twin: Venue) -> None:
    world = await begun(twin)
    box = Letterbox(faults=[TransientError("down"), RefusedError("404"), TransientError("down")])
    async with heralded(world, box, "phase"):
        await asyncio.sleep(12)
    assert len(box.letters) == 4
    assert len({json.dumps(letter) for letter in box.letters}) == 1, "the same text, however often it is sent"
    (notice,) = await world.ledger.notices.all()
    assert (notice.state, notice.deliveries["box"].tries) == (NoticeState.OVER, 4)


async def test_a_route_that_is_down_for_good_is_given_up_recorded_and_nobody_else_is_kept_waiting(twin: Venue) -> None:
    world = await begun(twin)
    box = Letterbox(faults=[TransientError("down, says bob@example.com")] * 9)
    async with heralded(world, box, "phase"):
        await asyncio.sleep(200)
    (notice,) = await world.ledger.notices.all()
    delivery = notice.deliveries["box"]
    assert (delivery.state, delivery.tries, len(box.letters)) == (DeliveryState.FAILED, 8, 8)
    assert delivery.why.startswith("down, says ~")


async def test_what_a_crash_cut_short_the_next_worker_sends_and_what_arrived_it_does_not(twin: Venue) -> None:
    world = await begun(twin)
    first, second = Letterbox(shut=asyncio.Event()), Letterbox()
    herald = herald_of(world, first, "phase")
    running = asyncio.create_task(herald.run())
    await world.until(lambda: _arrived(first))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    for _ in range(2):
        async with heralded(world, second, "phase"):
            await asyncio.sleep(6)
    assert first.letters == second.letters
    assert len(second.letters) == 1


async def _arrived(box: Letterbox) -> bool:
    return bool(box.letters)


async def test_the_last_phase_is_told_by_a_worker_that_is_told_to_stop(twin: Venue) -> None:
    world = await begun(twin)
    box = Letterbox()
    async with heralded(world, box, "phase"):
        await asyncio.sleep(6)
        await world.ledger.migration.move(await world.ledger.migration.state(), Phase.ABORTED, why="enough")
    assert [letter["event"]["to"] for letter in box.letters] == [Phase.CAPTURE, Phase.ABORTED]


async def test_news_of_yesterday_is_skipped(twin: Venue) -> None:
    world = await begun(twin)
    box = Letterbox()
    await asyncio.sleep(25 * HOUR)
    async with heralded(world, box, "phase"):
        await asyncio.sleep(6)
    assert box.letters == []


async def test_whatever_fails_in_what_the_migration_can_do_without_is_started_again_but_for_a_lost_lease() -> None:
    errors: list[Exception] = [KeyError("a bug"), RefusedError("no"), FencedError("another leads")]

    async def failing() -> None:
        raise errors.pop(0)

    with pytest.raises(FencedError):
        await supervise("herald", failing, random=Random(1), dispensable=True)
    assert errors == []
