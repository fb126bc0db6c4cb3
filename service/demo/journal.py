"""The journal: every write that an application was told is done, in order per item, with what stood there before.

It is what the `checker` holds both sides against, so nothing enters it that DynamoDB did not acknowledge. An item has
one `Name` whichever side it stands on. `claim` makes sure that one task at a time writes an item, and so that the order
of acknowledgements is the order of the writes; an item stays claimed while the outcome of a write is unknown.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import IO, NamedTuple

import orjson

from domain.items import Item
from domain.phases import Side

_LATELY_MS, _RECENT = 5_000, 2_000
"""How far `per_second` looks back, in milliseconds and, at most, entries."""

_TRIES = 20
"""Draws before `choose` gives up: most of the items of a small table may be claimed or about to expire."""


class Name(NamedTuple):
    """An item, on either side: legacy table without prefix, and legacy key, such as ("users", "0d3f…")."""

    table: str
    key: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledged write. Images are None where there is no item; ``seen``: DynamoDB told what stood before."""

    name: Name
    side: Side
    epoch: int
    kind: str
    before: Item | None
    after: Item | None
    seen: bool
    at_ms: int


def wall_ms() -> int:
    """Return milliseconds since 1970, as all times of the legacy application are."""
    return time.time_ns() // 1_000_000


def expires_s(side: Side, table: str, image: Item | None) -> int | None:
    """Return when DynamoDB may delete an item by itself, in seconds since 1970; None for never."""
    if side is Side.SOURCE and table not in ("contractors", "refresh-tokens"):
        return None
    written = (image or {}).get("ttl" if side is Side.SOURCE else "expireAt", {}).get("N")
    return None if written is None else int(written)


class _Living:
    """Names whose last acknowledged write left an item, for drawing one at random."""

    def __init__(self) -> None:
        self._names: list[Name] = []
        self._places: dict[Name, int] = {}

    def note(self, name: Name, *, alive: bool) -> None:
        """Take a name in or out."""
        if alive and name not in self._places:
            self._places[name] = len(self._names)
            self._names.append(name)
        elif not alive and name in self._places:
            place, last = self._places.pop(name), self._names.pop()
            if last != name:
                self._names[place] = last
                self._places[last] = place

    def draw(self, random: Random) -> Name | None:
        """Return any of them."""
        return random.choice(self._names) if self._names else None


class Journal:
    """In memory and, line by line, in a JSONL file for whoever wants to look into a failure."""

    def __init__(self, path: Path | None = None) -> None:
        """Keep no file when ``path`` is None."""
        self.entries: list[Entry] = []
        self.histories: dict[Name, list[Entry]] = {}
        self.sides: dict[int, Side] = {}
        self.ambiguous = 0
        self.unexplained: list[Name] = []
        self._claimed: set[Name] = set()
        self._living: dict[str, _Living] = {}
        self._file: IO[bytes] | None = path.open("wb") if path else None

    def acknowledge(self, entry: Entry) -> None:
        """Add a write that took place."""
        self.entries.append(entry)
        self.histories.setdefault(entry.name, []).append(entry)
        self.sides[entry.epoch] = entry.side
        self._living.setdefault(entry.name.table, _Living()).note(entry.name, alive=entry.after is not None)
        if self._file is not None:
            self._file.write(orjson.dumps(entry, default=tuple, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        """Write out what is buffered and close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def claim(self, name: Name) -> bool:
        """Reserve an item for one write; tell whether it was free."""
        if name in self._claimed:
            return False
        self._claimed.add(name)
        return True

    def release(self, name: Name) -> None:
        """Give it back."""
        self._claimed.discard(name)

    def is_claimed(self, name: Name) -> bool:
        """Tell whether a write of the item is under way or in doubt."""
        return name in self._claimed

    def latest(self, name: Name) -> Item | None:
        """Return the item as its last acknowledged write left it."""
        history = self.histories.get(name)
        return history[-1].after if history else None

    def history(self, name: Name) -> Sequence[Entry]:
        """Return the writes of an item, oldest first."""
        return self.histories.get(name, ())

    def choose(self, table: str, random: Random, *, spare_s: int = 20) -> Name | None:
        """Return an item that exists, is free, and will not expire within ``spare_s`` seconds."""
        living = self._living.get(table)
        for _ in range(_TRIES if living else 0):
            name = living.draw(random) if living else None
            if name is None:
                return None
            last = self.histories[name][-1]
            expires = expires_s(last.side, table, last.after)
            lasts = expires is None or expires > wall_ms() // 1000 + spare_s
            if lasts and name not in self._claimed:
                return name
        return None

    def per_second(self) -> float:
        """Return the rate of acknowledged writes over the last seconds."""
        since = wall_ms() - _LATELY_MS
        return sum(entry.at_ms >= since for entry in self.entries[-_RECENT:]) * 1000 / _LATELY_MS

    def spans(self) -> Callable[[int], int]:
        """Return what numbers the spans between switches: how often the serving side had changed by a flag epoch."""
        known = sorted(self.sides.items())

        def span(epoch: int) -> int:
            sides = [side for each, side in known if each <= epoch]
            return sum(one is not other for one, other in pairwise(sides))

        return span
