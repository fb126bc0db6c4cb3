"""Pages of Scan and Query over one table of the twin. Pure over its state.

What holds: a page resumes where its start key was, item or no item; indexes are computed when read. Sources: AWS,
"Scan", "Query" (1 MB of data read, Limit counts items read). Next: `dynamo.memory_items`.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from domain.errors import FatalError
from domain.items import Item
from domain.tables import IndexDefinition, KeyAttribute
from dynamo.item_rules import comparable, copied, normalised
from dynamo.memory_store import HASH_BITS, Place, Stored, StoredTable, hash_place
from dynamo.ports import Page, QueryRequest, ScanRequest

_PAGE_BYTES: Final = 1024 * 1024
_UNIT_BYTES: Final = 4096


def scan(table: StoredTable, request: ScanRequest) -> Page:
    """Return one page of a segment. Raises FatalError for a start key outside the segment."""
    low, high = (-(-(part << HASH_BITS) // request.total_segments) for part in (request.segment, request.segment + 1))
    candidates = table.between((low,), (high,))
    if request.start is not None:
        start = table.asked_for(request.start)
        if not low <= start[0] < high:
            raise FatalError("Exclusive start key must lie within the segment")
        candidates = candidates[bisect_right(candidates, start, key=lambda stored: stored.place) :]
    page = _cut(candidates, request.limit, consistent=request.consistent)
    return _copied(page, lambda item: item, table.key_of)


def query(table: StoredTable, request: QueryRequest) -> Page:
    """Return one page of a query. Raises FatalError for what the table or index does not offer."""
    index = _index(table, request)
    key = index.key if index else table.definition.key
    rank = _rank(key)
    candidates = sorted(_matching(table, request, key), key=rank, reverse=not request.forward)
    if request.start is not None:
        start = normalised(request.start)
        last = (_sorted_by(start, key), table.place_in(start))
        candidates = [each for each in candidates if (rank(each) > last if request.forward else rank(each) < last)]
    names = list(dict.fromkeys(part.name for part in (*table.definition.key, *key)))
    kept = None if index is None or index.include is None else {*names, *index.include}
    return _copied(
        _cut(candidates, request.limit, consistent=request.consistent),
        lambda item: {name: value for name, value in item.items() if kept is None or name in kept},
        lambda item: {name: item[name] for name in names},
    )


def _index(table: StoredTable, request: QueryRequest) -> IndexDefinition | None:
    if request.index is None:
        return None
    found = next((index for index in table.definition.indexes if index.name == request.index), None)
    if found is None:
        raise FatalError(f"The table does not have the specified index: {request.index}")
    if request.consistent and not found.local:
        raise FatalError("Consistent read cannot be true when querying a GSI")
    return found


def _matching(table: StoredTable, request: QueryRequest, key: tuple[KeyAttribute, ...]) -> list[Stored]:
    """Return what the key condition selects, in any order."""
    name, value = request.hash_key
    if name != key[0].name or key[0].type != "S" or value == "":
        raise FatalError(f"Query condition misses key schema element: {key[0].name}")
    if request.index is None:
        code, written = hash_place({"S": value})
        selected = table.between((code, written), (code, written + "\0"))
    else:
        parts = {part.name for part in key}
        selected = [each for each in table.everything() if parts <= each.item.keys()]
        selected = [each for each in selected if each.item[name] == {"S": value}]
    if request.sort_prefix is None:
        return selected
    sort_name, prefix = request.sort_prefix
    if len(key) == 1 or sort_name != key[1].name:
        raise FatalError(f"Query key condition not supported: {sort_name}")
    return [each for each in selected if each.item[sort_name].get("S", "").startswith(prefix)]


def _rank(key: tuple[KeyAttribute, ...]) -> Callable[[Stored], tuple[Any, Place]]:
    """Return the order within one hash key: by the sort key, then (in an index) by place."""
    return lambda stored: (_sorted_by(stored.item, key), stored.place)


def _sorted_by(item: Item, key: tuple[KeyAttribute, ...]) -> Any:
    return comparable(item[key[1].name]) if len(key) > 1 else 0


def _cut(candidates: Sequence[Stored], limit: int | None, *, consistent: bool) -> Page:
    """Cut a page at the limit (then with a last key, even at the very end) or before 1 MB; uncopied."""
    if limit is not None and limit < 1:
        raise FatalError("Limit must be greater than or equal to 1")
    taken: list[Item] = []
    consumed = 0
    more = False
    for stored in candidates:
        more = bool(taken) and (len(taken) == limit or consumed + stored.size > _PAGE_BYTES)
        if more:
            break
        taken.append(stored.item)
        consumed += stored.size
    more = more or len(taken) == limit
    units = units_of(consumed) * (1.0 if consistent else 0.5)
    return Page(tuple(taken), taken[-1] if more else None, f"{units:g}")


def units_of(read_bytes: int) -> int:
    """Return the read units of so many bytes read at once, consistently; nothing costs one as well."""
    return math.ceil(max(read_bytes, 1) / _UNIT_BYTES)


def _copied(page: Page, project: Callable[[Item], Item], start_key: Callable[[Item], Item]) -> Page:
    last_key = None if page.last_key is None else copied(start_key(page.last_key))
    return Page(tuple(copied(project(item)) for item in page.items), last_key, page.units)
