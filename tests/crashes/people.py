"""An application that obeys the flag and goes on working on whichever side serves, with a memory of all it did.

The new one writes users and the rest as it likes, without some attributes that the mapping would derive; a rollback
keeps that in `_target` beside what the legacy application knows. Only the latter is compared here.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any

from botocore.exceptions import ClientError

from tests.acceptance.legacy import KEYS, Item, Key, Legacy, scan, user, wanted
from tests.acceptance.scene import Scene
from tests.acceptance.traffic import FlaggedTraffic

NEW = range(200_000, 900_000)
"""Numbers of users that only the new application creates; not divisible by three, so that they are active."""


class Application(FlaggedTraffic):
    """Creates, changes and deletes users, and touches one item of each other table in turn, on whichever side serves.

    It is in no hurry: what counts is where a kill strikes. No table is left quiet: DynamoDB Local says that records are
    lost when a shard that has none yet is read, another table is written, and then this one. What the application did,
    on either side, stands in ``scene.legacy.standing`` and ``gone``. ``acknowledged``: when the last write that it was
    told is done had begun, before its look at the flag (monotonic seconds).
    """

    pause = 0.05

    def __init__(self, scene: Scene, *, seed: int, longest: float) -> None:
        super().__init__(scene, seed=seed, longest=longest)
        self._turn = threading.Lock()
        self._numbers = iter(NEW)
        self._quiet = cycle(sorted(KEYS.keys() - {"users"}))
        self.acknowledged = 0.0

    def write(self) -> None:
        """Write once, or wait while somebody looks."""
        with self._turn:
            began, writes = time.monotonic(), self.writes
            try:
                super().write()
            except ClientError as error:
                raise AssertionError(f"the application was refused: {error}") from error
            if self.writes > writes:
                self.acknowledged = began
            kept = [key for key, item in self._legacy.standing.items() if "_target" in item]
            self._legacy.standing |= {key: known(self._legacy.standing[key]) for key in kept}

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Let nothing be written, and no write be under way, for the length of the block."""
        with self._turn:
            yield

    def _write_source(self) -> None:
        if self._random.random() < 0.5:
            super()._write_source()
            return
        name, key = self._next_quiet()
        self._legacy.change(name, key, "touched", self._now())
        self.writes += 1

    def _next_quiet(self) -> Key:
        """Return an item of the next table but users."""
        name = next(self._quiet)
        return next(place for place in self._legacy.standing if place[0] == name)

    def _create(self) -> None:
        """Do one write of the new application, to an item that must be there."""
        if self._random.random() < 0.5:
            self._touch(self._next_quiet())
        else:
            self._write_user()
        self.writes += 1

    def _write_user(self) -> None:
        living = [key for name, key in self._legacy.standing if name == "users"]
        match self._random.choices(("create", "change", "delete"), (4, 4, 2))[0]:
            case "change" if living:
                self._change(self._random.choice(living))
            case "delete" if len(living) > 10:
                self._delete(self._random.choice(living))
            case _:
                self._add(next(number for number in self._numbers if number % 3))

    def _add(self, number: int) -> None:
        person = user(number)
        ((place, item),) = wanted("users", person).items()
        self._legacy.client.put_item(TableName=self._entities, Item={**item, **_key(*place)})
        self._legacy.standing["users", person["id"]["S"]] = person
        self._legacy.secrets.update((person["email"]["S"], person["passwordHash"]["S"]))

    def _change(self, user_id: str) -> None:
        self._set(("users", user_id), "lastLogin")

    def _touch(self, item: Key) -> None:
        self._set(item, "touched")

    def _set(self, item: Key, attribute: str) -> None:
        """Change one attribute of what stands in `entities` for a legacy item."""
        now, place = self._now(), next(iter(wanted(item[0], self._legacy.standing[item])))
        self._legacy.client.update_item(
            TableName=self._entities,
            Key=_key(*place),
            UpdateExpression="SET #a = :s",
            ConditionExpression="attribute_exists(entityType)",
            ExpressionAttributeNames={"#a": attribute},
            ExpressionAttributeValues={":s": now},
        )
        self._legacy.standing[item] = {**self._legacy.standing[item], attribute: now}

    def _now(self) -> dict[str, str]:
        return {"N": str(self._random.randrange(10**12))}

    def _delete(self, user_id: str) -> None:
        self._legacy.client.delete_item(
            TableName=self._entities,
            Key=_key(f"USER#{user_id}", "METADATA"),
            ConditionExpression="attribute_exists(entityType)",
        )
        del self._legacy.standing["users", user_id]
        self._legacy.gone.add(("users", user_id))

    @property
    def _entities(self) -> str:
        return self._legacy.table("entities")


def _key(hash_key: str, sort_key: str) -> dict[str, Any]:
    return {"PK": {"S": hash_key}, "SK": {"S": sort_key}}


def known(item: Item) -> Item:
    """Return what the legacy application knows of one of its items."""
    return {name: value for name, value in item.items() if name != "_target"}


def legacy_differences(legacy: Legacy) -> list[str]:
    """Compare the legacy tables with all that was written on either side."""
    found: list[str] = []
    for name, key in KEYS.items():
        standing = {item[key]["S"]: known(item) for item in scan(legacy.client, legacy.table(name))}
        ours = {each: item for (table, each), item in legacy.standing.items() if table == name}
        found += [f"{name}/{each}: not there" for each in ours.keys() - standing.keys()]
        found += [f"{name}/{each}: left over" for each in standing.keys() - ours.keys()]
        found += [f"{name}/{each}: wrong" for each in ours.keys() & standing.keys() if ours[each] != standing[each]]
    return found
