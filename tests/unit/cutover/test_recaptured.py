"""A stream captured anew: what is written down, what is answered, and what to do when it cannot be (protocol §5)."""

from dataclasses import replace

import pytest

from cutover.facts import gaps, is_copied
from cutover.recapture import recapture
from domain.errors import ConditionFailed, RefusedError
from domain.items import text
from domain.phases import Phase, Side
from domain.tables import ViewType
from ledger.cursors import SegmentRow
from ledger.migration import StateChange
from ledger.requests import RequestKind, RequestState
from tests.crew import Crew
from tests.examples import ADA, changed
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


async def test_a_stream_that_has_lost_nothing_is_not_captured_anew() -> None:
    world = await Venue.in_memory().world("tyler-setup", "users")
    crew = await world.lead()
    with pytest.raises(RefusedError, match="has lost nothing") as refused:
        await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    assert "reconcile --repair" in refused.value.hint


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


async def checkpoints(world: World, epoch: int, name: str = "users") -> dict[str, tuple[int | None, bool, int]]:
    shards = await world.ledger.streams.shards(name, epoch)
    return {shard.shard_id: (shard.checkpoint, shard.ended, shard.through_ms) for shard in shards.values()}


async def followed(name: str = "users") -> tuple[World, Crew]:
    """Return a migration whose streams were followed for a while, and then one lost something."""
    world = await Venue.in_memory().world("tyler-setup", "users")
    await world.put("users", *(changed(ADA, id=text(f"user-{count}")) for count in range(30)))
    crew = await world.lead()
    async with crew.following():
        await world.caught_up()
    await crew.enter(Phase.BACKFILL)
    await crew.ledger.streams.lose(await crew.ledger.streams.get(name), "trimmed")
    return world, crew


async def test_under_the_same_arn_the_new_epoch_goes_on_where_the_old_one_stood() -> None:
    """A closed shard that was read to its end stays ended; how far all is seen has to be shown anew."""
    world, crew = await followed()
    first, *_ = (await crew.ledger.streams.shards("users")).values()
    await crew.ledger.streams.save(replace(first, ended=True))
    before = await checkpoints(world, 1)
    await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    assert await checkpoints(world, 2) == {shard: (place, ended, 0) for shard, (place, ended, _) in before.items()}
    assert (await world.ledger.streams.shards("users"))[first.shard_id].ended
    assert all(place is not None for place, _, _ in before.values())


async def test_where_the_place_was_trimmed_reading_begins_anew() -> None:
    world, crew = await followed()
    world.twin.trim(world.table("users"), 10**30)
    await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    now = await checkpoints(world, 2)
    assert set(now) == set(await checkpoints(world, 1))
    assert set(now.values()) == {(None, False, 0)}


async def test_a_shard_that_nobody_had_seen_is_written_down_with_its_parent() -> None:
    world, crew = await followed()
    first, *_ = await crew.ledger.streams.shards("users")
    (child,) = world.twin.roll_shard(world.table("users"), first)
    await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    shard = (await world.ledger.streams.shards("users", 2))[child]
    assert (shard.parent_id, shard.checkpoint, shard.ended) == (first, None, False)


async def test_another_arn_begins_with_nothing() -> None:
    world, crew = await followed()
    await world.database.disable_stream(world.table("users"))
    await world.database.enable_stream(world.table("users"), ViewType.NEW_AND_OLD_IMAGES)
    await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    assert await checkpoints(world, 2) == {}


async def test_a_recapture_that_was_interrupted_is_done_again_from_what_stands_by_then() -> None:
    world, crew = await followed()
    crew.database.fail(transacts("recaptured"), ConditionFailed("somebody was first"))
    with pytest.raises(RefusedError):
        await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    first, *_ = (await crew.ledger.streams.shards("users", 1)).values()
    await crew.ledger.streams.save(replace(first, checkpoint=(first.checkpoint or 0) + 1))
    await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    places = {shard: place for shard, (place, _, _) in (await checkpoints(world, 1)).items()}
    assert {shard: place for shard, (place, _, _) in (await checkpoints(world, 2)).items()} == places


@pytest.mark.parametrize(("stream", "spans"), [("users", 1), ("target", 0)])
async def test_only_the_side_that_serves_has_all_its_records_from_the_application(stream: str, spans: int) -> None:
    world, crew = await followed(stream)
    await recapture(crew.ledger, world.database, stream, epoch=1, why="")
    assert len(await world.ledger.marks.spans(stream)) == spans


async def test_a_target_captured_anew_after_the_switch_is_a_gap_until_it_is_mended_from() -> None:
    world, crew = await followed()
    await crew.ledger.streams.lose(await crew.ledger.streams.get("target"), "off")
    assert await gaps(world.ledger) == {"users": "trimmed", "target": "off"}
    await crew.enter(Phase.BAKE, StateChange(serving=Side.TARGET))
    await recapture(crew.ledger, world.database, "target", epoch=1, why="")
    told = await gaps(world.ledger)
    assert told["users"] == "trimmed"
    assert "mended from the target" in told["target"]


@pytest.mark.parametrize("took_place", [True, False])
async def test_after_a_crash_the_one_who_asked_for_a_recapture_is_told_what_became_of_it(*, took_place: bool) -> None:
    world, crew = await lossy()
    request = await world.ledger.requests.ask(RequestKind.RECAPTURE, stream="users", epoch=1)
    crew.database.crash(transacts("recaptured"), answered=took_place)
    await crew.work_until_crash()
    await world.bury()
    second = await world.lead(wait=True)
    async with second.working():

        async def is_over() -> bool:
            return (await world.ledger.requests.get(request)).over

        await world.until(is_over, seconds=60)
    answer = await world.ledger.requests.get(request)
    assert answer.state is (RequestState.DONE if took_place else RequestState.REFUSED)
    assert ("took place" in answer.answer["why"]) is took_place
    assert await world.ledger.streams.epoch("users") == 1 + took_place


async def test_a_source_that_was_copied_again_counts_as_copied_only_when_it_is_swept() -> None:
    world, crew = await followed()
    await recapture(crew.ledger, world.database, "users", epoch=1, why="")
    ledger, segment = crew.ledger, SegmentRow("users", 0, 1, epoch=2, done=True)
    assert not await is_copied(world.ledger, world.plan)
    await ledger.segments.save(segment)
    assert not await is_copied(world.ledger, world.plan), "its sweep was never planned"
    sweep = await ledger.sweeps.save(replace(segment, done=False))
    assert not await is_copied(world.ledger, world.plan)
    await ledger.sweeps.save(replace(sweep, done=True))
    assert await is_copied(world.ledger, world.plan)
