"""`tableturn run` as a neighbour of others: what it says over HTTP, and what a second one or a taken port gets."""

import signal
import socket
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.legacy import differences, user
from tests.acceptance.program import Worker, eventually
from tests.acceptance.scene import LIVELY, Scene

pytestmark = pytest.mark.timeout(300)  # half a minute each, on a machine that does nothing else

Samples = dict[tuple[str, str], float]

NAMES = {
    "tableturn_phase", "tableturn_lag_seconds", "tableturn_retention_headroom_seconds", "tableturn_changes",
    "tableturn_backfill_items", "tableturn_backfill_items_expected", "tableturn_request_seconds",
    "tableturn_throttled", "tableturn_consumed_capacity_units", "tableturn_mismatches", "tableturn_quarantined",
    "tableturn_verified_through_timestamp_seconds", "tableturn_scanned_through_timestamp_seconds", "tableturn_gate",
    "tableturn_tombstones", "tableturn_leader", "tableturn_cutover_blocked_seconds", "tableturn_gap",
    "tableturn_mismatch_oldest_seconds", "tableturn_strays", "tableturn_rollback_clock_seconds",
    "tableturn_rollback_writes", "tableturn_rollback_writes_at_risk", "tableturn_rollback_writes_stuck",
}  # fmt: skip
"""As documented for operators; the parser takes `_total` off counters."""

LISTENS = "0A"
"""State of a listening socket in /proc/net/tcp."""


def test_what_the_service_says_over_http(scene: Scene) -> None:
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(40)])
    scene.initialised()
    leader = program.work().leading()
    standby = program.work("--standby")
    assert leader.get("/healthz")[0] == standby.get("/healthz")[0] == 200
    assert eventually("the leader is ready", lambda: leader.get("/readyz") == (200, '{"ready":true}'))
    assert standby.get("/readyz") == (503, '{"ready":false}')
    assert leader.get("/nothing")[0] == 404
    scene.reaches("READY")
    legacy.fill("users", [user(number) for number in range(30, 90)])
    for number in range(5):
        legacy.delete("users", f"user-{number:06}")
    eventually("the burst is applied", lambda: not differences(legacy))
    eventually("its tombstones are purged", lambda: not _samples(scene, leader)["tableturn_tombstones", ""])
    _check_figures(_samples(scene, leader))
    _check_standby(_samples(scene, standby))
    _check_loopback(leader, standby)
    _standby_takes_over(scene, leader, standby)


def test_what_a_second_worker_a_taken_port_and_a_short_lease_get(scene: Scene) -> None:
    """Each is refused at once, and the first worker, who was never disturbed, carries the migration to its end."""
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(20)])
    scene.initialised()
    first = scene.ready()
    before = scene.snapshot(but=LIVELY)
    second = program.run("run")
    assert second.code == 3, second.said
    assert "another worker leads this migration" in second.err
    assert "--standby" in second.err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = program.run("run", "--port", str(port))
    assert refused.code == 1, refused.said
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in refused.err
    assert "--port" in refused.err
    short = program.run("run", TABLETURN_LEASE_SECONDS="1", TABLETURN_REQUEST_SECONDS="2")
    assert short.code != 0
    assert "a lease of 1.0 s cannot cover a request of 2.0 s" in short.err
    assert "raise the lease time or lower the request time-out" in short.err
    assert not any("Traceback" in done.said for done in (second, refused, short))
    assert scene.snapshot(but=LIVELY) == before
    assert [event for event in first.events() if event["level"] in {"warning", "error"}] == []
    assert program.good("abort", "--reason", "not today", "--json").document == {"why": "ABORTED"}
    assert first.process.wait(10) == 0
    assert (scene.phase, scene.flag) == ("ABORTED", ("source", True))
    again = program.run("abort")
    assert again.code == 3, again.said


def _samples(scene: Scene, worker: Worker) -> Samples:
    """Scrape, hold the names against the documented ones, and return value by (name, labels)."""
    status, text = worker.get("/metrics")
    assert status == 200, text
    scene.program.pages.append(text)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) <= NAMES
    return {
        (sample.name, ",".join(f"{name}={sample.labels[name]}" for name in sorted(sample.labels))): sample.value
        for family in families.values()
        for sample in family.samples
    }


def _check_figures(samples: Samples) -> None:
    """Hold each metric against what the scene did."""
    baking = {name for name in NAMES if name.startswith("tableturn_rollback_")}
    missing = {name for name in NAMES - baking if not any(sample.startswith(name) for sample, _ in samples)}
    assert missing <= {"tableturn_quarantined", "tableturn_throttled"}, "no reason and no table there to name"
    phases = {labels: value for (name, labels), value in samples.items() if name == "tableturn_phase"}
    assert len(phases) == 11
    assert sum(phases.values()) == 1
    assert samples["tableturn_leader", ""] == 1
    assert samples["tableturn_backfill_items", "source=users"] == 40
    assert samples["tableturn_backfill_items_expected", "source=users"] >= 40
    assert samples["tableturn_changes_total", "direction=forward,outcome=applied,source=users"] >= 50
    for source in ("users", "contractors", "refresh-tokens", "audit", "config"):
        assert 0 <= samples["tableturn_lag_seconds", f"direction=forward,source={source}"] < 10
        assert 86_300 < samples["tableturn_retention_headroom_seconds", f"source={source}"] <= 86_400
    assert ("tableturn_lag_seconds", "direction=reverse,source=target") in samples
    gates = {labels: value for (name, labels), value in samples.items() if name == "tableturn_gate"}
    assert set(gates) >= {
        f"gate={name}" for name in ("phase", "copied", "caught-up", "reconciled", "quarantine", "worker")
    }
    assert set(gates.values()) <= {0, 1}
    assert gates["gate=quarantine"] == gates["gate=copied"] == 1
    written = [value for (name, labels), value in samples.items() if "consumed" in name and "kind=write" in labels]
    assert sum(written) >= 100


def _check_standby(samples: Samples) -> None:
    assert samples["tableturn_leader", ""] == 0
    assert samples["tableturn_phase", "phase=READY"] == 1
    assert samples["tableturn_lag_seconds", "direction=forward,source=users"] < 10, "the ledger's lag, not its own"


def _check_loopback(*workers: Worker) -> None:
    """Look at the kernel's list: our ports listen on 127.0.0.1 alone."""
    ports = {worker.logged("listening")["port"] for worker in workers}
    table = Path("/proc/net/tcp")
    if not table.exists():
        return
    sockets = [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    places = [words[1].split(":") for words in sockets if words[3] == LISTENS]
    found = {(address, int(port, 16)) for address, port in places if int(port, 16) in ports}
    assert found == {("0100007F", port) for port in ports}


def _standby_takes_over(scene: Scene, leader: Worker, standby: Worker) -> None:
    """A leader that hangs loses the lease, stops by itself once it wakes, and nothing is disturbed by it."""
    leader.process.send_signal(signal.SIGSTOP)
    try:
        standby.logged("leading", seconds=20)
        assert eventually("the standby is ready", lambda: standby.get("/readyz")[0] == 200)
        scene.legacy.put("users", user(200))
        eventually("the standby applies", lambda: not differences(scene.legacy))
    finally:
        leader.process.send_signal(signal.SIGCONT)
    assert leader.process.wait(20) == 4, leader.said
    assert "another worker" in leader.said or "newer lease" in leader.said or "lease" in leader.said
    assert standby.terminate() == 0
    assert not differences(scene.legacy)
