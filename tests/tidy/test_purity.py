"""What import-linter cannot say: nouns need the standard library only, decisions need no world."""

import sys
from pathlib import Path

from tests.tidy.sources import ROOT, SOURCE, each, imports, module_name, told

PURE = (
    "domain",
    "mapping",
    "cutover.gates",
    "cutover.judgement",
    "cutover.transitions",
    "sync.lineage",
    "sync.fold",
    "dynamo.segments",
    "reconcile.comparison",
    "proof.faults",
    "proof.examination",
    "proof.census",
    "proof.capacity",
    "proof.hitters",
    "proof.forecast",
    "proof.rehearsal",
    "proof.report",
)
"""Packages and modules that decide from values alone. Those still to be written join when they exist."""

THE_WORLD = ("asyncio", "time", "aiobotocore", "boto3", "botocore")

DOMAIN = [path for path in SOURCE if path.is_relative_to(ROOT / "domain")]
DECIDING = [path for path in SOURCE if f"{module_name(path)}.".startswith(tuple(f"{name}." for name in PURE))]


@each(DOMAIN)
def test_the_domain_needs_the_standard_library_only(path: Path) -> None:
    allowed = {"domain", *sys.stdlib_module_names}
    breaches = [(line, f"imports {name}") for line, name in imports(path) if name.split(".")[0] not in allowed]
    assert not breaches, told(path, breaches)


@each(DECIDING)
def test_what_decides_does_not_touch_the_world(path: Path) -> None:
    breaches = [(line, f"imports {name}") for line, name in imports(path) if name.split(".")[0] in THE_WORLD]
    assert not breaches, told(path, breaches)
