"""A deploy switches a stream off under a running migration, and on again: the gap is said aloud, and recaptured."""

import pytest

from tests.acceptance.legacy import differences, entry, user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene

pytestmark = pytest.mark.timeout(300)  # half a minute each, on a machine that does nothing else


def test_a_stream_that_was_off_for_a_while_is_found_out_and_recaptured(scene: Scene) -> None:
    """What was changed, created and deleted meanwhile is in the target at the end; the other sources never stopped."""
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(60)])
    scene.initialised()
    worker = scene.ready()
    _switch(scene, "users", {"StreamEnabled": False})
    legacy.change("users", "user-000001", "name", {"S": "Changed unseen"})
    for number in range(2, 12):
        legacy.delete("users", f"user-{number:06}")
    legacy.fill("users", [user(number) for number in range(100, 110)])
    said = worker.logged("gap")
    assert said["stream"] == "users"
    assert "may be missing" in said["lost"]
    assert "tableturn recapture" in said["hint"]
    _goes_on_with_the_others(scene)
    _shows_the_gap(scene)
    refused = program.run("recapture")
    assert (refused.code, "--enable-stream" in refused.err) == (3, True), refused.said
    done = program.good("recapture", "--enable-stream", "--reason", "a deploy forgot the stream", "--json").document
    assert [(each["stream"], each["epoch"]) for each in done] == [("users", 2)]
    scene.reaches("READY")
    eventually("nothing is lost, nothing has risen", lambda: not differences(legacy))
    assert program.good("status", "--json").document["gaps"] == {}
    scene.passes("cutover", "--dry-run")
    again = program.run("recapture", "users")
    assert (again.code, "has lost nothing" in again.err) == (3, True), again.said
    assert worker.terminate() == 0


def _switch(scene: Scene, name: str, specification: dict[str, object]) -> None:
    scene.client.update_table(TableName=scene.legacy.table(name), StreamSpecification=specification)


def _goes_on_with_the_others(scene: Scene) -> None:
    scene.legacy.put("audit", entry(7))

    def has_come() -> bool:
        return not [line for line in differences(scene.legacy) if line.startswith("('AUDIT#")]

    eventually("another source goes on", has_come)


def _shows_the_gap(scene: Scene) -> None:
    """Status, gate and metric all say it."""
    status = scene.program.good("status", "--json").document
    assert list(status["gaps"]) == ["users"]
    assert "no-gap" in [gate["name"] for gate in status["gates"] if not gate["passes"]]
    assert "tableturn recapture users" in scene.program.good("status").out
    assert scene.program.run("cutover").code == 3
    _, text = scene.program.workers[-1].get("/metrics")
    assert 'tableturn_gap{source="users"} 1.0' in text
