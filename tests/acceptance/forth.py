"""While the source serves: everything that can be wrong is planted at once, asked about in every way, and mended.

The application writes other items all the while. What every command said is kept, and judged in `test_reconcile`.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mapping.plan import load_plan
from tests.acceptance import spoilings
from tests.acceptance.disagreements import SPELLING, Plant, Told, Way, content, lossy_plan
from tests.acceptance.legacy import KEYS, Item, Key, Legacy, differences, scan
from tests.acceptance.program import Done, eventually
from tests.acceptance.scene import Scene
from tests.acceptance.traffic import OWN, Traffic

SPOILT, LACKING, MORE = (f"user-{number:06}" for number in (101, 102, 103))
"""Users of whom a restored table says something else."""

WRONG, RIGHT = "users/user-001100", "users/user-000000"
"""One of the users with a changed attribute, and one with whom nothing is wrong."""

FOLLOWS = 180.0
"""Seconds in which everything must have happened that is waited for; with a busy machine in mind."""

TRIES = 3
"""How often the same is asked where the machine has no time for the worker, and a change takes longer than patience."""

Placed = Mapping[Key, Item | None]


_OWN = frozenset(f"users/user-{number:06}" for number in OWN)


class CalmTraffic(Traffic):
    """Eight writes a second: they must come over within patience while much else is compared and mended."""

    pause = 0.1


@dataclass
class Forth:
    """What was planted, what was said about it, and how the planted places looked at each stage."""

    scene: Scene
    plants: list[Plant] = field(default_factory=list)
    said: dict[str, Done] = field(default_factory=dict)
    looks: dict[str, Placed] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)
    writes: int = 0

    def of(self, way: Way) -> list[Plant]:
        return [plant for plant in self.plants if plant.way is way]

    def document(self, name: str) -> Any:
        return self.said[name].document

    def expected(self, plants: Iterable[Plant] | None = None) -> Counter[tuple[str, Told]]:
        """Return what must be told of some plants, or of all: masked ids with kinds and attributes."""
        plan = load_plan(self.folder / "lossy.yaml", variables={"SECRETS_PREFIX": self.scene.legacy.prefix})
        chosen = self.plants if plants is None else plants
        return Counter((plan.masked(each.item), each.mismatch) for each in chosen if each.mismatch is not None)

    def kinds(self, *ways: Way) -> Counter[str]:
        """Return how many mismatches of each kind the plants make that these ways settle."""
        return Counter(each.mismatch[0] for each in self.plants if each.way in ways and each.mismatch)

    @property
    def folder(self) -> Path:
        return self.scene.program.folder

    # ---- the story --------------------------------------------------------------------------------------------------

    def tell(self) -> "Forth":
        """Set the scene, plant, ask, mend, and compare again."""
        self._set()
        traffic = Legacy(self.scene.client, self.scene.legacy.prefix, secrets=self.scene.legacy.secrets)
        with CalmTraffic(traffic, seed=7) as writing:
            self._plant()
            self._ask()
            self._mend()
            self._settle()
            self.writes = writing.writes
        self._at_the_end(traffic)
        return self

    def _set(self) -> None:
        """Let everything agree; DynamoDB deletes no expired item here before it is looked at."""
        scene, legacy = self.scene, self.scene.legacy
        (self.folder / "lossy.yaml").write_text(lossy_plan(), encoding="utf-8")
        (self.folder / "spelling.py").write_text(SPELLING, encoding="utf-8")
        scene.program.environment |= {
            "TABLETURN_PLAN": str(self.folder / "lossy.yaml"),
            "TABLETURN_RECONCILE_INTERVAL_SECONDS": "5",
            "TABLETURN_LEASE_SECONDS": "15",
        }
        legacy.create_all()
        self._keep_expired("contractors", "ttl")
        legacy.wake()
        for name, items in spoilings.legacy_items().items():
            legacy.fill(name, items)
        scene.initialised()
        self._keep_expired("entities", "expireAt")
        scene.program.work()
        scene.reaches("READY", seconds=FOLLOWS)
        assert differences(legacy) == []

    def _plant(self) -> None:
        """Change and delete the last items through the application; then plant everything into the target."""
        earlier = self._standing()
        changes = list(spoilings.changed_last(self.scene.legacy))

        def has_come() -> bool:
            now = self._standing()
            return all(content(now.get(key)) != content(earlier[key]) for _, _, key in changes)

        eventually("the last changes have come over", has_come, seconds=FOLLOWS, pause=0.3)
        self.plants = spoilings.planted(earlier, self._standing())
        self._write({each.key: each.planted for each in self.plants if each.key})
        self._look("planted")

    def _ask(self) -> None:
        """Ask in every way there is, side by side, while the worker finds out by itself."""
        planted_ms = int(time.time() * 1000)

        def has_seen() -> bool:
            row = self.scene.row("evidence", "reconcile/source") or {"scanned_through_ms": 0}
            return bool(row["scanned_through_ms"] > planted_ms)

        self._side_by_side(
            {
                "found": ("--report", "found.json"),
                "users only": ("--source", "users"),
                "two": ("--id", WRONG, "--id", RIGHT),
                "sample": ("--sample-size", "100"),
                "would": ("--repair", "--dry-run"),
            }
        )
        eventually("the worker has compared everything", has_seen, seconds=FOLLOWS, pause=0.3)
        self.said["status"] = self.scene.program.good("status", "--json")
        pages = [(self.folder / name).read_text(encoding="utf-8") for name in ("found.json", "found.html")]
        self.scene.program.pages += pages
        self._look("asked")

    def _mend(self) -> None:
        """Mend what is missing, then the rest."""
        for name, words in {"missing mended": ("--kind", "missing"), "mended": ()}.items():
            self.said[name] = self.scene.program.run("reconcile", "--repair", *words, "--json")
            self._look(name)

    def _settle(self) -> None:
        """Take away by hand what a repair left alone, repair what then is missing, undo what was no fault."""
        for plant in self.plants:
            if plant.key is None:
                self.scene.legacy.delete("config", plant.item.removeprefix("config/"))
        self._write({each.key: None for each in self.of(Way.HAND) if each.key})
        self.said["settled"] = self.scene.program.run("reconcile", "--repair", "--json")
        self._look("settled")
        self._write({each.key: each.right for each in self.of(Way.NONE) if each.key})

    def _at_the_end(self, traffic: Legacy) -> None:
        """Nobody writes any more: compare both sides, and the users with two copies of their table."""
        legacy = self.scene.legacy
        self._restore()
        self._side_by_side(
            {
                "clean": ("--report", "clean.json"),
                "clean sample": ("--sample-size", "100"),
                "restored": ("--source", "users", "--against", legacy.table("users-recovery")),
                "restored otherwise": ("--source", "users", "--against", legacy.table("users-otherwise")),
            }
        )
        both = Legacy(legacy.client, legacy.prefix, standing=legacy.standing | traffic.standing)
        self.differences = differences(both)

    # ---- its tools --------------------------------------------------------------------------------------------------

    def _side_by_side(self, asked: Mapping[str, tuple[str, ...]]) -> None:
        """Ask, and once more where a change of the application was on its way for longer than patience lasts."""
        program, left = self.scene.program, dict(asked)
        for _ in range(TRIES):
            begun = {name: program.begin("reconcile", *words, "--json") for name, words in left.items()}
            self.said |= {name: program.ended(process) for name, process in begun.items()}
            left = {name: words for name, words in left.items() if _is_of_the_traffic(self.said[name])}

    def _standing(self) -> dict[Key, Item]:
        items = scan(self.scene.client, self.scene.legacy.table("entities"))
        return {(item["PK"]["S"], item["SK"]["S"]): item for item in items}

    def _look(self, name: str) -> None:
        standing = self._standing()
        self.looks[name] = {each.key: standing.get(each.key) for each in self.plants if each.key}

    def _write(self, items: Mapping[Key, Item | None]) -> None:
        """Put items into the target, or delete what stands there."""
        table = self.scene.legacy.table("entities")
        requests = [
            {"PutRequest": {"Item": item}}
            if item
            else {"DeleteRequest": {"Key": {"PK": {"S": key[0]}, "SK": {"S": key[1]}}}}
            for key, item in items.items()
        ]
        for start in range(0, len(requests), 25):
            answer = self.scene.client.batch_write_item(RequestItems={table: requests[start : start + 25]})
            assert not answer["UnprocessedItems"]

    def _keep_expired(self, name: str, attribute: str) -> None:
        specification = {"Enabled": False, "AttributeName": attribute}
        self.scene.client.update_time_to_live(
            TableName=self.scene.legacy.table(name), TimeToLiveSpecification=specification
        )

    def _restore(self) -> None:
        """Make two copies of the users' table: one as it is, one in which three users are not as they are."""
        legacy = self.scene.legacy
        for name in ("users-recovery", "users-otherwise"):
            legacy.client.create_table(
                TableName=legacy.table(name),
                KeySchema=[{"AttributeName": KEYS["users"], "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": KEYS["users"], "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            self._copy(name)
        other, lacking, more = (legacy.standing["users", key] for key in (SPOILT, LACKING, MORE))
        table = legacy.table("users-otherwise")
        legacy.client.put_item(TableName=table, Item={**other, "role": {"S": "admin"}})
        legacy.client.delete_item(TableName=table, Key={"id": lacking["id"]})
        legacy.client.put_item(TableName=table, Item={**more, "id": {"S": "later"}})

    def _copy(self, name: str) -> None:
        legacy = self.scene.legacy
        requests = [{"PutRequest": {"Item": item}} for item in scan(legacy.client, legacy.table("users"))]
        for start in range(0, len(requests), 25):
            legacy.client.batch_write_item(RequestItems={legacy.table(name): requests[start : start + 25]})


def _is_of_the_traffic(done: Done) -> bool:
    """Tell whether an item that only the traffic writes is said to disagree."""
    return any(each["item"] in _OWN for each in done.document["examples"])
