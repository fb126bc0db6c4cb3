"""Looks between switch and unfence: is every table there and answering, do the plan's queries answer as they should.

Actuators of `Moment.SMOKE`: nothing is changed, so there is nothing to undo. Whatever they find ends the switch (§8.5).
"""

import asyncio
from collections.abc import Iterable

from cutover.actuators import Standing, Traceless
from cutover.marking import mark_key
from domain.errors import RefusedError
from domain.phases import Side
from domain.tables import TableDefinition
from dynamo.ports import Database, Items
from mapping.plan import Plan
from reconcile.queries import Questioner
from reconcile.rechecks import Patience

_PATIENCE = Patience(rounds=3)
"""Nothing is written meanwhile, but an index may be a moment behind its table."""


class HealthCheck(Traceless):
    """Every table of the side that shall serve is ACTIVE and answers a consistent read."""

    def __init__(self, database: Database, plan: Plan) -> None:
        """Nothing is read yet."""
        self._database = database
        self._plan = plan

    async def preview(self, to: Side) -> str:
        """Name the tables."""
        return f"look at {', '.join(each.name for each in self._tables(to))}"

    async def do(self, to: Side, _standing: Standing, /) -> None:
        """Raise RefusedError naming each table that is not healthy."""
        sick = [name for name in await asyncio.gather(*(self._sick(each) for each in self._tables(to))) if name]
        if sick:
            message = f"not healthy: {', '.join(sick)}"
            raise RefusedError(message, hint="see the table in the AWS console")

    def _tables(self, to: Side) -> tuple[TableDefinition, ...]:
        if to is Side.TARGET:
            return (self._plan.target, *self._plan.companions)
        return tuple(source.definition for source in self._plan.sources.values())

    async def _sick(self, table: TableDefinition) -> str:
        described = await self._database.describe_table(table.name)
        if described is None:
            return f"{table.name} (there is none)"
        if described.status != "ACTIVE":
            return f"{table.name} ({described.status})"
        await self._database.get_item(table.name, mark_key(table.key, "health"))  # a key that nobody has
        return ""


class QueryCheck(Traceless):
    """The plan's queries, each asked of both sides for a few items: the same answers in the same order."""

    def __init__(self, items: Items, plan: Plan, *, samples: int = 1) -> None:
        """``samples``: items that each query is asked for; more take longer, and nobody may write meanwhile."""
        self._plan = plan
        self._questioner = Questioner(items, plan, _PATIENCE, samples=samples)

    async def preview(self, _to: Side, /) -> str:
        """Count the queries."""
        return f"ask the {len(self._plan.queries)} queries of the plan on both sides"

    async def do(self, to: Side, _standing: Standing, /) -> None:
        """Raise RefusedError naming each query whose answers differ."""
        wrong = await asyncio.gather(*(self._is_wrong(name, to) for name in self._plan.queries))
        if any(wrong):
            message = f"queries answered otherwise than they should: {', '.join(_named(self._plan.queries, wrong))}"
            raise RefusedError(message, hint="see `tableturn reconcile --queries`")

    async def _is_wrong(self, name: str, to: Side) -> bool:
        """Tell whether a query misses; one that reads a whole legacy table is only asked whether anything comes."""
        pattern = self._plan.queries[name]
        cases = await self._questioner.cases(pattern)
        if pattern.legacy.attribute is not None:
            return bool((await self._questioner.ask(pattern, cases)).differences)
        return not all([await self._questioner.answers_at_all(pattern, each, to) for each in cases])


def _named(names: Iterable[str], wrong: Iterable[bool]) -> list[str]:
    return [name for name, is_wrong in zip(names, wrong, strict=True) if is_wrong]
