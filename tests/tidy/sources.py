"""The files that the rules of this folder are held against, and how a breach is told: ``path:line: what``."""

import ast
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = (
    "apply",
    "backfill",
    "cutover",
    "domain",
    "dynamo",
    "ledger",
    "mapping",
    "reconcile",
    "service",
    "sync",
)

UNTRACKED = {"__pycache__", "build", "dist"}
"""Left out, like hidden folders, where git cannot say: on a machine without it, or in an unpacked archive."""

Breach = tuple[int, str]


def project_files() -> list[Path]:
    """All files that are, or will be, in git."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
        found = [ROOT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        folders = [path for path in ROOT.iterdir() if not path.name.startswith(".") or path.name == ".ci"]
        found = [path for folder in folders for path in (folder, *folder.rglob("*"))]
        found = [path for path in found if not UNTRACKED.intersection(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


FILES = project_files()
PYTHON = [path for path in FILES if path.suffix == ".py"]
SOURCE = [path for path in PYTHON if path.relative_to(ROOT).parts[0] in PACKAGES]


def each(paths: list[Path]) -> pytest.MarkDecorator:
    """Run a test once per file, under the file's name."""
    return pytest.mark.parametrize("path", paths, ids=[str(path.relative_to(ROOT)) for path in paths])


@cache
def parse(path: Path) -> ast.Module:
    """The file's syntax tree; every rule reads it, so it is read once."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """``cutover/gates.py`` is ``cutover.gates``."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> list[tuple[int, str]]:
    """Line and full name of everything the file imports; ``from a import b`` counts as ``a.b``."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def told(path: Path, breaches: Iterable[Breach]) -> str:
    """All breaches of one file, one a line; empty when there are none."""
    return "\n".join(f"{path.relative_to(ROOT)}:{line}: {what}" for line, what in breaches)
