"""Marks by themselves: how many, when a cut is whole, and that none is left standing (protocol §1, §8.2)."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import pytest

from cutover.marking import Marker, mark_key
from domain.cuts import Cut
from domain.errors import FatalError, FencedError, TransientError
from domain.guards import UNGUARDED, Attempt, WriteGuard
from domain.items import MARK_PREFIX, mark_id
from domain.tables import KeyAttribute
from dynamo.ports import ShardDescription
from ledger.streams import ShardRow, StreamRow
from tests.crew import Crew
from tests.seams import Call
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


class Fenced:
    """The guard of a worker whose lease is over."""

    def begin(self) -> Attempt:
        raise FencedError("another worker leads")

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        """Nothing was begun."""


@dataclass(slots=True)
class Stage:
    world: World
    crew: Crew
    stream: StreamRow

    def marker(self, guard: WriteGuard = UNGUARDED) -> Marker:
        return Marker(self.crew.database, self.crew.ledger, self.crew.bell, guard=guard)

    async def described(self) -> tuple[ShardDescription, ...]:
        return await self.crew.database.describe_stream(self.stream.arn)

    async def discovered(self) -> dict[str, ShardRow]:
        return await self.crew.ledger.streams.discover(self.stream, await self.described())

    async def ended(self, shard_id: str) -> None:
        shard = (await self.crew.ledger.streams.shards("users"))[shard_id]
        await self.crew.ledger.streams.save(replace(shard, ended=True))

    async def met(self, *shards: str) -> None:
        for shard in shards:
            await self.crew.ledger.marks.met("m1", shard, 7)

    def rolled(self, shard_id: str) -> str:
        (child,) = self.world.twin.roll_shard(self.world.table("users"), shard_id)
        return child

    def cutting(self, marker: Marker | None = None) -> asyncio.Task[Cut]:
        key = self.world.plan.sources["users"].definition.key
        return asyncio.create_task((marker or self.marker()).cut(self.stream, key, "m1"))

    def marks_put(self) -> int:
        return sum(call.method == "put" and call.table == self.stream.table for call in self.crew.database.calls)


async def stage(shards: int = 3) -> Stage:
    world = await Venue.in_memory(shards=shards).world("tyler-setup", "users")
    crew = await world.lead()
    at = Stage(world, crew, await crew.ledger.streams.get("users"))
    await at.discovered()
    return at


async def is_waiting(cutting: asyncio.Task[Cut]) -> bool:
    """Tell whether it still waits after many looks."""
    await asyncio.sleep(5)
    return not cutting.done()


@pytest.mark.parametrize(("shards", "marks"), [(1, 1), (2, 4), (8, 16), (70, 128)])
async def test_twice_as_many_marks_as_open_shards_are_put_before_a_look(shards: int, marks: int) -> None:
    """For a single one, one is enough; 128 at most; shards that have ended need none."""
    at = await stage(shards)
    first, *_ = await at.described()
    at.rolled(first.shard_id)
    await at.discovered()
    await at.ended(first.shard_id)
    await at.met(*(shard.shard_id for shard in await at.described()))
    await at.cutting()
    assert at.marks_put() == marks
    assert await at.world.sources() == {}, "no mark is left standing"


async def test_a_cut_is_whole_when_every_open_shard_has_shown_the_mark() -> None:
    at = await stage()
    *some, last = [shard.shard_id for shard in await at.described()]
    cutting = at.cutting()
    await at.met(*some)
    assert await is_waiting(cutting)
    await at.met(last)
    assert (await cutting).places == dict.fromkeys([*some, last], 7)


async def test_a_shard_that_ended_long_ago_need_not_show_the_mark() -> None:
    at = await stage()
    first, *others = [shard.shard_id for shard in await at.described()]
    child = at.rolled(first)
    await at.discovered()
    await at.ended(first)
    cutting = at.cutting()
    await at.met(child, *others)
    assert set((await cutting).places) == {child, *others}


async def test_a_child_that_no_follower_knows_yet_must_show_the_mark_too() -> None:
    """Its parent ended before the mark, so the child may hold records of the application."""
    at = await stage()
    first, *others = [shard.shard_id for shard in await at.described()]
    child = at.rolled(first)
    await at.ended(first)
    cutting = at.cutting()
    await at.met(*others)
    assert await is_waiting(cutting)
    await at.met(child)
    assert set((await cutting).places) == {child, *others}


async def test_the_mark_may_stand_in_an_ancestor_that_only_the_ledger_remembers() -> None:
    """Parent and grandparent are trimmed from the stream; the grandparent had shown the mark."""
    at = await stage()
    first, *others = [shard.shard_id for shard in await at.described()]
    parent = at.rolled(first)
    await at.discovered()
    at.rolled(parent)
    closed = [shard.last_sequence for shard in await at.described() if shard.last_sequence]
    at.world.twin.trim(at.world.table("users"), max(closed) + 1)
    assert {first, parent}.isdisjoint(shard.shard_id for shard in await at.described())
    for shard in (first, parent):
        await at.ended(shard)
    cutting = at.cutting()
    await at.met(first, *others)
    async with asyncio.timeout(5):
        assert set((await cutting).places) == {first, *others}


async def interrupted(at: Stage, marks: int) -> Marker:
    """Return a marker that was stopped with so many marks standing."""
    marker = at.marker()
    for _ in range(marks):
        at.crew.database.fail(lambda call: call.method == "delete", TransientError("no answer"))
    with pytest.raises(ExceptionGroup):
        await at.cutting(marker)
    assert len(await at.world.scanned(at.stream.table)) == marks
    return marker


def is_deletion(call: Call) -> bool:
    return call.method == "delete"


@pytest.mark.parametrize("marks", [1, 2, 3])
async def test_what_an_interruption_left_standing_is_taken_away(marks: int) -> None:
    at = await stage()
    marker = await interrupted(at, marks)
    at.crew.database.fail(is_deletion, TransientError("no answer"))
    with pytest.raises(TransientError):
        await marker.clear()
    await marker.clear()
    assert await at.world.scanned(at.stream.table) == []
    at.crew.database.calls.clear()
    await marker.clear()
    assert at.crew.database.calls == []


async def test_a_fenced_worker_puts_no_mark_and_takes_none_away() -> None:
    at = await stage()
    marker = await interrupted(at, 1)
    marker._guard = Fenced()
    attempts: list[Callable[[], Awaitable[object]]] = [marker.clear, lambda: at.marker(Fenced())._put("users", {})]
    for attempt in attempts:
        with pytest.raises(FencedError):
            await attempt()
    assert len(await at.world.scanned(at.stream.table)) == 1


class OneWrite(Fenced):
    """The guard of a worker whose lease ends after one more write."""

    def __init__(self) -> None:
        self._left = 1

    def begin(self) -> Attempt:
        if not self._left:
            return super().begin()
        self._left -= 1
        return UNGUARDED.begin()


async def test_a_worker_that_is_fenced_in_between_leaves_its_mark_to_the_next_one() -> None:
    at = await stage()
    key = mark_key(at.world.plan.sources["users"].definition.key, "m1")
    with pytest.raises(FencedError):
        await at.marker(OneWrite())._put(at.stream.table, key)
    assert await at.world.scanned(at.stream.table) == [key]


async def test_from_the_first_mark_to_the_outcome_followers_are_told_that_somebody_waits() -> None:
    at = await stage()
    marker, presses = at.marker(), [at.crew.bell.presses]
    await at.met(*(shard.shard_id for shard in await at.described()))
    await at.cutting(marker)
    presses.append(at.crew.bell.presses)
    await marker.clear()
    assert [*presses, at.crew.bell.presses] == [False, True, False]


def test_a_mark_names_itself_in_every_text_of_a_random_key() -> None:
    parts = (KeyAttribute("a", "S"), KeyAttribute("b", "N"), KeyAttribute("c", "B"), KeyAttribute("d", "S"))
    first, second = (mark_key(parts, "m1") for _ in range(2))
    assert all(first[part.name] != second[part.name] for part in parts)
    assert mark_id(first) == "m1"
    assert [set(first[part.name]) for part in parts] == [{part.type} for part in parts]
    assert 0 <= int(first["b"]["N"]) < 10**12
    assert len(base64.b64decode(first["c"]["B"])) == 8
    for name in "ad":
        assert first[name]["S"].startswith(f"{MARK_PREFIX}m1#")


def test_marks_of_a_table_with_a_number_for_hash_key_fall_into_every_shard() -> None:
    """A shard is chosen by the hash of the first part: a hundred marks are a hundred places."""
    parts = (KeyAttribute("a", "N"), KeyAttribute("b", "S"))
    assert len({mark_key(parts, "m1")["a"]["N"] for _ in range(100)}) == 100


def test_a_key_without_a_text_cannot_show_marks() -> None:
    with pytest.raises(FatalError, match="cannot show marks") as refused:
        mark_key((KeyAttribute("a", "N"), KeyAttribute("b", "B")), "m1")
    assert refused.value.hint
