"""The report of a migration as a page: Markdown, the same as HTML, or as it is, JSON (`service.retelling`)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.markdown import Markdown

from domain.errors import FatalError
from service.console import as_html
from service.documents import write_document, write_text

_MARKS: Final = {True: "[x]", False: "[ ] ✗", None: "[ ]"}
_LESSONS: Final = (
    "What went well",
    "What could be improved",
    "Unexpected issues encountered",
    "Timeline accuracy",
    "Resource utilization",
    "Team coordination effectiveness",
)
"""Headings of the owner's template."""
_DAY, _HOUR, _MINUTE = 86_400_000, 3_600_000, 60_000

Document = dict[str, Any]


def write_report(document: Document, path: Path) -> None:
    """Write the report in the form that the file's name asks for. Raises FatalError for another one."""
    if path.suffix == ".json":
        write_document(document, path)
    elif path.suffix == ".html":
        write_text(as_html(Markdown(markdown(document))), path)
    elif path.suffix == ".md":
        write_text(markdown(document), path)
    else:
        raise FatalError(f"{path} ends with neither .md, .html nor .json", hint="name it for the form you want")


def markdown(document: Document) -> str:
    """Return the page."""
    parts = [
        f"# Migration report: {document['plan']}",
        f"{_moment(document['written_ms'])} UTC, phase **{document['phase']}**, **{document['serving']}** serves.",
        *_summary(document),
        "## Success criteria",
        *_criteria(document["criteria"]),
        "## Timeline, planned and real",
        _table(("", "planned", "real"), (_planned(each) for each in document["timeline"])),
        "## Switches",
        _table(("", "at (UTC)", "outcome", "blocked", "steps"), (_switch(each) for each in document["switches"])),
        "## Phases",
        _table(("phase", "began (UTC)", "lasted", "why"), (_phase(each) for each in document["phases"])),
        "## Data",
        *_data(document),
        "## Lessons learned",
        *_lessons(document),
    ]
    return "\n\n".join(parts) + "\n"


def short(document: Document) -> str:
    """Return the report in a few lines, for a notice."""
    met = Counted(document["criteria"])
    lines = [
        f"Phase {document['phase']}, the {document['serving']} side serves.",
        f"Writes were blocked for {_span(document['downtime_ms'])} in {len(document['switches'])} switches.",
        f"Success criteria: {met.met} met, {met.failed} failed, {met.open} open.",
    ]
    return "\n".join(lines)


class Counted:
    """How many criteria are met, failed, and not measured."""

    def __init__(self, criteria: Iterable[Document]) -> None:
        """Count."""
        verdicts = [each["met"] for each in criteria]
        self.met, self.failed, self.open = (verdicts.count(verdict) for verdict in (True, False, None))


def _summary(document: Document) -> Iterator[str]:
    counted = Counted(document["criteria"])
    yield "\n".join(
        [
            f"- success criteria: {counted.met} met, {counted.failed} failed, {counted.open} not measured here",
            f"- writes were blocked for {_span(document['downtime_ms'])} in all, {document['rollbacks']} rollbacks",
            f"- {sum(document['copied'].values()):,} items copied, {document['repaired']} puts of repairs",
        ]
    )


def _criteria(criteria: Iterable[Document]) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for each in criteria:
        line = f"- {_MARKS[each['met']]} {each['criterion']}: {_plain(each['by'])}"
        groups.setdefault(each["group"], []).append(line)
    for group, lines in groups.items():
        yield f"### {group.capitalize()}"
        yield "\n".join(lines)


def _planned(each: Document) -> tuple[str, ...]:
    show = _span if each["unit"] == "duration" else _moment
    return each["what"], *("" if each[name] is None else show(each[name]) for name in ("planned", "real"))


def _switch(each: Document) -> tuple[str, ...]:
    outcome = "took place" if each["switched"] else f"taken back: {each['why']}"
    steps = ", ".join(
        f"{name} {_span(at_ms)}" for name, at_ms in sorted(each["steps"].items(), key=lambda step: step[1])
    )
    return each["kind"], _moment(each["at_ms"]), outcome, _span(each["blocked_ms"]), steps


def _phase(each: Document) -> tuple[str, ...]:
    return each["phase"], _moment(each["began_ms"]), _span(each["lasted_ms"]), each["why"]


def _data(document: Document) -> Iterator[str]:
    yield _table(("source", "copied"), ((name, f"{count:,}") for name, count in document["copied"].items()))
    lines = []
    for side, found in document["compared"].items():
        if found is not None:
            kinds = ", ".join(f"{count} {kind}" for kind, count in found["kinds"].items() if count) or "none"
            lines.append(f"- compared while the {side} served: {found['compared']:,} items, mismatches: {kinds}")
    waiting = ", ".join(f"{count} {reason}" for reason, count in document["quarantined"].items()) or "empty"
    lines.append(f"- quarantine: {waiting}; {document['dropped']} entries were dropped by hand")
    lines += [
        f"- gap in {each['stream']} at {_moment(each['at_ms'])}: {_plain(each['lost'])}" for each in document["gaps"]
    ]
    refused = ", ".join(f"{name} {count}×" for name, count in document["refused"].items())
    lines += [f"- gates that refused: {refused}"] if refused else []
    proof = document["proof"]
    lines.append(f"- proof of the plan: {proof['verdict']}" if proof else "- no proof of the plan was recorded")
    lines += [
        f"- backup of {source}: {found['name'] if found else 'none recorded'}"
        for source, found in document["backups"].items()
    ]
    yield "\n".join(lines)


def _lessons(document: Document) -> Iterator[str]:
    for heading in _LESSONS:
        yield f"### {heading}"
        if heading == "Timeline accuracy":
            yield "\n".join(f"- {each['what']}: {_accuracy(each)}" for each in document["timeline"])
        else:
            yield "…"


def _accuracy(each: Document) -> str:
    if each["planned"] is None or each["real"] is None:
        return "nothing to compare"
    if each["unit"] == "moment":
        late = each["real"] - each["planned"]
        return f"{_span(abs(late))} {'late' if late >= 0 else 'early'}"
    return f"{_span(each['real'])} of {_span(each['planned'])}"


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join("| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _plain(text: str) -> str:
    """Return what somebody gave as a reason in one line that neither ends a row nor is a tag."""
    return " ".join(text.split()).replace("<", "&lt;")


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _span(milliseconds: int) -> str:
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if milliseconds >= 2 * size:
            return f"{milliseconds // size} {unit}"
    return f"{milliseconds / 1000:.2f} s"
