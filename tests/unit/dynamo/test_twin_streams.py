"""What the twin's streams show and no emulator does: lineage, trimming, expiry, TTL."""

from itertools import pairwise

import pytest

from domain.changes import Change
from domain.errors import GapError, IteratorExpired
from domain.items import Item, number, text
from domain.tables import KeyAttribute, TableDefinition, ViewType
from dynamo.memory import MemoryDatabase
from dynamo.ports import Delete, Put, ShardDescription, ShardPlace

TABLE = TableDefinition(
    "users", (KeyAttribute("PK", "S"),), stream=ViewType.NEW_AND_OLD_IMAGES, ttl_attribute="expires"
)


class HandClock:
    """A clock moved by hand."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def monotonic(self) -> float:
        return self.seconds

    def wall_ms(self) -> int:
        return int(self.seconds * 1000)


class Stage:
    """A twin with one table, and short words for what the tests do to it."""

    def __init__(self, *, shards: int = 2) -> None:
        self.clock = HandClock()
        self.database = MemoryDatabase(self.clock, shards=shards)
        self.arn = ""

    async def open(self) -> "Stage":
        await self.database.create_table(TABLE)
        self.arn = await self.current_arn()
        return self

    async def current_arn(self) -> str:
        found = await self.database.describe_table("users")
        assert found is not None
        assert found.stream_arn is not None
        return found.stream_arn

    async def put(self, *names: str, count: int = 0) -> None:
        for name in names:
            await self.database.write(Put("users", {"PK": text(name), "n": number(count)}))

    async def shards(self) -> dict[str, ShardDescription]:
        return {shard.shard_id: shard for shard in await self.database.describe_stream(self.arn)}

    async def iterator(self, shard_id: str, after: int | None = None) -> str:
        return await self.database.shard_iterator(ShardPlace(self.arn, shard_id, after))

    async def read(self, shard_id: str, after: int | None = None) -> list[Change]:
        page = await self.database.get_records(await self.iterator(shard_id, after))
        return list(page.changes)


NAMES = [f"user-{each}" for each in range(40)]


@pytest.fixture
async def stage() -> Stage:
    return await Stage().open()


async def test_items_spread_over_all_open_shards_and_each_keeps_to_one(stage: Stage) -> None:
    await stage.put(*NAMES, count=1)
    await stage.put(*NAMES, count=2)
    homes: dict[str, str] = {}
    for shard_id in await stage.shards():
        changes = await stage.read(shard_id)
        assert changes
        for change in changes:
            assert homes.setdefault(change.keys["PK"]["S"], shard_id) == shard_id
    assert len(homes) == len(NAMES)


async def test_a_split_closes_the_parent_and_sends_each_item_to_one_of_two_children(stage: Stage) -> None:
    parent, other = await stage.shards()
    await stage.put(*NAMES, count=1)
    children = stage.database.split_shard("users", parent)
    await stage.put(*NAMES, count=2)
    shards = await stage.shards()
    assert list(shards) == [parent, other, *children]
    assert [shards[child].parent_id for child in children] == [parent, parent]
    closed_at = shards[parent].last_sequence
    assert closed_at is not None
    before = await stage.read(parent)
    after = [change for child in children for change in await stage.read(child)]
    assert {change.keys["PK"]["S"] for change in before} == {change.keys["PK"]["S"] for change in after}
    assert max(change.sequence for change in before) < closed_at < min(change.sequence for change in after)
    assert all([await stage.read(child) for child in children])


async def test_a_closed_shard_ends_with_its_last_record(stage: Stage) -> None:
    first, *_ = await stage.shards()
    await stage.put(*NAMES)
    (child,) = stage.database.roll_shard("users", first)
    page = await stage.database.get_records(await stage.iterator(first), limit=1000)
    assert page.next_iterator is None
    assert page.changes
    partly = await stage.database.get_records(await stage.iterator(first), limit=1)
    assert partly.next_iterator is not None
    empty = await stage.database.get_records(await stage.iterator(child))
    assert (empty.changes, empty.next_iterator is None) == ((), False)
    with pytest.raises(ValueError, match="closed"):
        stage.database.roll_shard("users", first)


async def test_a_shard_may_roll_before_it_had_any_record(stage: Stage) -> None:
    first, *_ = await stage.shards()
    (child,) = stage.database.roll_shard("users", first)
    (grandchild, _) = stage.database.split_shard("users", child)
    page = await stage.database.get_records(await stage.iterator(first))
    assert (page.changes, page.next_iterator) == ((), None)
    assert (await stage.shards())[grandchild].parent_id == child


async def test_reading_what_was_trimmed_is_a_gap_and_the_horizon_moves(stage: Stage) -> None:
    await stage.put(*NAMES)
    shard, *_ = await stage.shards()
    held = await stage.iterator(shard)
    first, second, third, *rest = await stage.read(shard)
    stage.database.trim("users", third.sequence)
    with pytest.raises(GapError):
        await stage.database.get_records(held)
    for lost in (first, second):
        with pytest.raises(GapError):
            await stage.iterator(shard, lost.sequence)
    assert await stage.read(shard) == [third, *rest]
    assert await stage.read(shard, third.sequence) == rest


async def test_an_iterator_past_the_trimmed_records_reads_on(stage: Stage) -> None:
    await stage.put(*NAMES)
    shard, *_ = await stage.shards()
    page = await stage.database.get_records(await stage.iterator(shard))
    stage.database.trim("users", page.changes[-1].sequence + 1)
    assert page.next_iterator is not None
    after = await stage.database.get_records(page.next_iterator)
    assert after.changes == ()
    assert after.next_iterator is not None


async def test_a_closed_shard_is_listed_until_it_is_trimmed_and_then_a_gap(stage: Stage) -> None:
    shard, *_ = await stage.shards()
    await stage.put(*NAMES)
    last = (await stage.read(shard))[-1]
    (child,) = stage.database.roll_shard("users", shard)
    held = await stage.iterator(shard, last.sequence)
    stage.database.trim("users", last.sequence + 1)
    assert shard in await stage.shards()
    closed_at = (await stage.shards())[shard].last_sequence
    assert closed_at is not None
    stage.database.trim("users", closed_at + 1)
    shards = await stage.shards()
    assert shard not in shards
    assert shards[child].parent_id == shard
    with pytest.raises(GapError):
        await stage.iterator(shard)
    with pytest.raises(GapError):
        await stage.database.get_records(held)


async def test_an_iterator_lives_15_minutes_and_each_page_gives_a_fresh_one(stage: Stage) -> None:
    shard, *_ = await stage.shards()
    iterator: str | None = await stage.iterator(shard)
    for _ in range(3):
        stage.clock.seconds += 900
        assert iterator is not None
        iterator = (await stage.database.get_records(iterator)).next_iterator
    stage.clock.seconds += 901
    assert iterator is not None
    with pytest.raises(IteratorExpired):
        await stage.database.get_records(iterator)


async def test_sequence_numbers_grow_over_all_tables_and_leave_gaps(stage: Stage) -> None:
    await stage.database.create_table(TableDefinition("other", TABLE.key, stream=ViewType.KEYS_ONLY))
    other = await stage.database.describe_table("other")
    assert other is not None
    assert other.stream_arn is not None
    for count in range(20):
        await stage.put("p", count=count)
        await stage.database.write(Put("other", {"PK": text("p"), "n": number(count)}))
    mine = [change for shard in await stage.shards() for change in await stage.read(shard)]
    stage.arn = other.stream_arn
    theirs = [change for shard in await stage.shards() for change in await stage.read(shard)]
    woven = [each.sequence for pair in zip(mine, theirs, strict=True) for each in pair]
    assert woven == sorted(woven)
    assert {later - earlier for earlier, later in pairwise(woven)} > {1}


async def expiring(stage: Stage, name: str, expires: Item) -> None:
    await stage.database.write(Put("users", {"PK": text(name), **expires}))


async def test_the_ttl_sweep_deletes_what_expired_and_says_so_in_the_stream(stage: Stage) -> None:
    now = 1_800_000_000
    await expiring(stage, "expired", {"expires": number(now)})
    await expiring(stage, "later", {"expires": number(now + 1)})
    await expiring(stage, "milliseconds", {"expires": number(now * 1000)})
    await expiring(stage, "string", {"expires": text(str(now - 5))})
    await expiring(stage, "ancient", {"expires": number(now - 6 * 365 * 86_400)})
    await expiring(stage, "without", {})
    assert stage.database.expire(now) == 1
    assert stage.database.expire(now) == 0
    deleted = [change for shard in await stage.shards() for change in await stage.read(shard) if change.new is None]
    assert [(change.keys, change.old, change.by_ttl) for change in deleted] == [
        ({"PK": text("expired")}, {"PK": text("expired"), "expires": number(now)}, True)
    ]


async def test_a_delete_by_an_application_is_not_by_ttl(stage: Stage) -> None:
    await stage.put("p")
    await stage.database.write(Delete("users", {"PK": text("p")}))
    changes = [change for shard in await stage.shards() for change in await stage.read(shard)]
    assert [change.by_ttl for change in changes] == [False, False]


async def test_a_stream_outlives_its_table_under_its_arn(stage: Stage) -> None:
    await stage.put("p")
    await stage.database.delete_table("users")
    changes = [change for shard in await stage.shards() for change in await stage.read(shard)]
    assert len(changes) == 1
    await stage.database.create_table(TABLE)
    assert await stage.current_arn() != stage.arn


async def test_the_same_writes_give_the_same_streams() -> None:
    async def play() -> list[Change]:
        stage = await Stage(shards=3).open()
        await stage.put(*NAMES)
        return [change for shard in await stage.shards() for change in await stage.read(shard)]

    assert await play() == await play()
