"""Somebody else's item stands where one of ours belongs: found, shown, in the way of the cutover, settled."""

import pytest

from tests.acceptance.legacy import differences, entry, token, user
from tests.acceptance.scene import LIVELY, Scene

pytestmark = pytest.mark.timeout(300)  # half a minute each, on a machine that does nothing else

FOREIGN = {"PK": {"S": "USER#user-000003"}, "SK": {"S": "METADATA"}, "note": {"S": "written by hand"}}


def test_a_foreign_item_is_quarantined_until_it_is_settled(scene: Scene) -> None:
    legacy, program = scene.set().legacy, scene.program
    legacy.fill("users", [user(number) for number in range(8)])
    legacy.fill("refresh-tokens", [token(number) for number in range(8)])
    legacy.fill("audit", [entry(number, whose="user-000003") for number in range(4)])
    scene.initialised()
    scene.client.put_item(TableName=legacy.table("entities"), Item=FOREIGN)
    program.work()
    scene.reaches("VERIFY")
    listed = program.good("quarantine", "list", "--json").document
    assert [(each["item"], each["reason"], each["lane"]) for each in listed] == [
        ("users/user-000003", "foreign", "forward")
    ]
    assert "foreign" in program.good("quarantine", "list").out
    _refused(scene, "cutover", says="quarantine is 1 foreign, wanted empty", code=3)
    number = str(listed[0]["entry"])
    _refused(scene, "quarantine", "retry", "00000000", says="there is no quarantine entry 00000000", code=3)
    _refused(scene, "quarantine", "drop", "00000000", "--reason", "x", says="no quarantine entry 00000000", code=3)
    still = program.run("quarantine", "retry", number)
    assert still.code == 3, still.said
    assert "the entry stays" in still.err
    standing = scene.client.get_item(TableName=legacy.table("entities"), Key=_key(), ConsistentRead=True)["Item"]
    assert standing == FOREIGN, "what is not ours is never overwritten"
    scene.client.delete_item(TableName=legacy.table("entities"), Key=_key())
    assert "both sides agree" in program.good("quarantine", "retry", number, "--json").document["why"]
    assert program.good("quarantine", "list").out.strip() == "quarantine is empty"
    scene.reaches("READY")
    assert scene.passes("cutover", "--json").document["switched"]
    assert differences(legacy) == []
    assert scene.flag == ("target", True)


def _key() -> dict[str, dict[str, str]]:
    return {name: FOREIGN[name] for name in ("PK", "SK")}


def _refused(scene: Scene, *words: str, says: str, code: int) -> None:
    ignored = (*LIVELY, "history")  # a refusal is told there
    before = scene.snapshot(but=ignored)
    done = scene.program.run(*words)
    assert done.code == code, done.said
    assert says in done.err
    assert scene.snapshot(but=ignored) == before
