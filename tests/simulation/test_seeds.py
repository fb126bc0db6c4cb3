"""A fixed set of seeds in every CI run, the seeds that once failed, and proof that a run is a function of its seed.

`make simulate SEEDS=2000` is the long run; `make mutants` shows that these laws can fail.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.story import simulate

_ROOT = Path(__file__).resolve().parents[2]
_FIXED = range(int(os.environ.get("TABLETURN_SEEDS", "40")))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", _FIXED)
def test_nothing_is_lost(seed: int) -> None:
    report = simulate(seed)
    assert not report.broken
    assert report.writes >= 200


def test_a_run_is_a_function_of_its_seed() -> None:
    """Two processes, in which nothing is alike but the seed, end with the same digest of all effects in order."""
    said = [_replayed(7) for _ in range(2)]
    assert said[0] == said[1]
    assert "digest of all effects" in said[0]


@pytest.mark.parametrize("name", ["no condition on the put", "forward applied during the bake"])
def test_a_bug_is_caught(name: str) -> None:
    """The laws can fail; `make mutants` shows it of every bug in the list."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--mutant", name],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "seed" in done.stdout


def _replayed(seed: int) -> str:
    command = [sys.executable, "-m", "tests.simulation", "--seed", str(seed)]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
