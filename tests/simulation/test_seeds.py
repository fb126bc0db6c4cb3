"""A fixed set of seeds in every CI run, and proof that a run is a function of its seed and that its laws can fail.

Each runs in a process of its own kind (`tests.simulation.__main__`), because the order of sets is part of a run.
`make simulate SEEDS=2000` is the long run, `make mutants` the whole list of bugs.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.mutants import MUTANTS

_ROOT = Path(__file__).resolve().parents[2]
_FIXED = os.environ.get("TABLETURN_SEEDS", "60")


@pytest.mark.timeout(1500)
def test_nothing_is_lost() -> None:
    done = _simulation("--seeds", _FIXED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{_FIXED} seeds in" in done.stdout
    assert ", 0 broken; " in done.stdout
    print(f"\n{done.stdout}")


@pytest.mark.timeout(300)
def test_a_run_is_a_function_of_its_seed() -> None:
    """Two processes, in which nothing is alike but the seed, end with the same digest of all effects in order."""
    said = [_simulation("--seed", "7").stdout for _ in range(2)]
    assert said[0] == said[1]
    assert "digest of all effects" in said[0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["no condition on the put", "forward applied during the bake"])
def test_a_bug_is_caught(name: str) -> None:
    """The laws can fail; `make mutants` shows it of every bug in the list."""
    done = _simulation("--mutant", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed" in done.stdout


def test_every_bug_of_the_list_still_has_its_one_place() -> None:
    """A list that no longer fits the code would show nothing."""
    places = [(mutant.name, edit) for mutant in MUTANTS for edit in mutant.edits]
    texts = {edit.module: (_ROOT / f"{edit.module.replace('.', '/')}.py").read_text() for _, edit in places}
    lost = [name for name, edit in places if texts[edit.module].count(edit.was) != 1]
    assert not lost


def _simulation(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.simulation", *words]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
