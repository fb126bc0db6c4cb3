"""A worker that may mend five items unasked; then, after the cutover, faults in the legacy tables.

What was said and seen is kept, and judged in `test_reconcile`.
"""

from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.forth import FOLLOWS
from tests.acceptance.legacy import Item, differences, legacy_differences, scan, user
from tests.acceptance.program import Done, eventually
from tests.acceptance.scene import Plain, Scene

USERS = 40
MOST = 5
"""Items that the worker mends without being asked."""

EXTRA = range(900, 903)
MISSING = range(3)
DIFFERENT = range(3, 6)


@dataclass
class Back:
    """What was said and seen on the way."""

    scene: Scene
    said: dict[str, Done] = field(default_factory=dict)
    repairs: dict[str, list[Plain]] = field(default_factory=dict)
    standing: dict[str, set[str]] = field(default_factory=dict)
    strays: list[dict[str, Any]] = field(default_factory=list)
    differences: dict[str, list[str]] = field(default_factory=dict)

    def tell(self) -> "Back":
        """Mend few, leave many, cut over, spoil the legacy tables, mend those."""
        legacy = self.scene.set().legacy
        legacy.fill("users", [user(number) for number in range(USERS)])
        self.scene.initialised()
        self.scene.program.work(TABLETURN_AUTO_REPAIR=str(MOST), TABLETURN_LEASE_SECONDS="8")
        self.scene.reaches("READY", seconds=FOLLOWS)
        self._few()
        self._one_too_many()
        assert self.scene.passes("cutover", "--json", seconds=FOLLOWS).document["switched"]
        self._spoil()
        self._mend()
        self.differences = {"legacy": legacy_differences(legacy), "target": differences(legacy)}
        return self

    def _few(self) -> None:
        """Three are lost."""
        self._lose(range(10, 13))
        self._sees({})
        eventually("three stand again", lambda: len(self._users()) == USERS, seconds=FOLLOWS)
        self._note("few")

    def _one_too_many(self) -> None:
        """Six are lost, which two comparisons leave alone; the application writes one of them again."""
        self._lose(range(20, 26))
        first = self._sees({"missing": 6})
        self._sees({"missing": 6}, after=int(first["scanned_through_ms"]) + int(first["duration_ms"]))
        self._note("one too many")
        self.scene.legacy.change("users", "user-000025", "role", {"S": "admin"})
        eventually("six stand again", lambda: len(self._users()) == USERS, seconds=FOLLOWS)
        eventually("it is written down", lambda: len(self._repairs()) > 1, seconds=FOLLOWS)
        self._note("five")

    def _spoil(self) -> None:
        """Write to the legacy tables while the target serves, as somebody does who knows no flag."""
        client, table = self.scene.client, self.scene.legacy.table("users")
        for number in MISSING:
            client.delete_item(TableName=table, Key={"id": user(number)["id"]})
        for number in DIFFERENT:
            client.put_item(TableName=table, Item={**user(number), "role": {"S": "admin"}, "shoeSize": {"N": "42"}})
        for number in EXTRA:
            client.put_item(TableName=table, Item=user(number))
            self.scene.legacy.secrets.update(user(number)[name]["S"] for name in ("email", "passwordHash"))
        self._sees({"missing": 3, "different": 3, "extra": 3}, side="target")
        self.said["found"] = self.scene.program.run("reconcile", "--json")

    def _mend(self) -> None:
        """Those who wrote are strays, which a repair leaves alone until somebody has looked at them."""
        program = self.scene.program
        self.said["would"] = program.run("reconcile", "--repair", "--dry-run", "--json")
        self.said["left alone"] = program.run("reconcile", "--repair", "--json")
        self.strays = program.good("quarantine", "list", "--json").document
        drops = [program.begin("quarantine", "drop", str(each["entry"]), "--reason", "planted") for each in self.strays]
        assert [program.ended(each).code for each in drops] == [0] * len(drops)
        self.said["mended"] = program.run("reconcile", "--repair", "--json")
        self.said["clean"] = program.run("reconcile", "--json")

    def _lose(self, numbers: range) -> None:
        table = self.scene.legacy.table("entities")
        for number in numbers:
            key = {"PK": {"S": f"USER#user-{number:06}"}, "SK": {"S": "METADATA"}}
            self.scene.client.delete_item(TableName=table, Key=key)

    def _sees(self, kinds: dict[str, int], *, after: int = 0, side: str = "source") -> Plain:
        """Wait until the worker has compared everything since a moment, and found so much."""

        def found() -> Plain | None:
            row = self.scene.row("evidence", f"reconcile/{side}") or {}
            is_it = row.get("kinds") == kinds and int(row["scanned_through_ms"]) > after
            return row if is_it else None

        return eventually(f"the worker has found {kinds}", found, seconds=FOLLOWS)

    def _users(self) -> list[Item]:
        return list(scan(self.scene.client, self.scene.legacy.table("entities")))

    def _repairs(self) -> list[Plain]:
        return [row for row in self.scene.rows("history") if row["event"] == "repaired"]

    def _note(self, name: str) -> None:
        self.repairs[name] = self._repairs()
        self.standing[name] = {item["id"]["S"] for item in self._users()}
