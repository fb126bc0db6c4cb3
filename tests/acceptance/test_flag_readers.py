"""The example applications write on through a cutover and a rollback: no request fails, no write is lost."""

import importlib
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.acceptance.legacy import user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene
from tests.nodejs import NODE, READER
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.timeout(240)

STALENESS, LONGEST = 0.5, 2.0
Asked = Callable[[str, str, dict[str, Any] | None], tuple[int, Any]]


@contextmanager
def node_application(scene: Scene, folder: Path) -> Iterator[Asked]:
    """The example in Node as a process; yields what asks it."""
    told = {"TABLE_PREFIX": scene.legacy.prefix, "STALENESS_MS": str(STALENESS * 1000), "PORT": "0"}
    endpoint = {"AWS_ENDPOINT_URL_DYNAMODB": scene.client.meta.endpoint_url, "AWS_REGION": "us-east-1"}
    environment = {**scene.program.environment, **endpoint, **told}
    errors = folder / "node.log"
    with errors.open("wb") as log:
        process = subprocess.Popen(
            [NODE, READER / "example" / "server.mjs"], env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, errors.read_text()

        def ask(method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
            data = None if body is None else json.dumps(body).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, method=method)
            try:
                with urllib.request.urlopen(request, timeout=90) as answer:
                    return answer.status, json.load(answer)
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.load(error)

        yield ask
    finally:
        process.kill()
        process.communicate(timeout=10)


def python_application(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The example in Python, called as Lambda calls it."""
    for name, value in {
        "TABLE_PREFIX": scene.legacy.prefix,
        "STALENESS": str(STALENESS),
        "AWS_ENDPOINT_URL_DYNAMODB": scene.client.meta.endpoint_url,
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(ROOT / "deploy" / "flag" / "python")
    example = importlib.import_module("example")

    def ask(method: str, path: str, body: dict[str, Any] | None) -> tuple[int, Any]:
        event = {"requestContext": {"http": {"method": method}}, "rawPath": path, "body": json.dumps(body)}
        answer = example.handler(event, None)
        return answer["statusCode"], json.loads(answer["body"])

    return ask


class Writers:
    """Put users through an application, one after the other, and remember what was acknowledged."""

    def __init__(self, name: str, ask: Asked) -> None:
        self.name = name
        self.ask = ask
        self.acknowledged: dict[str, str] = {}
        self.failed: list[Any] = []
        self.served: set[str] = set()
        self.health: list[str] = []
        self.longest = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=(each,)) for each in range(2)]
        self._threads.append(threading.Thread(target=self._watch))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _write(self, lane: int) -> None:
        count = 0
        while not self._stop.wait(0.1):
            user_id, name = f"{self.name}-{lane}-{count % 20}", f"Name {count}"
            began = time.monotonic()
            status, said = self.ask("PUT", f"/users/{user_id}", {"name": name, "email": f"{user_id}@example.com"})
            self.longest = max(self.longest, time.monotonic() - began)
            if status != 200:
                self.failed.append((status, said))
                continue
            self.acknowledged[user_id] = name
            self.served.add(said["serving"])
            count += 1

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            status = self.ask("GET", "/health", None)[1]["status"]
            if self.health[-1:] != [status]:
                self.health.append(status)


def test_writes_wait_and_none_fails(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    legacy = scene.set().legacy
    legacy.fill("users", [user(number) for number in range(20)])
    scene.program.environment |= {
        "TABLETURN_FLAG_STALENESS_SECONDS": str(STALENESS),
        "TABLETURN_LONGEST_REQUEST_SECONDS": str(LONGEST),
        "TABLETURN_LEASE_SECONDS": "10",
    }
    scene.initialised()
    scene.ready()
    with (
        node_application(scene, tmp_path) as node,
        Writers("node", node) as first,
        Writers("python", python_application(scene, monkeypatch)) as second,
    ):
        both = (first, second)
        eventually("both write", lambda: all(len(each.acknowledged) > 10 for each in both))
        scene.passes("cutover", seconds=90)
        eventually("both write the target", lambda: all("target" in each.served for each in both))
        for each in both:
            each.served.clear()
        scene.passes("rollback", seconds=90)
        eventually("both write the legacy tables again", lambda: all("source" in each.served for each in both))
    for each in both:
        assert each.failed == []
        assert (each.health[0], each.health[-1], set(each.health)) == ("healthy", "healthy", {"healthy", "maintenance"})
        assert each.health.count("maintenance") >= 2, "once a switch, and again where one was taken back"
        table = legacy.table("users")
        for user_id, name in each.acknowledged.items():
            standing = scene.client.get_item(TableName=table, Key={"id": {"S": user_id}}, ConsistentRead=True)
            assert standing["Item"]["name"]["S"] == name
        print(f"\n{each.name}: {len(each.acknowledged)} users, longest wait {each.longest:.2f} s, none failed")  # noqa: T201
