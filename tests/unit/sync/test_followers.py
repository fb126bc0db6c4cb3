"""One follower by itself: what it hands on, when it writes the checkpoint, how often it looks (protocol §4, §5, §9)."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from cutover.marking import mark_key
from domain.changes import Change
from domain.cuts import Cut, Span
from domain.errors import GapError, IteratorExpired, TransientError
from domain.fates import Tally
from domain.items import Item, number, text
from domain.phases import Phase
from dynamo.ports import ShardPlace
from ledger.streams import ShardRow, StreamRow
from sync.followers import Afterwards, Pace, ShardFollower, Surroundings
from tests.crew import Crew
from tests.examples import ADA, changed
from tests.seams import Call
from tests.world import Venue, World

pytestmark = pytest.mark.looptime

PACE = Pace(tip=0.5, idle_checkpoint=3.0, page=10)


@dataclass(slots=True)
class Listener:
    """Writes down what it is told, and what the ledger said at that moment."""

    world: World
    told: list[tuple[str, list[int]]] = field(default_factory=list)
    checkpoints: list[int | None] = field(default_factory=list)
    refreshed: int = 0
    counts: bool = False

    async def refresh(self) -> None:
        self.refreshed += 1

    async def take(self, changes: Sequence[Change], shard_id: str, /) -> Tally | None:
        await self._note("take", changes)
        assert shard_id in await self.world.ledger.streams.shards("users")
        return Tally(0, {"held": len(changes)}) if self.counts else None

    async def tail(self, changes: Sequence[Change]) -> Afterwards | None:
        await self._note("tail", changes)

        async def afterwards() -> None:
            await self._note("afterwards", changes)

        return afterwards

    async def _note(self, what: str, changes: Sequence[Change]) -> None:
        self.told.append((what, [change.sequence for change in changes]))
        (shard, *_) = (await self.world.ledger.streams.shards("users")).values()
        self.checkpoints.append(shard.checkpoint)

    def sequences(self, what: str = "take") -> list[int]:
        return [sequence for kind, sequences in self.told if kind == what for sequence in sequences]


@dataclass(slots=True)
class Stage:
    """One shard of the users' stream, whose first record is the sentinel's."""

    world: World
    crew: Crew
    stream: StreamRow
    listener: Listener
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def follower(self, pace: Pace = PACE) -> ShardFollower:
        crew = self.crew
        around = Surroundings(crew.database, crew.ledger, self.world.venue.clock, crew.bell, pace, self.stopping)
        return ShardFollower(around, self.stream, await self.shard(), self.listener)

    async def shard(self) -> ShardRow:
        described = await self.world.database.describe_stream(self.stream.arn)
        return (await self.crew.ledger.streams.discover(self.stream, described))[described[0].shard_id]

    async def put(self, count: int, **attributes: object) -> None:
        items: list[Item] = [changed(ADA, id=text(f"user-{each}"), **attributes) for each in range(count)]  # type: ignore[arg-type]
        await self.world.put("users", *items)

    async def close(self) -> None:
        self.world.twin.roll_shard(self.world.table("users"), (await self.shard()).shard_id)

    async def records(self) -> list[int]:
        place = ShardPlace(self.stream.arn, (await self.shard()).shard_id)
        page = await self.world.database.get_records(await self.world.database.shard_iterator(place))
        return [change.sequence for change in page.changes]

    def looks(self) -> int:
        return sum(call.method == "get_records" for call in self.crew.database.calls)

    def saves(self) -> int:
        return sum(is_checkpoint(call) for call in self.crew.database.calls)


def is_checkpoint(call: Call) -> bool:
    return call.method == "put" and call.mentions("shards/users")


async def stage(*, phase: Phase = Phase.BACKFILL) -> Stage:
    world = await Venue.in_memory(shards=1).world("tyler-setup", "users")
    crew = await world.lead()
    crew.guard.extend(float("inf"))
    if phase is not Phase.CAPTURE:
        await crew.enter(phase)
    at = Stage(world, crew, await crew.ledger.streams.get("users"), Listener(world))
    await at.shard()
    return at


async def test_a_closed_shard_is_read_to_its_end_and_its_row_says_so() -> None:
    at = await stage()
    await at.put(7)
    await at.close()
    await asyncio.sleep(5)
    row = await (await at.follower()).run()
    taken = at.listener.sequences()
    assert len(taken) == 9, "seven items, and the sentinel that came and went"
    assert taken == sorted(taken)
    assert row == await at.shard()
    assert (row.ended, row.checkpoint) == (True, taken[-1])
    assert row.through_ms == at.world.venue.clock.wall_ms()


async def test_an_empty_shard_that_closes_ends_without_a_checkpoint_of_its_own() -> None:
    at = await stage()
    first = await at.follower()
    await at.close()
    (child,) = [each for each in await at.world.database.describe_stream(at.stream.arn) if each.parent_id is not None]
    await first.run()
    at.world.twin.roll_shard(at.world.table("users"), child.shard_id)
    shards = await at.crew.ledger.streams.discover(at.stream, await at.world.database.describe_stream(at.stream.arn))
    empty = await at.follower()
    empty.shard = shards[child.shard_id]
    empty._read_to = None
    row = await empty.run()
    assert (row.ended, row.checkpoint) == (True, None)


async def test_a_checkpoint_is_written_after_a_batch_is_taken_and_before_what_is_to_be_done_afterwards() -> None:
    at = await stage()
    await at.put(3)
    await at.close()
    await (await at.follower(replace(PACE, page=2))).run()
    taken = [sequences for kind, sequences in at.listener.told if kind == "take"]
    assert [len(each) for each in taken] == [2, 2, 1]
    assert at.listener.checkpoints == [None, taken[0][-1], taken[1][-1]]


async def test_what_is_taken_is_counted_with_the_checkpoint_however_often_it_is_taken() -> None:
    at = await stage()
    at.listener.counts = True
    await at.put(5)
    await at.close()
    await at.shard()
    at.crew.database.fail(is_checkpoint, TransientError("no answer"))
    with pytest.raises(TransientError):
        await (await at.follower(replace(PACE, page=2))).run()
    at.crew.database.lose_answer(is_checkpoint)
    with pytest.raises(TransientError):
        await (await at.follower(replace(PACE, page=2))).run()
    await (await at.follower(replace(PACE, page=2))).run()
    assert (await at.shard()).tally == Tally(0, {"held": 7})
    assert len(at.listener.sequences()) == 9, "two of them twice"


async def test_records_outside_every_span_are_only_looked_at_and_settled_behind_the_checkpoint() -> None:
    at = await stage()
    await at.put(2)
    await at.close()
    partition = f"spans/users/{at.stream.epoch}"
    row = await at.crew.ledger.rows.get(partition, f"{0:06}")
    assert row is not None
    await at.crew.ledger.rows.delete(row)
    await (await at.follower()).run()
    assert [kind for kind, _ in at.listener.told] == ["tail", "afterwards"]
    assert at.listener.checkpoints == [None, at.listener.sequences("tail")[-1]]
    assert at.listener.sequences("tail") == at.listener.sequences("afterwards")
    assert len(at.listener.sequences("tail")) == 4


async def test_before_anything_is_scanned_nothing_is_taken_and_the_checkpoint_goes_on_all_the_same() -> None:
    at = await stage(phase=Phase.CAPTURE)
    await at.put(2)
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(2)
    assert at.listener.told == []
    before = (await at.shard()).checkpoint
    assert before is not None
    await at.crew.enter(Phase.BACKFILL)
    await at.put(2, lastLogin=number(5))
    await asyncio.sleep(2)
    assert all(sequence > before for sequence in at.listener.sequences())
    assert len(at.listener.sequences()) == 2
    at.stopping.set()
    await running


async def test_at_the_tip_it_looks_once_a_pause_and_writes_idle_checkpoints_seldom() -> None:
    at = await stage()
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(0.1)
    assert (at.looks(), at.saves()) == (1, 2), "found and applied: first seen, then the batch"
    await asyncio.sleep(30)
    assert sum(call.method == "shard_iterator" for call in at.crew.database.calls) == 1
    assert at.looks() == 61
    assert at.saves() == 12
    at.stopping.set()
    await asyncio.sleep(1)
    assert running.done()
    assert not running.result().ended


async def test_while_writes_are_blocked_every_look_is_written_down_and_a_mark_brings_it_at_once() -> None:
    at = await stage()
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(10.2)
    looks, saves = at.looks(), at.saves()
    at.crew.bell.presses = True
    at.crew.bell.mark("users")
    await asyncio.sleep(0.1)
    assert (at.looks(), at.saves()) == (looks + 1, saves + 1)
    await asyncio.sleep(2)
    assert (at.looks(), at.saves()) == (looks + 5, saves + 5)
    at.stopping.set()
    await running


async def test_two_short_looks_in_a_row_show_that_all_was_seen_until_the_first_of_them() -> None:
    at = await stage()
    follower = await at.follower(replace(PACE, idle_checkpoint=0))
    began = at.world.venue.clock.wall_ms()
    await asyncio.sleep(5)
    first = at.world.venue.clock.wall_ms()
    running = asyncio.create_task(follower.run())
    await asyncio.sleep(0.1)
    assert follower.shard.through_ms == began, "so far the time of the last record is all that is known"
    await asyncio.sleep(0.5)
    assert follower.shard.through_ms == first
    await asyncio.sleep(0.5)
    assert follower.shard.through_ms == first + 500
    assert (await at.shard()).through_ms == first + 500
    at.stopping.set()
    await running


@pytest.mark.parametrize(("records", "pauses"), [(3, True), (4, True), (5, False), (10, False)])
async def test_a_page_that_is_at_least_half_full_is_followed_at_once_by_the_next(records: int, *, pauses: bool) -> None:
    at = await stage()
    await at.put(records - 2)
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(0.1)
    assert len(at.listener.sequences()) == records
    assert at.looks() == (1 if pauses else 2)
    at.stopping.set()
    await running


async def test_after_a_full_page_nothing_is_said_about_the_tip() -> None:
    at = await stage()
    await at.put(8)
    follower = await at.follower()
    began = at.world.venue.clock.wall_ms()
    await asyncio.sleep(5)
    running = asyncio.create_task(follower.run())
    await asyncio.sleep(0.3)
    assert at.looks() == 2, "one full, one empty"
    assert follower.shard.through_ms == began
    at.stopping.set()
    await running


async def test_an_iterator_that_expired_is_opened_anew_behind_the_last_record() -> None:
    at = await stage()
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(0.1)
    at.crew.database.fail(lambda call: call.method == "get_records", IteratorExpired("15 minutes"))
    await at.put(3)
    await asyncio.sleep(2)
    assert len(at.listener.sequences()) == len(set(at.listener.sequences())) == 5
    at.stopping.set()
    await running


async def test_reading_begins_behind_the_checkpoint_of_the_row() -> None:
    at = await stage()
    await at.put(3)
    await at.close()
    shard = await at.shard()
    everything = await (await at.follower()).run()
    assert everything.checkpoint is not None
    taken = at.listener.sequences()
    back = replace(everything, ended=False, checkpoint=taken[2])
    await at.crew.ledger.streams.save(back)
    at.listener.told.clear()
    await (await at.follower()).run()
    assert at.listener.sequences() == taken[3:]
    assert shard.checkpoint is None


@pytest.mark.parametrize("beyond_ms", [0, 1])
async def test_a_shard_never_read_may_wait_for_as_long_as_records_are_kept(beyond_ms: int) -> None:
    at = await stage()
    await at.close()
    kept_ms = int(PACE.retention * 1000)
    await asyncio.sleep(PACE.retention)
    unread = replace(await at.shard(), through_ms=0, oldest_ms=at.world.venue.clock.wall_ms() - kept_ms - beyond_ms)
    await at.crew.ledger.streams.save(unread)
    follower = await at.follower()
    if beyond_ms:
        with pytest.raises(GapError, match="not looked at for 24 h"):
            await follower.run()
    else:
        assert (await follower.run()).ended


async def test_told_to_stop_it_reads_nothing_more() -> None:
    at = await stage()
    at.stopping.set()
    row = await (await at.follower()).run()
    assert (at.looks(), row.ended) == (0, False)
    assert at.listener.refreshed == 1


async def test_a_record_from_the_future_says_nothing_about_how_far_all_is_seen() -> None:
    """The clock of the machine has jumped back by a day since the record was written."""
    at = await stage()
    now = at.world.venue.clock.wall_ms()
    await at.crew.ledger.streams.save(replace(await at.shard(), through_ms=now + 86_400_000))
    follower = await at.follower(replace(PACE, idle_checkpoint=0))
    running = asyncio.create_task(follower.run())
    await asyncio.sleep(2)
    assert now < follower.shard.through_ms <= at.world.venue.clock.wall_ms()
    at.stopping.set()
    await running


async def test_what_a_look_showed_is_carried_to_the_next_checkpoint() -> None:
    at = await stage()
    follower = await at.follower(replace(PACE, idle_checkpoint=1000))
    await asyncio.sleep(5)
    first = at.world.venue.clock.wall_ms()
    running = asyncio.create_task(follower.run())
    await asyncio.sleep(0.6)
    await at.put(1)
    await asyncio.sleep(0.1)
    assert (await at.shard()).through_ms < first
    assert follower.shard.through_ms == first
    at.stopping.set()
    await running


async def marked(at: Stage, mark: str = "m1") -> None:
    """Announce a mark and show it, with an item before it and one behind."""
    await at.put(1)
    await at.crew.ledger.marks.announce(mark, "users")
    key = mark_key(at.world.plan.sources["users"].definition.key, mark)
    await at.crew.engines.marker._put(at.stream.table, key)
    await at.put(1, lastLogin=number(5))


async def test_nothing_behind_a_pending_mark_is_looked_at_until_it_is_settled() -> None:
    at = await stage()
    await marked(at)
    ringing = asyncio.create_task(at.crew.bell.wait(1000))
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(5)
    assert len(at.listener.sequences()) == 3
    assert ringing.done(), "who waits for the mark is woken"
    shard = await at.shard()
    (place,) = (await at.crew.ledger.marks.cut("m1")).places.values()
    assert place > (shard.checkpoint or 0)
    assert shard.checkpoint == at.listener.sequences()[-1]
    await at.crew.ledger.marks.drop("m1")
    await asyncio.sleep(1)
    assert len(at.listener.sequences()) == 4
    assert at.listener.refreshed == 2, "once at the start, once behind the mark, which stands there twice"
    at.stopping.set()
    await running


async def test_told_to_stop_at_a_pending_mark_the_checkpoint_stays_before_it() -> None:
    at = await stage()
    await marked(at)
    await at.close()
    running = asyncio.create_task((await at.follower()).run())
    await asyncio.sleep(5)
    at.stopping.set()
    row = await running
    assert not row.ended
    assert row.checkpoint == at.listener.sequences()[-1]
    assert len(at.listener.sequences()) == 3


@pytest.mark.parametrize(("announced", "refreshed"), [(True, 2), (False, 1)])
async def test_a_mark_that_is_settled_or_nobodys_is_passed_without_a_note(*, announced: bool, refreshed: int) -> None:
    """Behind a settled one the spans are read again: this follower may have begun before the switch that kept it."""
    at = await stage()
    if announced:
        await marked(at)
        await at.crew.ledger.marks.drop("m1")
    else:
        key = mark_key(at.world.plan.sources["users"].definition.key, "m2")
        await at.put(2)
        await at.crew.engines.marker._put(at.stream.table, key)
    await at.close()
    await (await at.follower()).run()
    assert len(at.listener.sequences()) == 4
    assert (await at.crew.ledger.marks.cut("m1")).places == {}
    assert at.listener.refreshed == refreshed


async def test_a_closed_shard_whose_last_records_are_marks_ends_behind_them() -> None:
    at = await stage()
    await at.crew.ledger.marks.announce("m1", "users")
    await at.crew.ledger.marks.drop("m1")
    key = mark_key(at.world.plan.sources["users"].definition.key, "m1")
    await at.crew.engines.marker._put(at.stream.table, key)
    await at.close()
    assert (await (await at.follower()).run()).checkpoint == (await at.records())[-1]
    row = await at.shard()
    assert row.checkpoint != at.listener.sequences()[-1]


@pytest.mark.parametrize(
    ("phase", "told"),
    [(Phase.BACKFILL, ["take", "tail", "afterwards"]), (Phase.CAPTURE, ["tail", "afterwards"])],
)
async def test_a_batch_across_the_end_of_a_span_is_handed_on_in_its_parts(phase: Phase, told: list[str]) -> None:
    at = await stage(phase=phase)
    shard = await at.shard()
    await at.crew.ledger.marks.announce("m1", "users")
    mark = await at.crew.ledger.marks.get("m1")
    assert mark is not None
    await at.put(2)
    await at.put(2, lastLogin=number(5))
    sequences = await at.records()
    ended = Span(closed=Cut({shard.shard_id: sequences[3]}))
    actions = at.crew.ledger.marks.keep_actions(mark, at.stream.epoch, (0, ended))
    await at.crew.database.transact(actions, guard=at.crew.guard)
    await at.close()
    await (await at.follower()).run()
    assert [kind for kind, _ in at.listener.told] == told
    assert at.listener.sequences("tail") == sequences[4:]
