"""Whatever a user can meet is in the documentation: commands, exit codes, metrics, phases, reasons, settings."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from cutover.gates import Facts, Limits, completion_gates, cutover_gates, rollback_gates
from cutover.judgement import OVERRIDABLE
from domain.outcomes import Reason
from domain.phases import Phase, Side
from proof.faults import FAULTS
from service.cli import APP
from service.console import Exit
from service.reference import settings_page
from tests.tidy.sources import ROOT

REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text()


def commands(group: Any, path: str = "tableturn") -> list[tuple[str, str]]:
    """Return the words one types for every command below a group, with its help."""
    below = getattr(group, "commands", None)
    if below is None:
        return [(path, group.help or "")]
    return [found for name, each in below.items() for found in commands(each, f"{path} {name}")]


COMMANDS = commands(typer.main.get_command(APP))


@pytest.mark.parametrize(("words", "about"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_a_command_is_documented_and_shows_an_example(words: str, about: str) -> None:
    assert f"`{words}`" in page("cli.md")
    assert "Example: " in about
    assert words in about.partition("Example: ")[2]


@pytest.mark.parametrize("code", list(Exit))
def test_an_exit_code_is_documented(code: Exit) -> None:
    assert f"\n| {code.value} |" in page("cli.md")


@pytest.mark.parametrize("phase", list(Phase))
def test_a_phase_is_documented(phase: Phase) -> None:
    assert f"\n| {phase} |" in page("phases.md")


@pytest.mark.parametrize("reason", list(Reason))
def test_a_reason_for_quarantine_is_documented(reason: Reason) -> None:
    assert f"\n| {reason} |" in page("phases.md")


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_that_a_proof_finds_is_documented_as_it_is(kind: str) -> None:
    known = FAULTS[kind]
    row = f"| {kind} | {known.grade.name.lower()} | {known.meaning} | {known.way_out} |"
    assert row in (ROOT / "docs" / "operating" / "plan.md").read_text()


def test_the_settings_page_is_what_the_settings_say() -> None:
    assert page("settings.md") == settings_page(), "python -m service.reference > docs/reference/settings.md"


def test_every_metric_is_documented_and_no_other() -> None:
    written = set(re.findall(r'"(tableturn_\w+)"', (ROOT / "service" / "metrics.py").read_text()))
    written -= {"tableturn_"}
    documented = set(re.findall(r"\| `(tableturn_\w+)` \|", page("metrics.md")))
    documented -= {"tableturn_verified_through_timestamp_seconds", "tableturn_scanned_through_timestamp_seconds"}

    assert {name.removesuffix("_total") for name in documented} == written


LISTS = {"C": cutover_gates, "R": rollback_gates, "E": completion_gates}


def test_every_gate_is_documented_with_what_it_is_a_gate_of_and_no_other() -> None:
    found: dict[str, str] = {}
    for letter, gates in LISTS.items():
        for gate in gates(Facts(Phase.READY, 0, 0, Side.SOURCE), Limits()):
            found[gate.name] = f"{found.get(gate.name, '')} {letter}".strip()
    assert dict(re.findall(r"^\| `([\w-]+)` \| ([CRE ]+) \|", page("gates.md"), re.MULTILINE)) == found


def test_why_a_gate_may_be_overridden_is_documented_as_it_is() -> None:
    overrides = page("gates.md").partition("## Overrides")[2]
    assert dict(re.findall(r"^\| `([\w-]+)` \| (.+) \|$", overrides, re.MULTILINE)) == dict(OVERRIDABLE)


def test_links_between_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in pages
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text())
        if not (path.parent / Path(target)).exists()
    ]

    assert not dead
