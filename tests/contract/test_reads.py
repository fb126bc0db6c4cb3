"""Scans in segments, queries on table and index, batches of keys."""

import pytest

from domain.errors import FatalError
from domain.items import Item, number, text
from dynamo.ports import Found, QueryRequest, ScanRequest
from tests.contract.arena import BY_GROUP, BY_RANK, N1, N2, N3, Arena, item, key, names


async def filled(arena: Arena, count: int) -> str:
    """Return a table of ``count`` hash keys with one or two items each."""
    table = await arena.table()
    for each in range(count):
        await arena.put(table, item(f"p{each}"), *([item(f"p{each}", "b")] if each % 2 else []))
    return table


def identities(items: list[Item]) -> list[tuple[str, str]]:
    return [(each["PK"]["S"], each["SK"]["S"]) for each in items]


@pytest.mark.parametrize("segments", [1, 3, 16])
async def test_segments_are_complete_and_disjoint_and_keep_a_hash_key_together(arena: Arena, segments: int) -> None:
    table = await filled(arena, 40)
    found: list[tuple[str, str]] = []
    home: dict[str, int] = {}
    for segment in range(segments):
        part = identities(await arena.scanned(ScanRequest(table, segment, segments, limit=3)))
        found += part
        for name, _ in part:
            assert home.setdefault(name, segment) == segment
    assert len(found) == len(set(found)) == 60


async def test_a_scan_resumes_where_its_last_key_was_although_that_item_is_gone(arena: Arena) -> None:
    table = await filled(arena, 12)
    everything = identities(await arena.scanned_all(table))
    page = await arena.database.scan_page(ScanRequest(table, limit=7))
    assert identities(list(page.items)) == everything[:7]
    assert page.last_key == key(*everything[6])
    await arena.delete(table, page.last_key)
    rest = await arena.scanned(ScanRequest(table, start=page.last_key, limit=2))
    assert identities(rest) == everything[7:]


async def test_a_start_key_of_another_segment_is_our_bug(arena: Arena) -> None:
    table = await filled(arena, 12)
    refused = 0
    for segment in range(4):
        try:
            await arena.database.scan_page(ScanRequest(table, segment, 4, start=key("p1")))
        except FatalError:
            refused += 1
    assert refused == 3


async def test_a_page_ends_before_1_mb_and_counts_units(arena: Arena) -> None:
    table = await arena.table()
    for each in range(6):
        await arena.put(table, item("p", str(each), x=text("x" * 300_000)))
    page = await arena.database.scan_page(ScanRequest(table))
    assert len(page.items) == (4 if arena.flavor.page_crosses_1_mb else 3)
    assert page.last_key == key("p", str(len(page.items) - 1))
    assert 200 < float(page.units) < 300
    eventually = await arena.database.scan_page(ScanRequest(table, consistent=False))
    assert float(eventually.units) * 2 == float(page.units)


async def test_an_empty_table_is_one_empty_page(arena: Arena) -> None:
    table = await arena.table()
    page = await arena.database.scan_page(ScanRequest(table))
    assert page.items == ()
    assert page.last_key is None


async def test_a_query_gives_one_hash_key_in_order_both_ways(arena: Arena) -> None:
    table = await arena.table()
    for sk in ("b", "a", "é", "Z", "10", "9"):
        await arena.put(table, item("p", sk), item("q", sk))
    ascending = ["10", "9", "Z", "a", "b", "é"]
    for limit in (None, 1, 2, 6):
        request = QueryRequest(table, ("PK", "p"), limit=limit, consistent=True)
        assert names(await arena.queried(request)) == ascending
        backward = QueryRequest(table, ("PK", "p"), limit=limit, forward=False)
        assert names(await arena.queried(backward)) == ascending[::-1]


async def test_a_query_by_prefix_gives_only_that(arena: Arena) -> None:
    table = await arena.table()
    for sk in ("order#1", "order#2", "order", "orders", "line#1"):
        await arena.put(table, item("p", sk))
    request = QueryRequest(table, ("PK", "p"), sort_prefix=("SK", "order#"), limit=1)
    assert names(await arena.queried(request)) == ["order#1", "order#2"]
    assert await arena.queried(QueryRequest(table, ("PK", "p"), sort_prefix=("SK", "zz"))) == []
    assert await arena.queried(QueryRequest(table, ("PK", "nobody"))) == []


async def test_a_global_index_holds_what_has_its_keys_in_their_order(arena: Arena) -> None:
    table = await arena.table(indexes=(BY_GROUP,))
    await arena.put(
        table,
        item("a", group=text("g"), rank=N3, title=text("t")),
        item("b", group=text("g"), rank=number(10)),
        item("c", group=text("g"), rank=number(-1)),
        item("d", group=text("g")),
        item("e", rank=N1),
        item("f", group=text("h"), rank=N1),
    )
    for limit in (None, 1):
        request = QueryRequest(table, ("group", "g"), index="by-group", limit=limit)
        found = await arena.queried(request)
        assert [each["PK"]["S"] for each in found] == ["c", "a", "b"]
        assert found[1] == item("a", group=text("g"), rank=N3, title=text("t"))


async def test_items_of_equal_index_key_all_come_once_page_by_page(arena: Arena) -> None:
    table = await arena.table(indexes=(BY_GROUP,))
    for each in range(7):
        await arena.put(table, item(f"p{each}", group=text("g"), rank=N1))
    for forward in (True, False):
        request = QueryRequest(table, ("group", "g"), index="by-group", limit=2, forward=forward)
        found = [each["PK"]["S"] for each in await arena.queried(request)]
        assert sorted(found) == [f"p{each}" for each in range(7)]


async def test_a_local_index_orders_one_hash_key_and_projects_what_it_says(arena: Arena) -> None:
    table = await arena.table(indexes=(BY_RANK,))
    await arena.put(
        table,
        item("p", "x", rank=N2, title=text("two"), body=text("long")),
        item("p", "y", rank=N1, body=text("long")),
        item("p", "z", title=text("no rank")),
        item("q", "x", rank=N1),
    )
    request = QueryRequest(table, ("PK", "p"), index="by-rank", limit=1)
    assert await arena.queried(request) == [
        item("p", "y", rank=N1),
        item("p", "x", rank=N2, title=text("two")),
    ]


async def test_what_the_schema_does_not_offer_is_our_bug(arena: Arena) -> None:
    table = await arena.table(indexes=(BY_GROUP,))
    for request in (
        QueryRequest(table, ("group", "g")),
        QueryRequest(table, ("PK", "p"), sort_prefix=("title", "t")),
        QueryRequest(table, ("group", "g"), index="by-nothing"),
        QueryRequest(table, ("group", "g"), index="by-group", consistent=True),
        QueryRequest(table, ("PK", "p"), limit=0),
    ):
        with pytest.raises(FatalError):
            await arena.database.query_page(request)
    with pytest.raises(FatalError):
        await arena.database.scan_page(ScanRequest(table, limit=0))
    for wrong in ({"PK": text("p")}, item("p", x=N1), {"PK": N1, "SK": text("a")}):
        with pytest.raises(FatalError):
            await arena.database.get_item(table, wrong)


async def test_a_batch_takes_any_number_of_keys_and_names_each_item_once(arena: Arena) -> None:
    table = await arena.table()
    present = [item(f"p{each}", n=number(each)) for each in range(0, 250, 2)]
    await arena.put(table, *present)
    keys = [key(f"p{each}") for each in range(250)]
    found = await arena.database.batch_get(table, [*keys, *keys[:150]])
    assert sorted(identities(list(found.items))) == sorted(identities(present))
    assert await arena.database.batch_get(table, []) == Found(())


async def test_a_batch_of_more_than_16_mb_comes_whole(arena: Arena) -> None:
    table = await arena.table()
    for each in range(50):
        await arena.put(table, item(f"p{each}", x=text("x" * 400_000)))
    found = await arena.database.batch_get(table, [key(f"p{each}") for each in range(50)])
    assert len(set(identities(list(found.items)))) == len(found.items) == 50
    assert float(found.units) == 50 * 98, "each item by itself, in whole units"


async def test_a_batch_tells_what_it_consumed(arena: Arena) -> None:
    table = await arena.table()
    await arena.put(table, item("small"), item("large", x=text("x" * 6_000)))
    asked = [key("small"), key("large"), key("nobody")]
    units = float((await arena.database.batch_get(table, asked)).units)
    assert units == 1 + 2 + arena.flavor.missing_costs
    assert float((await arena.database.batch_get(table, asked, consistent=False)).units) * 2 == units
