"""A leader that is stopped in the middle of its work and goes on much later: it is replaced in time, and fenced.

It talks to the database through a proxy of its own, so that everything it sends is seen.
"""

import signal
import time

import pytest

from tests.acceptance.legacy import differences, legacy_differences, user
from tests.acceptance.program import Worker, eventually
from tests.acceptance.scene import Scene
from tests.acceptance.traffic import Traffic
from tests.crashes.proxy import FaultProxy

pytestmark = pytest.mark.timeout(300)  # some twenty seconds, on a machine that does nothing else

LEASE = 5.0
POLL = LEASE / 6
"""Seconds between a standby's looks at the lease."""

BUSY = 1.5
"""Seconds that a process may be late because others have the processor."""

FENCED = 4
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem", "BatchExecuteStatement"}
ACCEPTED = 200


def test_a_leader_paused_beyond_its_lease_is_replaced_in_time_and_changes_nothing_once_it_goes_on(
    scene: Scene, local_database: str
) -> None:
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(200)])
    scene.initialised()
    program.environment |= {"TABLETURN_LEASE_SECONDS": str(LEASE), "TABLETURN_PAGE_ITEMS": "10"}
    with FaultProxy(local_database, seed=1) as proxy, Traffic(legacy, seed=5) as traffic:
        paused = program.work(TABLETURN_ENDPOINT_URL=proxy.url).leading()
        standby = program.work("--standby")
        standby.logged("listening")
        eventually("the copy is under way", lambda: 20 <= scene.copied("users") <= 150, pause=0.01)
        took = _taken_over(scene, paused)
        assert standby.leading().process.poll() is None
        _works(scene)
        before = _rows(scene)
        heard = _goes_on(paused, proxy)
        after = _rows(scene)
    print(f"\npaused in the copy; replaced after {took:.2f} s, lease {LEASE:.0f} s, poll {POLL:.1f} s")  # noqa: T201
    print(f"gone on, it ended with {FENCED}; what it sent: {', '.join(heard)}")  # noqa: T201
    assert took <= LEASE + POLL + BUSY
    assert _of_fence(before, 1) >= _of_fence(after, 1), "no row carries its fence that did not carry it before"
    eventually("nothing is lost", lambda: not differences(legacy))
    assert legacy_differences(legacy) == []
    assert traffic.writes > 50
    assert scene.rows("quarantine/forward") == []


def _taken_over(scene: Scene, leader: Worker) -> float:
    """Stop the leader in its tracks; return the seconds until the lease was another's."""
    leader.process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    eventually("the standby takes over", lambda: _epoch(scene) == 2, pause=0.01)
    return time.monotonic() - began


def _works(scene: Scene) -> None:
    """Wait until the new leader has finished the copy that the other one began."""
    eventually("the new leader works", lambda: scene.phase in {"CATCHUP", "VERIFY", "READY"}, seconds=90)


def _goes_on(worker: Worker, proxy: FaultProxy) -> list[str]:
    """Let it go on to its end; return what it sent meanwhile, of which no write may have been accepted."""
    resumed = time.monotonic()
    worker.process.send_signal(signal.SIGCONT)
    assert worker.process.wait(20) == FENCED, worker.said
    assert "lease" in worker.said
    heard = [each for each in proxy.heard if each.at >= resumed]
    accepted = [each for each in heard if each.operation in WRITES and each.status == ACCEPTED]
    assert accepted == [], "a write of the fenced worker was accepted"
    writes = [
        f"{each.operation} on {each.table.rpartition('-')[2]}: {each.status}"
        for each in heard
        if each.operation in WRITES
    ]
    return [f"{len(heard) - len(writes)} reads", *writes]


def _epoch(scene: Scene) -> int:
    return int((scene.row("leases", "leader") or {}).get("epoch", 0))


def _rows(scene: Scene) -> set[tuple[str, str, int, int]]:
    """Return address, fence and revision of every row of the ledger."""
    items = scene.client.get_paginator("scan").paginate(TableName=scene.ledger, ConsistentRead=True)
    return {
        (item["PK"]["S"], item["SK"]["S"], int(item["fence"]["N"]), int(item["revision"]["N"]))
        for page in items
        for item in page["Items"]
    }


def _of_fence(rows: set[tuple[str, str, int, int]], fence: int) -> set[tuple[str, str, int, int]]:
    return {row for row in rows if row[2] == fence}
