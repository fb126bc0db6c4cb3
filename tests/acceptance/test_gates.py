"""Causes planted for real, one after the other, in one migration that could be cut over: each shuts its own gate.

What the tests of `cutover.gates` say of facts, this says of the program: that it sees the cause at all.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.conftest import one_scene
from tests.acceptance.legacy import user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene

pytestmark = pytest.mark.timeout(300)

FOREIGN = {"PK": {"S": "USER#user-000100"}, "SK": {"S": "METADATA"}, "note": {"S": "written by hand"}}
YEAR = "31536000"


@pytest.fixture(scope="module")
def scene(client: Any, local_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with one_scene(client, local_database, tmp_path_factory.mktemp("gates")) as scene:
        scene.set().legacy.fill("users", [user(number) for number in range(20)])
        scene.initialised().ready()
        yield scene


@pytest.fixture(autouse=True)
def _open(scene: Scene) -> None:
    """Every gate passes before a cause is planted: the one before it was healed."""
    eventually("every gate passes", scene.gates_pass, seconds=60, pause=0.2)


def shut(scene: Scene, *words: str, **settings: str | None) -> dict[str, str]:
    """Return what the gates say that do not pass."""
    document = scene.program.run("cutover", "--dry-run", "--json", *words, **settings).document
    assert document["passes"] is (not any(not gate["passes"] for gate in document["gates"]))
    return {gate["name"]: gate["value"] for gate in document["gates"] if not gate["passes"]}


def only(scene: Scene, name: str) -> str:
    """Wait until a gate, and no other, is shut; return what it says. Metrics are asked first, which is cheaper."""

    def says() -> str | None:
        if scene.gates_shut() != {name}:
            return None
        found = shut(scene)
        return found[name] if set(found) == {name} else None

    return eventually(f"only {name} is shut", says, seconds=60, pause=0.2)


def test_time_to_live_is_off(scene: Scene) -> None:
    entities = scene.legacy.table("entities")
    lifetime = scene.client.describe_time_to_live(TableName=entities)["TimeToLiveDescription"]["AttributeName"]

    def turn(*, on: bool) -> None:
        specification = {"Enabled": on, "AttributeName": lifetime}
        scene.client.update_time_to_live(TableName=entities, TimeToLiveSpecification=specification)

    turn(on=False)
    assert only(scene, "target-ready") == "time to live is off"
    turn(on=True)


def test_an_item_is_in_quarantine(scene: Scene) -> None:
    entities = scene.legacy.table("entities")
    scene.client.put_item(TableName=entities, Item=FOREIGN)
    scene.legacy.fill("users", [user(100)])
    assert only(scene, "quarantine") == "1 foreign"
    scene.client.delete_item(TableName=entities, Key={name: FOREIGN[name] for name in ("PK", "SK")})
    (entry,) = scene.program.good("quarantine", "list", "--json").document
    scene.program.good("quarantine", "retry", entry["entry"])


def test_an_item_differs(scene: Scene) -> None:
    """Without agreement the phase is VERIFY again, so that gate is shut as well."""
    entities, key = scene.legacy.table("entities"), {"PK": {"S": "USER#user-000004"}, "SK": {"S": "METADATA"}}
    standing = scene.client.get_item(TableName=entities, Key=key, ConsistentRead=True)["Item"]
    scene.client.put_item(TableName=entities, Item={**standing, "name": {"S": "somebody else"}})
    eventually("both are shut", lambda: scene.gates_shut() == {"phase", "reconciled"}, pause=0.2)
    found = shut(scene)
    assert found == {"phase": "VERIFY", "reconciled": "1"}
    scene.client.put_item(TableName=entities, Item=standing)
    scene.reaches("READY")


def test_people_have_agreed_to_wait(scene: Scene) -> None:
    scene.program.good("postpone", "--for", "600", "--reason", "the deploy is not done")
    assert scene.program.good("status", "--json").document["postponed"]["reason"] == "the deploy is not done"
    assert only(scene, "not-postponed") == "for 9 min: the deploy is not done"
    assert shut(scene, "--override", "not-postponed=it is done") == {}
    refused = scene.program.run("cutover", "--dry-run", "--override", "no-gap=I say so")
    assert (refused.code, "cannot be overridden" in refused.err) == (3, True)
    scene.program.good("postpone", "--clear")


def test_it_is_no_hour_for_it_backups_are_demanded_or_the_leader_is_new(scene: Scene) -> None:
    """Rules of whoever asks: the worker checks by its own once more."""
    assert set(shut(scene, TABLETURN_WINDOW_OPENS="2999-01-01T00:00+01:00")) == {"window"}
    assert set(shut(scene, TABLETURN_WINDOW_CLOSES="2001-01-01T00:00Z")) == {"window"}
    found = shut(scene, TABLETURN_REQUIRE_BACKUPS="true")
    assert (set(found), "users: none" in found["backups"]) == ({"backups"}, True)
    assert set(shut(scene, TABLETURN_LEASE_SECONDS=YEAR)) == {"leader-stable"}


def test_the_plan_was_never_proved_and_can_be_later(scene: Scene) -> None:
    scene.client.delete_item(TableName=scene.ledger, Key={"PK": {"S": "evidence"}, "SK": {"S": "plan"}})
    assert only(scene, "plan-proved") == "never"
    proved = scene.program.run("plan", "--report", "proof.json", "--record")
    assert proved.code in {0, 5}, proved.said


def test_the_worker_was_killed_and_another_leads(scene: Scene) -> None:
    """What the one before has sent may still land; and it has led for less than a lease at first."""
    scene.program.workers[-1].kill()
    scene.program.work("--standby", TABLETURN_LEASE_SECONDS="6").leading()
    assert only(scene, "worker") == "took over lately"


def test_a_stream_was_replaced(scene: Scene) -> None:
    """The worker sees it within a second, and from then on the stream has a gap as well; its lag grows."""
    users = scene.legacy.table("users")
    scene.client.update_table(TableName=users, StreamSpecification={"StreamEnabled": False})
    images = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    scene.client.update_table(TableName=users, StreamSpecification=images)
    found = shut(scene)
    assert found["stream-arns"] == f"users: the stream of {users} was replaced"
    assert set(found) <= {"stream-arns", "no-gap", "caught-up"}
    closed = 'tableturn_gate{gate="no-gap"} 0.0'
    eventually("the gap is seen", lambda: closed in scene.program.workers[-1].get("/metrics")[1])
    scene.program.good("recapture", "users", "--reason", "planted")
    scene.reaches("READY")
    eventually("every gate passes", scene.gates_pass, seconds=60, pause=0.2)
