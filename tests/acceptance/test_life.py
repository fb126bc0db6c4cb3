"""A whole migration by command line, as an operator would go through it, and what is refused on the way."""

import os
import pty
import subprocess
from datetime import datetime
from typing import Any

import pytest

from tests.acceptance.baking import comes_back, stray_is_settled, themed, written_before
from tests.acceptance.legacy import Item, differences, legacy_differences, user
from tests.acceptance.program import BINARY, Program
from tests.acceptance.scene import LIVELY, Scene

pytestmark = pytest.mark.timeout(300)  # half a minute each, on a machine that does nothing else

COMMANDS = (
    "demo", "plan", "init", "run", "status", "reconcile", "baseline", "compare", "cutover", "rollback",
    "complete", "abort", "postpone", "announce", "report", "backup", "restore-check", "archive", "strip-stamps",
    "quarantine list", "quarantine retry", "quarantine drop",
)  # fmt: skip
STATUS = {
    "plan", "phase", "serving", "writable", "flag_epoch", "rollbacks", "worker_alive_ms_ago", "sources", "lag_ms",
    "reconciled", "quarantined", "tombstones", "switch_under_way", "postponed", "gates",
}  # fmt: skip
STEPS = {
    "prepare", "approach", "fence", "drain", "verify", "settle", "mark", "switch", "smoke", "unfence",
}  # fmt: skip
GATE = {"name", "passes", "value", "limit", "hint", "age_ms", "overridable", "override"}
COMPARED = {
    "mismatches", "kinds", "compared", "expired", "unmapped", "examples", "scanned_through_ms", "verified_through_ms",
    "duration_ms",
}  # fmt: skip
SAMPLED = {"users": 56, "contractors": 25, "refresh-tokens": 54, "audit": 193, "config": 1}
ESCAPE = "\x1b"
TOLD = (*LIVELY, "history")
ASKING = (*TOLD, "requests/")
"""What the worker's own refusal leaves behind."""


def test_a_whole_migration_by_command_line(scene: Scene) -> None:
    """Plan, init, run, cut over, roll back, cut over, complete: exit codes, documents, signals, and every item."""
    legacy, program = scene.legacy, scene.program
    legacy.create_all(stream=None)
    legacy.fill_sample()
    _planned_and_initialised(scene)
    legacy.wake()
    first = scene.ready()
    _refused(scene, "rollback", says="phase is READY, wanted BAKE")
    _status(program, phase="READY")
    compared = program.good("reconcile", "--json").document
    assert compared.keys() >= COMPARED
    assert (compared["mismatches"], compared["examples"]) == (0, [])
    asked = program.good("reconcile", "--queries", "--json").document
    assert len(asked) == 12
    assert all(found["answers"] and not found["differences"] for found in asked.values()), asked
    _measured(program)
    _ended_by_sigterm(scene)
    worker = program.work().leading()
    began, leads = (worker.logged(name)["at"] for name in ("listening", "leading"))
    assert first.logged("stopped")["phase"] == "READY"
    waited = datetime.fromisoformat(leads) - datetime.fromisoformat(began)
    assert waited.total_seconds() < 1.5, "the lease was given back, so that nobody waits for its end"
    legacy.put("users", user(1))
    written_before(scene)
    _switched(scene, "cutover")
    _refused(scene, "abort", says="before-the-switch", but=ASKING)
    _status(program, phase="BAKE")
    _the_new_application_writes(scene)
    themed(scene)
    stray_is_settled(scene)
    _switched(scene, "rollback")
    assert legacy_differences(legacy) == []
    scene.reaches("READY")
    _switched(scene, "cutover")
    comes_back(scene)
    assert scene.passes("complete", "--reason", "tested", "--json").document == {"why": "DONE"}
    assert worker.process.wait(10) == 0
    assert (scene.phase, scene.flag) == ("DONE", ("target", True))
    assert [line for line in differences(legacy) if "status" not in line and "version" not in line] == []
    assert not any(ESCAPE in said or "\\u001b" in said for said in program.said()), "nobody looks at a terminal here"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str, scene: Scene) -> None:
    done = scene.program.good(*command.split(), "--help", COLUMNS="200")
    assert f"tableturn {command}" in done.out.split("Example:")[1]
    assert ESCAPE not in done.said


def test_no_color_is_obeyed_on_a_terminal(scene: Scene) -> None:
    """With a terminal there is colour in an error; NO_COLOR takes it away."""
    assert "\x1b[31m" in _on_a_terminal(scene, {})
    assert "\x1b[3" not in _on_a_terminal(scene, {"NO_COLOR": "1"})


def _planned_and_initialised(scene: Scene) -> None:
    before = scene.snapshot()
    proof = scene.program.good("plan", "--report", "plan.json", "--json").document
    assert (proof["items"], proof["verdict"], proof["problems"]) == (SAMPLED, "pass", [])
    assert len(proof["streams_off"]) == len(SAMPLED)
    assert scene.snapshot() == before
    words = ("--report", "plan.json", "--create-targets", "--enable-streams", "--json")
    told = scene.program.good("init", *words).document
    assert (told["ledger"], told["dry_run"]) == (scene.ledger, False)
    assert len(told["steps"]) == 1 + 5 + len(SAMPLED) + 1
    assert scene.phase == "CAPTURE"


def _measured(program: Program) -> None:
    """Both sides asked for a moment; the comparison of a side with itself is read back."""
    for side in ("source", "target"):
        words = ("baseline", "--side", side, "--duration", "1", "--output", f"{side}.json", "--json")
        found = program.good(*words).document["queries"]
        assert len(found) == 12
        assert all(each["asked"] and not each["errors"] for each in found.values()), found
    compared = program.run("compare", "target.json", "target.json", "--json")
    assert compared.code in {0, 3}, compared.said
    assert len(compared.document["queries"]) == 12


def _status(program: Program, *, phase: str) -> None:
    document = program.good("status", "--json").document
    assert set(document) >= STATUS
    assert document["phase"] == phase
    assert document["serving"] == ("source" if phase == "READY" else "target")
    assert document["writable"] is True
    assert document["worker_alive_ms_ago"] < 30_000
    assert {name: each["copied"] for name, each in document["sources"].items()} == SAMPLED
    assert all(each["done"] for each in document["sources"].values())
    assert set(document["lag_ms"]) == {*SAMPLED, "target"}
    assert all(gate.keys() == GATE for gate in document["gates"])
    assert document["switch_under_way"] is None


def _ended_by_sigterm(scene: Scene) -> None:
    """End the worker in order: exit code 0 soon, the lease given back clean, and commands that need one say so."""
    worker = scene.program.workers[-1]
    worker.process.terminate()
    assert worker.process.wait(10) == 0
    lease = scene.row("leases", "leader") or {}
    assert (lease["owner"], lease["clean"]) == ("", True)
    for words in (("cutover",), ("abort",)):
        _refused(scene, *words, says="`tableturn run`")


def _refused(scene: Scene, *words: str, says: str, but: tuple[str, ...] = TOLD) -> None:
    before = scene.snapshot(but=but)
    done = scene.program.run(*words)
    assert done.code == 3, done.said
    assert says in done.err
    assert scene.snapshot(but=but) == before


def _switched(scene: Scene, command: str) -> None:
    answer = scene.passes(command, "--json").document
    assert answer["switched"] is True
    assert 300 <= answer["blocked_ms"] < 10_000
    assert set(answer["steps"]) == STEPS
    assert scene.flag == ("target" if command == "cutover" else "source", True)
    assert scene.phase in ({"BAKE"} if command == "cutover" else {"ROLLED_BACK", "READY"})


def _the_new_application_writes(scene: Scene) -> None:
    """Lock a user out and delete a token in `entities`; after the rollback the legacy tables must know."""
    legacy, table = scene.legacy, scene.legacy.table("entities")
    change: dict[str, Any] = {":s": {"S": "INACTIVE"}}
    scene.client.update_item(
        TableName=table,
        Key=_key("USER#user-000001"),
        UpdateExpression="SET #s = :s",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues=change,
    )
    locked = {**user(1), "isActive": {"BOOL": False}}
    token = next(key for name, key in legacy.standing if name == "refresh-tokens")
    scene.client.delete_item(TableName=table, Key=_key(f"REFRESH_TOKEN#{token}"))
    legacy.standing["users", "user-000001"] = locked
    del legacy.standing["refresh-tokens", token]


def _key(hash_key: str) -> Item:
    return {"PK": {"S": hash_key}, "SK": {"S": "METADATA"}}


def _on_a_terminal(scene: Scene, more: dict[str, str]) -> str:
    """Run `status` with a terminal to talk to; return what it shows."""
    ours, theirs = pty.openpty()
    environment = {**scene.program.environment, "TERM": "xterm-256color", **more}
    done = subprocess.run(
        [BINARY, "status"],
        env=environment,
        cwd=scene.program.folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        check=False,
    )
    shown = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 1
    assert "there is no ledger table" in shown
    return shown
