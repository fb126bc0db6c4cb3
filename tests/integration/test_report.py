"""The report of a migration: what the ledger tells of it, and criteria that nobody can tick away."""

from pathlib import Path
from typing import Any

import pytest

from cutover.actuators import Act, Moment
from cutover.gates import Limits
from domain.errors import FatalError, RefusedError
from domain.outcomes import Reason
from domain.phases import Phase, Side
from domain.positions import Version
from ledger.findings import Lane, Quarantined
from ledger.migration import StateChange
from ledger.requests import RequestKind, RequestState
from service.postreport import markdown, short, write_report
from service.reporting import ReportOptions
from service.retelling import Told, retold
from tests.examples import ADA, BOB
from tests.levers import Lever
from tests.world import Venue, World

pytestmark = pytest.mark.looptime


def baseline(p95_us: int, errors: int) -> dict[str, Any]:
    query = {"asked": 1000, "errors": errors, "p50_us": 10, "p95_us": p95_us, "p99_us": p95_us, "max_us": p95_us}
    return {"begun_ms": 1, "queries": {"user by id": query}}


async def story(twin: Venue) -> World:
    """A switch that its smoke test took back, one that took place, and a rollback."""
    world = await twin.world("tyler-setup", "users")
    await world.put("users", ADA, BOB)
    crew = world.crew()
    suite = Lever(faults={"do": [RefusedError("the suite is red")]})
    crew.acts = [Act("suite", Moment.SMOKE, suite)]
    await crew.lead()
    async with crew.working():
        await world.reach(Phase.READY)
        assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.REFUSED
        await world.reach(Phase.READY)
        assert (await world.ask(crew, RequestKind.CUTOVER)).state is RequestState.DONE

        async def is_compared() -> bool:
            return await world.ledger.evidence.get(f"reconcile/{Side.TARGET}") is not None

        await world.until(is_compared)
    return world


async def told(world: World, told: Told | None = None) -> dict[str, Any]:
    return await retold(world.ledger, ["users"], Limits(), told or Told(), world.venue.clock.wall_ms())


def judged(document: dict[str, Any]) -> dict[str, bool | None]:
    return {each["criterion"]: each["met"] for each in document["criteria"]}


async def test_the_ledger_tells_the_whole_story(twin: Venue) -> None:
    document = await told(await story(twin))
    passed = {each["phase"] for each in document["phases"]}
    assert passed == {"CAPTURE", "BACKFILL", "CATCHUP", "VERIFY", "READY", "CUTOVER", "BAKE"}
    assert [(each["kind"], each["switched"]) for each in document["switches"]] == [
        ("cutover", False),
        ("cutover", True),
    ]
    assert document["switches"][0]["why"] == "suite: the suite is red"
    assert document["downtime_ms"] == sum(each["blocked_ms"] for each in document["switches"]) > 0
    assert (document["phase"], document["serving"], document["copied"]) == ("BAKE", "target", {"users": 2})
    page = markdown(document)
    assert "taken back: suite: the suite is red" in page
    assert "### Team coordination effectiveness" in page
    assert "ada@" not in page.lower()
    assert "2 switches" in short(document)


async def test_criteria_are_met_by_measurements_and_by_hand_only_where_there_are_none(twin: Venue) -> None:
    world = await story(twin)
    bare = judged(await told(world))
    assert (bare["Zero data loss confirmed"], bare["All functional tests passing"]) == (True, True)
    assert bare["Performance equal to or better than baseline"] is None
    assert bare["Team trained on new schema"] is None
    ticks = {"Team trained on new schema": "Ada", "Response times within SLA (p95 < 200 ms)": "nobody measured"}
    slow = judged(await told(world, Told(last_baseline=baseline(250_000, 2), ticks=ticks)))
    assert slow["Team trained on new schema"] is True
    assert slow["Response times within SLA (p95 < 200 ms)"] is False, "what is measured cannot be ticked"
    assert slow["Error rates within bounds (< 0.1%)"] is False
    fine = judged(await told(world, Told(last_baseline=baseline(1_000, 0))))
    assert (fine["Response times within SLA (p95 < 200 ms)"], fine["Error rates within bounds (< 0.1%)"]) == (
        True,
        True,
    )
    entry = Quarantined("users", "users/ada", str(Version(1, 1)), Reason.STRAY, "found", lane=Lane.FORWARD)
    await world.ledger.quarantine.put(entry)
    assert judged(await told(world))["Zero data loss confirmed"] is False


@pytest.mark.parametrize("queries", [{}, {"user by id": {"asked": 0, "errors": 0, "p95_us": 0}}])
async def test_where_nothing_was_asked_nothing_is_met(twin: Venue, queries: dict[str, Any]) -> None:
    world = await twin.world("tyler-setup", "users")
    asked_nothing = {"begun_ms": 1, "queries": queries}
    compared = {"passes": True, "queries": {}, "missing": []}
    document = await told(world, Told(compared=compared, last_baseline=asked_nothing))
    assert {judged(document)[each] for each in judged(document) if "Zero data loss" not in each} == {None}
    assert markdown(document)


async def test_what_was_compared_before_the_last_switch_proves_nothing_after_it(twin: Venue) -> None:
    world = await story(twin)
    assert judged(await told(world))["Zero data loss confirmed"] is True
    crew = await world.lead()
    state = await crew.ledger.migration.state()
    state = await crew.ledger.migration.move(state, Phase.ROLLED_BACK, why="unfence", change=StateChange(Side.SOURCE))
    assert judged(await told(world))["Zero data loss confirmed"] is False


async def test_a_reason_stays_in_its_line_whatever_it_holds(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    crew = await world.lead()
    state = await crew.ledger.migration.state()
    await crew.ledger.migration.move(state, Phase.BACKFILL, why="a | b\n\n# Lies\n<script>")
    page = markdown(await told(world, Told(ticks={"Documentation updated": "Ada\n- [x] all of it"})))
    assert "| a \\| b # Lies &lt;script> |" in page
    assert "\n- [x] all of it" not in page


async def test_it_is_written_in_the_form_that_the_name_asks_for(twin: Venue, tmp_path: Path) -> None:
    document = await told(await story(twin))
    for name, holds in (("r.md", "# Migration report"), ("r.html", "<!DOCTYPE html>"), ("r.json", '"criteria"')):
        write_report(document, tmp_path / name)
        assert holds in (tmp_path / name).read_text()
    with pytest.raises(FatalError, match=r"r\.pdf"):
        write_report(document, tmp_path / "r.pdf")


@pytest.mark.parametrize("words", ["Team trained on new schema", "=Ada", "Team trained on new schema="])
def test_a_tick_names_who_says_so(words: str) -> None:
    with pytest.raises(FatalError, match="names nobody"):
        ReportOptions(None, (), None, (words,)).told()
