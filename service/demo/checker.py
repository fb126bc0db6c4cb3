"""Holds both sides against the journal: is every acknowledged write where it belongs, and nothing else?

Two questions, both answered by `expectations`, which share no code with the engines:

* **chain**: was what an application found before each write exactly what the write before it left, moved to the other
  side in between or not? So a write that was lost shows even when a later one covered it;
* **state**: does each side, read in full, hold what the last write of each item demands, and nothing more?

While traffic goes on a suspect is read again until no write came in between. Items past their time to live may be gone.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.items import Item, mark_id
from domain.phases import Side
from dynamo.ports import Items, ScanRequest
from service.demo import expectations as expected
from service.demo.journal import Entry, Journal, Name, expires_s, wall_ms

_SEGMENTS = 4
_GRACE_S = 2
"""Seconds by which the database's clock may be ahead of ours."""

_ROUNDS = 60
_PAUSE = 0.25
"""Rounds, and seconds between them, in which a suspect is read again while something still moves."""

_SECRETS = {"users": "passwordHash", "contractors": "tokenHash"}
_FROM_ENTITY = {entity: table for table, entity in expected.ENTITIES.items()}
_GONE_SOON = 15.0


class Kind(StrEnum):
    """What is wrong."""

    LOST = "lost"
    RESURRECTED = "resurrected"
    WRONG = "wrong"
    EXTRA = "extra"
    TOMBSTONE = "tombstone"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One thing that is wrong: where, masked, and in which attributes, never their values."""

    kind: Kind
    side: Side
    check: str
    item: str
    attributes: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What a check found: figures by name, and what is wrong."""

    phase: str
    figures: Counter[str] = field(default_factory=Counter)
    found: list[Discrepancy] = field(default_factory=list)

    def count(self, *kinds: Kind) -> int:
        """Return how many discrepancies are of these kinds."""
        return sum(each.kind in kinds for each in self.found)


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands on one side for one name: the item, and on the target those beside it, by key."""

    item: Item | None = None
    beside: tuple[Item, ...] = ()


class Checker:
    """Checks one demo; remembers how far the chain is checked."""

    def __init__(self, items: Items, journal: Journal, prefix: str) -> None:
        """Reads only."""
        self._items = items
        self._journal = journal
        self._prefix = prefix
        self._chained = 0

    async def check(self, phase: str, *sides: Side, epoch: int) -> Report:
        """Check the chain since the last time, and the state of these sides under flag ``epoch``."""
        report = Report(phase)
        new = self._journal.entries[self._chained :]
        self._chained += len(new)
        priors = [self._journal.history(entry.name) for entry in new]
        places = [next(at for at, each in enumerate(history) if each is entry) for entry, history in zip(new, priors)]
        await asyncio.to_thread(self._chain, report, [tuple(h[: at + 1]) for h, at in zip(priors, places)])
        for side in sides:
            await self._state(report, side, epoch)
        return report
