"""``python -m tests.simulation``: run seeds, replay one, or show that every mutant is caught.

--seeds 2000 [--from 0]      run so many; a failing one is printed with what it broke
--seed 17 --trace            replay one, with every effect
--mutants [--only TEXT]      each mutant until a seed catches it
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.mutants import MUTANTS, Mutant, become

_MOST_SEEDS_A_MUTANT = 600
_ALL_IS_MET = 500
"""Seeds from which on every fault, phase and outcome must have been met."""


def main() -> int:
    """Read the arguments and do it; return the exit code."""
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets of strings is part of a run
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        return subprocess.run(
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]], env=environment, check=False
        ).returncode
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--mutants", action="store_true")
    parser.add_argument("--mutant", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.mutants:
        return _all_mutants(asked.only, asked.jobs)
    if asked.mutant:
        return _hunt(next(each for each in MUTANTS if each.name == asked.mutant), asked.first)
    if asked.seed is not None:
        return _replay(asked.seed, trace=asked.trace)
    return _many(range(asked.first, asked.first + asked.seeds), asked.jobs)


def _replay(seed: int, *, trace: bool) -> int:
    from tests.simulation.story import simulate

    report = simulate(seed, trace=trace)
    print(f"seed {seed}: {report.broken or 'nothing lost'}")
    print(f"{report.writes} writes, {report.seconds:.0f} virtual seconds, digest of all effects {report.digest:x}")
    return bool(report.broken)


def _many(seeds: range, jobs: int) -> int:
    from tests.simulation.coverage import Coverage
    from tests.simulation.story import simulate

    began, coverage = time.monotonic(), Coverage()
    with ProcessPoolExecutor(jobs) as pool:
        for report in pool.map(simulate, seeds, chunksize=1):
            coverage.add(report)
            if report.broken:
                print(f"seed {report.seed}: {report.broken}", flush=True)
                print(f"  replay: python -m tests.simulation --seed {report.seed} --trace", flush=True)
    print(coverage.table(time.monotonic() - began))
    missed = coverage.missed() if len(seeds) >= _ALL_IS_MET else []
    if missed:
        print(f"never met: {', '.join(missed)}")
    return bool(coverage.broken or missed)


def _hunt(mutant: Mutant, first: int) -> int:
    """Run a mutant until a law breaks; print the seed and the law. An error of Python is a mutant that does not run."""
    become(mutant)
    from tests.simulation.story import simulate

    for seed in range(first, first + _MOST_SEEDS_A_MUTANT):
        report = simulate(seed)
        if report.broken:
            said = report.broken.strip().splitlines()[-1].strip(" |+-")[:150]
            print(f"seed {seed}: {said}" if report.law else f"NOT A BUG OF ITS KIND, seed {seed}: {said}")
            return int(not report.law)
    print(f"NOT CAUGHT by {_MOST_SEEDS_A_MUTANT} seeds")
    return 1


def _all_mutants(only: str, jobs: int) -> int:
    """Hunt each in a process of its own."""
    hunted = [mutant for mutant in MUTANTS if only in mutant.name]
    with ProcessPoolExecutor(jobs) as pool:
        results = list(_told(hunted, pool.map(_hunted, [mutant.name for mutant in hunted])))
    caught = sum(code == 0 for code in results)
    print(f"{caught} of {len(hunted)} mutants caught")
    return int(caught < len(hunted))


def _told(hunted: list[Mutant], results: Iterator[tuple[int, str, float]]) -> Iterator[int]:
    for mutant, (code, said, seconds) in zip(hunted, results, strict=True):
        print(f"{mutant.name:50} {seconds:6.1f} s  {said}", flush=True)
        yield code


def _hunted(name: str) -> tuple[int, str, float]:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--mutant", name], capture_output=True, text=True, check=False
    )
    said = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["said nothing"])[-1]
    return done.returncode, said, time.monotonic() - began


if __name__ == "__main__":
    raise SystemExit(main())
