"""An application that never stops: seeded writes from a thread of its own, all of them written down."""

import threading
import time
from random import Random
from types import TracebackType
from typing import Self

from tests.acceptance.legacy import Item, Legacy, user
from tests.acceptance.scene import Scene

PAUSE = 0.03
"""Seconds between writes: some 30 a second."""

BURST, BREATH = 50, 0.8
"""Writes after which the application takes a breath, and seconds of it."""

OWN = range(100_000, 110_000)
"""Numbers of users that only the traffic creates."""


class Traffic:
    """Writes users until it is left: new ones, changes, deletes, and deleted ones that come again."""

    pause = PAUSE

    def __init__(self, legacy: Legacy, *, seed: int) -> None:
        self.writes = 0
        self._legacy = legacy
        self._random = Random(seed)
        self._stopping = threading.Event()
        self._failed: list[Exception] = []
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        if not error:
            assert not self._failed, self._failed

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self.pause if self.writes % BURST else BREATH):
                self.write()
        except (AssertionError, KeyError, OSError) as error:
            self._failed.append(error)

    def write(self) -> None:
        """Do one write to the legacy tables."""
        legacy, random = self._legacy, self._random
        living = [key for name, key in legacy.standing if name == "users"]
        gone = [key for name, key in legacy.gone if name == "users"]
        match random.choices(("put", "change", "delete", "again"), (3, 5, 2, 1))[0]:
            case "change" if living:
                legacy.change("users", random.choice(living), "name", {"S": f"Renamed {random.randrange(10**9)}"})
            case "delete" if len(living) > 10:
                legacy.delete("users", random.choice(living))
            case "again" if gone:
                legacy.put("users", {**user(1), "id": {"S": random.choice(gone)}})
            case _:
                legacy.put("users", user(random.choice(OWN)))
        self.writes += 1


class FlaggedTraffic(Traffic):
    """The same application, obeying the flag: after the switch it writes new users into `entities`."""

    def __init__(self, scene: Scene, *, seed: int, longest: float) -> None:
        super().__init__(scene.legacy, seed=seed)
        self._scene = scene
        self._longest = longest
        self.created: dict[str, Item] = {}
        self.waited = 0

    def write(self) -> None:
        """Look at the flag, then write once; a write that took longer than promised proves nothing."""
        began = time.monotonic()
        match self._scene.flag:
            case (_, False):
                self.waited += 1
                return
            case ("source", _):
                self._write_source()
            case _:
                self._create()
        assert time.monotonic() - began < self._longest, "this machine is too slow for the promised longest request"

    def _write_source(self) -> None:
        super().write()

    def _create(self) -> None:
        number = len(self.created)
        person = user(200_000 + number)
        place = {"PK": {"S": f"USER#{person['id']['S']}"}, "SK": {"S": "METADATA"}, "entityType": {"S": "USER"}}
        item = {**person, **place, "status": {"S": "ACTIVE"}, "version": {"N": "1"}}
        self._legacy.client.put_item(TableName=self._legacy.table("entities"), Item=item)
        self.created[place["PK"]["S"]] = item
        self.writes += 1
