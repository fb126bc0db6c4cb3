"""A whole migration by command line, as an operator would go through it."""

import json

import pytest

from tests.acceptance.conftest import SceneMaker
from tests.acceptance.legacy import differences, entry, legacy_differences, token, user
from tests.acceptance.scene import Scene


def test_a_whole_migration_by_command_line(scene: Scene) -> None:
    legacy, program = scene.legacy, scene.program
    legacy.create_all(stream=None)
    legacy.fill_sample()
    before = scene.snapshot()
    proof = program.good("plan", "--json").document
    assert proof["items"] == {"users": 56, "contractors": 25, "refresh-tokens": 54, "audit": 193, "config": 1}
    assert len(proof["streams_off"]) == 5
    assert scene.snapshot() == before
    told = program.good("init", "--create-targets", "--enable-streams", "--json").document
    assert told["ledger"] == scene.ledger
    legacy.wake()
    worker = program.work().leading()
    scene.reaches("READY")
    legacy.put("users", user(1))
    legacy.delete("refresh-tokens", next(key for name, key in legacy.standing if name == "refresh-tokens"))
    first = scene.passes("cutover", "--json").document
    assert first["switched"]
    print(first)
    back = scene.passes("rollback", "--json").document
    print(back)
    scene.reaches("READY")
    print(scene.passes("cutover", "--json").document)
    print(scene.passes("complete", "--json").document)
    assert worker.process.wait(10) == 0
    print(worker.said)
    assert differences(legacy) == []
    for done in program.done:
        print(done.code, round(done.seconds, 2), done.err[:300])
    for row in scene.rows("history"):
        print(row["SK"], row["event"], row.get("to"), row.get("why"))
