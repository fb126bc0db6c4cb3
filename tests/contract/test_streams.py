"""Streams: one record per change, with both images, in order, from any place."""

import time

import pytest

from domain.changes import Change
from domain.errors import FatalError, GapError
from domain.items import Item, number
from domain.tables import ViewType
from dynamo.conditions import Absent
from dynamo.ports import Check, Delete, Put, ShardPlace
from tests.contract.arena import N1, N2, Arena, item, key

BOTH = ViewType.NEW_AND_OLD_IMAGES


def images(changes: list[Change]) -> list[tuple[Item | None, Item | None]]:
    return [(each.old, each.new) for each in changes]


async def test_put_put_again_and_delete_leave_old_and_new_images(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    await arena.put(table, item("p", n=N1), item("p", n=N2))
    await arena.delete(table, key("p"))
    changes = await arena.changes(table, 3)
    assert images(changes) == [
        (None, item("p", n=N1)),
        (item("p", n=N1), item("p", n=N2)),
        (item("p", n=N2), None),
    ]
    assert [each.keys for each in changes] == [key("p")] * 3
    assert not any(each.by_ttl for each in changes)


async def test_what_changes_nothing_leaves_no_record(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    await arena.put(table, item("p", n={"N": "1.0"}, s={"SS": ["a", "b"]}))
    await arena.put(table, item("p", n={"N": "1"}, s={"SS": ["b", "a"]}))
    await arena.database.transact([Put(table, item("p", n=N1, s={"SS": ["a", "b"]}))])
    await arena.delete(table, key("nobody"))
    await arena.database.transact([Delete(table, key("nobody")), Check(table, key("none"), Absent(("PK",)))])
    await arena.put(table, item("last"))
    news = [each.new for each in await arena.changes(table, 2)]
    assert len(news) == 2
    assert item("last") in news


async def test_each_put_and_delete_of_a_transaction_leaves_its_record(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    await arena.put(table, item("gone"))
    await arena.database.transact(
        [Put(table, item("a")), Put(table, item("b")), Delete(table, key("gone"))],
    )
    found = images(await arena.changes(table, 4))
    expected = [(None, item("gone")), (None, item("a")), (None, item("b")), (item("gone"), None)]
    assert len(found) == len(expected)
    assert all(each in found for each in expected)


async def test_the_changes_of_one_item_come_in_order_with_growing_numbers(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    for count in range(1, 21):
        for name in ("p", "q", "r"):
            await arena.put(table, item(name, n=number(count)))
    changes = await arena.changes(table, 60)
    for name in ("p", "q", "r"):
        mine = [each for each in changes if each.keys == key(name)]
        assert [each.new for each in mine] == [item(name, n=number(count)) for count in range(1, 21)]
        sequences = [each.sequence for each in mine]
        assert sequences == sorted(set(sequences))


async def test_reading_resumes_after_any_number(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    for count in range(1, 8):
        await arena.put(table, item("p", n=number(count)))
    await arena.changes(table, 7)
    arn = await arena.arn(table)
    shards = [each.shard_id for each in await arena.database.describe_stream(arn)]
    by_shard = {each: await arena.read(ShardPlace(arn, each)) for each in shards}
    for shard, changes in by_shard.items():
        for index, change in enumerate(changes):
            assert await arena.read(ShardPlace(arn, shard, change.sequence)) == changes[index + 1 :]


async def test_a_page_holds_no_more_than_asked_for_and_the_next_goes_on(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    for count in range(1, 6):
        await arena.put(table, item("p", n=number(count)))
    changes = await arena.changes(table, 5)
    arn = await arena.arn(table)
    for shard in await arena.database.describe_stream(arn):
        iterator = await arena.database.shard_iterator(ShardPlace(arn, shard.shard_id))
        first = await arena.database.get_records(iterator, limit=2)
        if not first.changes:
            continue
        assert first.next_iterator is not None
        second = await arena.database.get_records(first.next_iterator, limit=2)
        assert [*first.changes, *second.changes] == changes[:4]


async def test_an_open_shard_goes_on_after_its_tip(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    await arena.put(table, item("p", n=N1))
    (first,) = await arena.changes(table, 1)
    arn = await arena.arn(table)
    for shard in await arena.database.describe_stream(arn):
        assert shard.last_sequence is None
        page = await arena.database.get_records(
            await arena.database.shard_iterator(ShardPlace(arn, shard.shard_id, first.sequence))
            if first in await arena.read(ShardPlace(arn, shard.shard_id))
            else await arena.database.shard_iterator(ShardPlace(arn, shard.shard_id))
        )
        assert page.changes == ()
        assert page.next_iterator is not None


async def test_a_closed_shard_ends_without_a_next_iterator(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    await arena.put(table, item("p", n=N1), item("p", n=N2))
    arn = await arena.arn(table)
    await arena.changes(table, 2)
    await arena.database.disable_stream(table)
    ended = 0
    found: list[Change] = []
    for shard in await arena.database.describe_stream(arn):
        iterator: str | None = await arena.database.shard_iterator(ShardPlace(arn, shard.shard_id))
        for _ in range(10):
            if iterator is None:
                ended += 1
                break
            page = await arena.database.get_records(iterator)
            found += page.changes
            assert shard.last_sequence is not None
            assert all(change.sequence <= shard.last_sequence for change in page.changes)
            iterator = page.next_iterator
    assert ended == len(await arena.database.describe_stream(arn))
    assert [each.new for each in found] == [item("p", n=N1), item("p", n=N2)]


@pytest.mark.parametrize("view", list(ViewType))
async def test_a_view_type_shows_the_images_it_says(arena: Arena, view: ViewType) -> None:
    table = await arena.table(stream=view)
    await arena.put(table, item("p", n=N1), item("p", n=N2))
    last = (await arena.changes(table, 2))[-1]
    assert last.keys == key("p")
    shows_old = view in {ViewType.OLD_IMAGE, BOTH}
    shows_new = view in {ViewType.NEW_IMAGE, BOTH}
    assert last.old == (item("p", n=N1) if shows_old else None)
    assert last.new == (item("p", n=N2) if shows_new else None)


async def test_a_stream_switched_on_late_tells_only_of_what_follows(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("early", n=N1))
    await arena.database.enable_stream(table, BOTH)
    await arena.put(table, item("early", n=N2))
    assert images(await arena.changes(table, 1)) == [(item("early", n=N1), item("early", n=N2))]


async def test_a_new_stream_has_open_shards_without_parents(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    shards = await arena.database.describe_stream(await arena.arn(table))
    assert len(shards) == (arena.flavor.open_shards or len(shards))
    assert all((shard.parent_id, shard.last_sequence) == (None, None) for shard in shards)


async def test_records_know_roughly_when_they_were_made(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    before = time.time_ns() // 1_000_000
    await arena.put(table, item("p"))
    after = time.time_ns() // 1_000_000
    (change,) = await arena.changes(table, 1)
    slack = arena.flavor.created_granularity_ms
    assert before - slack <= change.created_ms <= after + slack


async def test_an_unknown_shard_is_a_gap_and_an_unknown_stream_is_fatal(arena: Arena) -> None:
    table = await arena.table(stream=BOTH)
    arn = await arena.arn(table)
    with pytest.raises(GapError):
        await arena.database.shard_iterator(ShardPlace(arn, "shardId-00000001700000000000-aaaaaaaa"))
    with pytest.raises(FatalError):
        await arena.database.describe_stream(arn + "9")
