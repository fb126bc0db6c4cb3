"""The plan's queries, asked of both sides on the twin: what `reconcile.queries` will ask of the real ones.

A twin for each source: what a query answers of other sources does not count. Next: `proof.rehearsal` for what follows.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from domain.clock import Clock
from domain.errors import DataError
from domain.items import Item
from dynamo.memory import MemoryDatabase
from dynamo.ports import Items, Put
from mapping.patterns import AccessPattern
from mapping.plan import Plan
from proof.rehearsal import Asked, Differing, Kept, Rehearsal
from reconcile.queries import Outcome, Questioner
from reconcile.rechecks import Patience

_CASES = 10
"""Askings a query."""

_ONCE = Patience(rounds=1)
"""Nobody writes to the twin: what differs, differs."""


async def rehearse(plan: Plan, clock: Clock, source: str, kept: list[Kept]) -> Rehearsal:
    """Put these items and their target items into empty tables, as the plan defines them, and ask (`Rehearse`).

    A legacy item that the plan's table would refuse is left out; a target item that is refused is missing.
    """
    twin, legacy = MemoryDatabase(clock), plan.sources[source].definition
    for definition in (legacy, plan.target):
        await twin.create_table(replace(definition, stream=None))
    images = []
    for each in kept:
        if await _is_put(twin, legacy.name, each.image):
            images.append(each.image)
            for made in each.found.written:
                await _is_put(twin, plan.target.name, made.item)
    questioner = Questioner(twin, plan, _ONCE)
    asked = {
        name: _asked(await questioner.ask(pattern, _cases(pattern, images)))
        for name, pattern in plan.queries.items()
        if pattern.source == source
    }
    return Rehearsal(len(images), asked)


async def _is_put(twin: Items, table: str, item: Item) -> bool:
    try:
        await twin.write(Put(table, item))
    except DataError:
        return False
    return True


def _cases(pattern: AccessPattern, images: Iterable[Item]) -> list[Item]:
    """Return items that ask different things, those with the most answers first: one answer alone has no order."""
    found: dict[tuple[str, ...], Item] = {}
    answers: Counter[tuple[str, ...]] = Counter()
    for image in images:
        case = pattern.case(image)
        if case is not None:
            found.setdefault(case, image)
            answers[case] += 1
    return [found[case] for case, _ in answers.most_common(_CASES)]


def _asked(outcome: Outcome) -> Asked:
    differing = tuple(
        Differing(asked_for, each.missing, each.extra, each.disordered or each.paged)
        for asked_for, each in outcome.differences.items()
    )
    return Asked(outcome.cases, outcome.answers, differing)
