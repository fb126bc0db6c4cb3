"""Control plane: what is created is what is described; streams switch on and off."""

import time

import pytest

from domain.errors import FatalError, RefusedError
from domain.tables import IndexDefinition, KeyAttribute, TableDefinition, ViewType
from tests.contract.arena import BY_GROUP, BY_RANK, PK, SK, Arena, item

KEYS_ONLY = IndexDefinition("by-kind", (KeyAttribute("kind", "B"),), include=())


async def test_a_table_is_described_as_it_was_created(arena: Arena) -> None:
    indexes = (BY_GROUP, KEYS_ONLY, BY_RANK)
    table = await arena.table(indexes=indexes, stream=ViewType.NEW_AND_OLD_IMAGES, ttl="expires")
    found = await arena.database.describe_table(table)
    assert found is not None
    assert found.name == table
    assert found.key == (PK, SK)
    assert sorted(found.indexes, key=lambda index: index.name) == sorted(indexes, key=lambda index: index.name)
    assert found.stream_arn is not None
    assert found.stream_view is ViewType.NEW_AND_OLD_IMAGES
    assert found.ttl_attribute == "expires"
    assert (found.status, found.building, found.provisioned) == ("ACTIVE", (), None)
    assert (found.deletion_protection, found.replicas, found.encryption_key) == (False, (), None)
    again = await arena.database.describe_table(table)
    assert again is not None
    assert again.identity == found.identity != ""


async def test_a_plain_table_has_no_stream_no_ttl_no_indexes(arena: Arena) -> None:
    found = await arena.database.describe_table(await arena.table(key=(PK,)))
    assert found is not None
    assert (found.key, found.indexes) == ((PK,), ())
    assert (found.stream_arn, found.stream_view, found.ttl_attribute) == (None, None, None)


async def test_items_are_counted(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("p"), item("q"))
    found = await arena.database.describe_table(table)
    assert found is not None
    if arena.flavor.counts_at_once:
        assert found.item_count == 2
        assert found.size_bytes > 0


async def test_a_missing_table_is_described_as_none_and_deleted_in_peace(arena: Arena) -> None:
    assert await arena.database.describe_table("no-such-table") is None
    await arena.database.delete_table("no-such-table")


async def test_creating_what_exists_is_refused(arena: Arena) -> None:
    table = await arena.table()
    with pytest.raises(RefusedError):
        await arena.database.create_table(TableDefinition(table, (PK,)))
    found = await arena.database.describe_table(table)
    assert found is not None
    assert found.key == (PK, SK)


async def test_a_deleted_table_is_gone_and_may_be_created_again(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("p"))
    before = await arena.database.describe_table(table)
    await arena.database.delete_table(table)
    assert await arena.database.describe_table(table) is None
    await arena.database.create_table(TableDefinition(table, (PK, SK)))
    assert await arena.scanned_all(table) == []
    after = await arena.database.describe_table(table)
    assert before is not None
    assert after is not None
    assert after.identity != before.identity


async def test_a_protected_table_is_not_deleted(arena: Arena) -> None:
    if arena.flavor.name == "aws":
        pytest.skip("the port cannot take the protection off again")
    name = f"t-protected-{time.monotonic_ns()}"
    await arena.database.create_table(TableDefinition(name, (PK,), deletion_protection=True))
    with pytest.raises(RefusedError):
        await arena.database.delete_table(name)
    assert await arena.database.describe_table(name) is not None


async def test_enabling_a_stream_that_is_on_changes_nothing_unless_the_view_differs(arena: Arena) -> None:
    table = await arena.table(stream=ViewType.KEYS_ONLY)
    arn = await arena.arn(table)
    await arena.database.enable_stream(table, ViewType.KEYS_ONLY)
    with pytest.raises(RefusedError):
        await arena.database.enable_stream(table, ViewType.NEW_AND_OLD_IMAGES)
    assert await arena.arn(table) == arn


async def test_a_stream_switched_off_and_on_has_another_arn(arena: Arena) -> None:
    table = await arena.table(stream=ViewType.NEW_AND_OLD_IMAGES)
    first = await arena.arn(table)
    await arena.put(table, item("p"))
    await arena.changes(table, 1)
    await arena.database.disable_stream(table)
    await arena.database.disable_stream(table)
    found = await arena.database.describe_table(table)
    assert found is not None
    assert (found.stream_arn, found.stream_view) == (None, None)
    await arena.put(table, item("unseen"))
    await arena.database.enable_stream(table, ViewType.NEW_AND_OLD_IMAGES)
    second = await arena.arn(table)
    assert second != first
    await arena.put(table, item("q"))
    assert [each.new for each in await arena.changes(table, 1)] == [item("q")]
    assert [each.new for each in await arena.changes_under(first, 1)] == [item("p")]
    assert all(shard.last_sequence is not None for shard in await arena.database.describe_stream(first))


async def test_streams_of_missing_tables_are_fatal(arena: Arena) -> None:
    with pytest.raises(FatalError):
        await arena.database.enable_stream("no-such-table", ViewType.KEYS_ONLY)
    with pytest.raises(FatalError):
        await arena.database.disable_stream("no-such-table")
