"""kill -9 at the worst moments: in the middle of the copy, while following, and while writes are blocked."""

import threading
from random import Random

import pytest

from tests.acceptance.legacy import Legacy, differences, scan, user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Plain, Scene
from tests.acceptance.traffic import Traffic
from tests.crashes.ambush import AFTER, BEFORE, Ambush
from tests.crashes.campaign import prepare
from tests.crashes.people import Application
from tests.crashes.proxy import FaultProxy
from tests.crashes.siege import WITHIN, Kill, Siege, summary

pytestmark = pytest.mark.timeout(300)  # half a minute each, on a machine that does nothing else

USERS, SAMPLED = 1200, 56
PAGE = 10
SEGMENTS_OF_USERS = 2
"""As planned for a small table: pages of users in flight, at most."""

LONGEST_REQUEST, LEASE = 2.0, 3.0

STRUCK = [
    Kill("cutover", "fence", AFTER),
    Kill("cutover", "closed+flag target open", AFTER),
    Kill("rollback", "switch taken", BEFORE),
]


def test_killed_in_the_middle_of_the_copy_it_goes_on_from_its_cursor(scene: Scene) -> None:
    legacy, program = scene.legacy, scene.program
    legacy.create_all(stream=None)  # else the stream would have told of every item before the copy comes to it
    legacy.fill("users", [user(number) for number in range(USERS)])
    legacy.fill_sample()
    scene.initialised("--enable-streams")
    legacy.wake()
    program.environment |= {"TABLETURN_PAGE_ITEMS": str(PAGE), "TABLETURN_LEASE_SECONDS": "5"}
    first = program.work()
    eventually("a cursor is inside", lambda: USERS // 5 <= scene.copied("users") <= USERS // 2, pause=0.01)
    first.kill()
    at_kill = scene.rows("segments/users/1")
    assert any(row["cursor"] and not row["done"] for row in at_kill), "it was killed strictly inside"
    copied = scene.copied("users")
    written = _written(legacy)
    _write_meanwhile(legacy)
    program.work()
    _goes_on_from(scene, at_kill)
    scene.reaches("READY", seconds=60)
    eventually("every item is right", lambda: not differences(legacy))
    again = written - copied
    print(f"\nkilled at {copied} of {USERS} users; {again} items copied again, at most {SEGMENTS_OF_USERS * PAGE}")  # noqa: T201
    assert 0 <= again <= SEGMENTS_OF_USERS * PAGE
    assert copied <= scene.copied("users") <= USERS + SAMPLED
    assert scene.rows("quarantine/forward") == []


def test_killed_again_and_again_while_following_nothing_is_lost(scene: Scene) -> None:
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(100)])
    scene.initialised()
    scene.ready()
    random, moment = Random(7), threading.Event()
    with Traffic(legacy, seed=7) as traffic:
        for _ in range(3):
            moment.wait(random.uniform(0.2, 1.2))
            program.workers[-1].kill()
            program.work().leading()
        moment.wait(0.5)
    eventually("both sides agree", lambda: not differences(legacy))
    assert traffic.writes > 100
    assert scene.rows("quarantine/forward") == []
    assert program.workers[-1].terminate() == 0
    assert program.good("reconcile", "--json").document["mismatches"] == 0
    assert differences(legacy) == []
    print(f"\n{traffic.writes} writes, {len(legacy.gone)} deleted, three kills")  # noqa: T201


def test_killed_at_a_step_of_a_switch_it_ends_in_one_of_two_states(scene: Scene, local_database: str) -> None:
    """Killed behind the fence it is taken back; killed as the unfence has landed, unheard, it is switched.

    Every step, before and after, in both directions: `make switches`.
    """
    with FaultProxy(local_database, seed=11) as proxy:
        prepare(scene, proxy.url, LEASE)
        proxy.ambush = Ambush(scene.program.kill_last)
        scene.program.environment["TABLETURN_LONGEST_REQUEST_SECONDS"] = str(LONGEST_REQUEST)
        scene.program.work()
        with Application(scene, seed=11, longest=LONGEST_REQUEST) as application:
            siege = Siege(scene, proxy.ambush, application)
            falls = list(siege.carry_out(STRUCK))
    print(f"\n{summary(falls)}")  # noqa: T201
    assert siege.missed == []
    assert [fall.switched for fall in falls] == [False, True, False]
    assert all(fall.writable < WITHIN for fall in falls)
    assert application.writes > 50
    assert application.waited > 0


def _written(legacy: Legacy) -> int:
    """Return how many users stand in the target."""
    return sum(
        item["SK"]["S"] == "METADATA" and item["PK"]["S"].startswith("USER#")
        for item in scan(legacy.client, legacy.table("entities"))
    )


def _write_meanwhile(legacy: Legacy) -> None:
    """Write on while nobody follows: copied and uncopied items changed, deleted, created, created again."""
    for number in range(0, USERS, 40):
        legacy.change("users", f"user-{number:06}", "name", {"S": f"Changed {number}"})
        legacy.delete("users", f"user-{number + 1:06}")
        legacy.put("users", user(USERS + number))
        legacy.delete("users", f"user-{number + 2:06}")
        legacy.put("users", {**user(number + 2), "role": {"S": "admin"}})


def _goes_on_from(scene: Scene, at_kill: list[Plain]) -> None:
    """Watch the segments until the copy has moved: no figure may fall below what it was at the kill."""

    def moved() -> bool:
        now = scene.rows("segments/users/1")
        assert [row["items"] >= was["items"] for row, was in zip(now, at_kill, strict=True)] == [True] * len(at_kill)
        assert [row["total"] for row in now] == [row["total"] for row in at_kill]
        return sum(int(row["items"]) for row in now) > sum(int(row["items"]) for row in at_kill)

    eventually("the copy goes on", moved, pause=0.01)
