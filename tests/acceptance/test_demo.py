"""The demo, from outside: the main job of the whole program, and its proof as figures."""

import json
import subprocess
import sys
from typing import Any

import pytest

SECONDS = 420
"""Three minutes on two idle cores; tests share theirs."""

LEGACY_WRITES = {
    "users: login", "users: create user", "users: update email", "users: update name", "users: update isActive",
    "users: delete user", "refresh-tokens: new token", "refresh-tokens: logout", "contractors: invite",
    "contractors: access", "contractors: revoke", "contractors: clean up", "config: overwrite config", "audit: audit",
}  # fmt: skip
NEW_WRITES = {
    "users: status INACTIVE", "users: email", "users: rename", "users: preferences", "users: save whole",
    "users: create", "users: delete user", "contractors: access", "refresh-tokens: create", "audit: audit",
}  # fmt: skip


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    """What ``tableturn demo --json`` says; unless the user named a database, it brings its own."""
    command = [sys.executable, "-m", "service", "demo", "--json"]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_nothing_is_lost_resurrected_or_wrong_in_any_phase(demo: dict[str, Any]) -> None:
    assert demo["passed"]
    assert [check["phase"] for check in demo["checks"]] == [
        "before the cutover",
        "after the cutover",
        "after the rollback",
        "before the second cutover",
        "after the second cutover",
        "at rest",
    ]
    for check in demo["checks"]:
        for fault in ("lost", "resurrected", "wrong", "extra", "tombstones", "marks"):
            assert check[fault] == 0, check
    assert not demo["discrepancies"]


def test_the_checks_looked_at_everything(demo: dict[str, Any]) -> None:
    for check in demo["checks"]:
        assert check["items"] >= demo["filled"] - 100
        assert check["password_hashes"] >= 100
        assert check["token_hashes"] >= 20
    assert sum(check["writes"] for check in demo["checks"]) == demo["writes"]["acknowledged"] + demo["filled"]
    assert demo["checks"][2]["returned_attributes"] > 0
    assert sum(check["expired"] for check in demo["checks"]) > 0, "nothing was deleted by its time to live"
    assert demo["writes"]["unexplained"] == 0


def test_there_was_traffic_of_every_kind_all_the_time(demo: dict[str, Any]) -> None:
    assert demo["writes"]["per_second"] >= 30
    kinds = demo["writes"]["kinds"]
    assert {f"source {kind}" for kind in LEGACY_WRITES} <= kinds.keys()
    assert {f"target {kind}" for kind in NEW_WRITES} <= kinds.keys()


def test_each_switch_blocks_writes_for_less_than_five_seconds(demo: dict[str, Any]) -> None:
    assert [switch["kind"] for switch in demo["switches"]] == ["cutover", "rollback", "cutover"]
    assert all(0 < switch["blocked_ms"] < 5_000 for switch in demo["switches"])
    assert all(switch["silent_ms"] < 6_000 for switch in demo["switches"])


def test_the_worker_ended_cleanly(demo: dict[str, Any]) -> None:
    assert demo["worker_exit"] == 0
