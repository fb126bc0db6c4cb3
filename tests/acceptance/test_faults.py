"""What goes wrong around the program: the disk under its log is full, its credentials expire."""

from pathlib import Path

import pytest

from tests.acceptance.legacy import differences, legacy_differences, user
from tests.acceptance.program import Done, eventually
from tests.acceptance.scene import Scene
from tests.acceptance.traffic import FlaggedTraffic, Traffic
from tests.crashes.proxy import FaultProxy

pytestmark = pytest.mark.timeout(300)  # twenty seconds each, on a machine that does nothing else

FULL = Path("/dev/full")
"""Every write to it says that no space is left on the device."""

EXPIRED = "ExpiredTokenException"
HINT = "renew the AWS credentials"
LONGEST = 3.0
"""Seconds of the application's longest request, and so of blocked writes at least: time to strike while they are."""


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk_under_its_log_does_not_keep_the_worker_from_migrating(scene: Scene) -> None:
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(60)])
    scene.initialised()
    worker = program.work(output=FULL, MIGRATION_LOG_LEVEL="debug")
    with Traffic(legacy, seed=3) as traffic:
        scene.reaches("READY")
    eventually("nothing is lost", lambda: not differences(legacy))
    eventually("it cuts over", lambda: program.run("cutover").code == 0, pause=0.5)
    assert scene.flag == ("target", True)
    assert traffic.writes > 30
    assert worker.terminate() == 0, "told to stop, it ends in order"
    assert (scene.row("leases", "leader") or {})["owner"] == ""


def test_credentials_that_expire_while_writes_are_blocked_stop_the_worker_with_a_hint_and_with_new_ones_it_goes_on(
    scene: Scene, local_database: str
) -> None:
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(40)])
    scene.initialised()
    with FaultProxy(local_database, seed=1) as proxy:
        program.environment |= {"TABLETURN_ENDPOINT_URL": proxy.url, "TABLETURN_LONGEST_REQUEST_SECONDS": str(LONGEST)}
        with FlaggedTraffic(scene, seed=4, longest=LONGEST) as traffic:
            scene.ready()
            scene.passes("cutover", "--dry-run")
            asked = program.begin("cutover")
            eventually("writes are blocked", lambda: not scene.flag[1], pause=0.01)
            _expires(scene, proxy)
            _says_what_to_do(program.ended(asked))
            assert not scene.flag[1], "nobody could take it back"
            proxy.refuses = ""
            program.work().leading()
            eventually("the earlier state is back", lambda: scene.flag == ("source", True))
            before = traffic.writes
            eventually("the application goes on", lambda: traffic.writes > before + 10)
        eventually("nothing is lost", lambda: not differences(legacy))
    assert legacy_differences(legacy) == []


def _expires(scene: Scene, proxy: FaultProxy) -> None:
    """Let the credentials expire: the worker ends, and every command says why."""
    worker = scene.program.workers[-1]
    proxy.refuses = EXPIRED
    assert worker.process.wait(20) == 1, worker.said
    assert "Traceback" not in worker.said
    assert EXPIRED in worker.said
    assert HINT in worker.said
    _says_what_to_do(scene.program.run("status"))


def _says_what_to_do(done: Done) -> None:
    assert done.code == 1, done.said
    assert EXPIRED in done.err
    assert HINT in done.err
    assert "Traceback" not in done.err
