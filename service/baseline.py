"""``tableturn baseline`` and ``compare``: how long the plan's queries take on a side, and whether it got worse.

Every query is asked again and again, by so many askers side by side, for sampled items. Latency is what an application
would see of a whole answer, all its pages included. The seed's criteria: p95 below 200 ms, errors below 0.1 %.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.clock import Clock
from domain.errors import FatalError, TableturnError
from domain.items import Item
from domain.phases import Side
from mapping.patterns import AccessPattern
from mapping.plan import Plan
from reconcile.queries import Questioner
from service.documents import read_document

SCHEMA = 1
P95_US = 200_000
"""p95 of an answer may take so many microseconds (the seed's success criteria)."""

ERRORS_PER_MILLION = 1_000
"""So many errors a million askings are allowed (the seed's criteria: 0.1 %)."""

WORSE_PER_MILLE = 1_200
"""p95 may become so many per mille of what it was: shorter answers differ more from run to run than that says."""

_HINT = "name a file that `tableturn baseline --output` wrote"

_LEAST_US = 5_000
"""Differences below so many microseconds are nothing that a user would notice."""


@dataclass(frozen=True, slots=True)
class BaselineOptions:
    """Seconds in all, how many ask side by side, which side is asked, for how many items each query."""

    duration: float
    concurrency: int
    side: Side
    samples: int = 20


@dataclass(slots=True)
class Latencies:
    """What one query showed: microseconds of each answer, and askings that failed."""

    took_us: list[int] = field(default_factory=list)
    errors: int = 0

    def document(self) -> dict[str, int]:
        """Return counts and percentiles."""
        took = sorted(self.took_us)
        figures = {f"p{percent}_us": _percentile(took, percent) for percent in (50, 95, 99)}
        return {"asked": len(took) + self.errors, "errors": self.errors, **figures, "max_us": took[-1] if took else 0}


async def measure(questioner: Questioner, plan: Plan, clock: Clock, options: BaselineOptions) -> dict[str, Any]:
    """Ask for as long as was said; return the baseline. Raises FatalError when the plan has no query to ask."""
    asked = [(pattern, case) for pattern in plan.queries.values() for case in await questioner.cases(pattern)]
    if not asked:
        raise FatalError(
            f"plan {plan.name} has no query that its tables could be asked", hint="add `queries` to the plan"
        )
    latencies = {pattern.name: Latencies() for pattern, _ in asked}
    began, until = clock.wall_ms(), clock.monotonic() + options.duration
    turns = _turns(asked)

    async def asker() -> None:
        while clock.monotonic() < until:
            pattern, case = next(turns)
            await _once(questioner, clock, pattern, case, options.side, latencies[pattern.name])

    async with asyncio.TaskGroup() as group:
        for _ in range(options.concurrency):
            group.create_task(asker())
    return {
        "schema": SCHEMA,
        "plan": plan.name,
        "plan_hash": plan.hash,
        "side": options.side.value,
        "begun_ms": began,
        "duration_s": str(options.duration),
        "concurrency": options.concurrency,
        "queries": {name: each.document() for name, each in latencies.items()},
    }


async def _once(
    questioner: Questioner, clock: Clock, pattern: AccessPattern, case: Item, side: Side, into: Latencies
) -> None:
    began = clock.monotonic()
    try:
        await questioner.answers(pattern, case, side)
    except TableturnError:
        into.errors += 1
    else:
        into.took_us.append(round((clock.monotonic() - began) * 1_000_000))


def _turns(asked: list[tuple[AccessPattern, Item]]) -> Iterator[tuple[AccessPattern, Item]]:
    """Yield queries in turn, so that each is asked as often as the others, and its cases in turn."""
    by_name: dict[str, list[tuple[AccessPattern, Item]]] = {}
    for each in asked:
        by_name.setdefault(each[0].name, []).append(each)
    count = 0
    while True:
        for cases in by_name.values():
            yield cases[count % len(cases)]
        count += 1


def compare(before: dict[str, Any], *later: dict[str, Any]) -> dict[str, Any]:
    """Set baselines side by side; say of each query whether the last meets the criteria and is no worse than the first.

    ``later``: one or more, in any order; those between, such as the days of a bake, are shown and not judged.
    """
    *between, after = sorted(later, key=lambda each: each["begun_ms"])
    queries = {}
    for name, now in after["queries"].items():
        then = before["queries"].get(name)
        course = [each["queries"].get(name) for each in between]
        queries[name] = {"before": then, "between": course, "after": now, "failed": list(_failed(then, now))}
    missing = sorted(before["queries"].keys() - after["queries"].keys())
    passes = not missing and not any(each["failed"] for each in queries.values())
    begun = [each["begun_ms"] for each in (before, *between, after)]
    return {"passes": passes, "begun_ms": begun, "missing": missing, "queries": queries}


def _failed(then: dict[str, int] | None, now: dict[str, int]) -> Iterator[str]:
    """Yield what a query does not meet."""
    if not now["asked"]:
        yield "it was never asked"
    if now["p95_us"] >= P95_US:
        yield f"p95 is {now['p95_us'] / 1000:g} ms, below {P95_US // 1000} ms is wanted"
    if now["errors"] and now["errors"] * 1_000_000 >= now["asked"] * ERRORS_PER_MILLION:
        yield f"{now['errors']} of {now['asked']} askings failed, below 0.1 % is wanted"
    if then is None:
        return
    grown = now["p95_us"] - then["p95_us"]
    if grown > _LEAST_US and now["p95_us"] * 1000 > then["p95_us"] * WORSE_PER_MILLE:
        yield f"p95 was {then['p95_us'] / 1000:g} ms and is {now['p95_us'] / 1000:g} ms"


def read_baseline(path: Path) -> dict[str, Any]:
    """Read what `baseline --output` wrote. Raises FatalError for a file that is none."""
    document = read_document(path, "a baseline", hint=_HINT)
    queries = document.get("queries")
    whole = isinstance(queries, dict) and all(_is_measured(each) for each in queries.values())
    if not whole or document.get("schema") != SCHEMA or not isinstance(document.get("begun_ms"), int):
        raise FatalError(f"{path} is no baseline of this version", hint=_HINT)
    return document


def _is_measured(query: object) -> bool:
    names = ("asked", "errors", "p50_us", "p95_us", "p99_us", "max_us")
    return isinstance(query, dict) and all(type(query.get(name)) is int for name in names)


def _percentile(took: list[int], percent: int) -> int:
    """Return the least value that so many per cent do not exceed (nearest rank)."""
    return took[-(-len(took) * percent // 100) - 1] if took else 0
