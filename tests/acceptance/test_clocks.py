"""A worker whose wall clock jumps while its monotonic clock goes on: nothing that matters may depend on it."""

from pathlib import Path

import pytest

from tests.acceptance.legacy import differences, legacy_differences, user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene
from tests.acceptance.traffic import Traffic
from tests.crashes.clocks import WallClock, required

pytestmark = pytest.mark.timeout(300)  # half a minute, on a machine that does nothing else


def test_a_wall_clock_that_jumps_by_a_day_loses_nothing_and_nothing_dated_tomorrow_counts_as_evidence(
    scene: Scene, tmp_path: Path
) -> None:
    """All of it with the clock a day ahead, then right again, then ahead and right again in the middle of a bake."""
    clock = WallClock(required(), tmp_path / "clock")
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(40)])
    scene.initialised()
    clock.set("+1d")
    program.environment |= clock.environment
    with Traffic(legacy, seed=6) as traffic:
        worker = scene.ready()
        scene.passes("cutover", "--dry-run")
        early = program.run("cutover", "--dry-run", "--json", LD_PRELOAD=None)  # on a machine whose clock is right
        clock.set("+0")
        scene.passes("cutover", "--dry-run")
    assert early.code == 3, "what is dated tomorrow is no evidence today"
    assert {gate["name"] for gate in early.document["gates"] if not gate["passes"]} >= {"worker", "reconciled-lately"}
    eventually("nothing is lost", lambda: not differences(legacy))
    assert scene.passes("cutover", "--json").document["switched"]
    clock.set("+1d")
    scene.passes("rollback", "--dry-run")
    asked = program.begin("rollback")
    eventually("it is rolled back", lambda: scene.flag == ("source", True), pause=0.01)
    clock.set("-1d")
    assert program.ended(asked).code == 0
    scene.reaches("READY")
    clock.set("+0")
    scene.passes("cutover", "--dry-run")
    assert differences(legacy) == legacy_differences(legacy) == []
    assert traffic.writes > 30
    assert worker.terminate() == 0
