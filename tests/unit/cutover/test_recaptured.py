"""A stream captured anew: what is written down, what is answered, and what to do when it cannot be (protocol §5)."""

import pytest

from cutover.recapture import recapture
from domain.errors import ConditionFailed, RefusedError
from domain.phases import Phase
from domain.tables import ViewType
from ledger.requests import RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA
from tests.seams import transacts
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


async def lossy(*, phase: Phase = Phase.BACKFILL) -> tuple[World, Crew]:
    """Return a migration whose users' stream has lost records."""
    world = await Venue.in_memory().world("tyler-setup", "users")
    crew = await world.lead()
    if phase is not Phase.CAPTURE:
        await crew.enter(phase)
    await crew.ledger.streams.lose(await crew.ledger.streams.get("users"), "trimmed")
    return world, crew


async def test_history_tells_which_stream_its_new_epoch_what_was_lost_and_why() -> None:
    world, crew = await lossy()
    renewed = await recapture(crew.ledger, world.database, "users", epoch=1, why="the operator said so")
    assert (renewed.epoch, renewed.copy_epoch, renewed.gap) == (2, 2, "")
    assert await world.ledger.streams.epoch("users") == 2
    history = await world.ledger.history.all()
    (told,) = [each for each in history if each["event"] == "recaptured"]
    assert {name: told[name] for name in ("stream", "epoch", "lost", "why")} == {
        "stream": "users",
        "epoch": 2,
        "lost": "trimmed",
        "why": "the operator said so",
    }
    assert "recapture of users" in {each.get("why") for each in history}
    assert (await world.ledger.migration.state()).phase is Phase.CAPTURE


async def test_a_stream_that_is_off_or_of_another_kind_is_refused_with_what_to_do() -> None:
    world, crew = await lossy()
    table = world.table("users")
    await world.database.disable_stream(table)
    with pytest.raises(RefusedError, match=f"stream of {table} is off") as off:
        await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    assert "--enable-stream" in off.value.hint
    await world.database.enable_stream(table, ViewType.KEYS_ONLY)
    with pytest.raises(RefusedError, match="view type KEYS_ONLY") as other:
        await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    assert other.value.hint
    assert await world.ledger.streams.epoch("users") == 1


async def test_what_moved_on_meanwhile_is_left_alone() -> None:
    world, crew = await lossy()
    with pytest.raises(RefusedError, match="captured anew meanwhile: its epoch is 1") as known:
        await recapture(crew.ledger, world.database, "users", epoch=2, why="")
    assert known.value.hint
    crew.database.fail(transacts("recaptured"), ConditionFailed("somebody was first"))
    with pytest.raises(RefusedError, match="nothing was changed") as refused:
        await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    assert refused.value.hint == "ask again"
    assert await world.ledger.streams.epoch("users") == 1


@pytest.mark.parametrize("reason", ["", "a deploy switched it off"])
@pytest.mark.parametrize("stream", ["users", "target"])
async def test_a_recapture_is_answered_with_phase_stream_and_epoch(stream: str, reason: str) -> None:
    world = await Venue.in_memory().world("tyler-setup", "users")
    await world.put("users", ADA)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        await crew.ledger.streams.lose(await crew.ledger.streams.get(stream), "trimmed")
        facts = {"stream": stream, "epoch": 1, **({"reason": reason} if reason else {})}
        answer = await world.ask(crew, RequestKind.RECAPTURE, **facts)
        assert answer.state is RequestState.DONE
        phase = Phase.CAPTURE if stream == "users" else Phase.READY
        told = {name: answer.answer[name] for name in ("why", "stream", "epoch")}
        assert told == {"why": phase.value, "stream": stream, "epoch": 2}
    (event,) = [each for each in await world.ledger.history.all() if each["event"] == "recaptured"]
    assert event["why"] == (reason or "asked for")


@pytest.mark.parametrize("phase", [Phase.BAKE, Phase.READY])
async def test_only_where_legacy_tables_are_owed_something_a_comparison_is_asked_for(phase: Phase) -> None:
    """After the switch what the target did unseen has to come back; before it the copy brings everything."""
    world = await Venue.in_memory().world("tyler-setup", "users")
    await world.put("users", ADA)
    crew = await world.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        if phase is Phase.BAKE:
            assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE
        await crew.ledger.streams.lose(await crew.ledger.streams.get("target"), "trimmed")
        asked = len(await world.ledger.requests._rows.all(f"requests/{RequestKind.VERIFY}"))
        answer = await world.ask(crew, RequestKind.RECAPTURE, stream="target", epoch=1)
        assert answer.answer["why"] == phase.value
        asked_since = len(await world.ledger.requests._rows.all(f"requests/{RequestKind.VERIFY}")) - asked
        assert asked_since == (phase is Phase.BAKE)
