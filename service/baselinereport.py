"""Baselines as tables: one by itself, and several side by side, the first against the last."""

from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text


def baseline_table(document: dict[str, Any]) -> Table:
    """Return one baseline, a row a query."""
    table = Table("query", "asked", "errors", "p50 ms", "p95 ms", "p99 ms", "max ms")
    for name, each in document["queries"].items():
        times = [_ms(each[figure]) for figure in ("p50_us", "p95_us", "p99_us", "max_us")]
        table.add_row(Text(name), str(each["asked"]), str(each["errors"]), *times)
    return table


def comparison_page(document: dict[str, Any]) -> RenderableType:
    """Return p95 of each query in each baseline by its day, the errors of the last, and what the last does not meet."""
    days = [f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}" for at_ms in document["begun_ms"]]
    table = Table("", "query", *days, "errors", "", title="p95 in ms (UTC)")
    for name, each in document["queries"].items():
        course = ["" if then is None else _ms(then["p95_us"]) for then in (each["before"], *each["between"])]
        now, sign = each["after"], "✗" if each["failed"] else "✓"
        table.add_row(sign, Text(name), *course, _ms(now["p95_us"]), str(now["errors"]), "; ".join(each["failed"]))
    missing = [Text(f"✗ {name} was asked before and not after") for name in document["missing"]]
    return Group(table, *missing)


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f}"
