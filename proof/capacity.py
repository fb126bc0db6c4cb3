"""What a put costs: write units of the table and of every index that shows the item. Pure.

Sources: AWS, "DynamoDB read and write operations", "Using Global Secondary Indexes", "Local Secondary Indexes": a unit
is 1 KB written; a new item costs one write of the table and one of each index that has an entry of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.items import Item
from domain.tables import IndexDefinition, TableDefinition
from mapping.sizes import item_size

TABLE = "table"
"""Stands for the table itself where indexes go by name."""

_UNIT = 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One copy of an item: in the table or in an index, under which hash key, how many bytes, how many write units."""

    index: str
    hash_key: str
    size: int
    units: int


def index_name(where: str) -> str | None:
    """Return the index of an entry; None for the table itself."""
    return None if where == TABLE else where


def write_units(size: int) -> int:
    """Return the write units of an item of so many bytes."""
    return max(1, -(-size // _UNIT))


def entries(table: TableDefinition, item: Item) -> Iterator[Entry]:
    """Yield where a put of a new item is written."""
    size = item_size(item)
    yield Entry(TABLE, _text(item, table.key[0].name), size, write_units(size))
    for index in table.indexes:
        if all(part.name in item for part in index.key):
            shown = size if index.include is None else item_size(_projected(table, index, item))
            yield Entry(index.name, _text(item, index.key[0].name), shown, write_units(shown))


def _projected(table: TableDefinition, index: IndexDefinition, item: Item) -> Item:
    names = {part.name for part in (*table.key, *index.key)} | set(index.include or ())
    return {name: value for name, value in item.items() if name in names}


def _text(item: Item, name: str) -> str:
    ((_, content),) = item[name].items()
    return str(content)
