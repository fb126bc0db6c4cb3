"""The flag's readers for Python and Node do the same: deploy/flag/cases.json, played in virtual time by each."""

import importlib.util
import json
import subprocess
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.nodejs import NODE
from tests.tidy.sources import ROOT

FLAG = ROOT / "deploy" / "flag"
DOCUMENT = json.loads((FLAG / "cases.json").read_text(encoding="utf-8"))
Case = dict[str, Any]


def loaded(path: Path) -> ModuleType:
    """Load a file that is to be copied, from where it lies."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


READER = loaded(FLAG / "python" / "tableturn_flag.py")


class Scene:
    """A flag that changes as its case says, behind a client, and both clocks."""

    def __init__(self, case: Case) -> None:
        self.now = self.lost = self.set_back = 0.0
        self.readings = 0
        self._flag = case["flag"]
        self._reading = case.get("reading", 0)

    def monotonic(self) -> float:
        return self.now - self.lost

    def wall(self) -> float:
        return 1e9 + self.now - self.set_back

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def get_item(self, **asked: Any) -> Mapping[str, Any]:
        assert asked == {
            "TableName": "ledger",
            "Key": {"PK": {"S": "migration"}, "SK": {"S": "flag"}},
            "ConsistentRead": True,
        }
        self.readings += 1
        standing = [each for since, each in self._flag if since <= self.now + 1e-9][-1]
        self.now += self._reading
        if standing == "unreachable":
            raise OSError
        if standing == "none":
            return {}
        if standing == "garbled":
            return {"Item": {"serving": {"S": "both"}, "writable": {"S": "yes"}}}
        side, writable, epoch = standing
        return {"Item": {"serving": {"S": side}, "writable": {"BOOL": writable}, "epoch": {"N": str(epoch)}}}

    def pass_to(self, step: Case) -> None:
        """Let time go by, for a frozen sandbox by the wall clock alone."""
        passed = max(0.0, step["at"] - self.now)
        self.now += passed
        self.lost += passed if step.get("frozen") else 0.0
        self.set_back += step.get("back", 0)


def asked(flag: Any, step: Case) -> Any:
    try:
        if step["ask"] == "permission":
            got = flag.permission(step.get("side"))
            return [got.side, got.epoch, got.seconds]
        return flag.health()["status"] if step["ask"] == "health" else flag.serving()
    except READER.FlagError as error:
        return f"fails: {type(error).__name__}"


@pytest.mark.parametrize("case", DOCUMENT["cases"], ids=lambda case: case["name"])
def test_in_python(case: Case) -> None:
    scene = Scene(case)
    flag = READER.Flag(scene, "ledger", READER.Times(**DOCUMENT["times"]), scene)
    for step in case["steps"]:
        scene.pass_to(step)
        got = asked(flag, step)
        assert got == (f"fails: {step['fails']}" if "fails" in step else step["gets"])
        assert scene.now == pytest.approx(step.get("now", scene.now))
        assert scene.readings == step.get("readings", scene.readings)


def test_in_node() -> None:
    words: list[str | Path] = [NODE, "cases.mjs"]
    done = subprocess.run(words, cwd=FLAG / "node", capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, f"{len(DOCUMENT['cases'])} cases"), done.stdout + done.stderr


def test_what_a_client_says_of_a_missing_table_is_told_as_it_is() -> None:
    class Client:
        def get_item(self, **_: Any) -> Mapping[str, Any]:
            raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetItem")

    with pytest.raises(READER.Misread, match="acme-ledger"):
        READER.Flag(Client(), "acme-ledger").permission()


def test_the_client_that_writes_sends_nothing_twice_and_gives_up_in_time() -> None:
    options = READER.Flag(Scene(DOCUMENT["cases"][0]), "ledger", READER.Times(longest_request=3.0)).write_options()
    assert options == {"connect_timeout": 1.5, "read_timeout": 1.5, "retries": {"total_max_attempts": 1}}


def test_no_thread_waits_for_a_reading_of_another_longer_than_it_is_good_for() -> None:
    """With the network gone each would wait in turn, and an application that may read on would stand still."""
    begun, answered = threading.Event(), threading.Event()

    class Client(Scene):
        def get_item(self, **asked: Any) -> Mapping[str, Any]:
            if self.readings:
                begun.set()
                answered.wait(60)
            return super().get_item(**asked)

    scene = Client({"flag": [[0, ["source", True, 1]]]})
    flag = READER.Flag(scene, "ledger", READER.Times(staleness=0.1), scene)
    assert flag.serving() == "source"
    scene.now = 10
    with ThreadPoolExecutor(3) as threads:
        first = threads.submit(flag.serving)
        assert begun.wait(30)
        try:
            assert threads.submit(flag.serving).result(timeout=30) == "source"
            assert threads.submit(flag.health).result(timeout=30)["status"] == "degraded"
        finally:
            answered.set()
        assert first.result(timeout=30) == "source"
