"""Tables, items and a plan in which nothing is wrong; then, at once, all that `tableturn plan` can find, each by name.

What is planted is in `plants` and `misfits`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from proof.faults import FAULTS
from tests.acceptance import misfits, plants
from tests.acceptance.conftest import one_scene
from tests.acceptance.scene import Scene

PASSED, FAILED, REFUSED, WARNED = 0, 1, 3, 5

ELSEWHERE = {
    "collision": "tests/integration/test_proof.py::test_two_items_that_call_for_one_key_are_a_collision",
}
"""Kinds that neither items nor a plan can have: one whose items could share a key is refused (last test here)."""


@dataclass(frozen=True)
class Proved:
    """What a proof left: its report, who offended, and the page that it printed."""

    report: dict[str, Any]
    offenders: list[dict[str, str]]
    said: str

    @property
    def faults(self) -> dict[str, dict[str, Any]]:
        return {fault["kind"]: fault for fault in self.report["faults"]}


@dataclass(frozen=True)
class Runs:
    """Proofs of empty tables, of what is right, of what is wrong; and of what cannot be proved at all."""

    prefix: str
    empty: Proved
    right: Proved
    wrong: Proved
    unread: str
    shared: str


class Bench:
    """A scene, with plans to be proved in it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.folder = scene.program.folder
        (self.folder / "impure.py").write_text(plants.FUNCTIONS)
        (self.folder / "right.yaml").write_text(plants.right_plan())
        (self.folder / "wrong.yaml").write_text(plants.wrong_plan())
        shared = plants.edited(plants.right_plan(), [("DESK#{number}", "BADGE#{number}")])
        (self.folder / "shared.yaml").write_text(shared)

    def proves(self, plan: str, *words: str, code: int) -> Proved:
        path = self.folder / "plan.json"
        plan_file = str(self.folder / f"{plan}.yaml")
        done = self.scene.program.run("plan", "--plan", plan_file, "--report", str(path), *words, COLUMNS="500")
        assert done.code == code, done.said
        offenders = path.with_suffix(".offenders.jsonl").read_text()
        self.scene.program.pages += [offenders, path.read_text(), path.with_suffix(".html").read_text()]
        return Proved(json.loads(path.read_text()), [json.loads(each) for each in offenders.splitlines()], done.out)

    def refuses(self, plan: str) -> str:
        done = self.scene.program.run("plan", "--plan", str(self.folder / f"{plan}.yaml"))
        assert done.code == FAILED, done.said
        return done.err


@pytest.fixture(scope="module")
def runs(client: Any, local_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    with one_scene(client, local_database, tmp_path_factory.mktemp("planted")) as scene:
        legacy, bench = scene.legacy, Bench(scene)
        misfits.create_right(legacy)
        empty = bench.proves("right", "--write-units", "40001", code=WARNED)
        scene.program.good("init", "--plan", str(bench.folder / "right.yaml"), "--create-targets")
        _fill_right(scene)
        right = bench.proves("right", "--samples", "0", code=PASSED)
        misfits.make_wrong(legacy)
        _fill_wrong(scene)
        wrong = bench.proves("wrong", "--write-units", "4001", "--samples", "0", code=REFUSED)
        legacy.client.delete_table(TableName=legacy.table("refresh-tokens"))
        yield Runs(legacy.prefix, empty, right, wrong, bench.refuses("wrong"), bench.refuses("shared"))


def _fill_right(scene: Scene) -> None:
    scene.legacy.fill_sample()
    misfits.put(scene.legacy, "rooms", plants.ROOMS)
    misfits.put(scene.legacy, "ballast", [*plants.ballast("huge", 1), *plants.ballast("large", 1)])


def _fill_wrong(scene: Scene) -> None:
    misfits.put(scene.legacy, "ballast", plants.ballast("huge", plants.HUGE))
    misfits.put(scene.legacy, "ballast", plants.ballast("large", plants.LARGE))
    for each in plants.PLANTS:
        misfits.put(scene.legacy, each.source, [each.item])
    scene.legacy.secrets |= {plants.BEARER, plants.ACCESS_KEY, plants.ADDRESS, plants.TOKEN}


def test_what_is_right_tells_no_false_alarm(runs: Runs) -> None:
    report = runs.right.report
    assert (report["verdict"], report["problems"], report["warnings"]) == ("pass", [], [])
    assert (runs.right.faults, runs.right.offenders, report["forecast"]["remarks"]) == ({}, [], [])
    assert (report["streams_off"], report["targets_missing"]) == ([], [])
    assert {name for name, count in report["items"].items() if not count} == {"badges", "desks"}
    assert {query["verdict"] for query in report["queries"].values()} == {"pass"}
    assert len(report["queries"]) == 16


def test_every_kind_of_fault_is_planted_or_named_with_the_test_that_has_it() -> None:
    planted = {kind for kind, _, _ in plants.expected()}
    assert len(planted) >= 25
    assert planted & ELSEWHERE.keys() == set()
    assert planted | ELSEWHERE.keys() == FAULTS.keys()
    for place in ELSEWHERE.values():
        path, _, test = place.partition("::")
        assert f"def {test}(" in (Path(__file__).parents[2] / path).read_text(), place


@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in plants.expected()}))
def test_a_planted_fault_is_named_counted_and_shown(runs: Runs, kind: str) -> None:
    expected = [(where, shown) for each, where, shown in plants.expected() if each == kind]
    fault, known = runs.wrong.faults[kind], FAULTS[kind]
    assert fault["count"] == len(expected)
    assert {masked(where): count for where, count in fault["where"].items()} == Counter(where for where, _ in expected)
    assert (fault["grade"], fault["way_out"]) == (known.grade.name.lower(), known.way_out)
    offenders = Counter(masked(each["item"]) for each in runs.wrong.offenders if each["kind"] == kind)
    is_note = fault["grade"] == "note"
    assert offenders == Counter(() if is_note else (shown for _, shown in expected))
    assert f"{kind}: {len(expected)} × {known.meaning}" in runs.wrong.said or is_note
    assert known.way_out in runs.wrong.said or is_note


def test_nothing_but_what_is_planted_is_told(runs: Runs) -> None:
    assert runs.wrong.faults.keys() == {kind for kind, _, _ in plants.expected()}
    assert runs.wrong.report["verdict"] == "fail"


@pytest.mark.parametrize("word", ["problems", "warnings"])
def test_every_table_that_does_not_fit_is_told_with_how(runs: Runs, word: str) -> None:
    sentences = misfits.PROBLEMS if word == "problems" else misfits.WARNINGS
    told = sorted(runs.wrong.report[word])
    begins = sorted(each.format(runs.prefix) for each in sentences)
    assert len(told) == len(begins), told
    assert all(one.startswith(begin) for one, begin in zip(told, begins, strict=True)), (told, begins)


def test_what_init_will_mend_is_told(runs: Runs) -> None:
    assert runs.wrong.report["streams_off"] == [misfits.STREAM_OFF.format(runs.prefix)]
    assert runs.wrong.report["targets_missing"] == [misfits.TARGET_MISSING.format(runs.prefix)]


def test_a_pace_that_tables_do_not_take_is_told_and_that_nothing_was_read(runs: Runs) -> None:
    (slower,), (warmer,) = (each.report["forecast"]["remarks"] for each in (runs.empty, runs.wrong))
    assert "40001 write units a second are over the quota" in slower
    assert "set its WarmThroughput to 4001 first" in warmer
    assert runs.empty.report["warnings"] == ["no legacy table holds an item: check prefix, region and account"]
    assert (runs.empty.report["problems"], runs.empty.faults) == ([], {})


def test_a_table_that_is_not_there_ends_the_proof_and_tells_what_else_does_not_fit(runs: Runs) -> None:
    assert f"source refresh-tokens: there is no table {runs.prefix}-refresh-tokens" in runs.unread
    assert all(each.format(runs.prefix) in runs.unread for each in misfits.PROBLEMS)


def test_a_plan_whose_items_could_share_a_key_is_refused(runs: Runs) -> None:
    assert "BADGE#{number} / METADATA could be the same key as entities.BADGE" in runs.shared


def masked(shown: str) -> str:
    """Return a name with its digests, whatever they are, as one."""
    return re.sub(r"~[0-9a-f]{8}$", "~", shown)
