"""What happens in a bake, by command line: what only the new application knows, the rollback clock, a stray settled."""

from typing import Any

from tests.acceptance.legacy import user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene

OWN = {"theme": {"S": "dark"}, "version": {"N": "7"}}
CARRIED = {"M": {"set": {"M": OWN}, "over": {"M": {"version": {"N": "1"}}}}}
"""How they travel in the legacy item."""


def written_before(scene: Scene) -> None:
    """Let the legacy application write the users that are spoken of here."""
    scene.legacy.put("users", user(2))
    scene.legacy.put("users", user(3))


def themed(scene: Scene) -> None:
    """Give a user what only the new application knows."""
    scene.client.update_item(
        TableName=scene.legacy.table("entities"),
        Key=_key(3),
        UpdateExpression="SET theme = :t, version = :v",
        ExpressionAttributeValues={":t": OWN["theme"], ":v": OWN["version"]},
    )
    scene.legacy.standing["users", "user-000003"] = {
        **scene.legacy.standing["users", "user-000003"],
        "_target": CARRIED,
    }


def comes_back(scene: Scene) -> None:
    """It does, with the next cutover."""
    item = scene.client.get_item(TableName=scene.legacy.table("entities"), Key=_key(3), ConsistentRead=True)["Item"]
    assert {name: item[name] for name in OWN} == OWN
    del scene.legacy.standing["users", "user-000003"]["_target"]


def stray_is_settled(scene: Scene) -> None:
    """Somebody writes the legacy table: log, metric, list, gate and clock tell; a retry brings the truth back."""
    program, worker = scene.program, scene.program.workers[-1]
    table = scene.legacy.table("users")
    scene.client.put_item(TableName=table, Item={**user(2), "name": {"S": "Somebody"}})

    def found() -> list[dict[str, Any]]:
        return [each for each in program.good("quarantine", "list", "--json").document if each["lane"] == "stray"]

    (entry,) = eventually("the stray is listed", found, pause=0.3)
    assert entry["item"] == "users/user-000002"
    assert entry["detail"].startswith("changed (name) in the legacy table while the target serves, at 20")
    told = worker.logged("stray")
    assert (told["side"], told["source"], told["items"]) == ("source", "users", ["users/user-000002"])
    _, metrics = worker.get("/metrics")
    assert 'tableturn_strays{source="users"} 1.0' in metrics
    asked = program.run("rollback", "--dry-run", "--json")
    gates = {gate["name"]: gate["value"] for gate in asked.document["gates"] if not gate["passes"]}
    assert (asked.code, "1 stray" in gates["quarantine"]) == (3, True)
    clock = asked.document["rollback_clock"]
    assert (clock["writes"], clock["at_risk"]) == (3, 1)
    assert (clock["attributes"], clock["derived"]) == ({"theme": 1}, {"version": 1})
    assert "rollback clock: switched 0 h 0" in program.run("rollback", "--dry-run").out
    said = program.good("status").out
    assert "3 writes since, 1 at risk" in said
    assert "✗ strays in users: 1 items" in said
    assert "reverse: lag" in said
    assert program.good("quarantine", "retry", entry["entry"], "--json").document["why"].startswith("both sides agree")
    assert found() == []


def _key(number: int) -> dict[str, Any]:
    return {"PK": {"S": f"USER#user-{number:06}"}, "SK": {"S": "METADATA"}}
