"""Latency of the plan's queries in exact virtual time, and two baselines held against the criteria."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from domain.errors import FatalError, RefusedError
from domain.phases import Side
from dynamo.weather import FairWeather
from reconcile.queries import Questioner
from reconcile.rechecks import Patience
from service.baseline import BaselineOptions, Latencies, compare, measure, read_baseline
from service.baselinereport import comparison_page
from service.console import as_html
from tests.examples import ADA, BOB
from tests.world import LoopClock, Venue, World, ready


class Slow(FairWeather):
    """Weather in which every answer takes so long, and every so-manieth query fails."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.fails_every = 0
        self._asked = 0

    async def before(self, operation: str, table: str) -> None:
        if self.seconds:
            await asyncio.sleep(self.seconds)
        is_application = operation == "Query" and not table.endswith("-tableturn")
        self._asked += is_application
        if self.fails_every and is_application and self._asked % self.fails_every == 0:
            raise RefusedError("not allowed")


async def measured(world: World, slow: Slow, side: Side, **others: Any) -> dict[str, Any]:
    questioner = Questioner(world.database, world.plan, Patience())
    options = BaselineOptions(duration=2.0, concurrency=2, side=side)
    slow.seconds, slow.fails_every = others.get("seconds", 0.01), others.get("fails_every", 0)
    found = await measure(questioner, world.plan, LoopClock(), options)
    slow.seconds, slow.fails_every = 0.0, 0
    return found


@pytest.mark.looptime
async def test_latency_is_that_of_a_whole_answer_on_either_side() -> None:
    slow = Slow()
    async with ready(Venue.in_memory(weather=slow), "tyler-setup", users=[ADA, BOB]) as (world, _):
        found = await measured(world, slow, Side.TARGET)
        assert found["queries"].keys() == {"user-by-id", "user-by-email", "users-by-creation"}
        for each in found["queries"].values():
            assert (each["errors"], each["p50_us"], each["p95_us"]) == (0, 10_000, 10_000)
            assert each["asked"] > 50
        found = await measured(world, slow, Side.SOURCE, fails_every=4)
        assert found["side"] == "source"
        by_email = found["queries"]["user-by-email"]
        assert 0 < by_email["errors"] < by_email["asked"]


@pytest.mark.looptime
async def test_a_plan_that_cannot_be_asked_is_told() -> None:
    world = await Venue.in_memory().world("tyler-setup", "users", initialised=False)
    with pytest.raises(FatalError, match="no query"):
        await measured(world, Slow(), Side.SOURCE)


def figures(p95_us: int, *, errors: int = 0, asked: int = 1000, begun_ms: int = 1) -> dict[str, Any]:
    return {"begun_ms": begun_ms, "queries": {"q": {"asked": asked, "errors": errors, "p95_us": p95_us}}}


NEVER_ASKED: dict[str, Any] = {"begun_ms": 1, "queries": {}}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (figures(50_000), figures(59_000), ""),
        (figures(50_000), figures(61_000), "p95 was 50 ms and is 61 ms"),
        (figures(1_000), figures(5_900), ""),
        (figures(199_000), figures(199_999), ""),
        (figures(190_000), figures(200_000), "p95 is 200 ms"),
        (figures(1_000), figures(1_000, errors=1, asked=1001), ""),
        (figures(1_000), figures(1_000, errors=1, asked=1000), "1 of 1000 askings failed"),
        (figures(1_000), figures(0, asked=0), "never asked"),
        (NEVER_ASKED, figures(1_000), ""),
    ],
)
def test_criteria(before: dict[str, Any], after: dict[str, Any], says: str) -> None:
    found = compare(before, after)
    assert found["passes"] is not bool(says)
    assert says in "; ".join(found["queries"]["q"]["failed"])


def test_a_query_that_is_asked_no_more_does_not_pass() -> None:
    found = compare(figures(1), NEVER_ASKED)
    assert (found["passes"], found["missing"], found["queries"]) == (False, ["q"], {})


def test_of_many_days_the_last_is_judged_against_the_first_and_all_are_shown() -> None:
    days = [figures(60_000, begun_ms=day) for day in (4, 2)] + [figures(250_000, begun_ms=3)]
    found = compare(figures(55_000), *days)
    assert found["passes"]
    assert found["begun_ms"] == [1, 2, 3, 4]
    assert [each["p95_us"] for each in found["queries"]["q"]["between"]] == [60_000, 250_000]
    assert not compare(figures(55_000), *days[:2], figures(70_000, begun_ms=5))["passes"]
    shown = as_html(comparison_page(found))
    assert "250.0" in shown
    assert shown.count("1970-01-01 00:00") == 4


@pytest.mark.parametrize(("count", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (100, 50, 95), (101, 51, 96)])
def test_percentiles_are_those_of_the_nearest_rank(count: int, p50: int, p95: int) -> None:
    found = Latencies(list(range(count, 0, -1))).document()
    assert (found["p50_us"], found["p95_us"], found["max_us"]) == (p50, p95, count)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": 1, "queries": {"q": {"asked": "x"}}}'])
def test_a_file_that_is_no_baseline_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "before.json").write_text(text)
    with pytest.raises(FatalError, match=r"before\.json"):
        read_baseline(tmp_path / "before.json")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    document = {"schema": 1, "begun_ms": 7, "queries": {"q": Latencies([1]).document()}}
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert read_baseline(tmp_path / "a.json") == document
