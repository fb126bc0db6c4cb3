"""``python -m tests.mutation``: let mutmut change apply, sync and cutover; what nobody notices has to be explained.

[NAME …]       only these mutants, as in `apply.door*`; else all, those judged before on the same source left out
--jobs 2       side by side

The sources are copied to build/mutation first, so that no mutant ever stands in the checkout; `make mutation` brings
the tool. A mutant that no test, no type and no time-out betrays, and that docs/mutation.md does not explain, fails.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.mutation.survivors import Survivor, explained, survivor
from tests.tidy.sources import FILES, ROOT

_PLACE = ROOT / "build" / "mutation"
_PAGE = ROOT / "docs" / "mutation.md"
_UNNOTICED = {"survived", "no tests", "suspicious"}
_SEEDS = "3"
"""Migrations of the simulation that judge a mutant last, when all quicker tests let it pass."""


def main() -> int:
    """Run, tell the figures and every survivor that nobody explained; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    _copy()
    _mutmut("run", "--max-children", str(asked.jobs), *asked.names, quiet=not sys.stdout.isatty())
    return _tell(whole=not asked.names)


def _copy() -> None:
    """Bring the copy up to date; what mutmut made there stays, so that it goes on where it was."""
    wanted = {path.relative_to(ROOT) for path in FILES}
    for path in [path for path in _PLACE.rglob("*.py") if path.relative_to(_PLACE).parts[0] != "mutants"]:
        if path.relative_to(_PLACE) not in wanted:
            path.unlink()
    for name in wanted:
        (_PLACE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, _PLACE / name)


def _mutmut(*words: str, quiet: bool = False) -> str:
    """Run mutmut in the copy, with nothing else on the path; return what it said, unless it says it to a terminal."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": "", "TABLETURN_SEEDS": _SEEDS}
    environment["PYTHONDONTWRITEBYTECODE"] = ""  # else every mutant would have all tests compiled anew
    path = os.pathsep.join((str(Path(sys.executable).parent), environment.get("PATH", "")))
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *words],
        cwd=_PLACE,
        env={**environment, "PATH": path},
        check=True,
        text=True,
        stdout=subprocess.PIPE if quiet or words[0] != "run" else None,
    )
    return done.stdout or ""


def _tell(*, whole: bool) -> int:
    verdicts: dict[str, str] = {}
    for line in _mutmut("results", "--all", "true").splitlines():
        name, _, verdict = line.strip().rpartition(": ")
        verdicts[name] = verdict
    survivors = [survivor(_mutmut("show", name)) for name, verdict in verdicts.items() if verdict in _UNNOTICED]
    known = explained(_PAGE.read_text())
    unexplained = [each for each in survivors if not each.is_text and each.mark not in known]
    for each in unexplained:
        print(each, "\n")
    _figures(Counter(verdicts.values()), survivors, len(unexplained))
    stale = known - {each.mark for each in survivors} if whole else set()
    if stale:
        print(f"explained, but gone: {', '.join(sorted(stale))}")
    return bool(unexplained or stale)


def _figures(counted: Counter[str], survivors: list[Survivor], unexplained: int) -> None:
    texts = sum(each.is_text for each in survivors)
    print(f"{counted.total():5} mutants")
    for verdict, count in sorted(counted.items()):
        if verdict not in _UNNOTICED:
            print(f"{count:5} {verdict}")
    print(f"{texts:5} survived: a text for people")
    print(f"{len(survivors) - texts - unexplained:5} survived: explained in docs/mutation.md")
    print(f"{unexplained:5} survived: unexplained")


if __name__ == "__main__":
    sys.exit(main())
