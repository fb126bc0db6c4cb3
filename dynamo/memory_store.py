"""One table of the twin: its items in scan order, and writes that leave their stream records.

What holds: items are normalised and never shared with a caller; the scan order is by a stable hash of the hash key, so
that a segment is a slice. Synchronous, so that every operation is atomic. Next: `dynamo.memory_pages` for scans and
queries, `dynamo.memory_log` for the stream.
"""

import hashlib
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, TypeAlias

import orjson

from domain.errors import DataError, FatalError
from domain.items import AttributeValue, Item, canonical
from domain.tables import TableDefinition
from dynamo.item_rules import check_index_key, check_key, check_size, comparable, normalised
from dynamo.memory_log import Images, StreamLog
from dynamo.witness import Effect

Place: TypeAlias = tuple[Any, ...]
"""Where an item lies in scan order: 64-bit hash of its hash key, that key's text, what its sort key sorts by."""

HASH_BITS: Final = 64


@dataclass(frozen=True, slots=True)
class Stored:
    """An item at rest, its size in bytes, and its place."""

    item: Item
    size: int
    place: Place


_TABLES = count()
"""Numbers the tables of all twins of a process."""


class StoredTable:
    """State of one table."""

    def __init__(self, definition: TableDefinition, tell: Callable[[Effect], None]) -> None:
        """Start empty; ``log`` is the enabled stream, if any; every effect is told."""
        self.definition = definition
        self._tell = tell
        self.identity = f"twin-{next(_TABLES)}"
        self.log: StreamLog | None = None
        self.ttl_attribute = definition.ttl_attribute
        self._places: list[Place] = []
        self._stored: dict[Place, Stored] = {}

    def __len__(self) -> int:
        """Return the number of items."""
        return len(self._stored)

    @property
    def size_bytes(self) -> int:
        """Bytes of all items."""
        return sum(stored.size for stored in self._stored.values())

    def between(self, low: Place, high: Place) -> list[Stored]:
        """Return what lies in ``[low, high)``, in scan order, uncopied."""
        begin, end = bisect_left(self._places, low), bisect_left(self._places, high)
        return [self._stored[place] for place in self._places[begin:end]]

    def everything(self) -> list[Stored]:
        """Return all that is stored, in scan order, uncopied."""
        return [self._stored[place] for place in self._places]

    def key_of(self, item: Item) -> Item:
        """Return the primary key of an item, uncopied."""
        return {part.name: item[part.name] for part in self.definition.key}

    def prepared(self, item: Item) -> Stored:
        """Return the item as it would be stored. Raises DataError for what DynamoDB refuses."""
        ready = normalised(item)
        check_key(ready, self.definition.key)
        for index in self.definition.indexes:
            check_index_key(ready, index.key, index.name)
        return Stored(ready, check_size(ready), self.place_in(ready))

    def place_of(self, key: Item) -> Place:
        """Return the place of a key from outside. Raises DataError when it does not fit the key schema."""
        ready = normalised(key)
        check_key(ready, self.definition.key)
        if len(ready) != len(self.definition.key):
            raise DataError("The provided key element does not match the schema")
        return self.place_in(ready)

    def asked_for(self, key: Item) -> Place:
        """Return the place that a read asks for. Raises FatalError for a key of another schema: our bug."""
        try:
            return self.place_of(key)
        except DataError as error:
            raise FatalError(error.message) from error

    def place_in(self, item: Item) -> Place:
        """Return the place of a normalised item."""
        key = self.definition.key
        return (*hash_place(item[key[0].name]), comparable(item[key[1].name]) if len(key) > 1 else 0)

    def at(self, place: Place) -> Item | None:
        """Return what stands there, uncopied."""
        stored = self._stored.get(place)
        return stored.item if stored else None

    def put(self, stored: Stored) -> None:
        """Store it; a record goes to the stream unless nothing changed."""
        before = self.at(stored.place)
        if before is None:
            insort(self._places, stored.place)
        self._stored[stored.place] = stored
        self._leave(Images(self.key_of(stored.item), before, stored.item), stored.place[0])

    def remove(self, place: Place, *, by_ttl: bool = False) -> None:
        """Remove what stands there; nothing there leaves no record."""
        stored = self._stored.pop(place, None)
        if stored is None:
            return
        del self._places[bisect_left(self._places, place)]
        self._leave(Images(self.key_of(stored.item), stored.item, None, by_ttl=by_ttl), place[0])

    def _leave(self, images: Images, hash_code: int) -> None:
        """Leave a record, unless nothing changed, and tell; normalised items are equal exactly when their dicts are."""
        changed = images.old != images.new
        place = self.log.append(images, hash_code=hash_code) if changed and self.log is not None else None
        self._tell(Effect(self.definition.name, images.keys, images.old, images.new, images.by_ttl, place))


def hash_place(value: AttributeValue) -> Place:
    """Return the first two parts of a place: the stable hash of a hash key, and its text."""
    written = orjson.dumps(canonical(value))
    return int.from_bytes(hashlib.blake2b(written, digest_size=HASH_BITS // 8).digest()), written.decode()
