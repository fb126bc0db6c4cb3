"""Ask both sides what the applications ask, and compare who answers, in which order, and page by page.

What an answer holds is the comparison's business (`reconcile.comparison`); here it is which items come, and how. Each
pattern is asked for a few sampled items. While traffic runs a case may differ for a moment, so it is asked again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeVar

from domain.items import AttributeValue, Item
from domain.phases import Side
from dynamo.ports import Items, Page, QueryRequest, ScanRequest
from mapping.patterns import AccessPattern
from mapping.plan import Plan
from reconcile.rechecks import Patience

Request = TypeVar("Request", ScanRequest, QueryRequest)

_PAGE = 3
"""Items a page when the target is asked page by page: small, so that pages really end."""

_PAGED = 30
"""Answers up to so many are asked for page by page as well."""

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Difference:
    """What one case showed: source ids missing or extra on the target, and whether order or pages are wrong."""

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    disordered: bool = False
    paged: bool = False

    @property
    def is_none(self) -> bool:
        """Tell whether both sides answer alike."""
        return not (self.missing or self.extra or self.disordered or self.paged)


@dataclass(slots=True)
class Outcome:
    """One pattern: how many cases were asked, how many items came, which cases differ (by the item asked for)."""

    cases: int = 0
    answers: int = 0
    differences: dict[str, Difference] = field(default_factory=dict)

    def document(self, plan: Plan) -> dict[str, Any]:
        """Return it as plain data, masked."""
        shown = [
            {
                "asked_for": plan.masked(source_id),
                "missing": [plan.masked(each) for each in different.missing[:_EXAMPLES]],
                "extra": [plan.masked(each) for each in different.extra[:_EXAMPLES]],
                "disordered": different.disordered,
                "paged": different.paged,
            }
            for source_id, different in self.differences.items()
        ]
        return {"cases": self.cases, "answers": self.answers, "differences": shown}


class Questioner:
    """Asks both sides. ``samples``: how many items of each source a pattern is asked for."""

    def __init__(self, items: Items, plan: Plan, patience: Patience, *, samples: int = 5) -> None:
        """Nothing is read yet."""
        self._items = items
        self._plan = plan
        self._patience = patience
        self._samples = samples

    async def ask_all(self) -> dict[str, Outcome]:
        """Ask every pattern of the plan; return what came out, by its name."""
        return {name: await self.ask(each, await self.cases(each)) for name, each in self._plan.queries.items()}

    async def answers(self, pattern: AccessPattern, asked: Item, side: Side) -> int:
        """Ask one side once, as its application does; return how many items came."""
        if side is Side.SOURCE:
            return len([each async for each in self._legacy(pattern, asked)])
        return len([each async for each in self._target(pattern, asked, limit=None)])

    async def answers_at_all(self, pattern: AccessPattern, asked: Item, side: Side) -> bool:
        """Tell whether one side answers with anything; it is not read any further than that."""
        found = self._legacy(pattern, asked) if side is Side.SOURCE else self._target(pattern, asked, limit=None)
        async for _ in found:
            return True
        return False

    async def ask(self, pattern: AccessPattern, cases: Iterable[Item]) -> Outcome:
        """Ask one pattern for these items."""
        outcome = Outcome()
        for image in cases:
            answers, different = await self._settled(pattern, image)
            outcome.cases += 1
            outcome.answers += answers
            if not different.is_none:
                outcome.differences[self._plan.source_id(pattern.source, image)] = different
        return outcome

    async def _settled(self, pattern: AccessPattern, asked: Item) -> tuple[int, Difference]:
        """Ask one case until both sides agree or patience is over; return how many items answered, and what differs."""
        attempt = 0
        while True:
            expected = [each async for each in self._legacy(pattern, asked)]
            different = await self._compared(pattern, asked, expected)
            attempt += 1
            if different.is_none or attempt >= self._patience.rounds:
                return len(expected), different
            await asyncio.sleep(self._patience.pause)

    async def cases(self, pattern: AccessPattern) -> list[Item]:
        """Return sampled items that ask different things."""
        found: dict[tuple[str, ...], Item] = {}
        async for image in self._scanned(pattern.source):
            case = pattern.case(image)
            if case is not None:
                found.setdefault(case, image)
            if len(found) >= self._samples:
                break
        return list(found.values())

    async def _compared(self, pattern: AccessPattern, asked: Item, expected: list[Item]) -> Difference:
        wanted = {self._plan.source_id(pattern.source, image) for image in expected}
        answered = [each async for each in self._target(pattern, asked, limit=None)]
        images = await self._images(pattern, answered)
        came = [each for each in answered if each not in images or pattern.holds(images[each], asked)]
        paged = False
        if len(answered) <= _PAGED:
            paged = answered != [each async for each in self._target(pattern, asked, limit=_PAGE)]
        order = [images[each] for each in came if each in images]
        return Difference(
            tuple(sorted(wanted - set(came))),
            tuple(sorted(set(came) - wanted)),
            disordered=not _is_sorted(pattern, order) or len(came) != len(set(came)),
            paged=paged,
        )

    async def _legacy(self, pattern: AccessPattern, asked: Item) -> AsyncIterator[Item]:
        attribute = pattern.legacy.attribute
        if attribute is None:
            async for image in self._scanned(pattern.source):
                if pattern.holds(image, asked):
                    yield image
            return
        table = self._plan.sources[pattern.source].definition
        request = QueryRequest(table.name, (attribute, asked[attribute]["S"]), index=pattern.legacy.index)
        async for image in self._queried(request):
            if pattern.holds(image, asked):
                yield image

    async def _target(self, pattern: AccessPattern, asked: Item, *, limit: int | None) -> AsyncIterator[str]:
        """Yield the source ids of the answers, in order; the request is the one that the new application makes."""
        table, question = self._plan.target, pattern.target
        names = [part.name for part in table.key_in(question.index)]
        sort = question.sort.render(asked) if question.sort else None
        request = QueryRequest(
            table.name,
            (names[0], str(question.hash.render(asked))),
            sort_prefix=(names[1], sort) if sort else None,
            index=question.index,
            forward=not pattern.descending,
            limit=limit,
        )
        async for item in self._queried(request):
            owner = self._plan.owner(self._plan.target_key(item))
            if owner is not None and owner.source == pattern.source:
                yield owner.source_id

    async def _images(self, pattern: AccessPattern, source_ids: Iterable[str]) -> dict[str, Item]:
        keys = [self._plan.source_key(each)[1] for each in source_ids]
        table = self._plan.sources[pattern.source].definition.name
        found = await self._items.batch_get(table, keys)
        return {self._plan.source_id(pattern.source, image): image for image in found.items}

    async def _scanned(self, source: str) -> AsyncIterator[Item]:
        definition = self._plan.sources[source].definition
        async for page in _pages(self._items.scan_page, ScanRequest(definition.name)):
            for image in definition.without_marks(page.items):
                yield image

    async def _queried(self, request: QueryRequest) -> AsyncIterator[Item]:
        async for page in _pages(self._items.query_page, request):
            for item in page.items:
                yield item


async def _pages(ask: Callable[[Request], Awaitable[Page]], request: Request) -> AsyncIterator[Page]:
    """Yield every page of a scan or query."""
    while True:
        page = await ask(request)
        yield page
        if page.last_key is None:
            return
        request = replace(request, start=page.last_key)


def _is_sorted(pattern: AccessPattern, images: list[Item]) -> bool:
    if pattern.order is None:
        return True
    values = list(_comparable(image.get(pattern.order, {}) for image in images))
    pairs = pairwise(reversed(values) if pattern.descending else values)
    return all(one <= other for one, other in pairs)


def _comparable(values: Iterable[AttributeValue]) -> Iterator[tuple[Decimal, str]]:
    for value in values:
        yield Decimal(value.get("N", "0")), str(value.get("S", ""))
