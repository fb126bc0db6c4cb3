"""What a comparison found, as a page: on a terminal, as HTML, and beside it the JSON document (ADR 0010)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.console import as_html
from service.documents import write_document, write_text

_ON_A_PAGE = 500
"""Mismatches on the HTML page; the JSON has all that were kept."""


def write_files(document: dict[str, Any], path: Path) -> None:
    """Write the document and the page beside it. Raises FatalError naming the file."""
    write_text(as_html(page(document, shown=_ON_A_PAGE)), path.with_suffix(".html"))
    write_document(document, path)


def page(document: dict[str, Any], *, shown: int = 20) -> RenderableType:
    """Return what was found, how far it was looked at, what it cost, and the mismatches, the oldest first."""
    parts: list[RenderableType] = [_head(document), _figures(document)]
    if document["mismatches"]:
        parts += [_kinds(document["sources"]), _examples(document, shown)]
    parts += [Text(f"a repair would {what}: {count:,}") for what, count in document.get("repairs", {}).items()]
    return Group(*parts)


def _head(document: dict[str, Any]) -> Text:
    scope = document.get("scope") or {}
    part = f" (of {', '.join(f'{name} {value}' for name, value in scope.items())})" if scope else ""
    count = document["mismatches"]
    if not count:
        return Text(f"✓ both sides agree{part}", style="green")
    return Text(f"✗ {count:,} mismatches{part}", style="red")


def _figures(document: dict[str, Any]) -> Table:
    table = Table("", "", box=None, show_header=False)
    table.add_row("target items compared", f"{document['compared']:,}, {document['unmapped']:,} beside them unmapped")
    table.add_row("read again", f"{document['rechecked']:,} pairs for {document['suspects']:,} suspects")
    table.add_row("explained by time to live", f"{document['expired']:,}")
    if document["repaired"]:
        table.add_row("mended", f"{document['repaired']:,} puts")
    table.add_row("everything compared since", _moment(document["scanned_through_ms"]))
    table.add_row("every write compared up to", _moment(document["verified_through_ms"]))
    expected = f", {document['expected_read_units']:,} expected" if "expected_read_units" in document else ""
    table.add_row("read units", f"{document['read_units']}{expected}")
    table.add_row("took", f"{document['duration_ms'] / 1000:.1f} s")
    return table


def _kinds(sources: dict[str, dict[str, int]]) -> Table:
    names = ("missing", "extra", "different")
    table = Table("source", *names)
    for source, kinds in sources.items():
        table.add_row(Text(source), *(f"{kinds.get(name, 0):,}" for name in names))
    return table


def _examples(document: dict[str, Any], shown: int) -> Table:
    repairs: Iterable[str] = ("a repair would",) if "repairs" in document else ()
    table = Table("kind", "item", "attributes", "first seen", *repairs)
    for each in document["examples"][:shown]:
        first = _moment(each["first_seen_ms"])
        repair = (each["repair"],) if "repair" in each else ()
        table.add_row(each["kind"], Text(each["item"]), Text(", ".join(each["attributes"])), first, *repair)
    left = document["mismatches"] - min(shown, len(document["examples"]))
    if left > 0:
        table.caption = f"and {left:,} more"
    return table


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
