"""The plan's queries, asked before there is a target: on which items, and what is wrong with the answers. Pure.

Both sides are the twin (`service.rehearsing`), over the very same items: a legacy table is written meanwhile, and knows
more than a part of it, so it would differ for no fault of the plan. The items of a source are kept as they are read, so
that nothing is read for this; only a proof that was killed has to read some again (`proof.runner`).
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from domain.items import Item
from mapping.patterns import AccessPattern
from mapping.plan import Plan
from proof.examination import Examined
from proof.faults import FAULTS, VERDICTS, Grade, gravest
from proof.secrets import hide

MOST_ITEMS = 2_000
_MOST_BYTES = 4 * 1024**2
"""So many items, or bytes of them, are kept, of one source at a time: that bounds memory, and seconds on the twin."""

_EXAMPLES = 5
_TOLD = frozenset(kind for kind in FAULTS if kind.startswith("index-key-") and FAULTS[kind].grade is Grade.WARN)
"""Why an index does not show an item, where that is a warning already."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A legacy item, and what was made of it."""

    image: Item
    found: Examined


@dataclass(frozen=True, slots=True)
class Differing:
    """One asking with two answers: whose it was, and the source ids that are missing or extra on the target."""

    asked_for: str
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    disordered: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One query: how often it was asked, how many items the legacy side answered, and where the target differed."""

    cases: int
    answers: int
    differing: tuple[Differing, ...] = ()

    @property
    def missing(self) -> list[str]:
        """Return every item that some answer lacks, once."""
        return list(dict.fromkeys(each for case in self.differing for each in case.missing))

    @property
    def extra(self) -> list[str]:
        """Return every item that some answer has too much, once."""
        return list(dict.fromkeys(each for case in self.differing for each in case.extra))

    @property
    def answers_nothing(self) -> bool:
        """Tell whether every single item is missing: that is the plan's fault, not the items'."""
        return sum(len(case.missing) for case in self.differing) >= self.answers


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of the queries of one source, by name, asked on so many of its items."""

    items: int
    asked: dict[str, Asked]


Rehearse = Callable[[str, list[Kept]], Awaitable[Rehearsal]]
"""Asks all queries of a source (by its short name) on these items."""


class Share:
    """The items of one source that its queries are asked on: the first that are read, all of a small table."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept: dict[str, Kept] = {}
        self._bytes = 0

    @property
    def is_full(self) -> bool:
        """Tell whether nothing more is kept."""
        return len(self._kept) >= MOST_ITEMS or self._bytes >= _MOST_BYTES

    def take(self, images: Iterable[Item], examined: Iterable[Examined]) -> None:
        """Keep what there is room for. What has no target item is left out: a mark, or a fault that is told anyway."""
        for image, found in zip(images, examined, strict=True):
            if self.is_full:
                return
            if found.written and found.source_id not in self._kept:
                self._kept[found.source_id] = Kept(image, found)
                self._bytes += found.size

    def kept(self) -> list[Kept]:
        """Return the items, in an order that does not depend on when they were read."""
        return [self._kept[source_id] for source_id in sorted(self._kept)]

    def is_told(self, source_id: str, index: str | None) -> bool:
        """Tell whether a warning says already why this index does not show an item."""
        found = self._kept[source_id].found
        begins = tuple(f"{each.entity} {index} " for each in found.written)
        return any(fault.kind in _TOLD and f"{fault.detail} ".startswith(begins) for fault in found.faults)


def faults_of(pattern: AccessPattern, asked: Asked, share: Share) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a query: the kind of fault, and the source id that shows it ("": all of them)."""
    if share.kept() and not asked.cases:
        yield "query-unasked", ""
    for source_id in asked.missing:
        excused = not asked.answers_nothing and share.is_told(source_id, pattern.target.index)
        yield "query-lacks-told" if excused else "query-lacks", source_id
    yield from (("query-adds", source_id) for source_id in asked.extra)
    yield from (("query-disordered", case.asked_for) for case in asked.differing if case.disordered)


def document_of(plan: Plan, asked: Asked, kinds: Iterable[str]) -> dict[str, Any]:
    """Return a query's outcome as plain data, masked, with a few of the differences; ``kinds`` are its faults."""

    def shown(source_ids: Iterable[str]) -> list[str]:
        return [hide(plan.masked(each)) for each in [*source_ids][:_EXAMPLES]]

    differences = [
        {
            "asked_for": hide(plan.masked(case.asked_for)),
            "missing": shown(case.missing),
            "extra": shown(case.extra),
            "disordered": case.disordered,
        }
        for case in asked.differing[:_EXAMPLES]
    ]
    return {
        "verdict": VERDICTS[gravest(kinds)],
        "cases": asked.cases,
        "answers": asked.answers,
        "differing": len(asked.differing),
        "differences": differences,
    }
