"""The mapping asks nothing of the world: no clock, no chance, no order of hashing (tyler-setup rule 2)."""

import ast
import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import PLAN_OF, SOURCES, legacy_items

ROOT = Path(__file__).resolve().parents[3]
WORLD = {"asyncio", "time", "random", "secrets", "uuid", "socket", "boto3", "botocore", "aiobotocore", "locale"}
CLOCKS = {"now", "utcnow", "today", "time", "monotonic"}
PROGRAM = """
import json, sys
from pathlib import Path
from mapping.plan import load_plan
plan = load_plan(Path("plans/tyler-setup.yaml"), variables={"SECRETS_PREFIX": "p"})
made = [[plan.hash]]
for source in plan.sources:
    for line in Path(f"service/demo/sample/{source}.jsonl").read_text(encoding="utf-8").splitlines():
        item = {**json.loads(line)["Item"], "version": {"S": "1.2"}, "own": {"SS": ["b", "a"]}, "z": {"N": "1"}}
        made.append(list(plan.translate(source, item).items.items()))
print(json.dumps(made))
"""


@pytest.mark.parametrize("path", sorted((ROOT / "mapping").glob("*.py")), ids=lambda path: path.stem)
def test_no_module_knows_the_time_or_chance(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {
        node.module.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not imported & WORLD
    assert not called & CLOCKS
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"]
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]


def test_another_zone_and_another_hash_seed_change_not_a_byte() -> None:
    worlds = [
        {"PYTHONHASHSEED": "1", "TZ": "UTC"},
        {"PYTHONHASHSEED": "77", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
    ]
    answers = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=ROOT,
            env={**os.environ, **world, "PYTHONPATH": "."},
            capture_output=True,
            check=True,
        ).stdout
        for world in worlds
    ]
    assert answers[0] == answers[1]
    assert len(json.loads(answers[0])) == 330


@pytest.mark.parametrize("source", [source for _, source in SOURCES])
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_the_same_item_always_becomes_the_same_and_is_left_alone(source: str, data: st.DataObject) -> None:
    plan, item = PLAN_OF[source], data.draw(legacy_items(source))
    before = deepcopy(item)
    first = plan.translate(source, item)
    assert item == before
    assert plan.translate(source, deepcopy(item)) == first
    assert plan.translate(source, dict(reversed(item.items()))) == first, "the order of attributes means nothing"
