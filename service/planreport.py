"""The page of a plan's proof, for the terminal and as HTML, and the files that ``tableturn plan --report`` leaves."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from proof.declared import Setting, declared
from service.console import as_html
from service.documents import unwritten, write_document

_SIGNS = {"fail": ("✗", "red"), "warn": ("!", "yellow"), "note": ("·", "dim"), "pass": ("✓", "green")}


def page(document: dict[str, Any], *, notes: bool = False) -> RenderableType:
    """Return the report as a page; ``notes`` shows what is no fault as well."""
    made = declared(Setting.TABLE)
    parts: list[RenderableType] = [_head(document), _counts(document)]
    parts += [_line("fail", problem) for problem in document["problems"]]
    parts += [_line("warn", warning) for warning in document["warnings"]]
    parts += [
        _line("note", f"the stream of {table} is off: `tableturn init --enable-streams` switches it on")
        for table in document["streams_off"]
    ]
    parts += [
        _line("note", f"there is no table {table} yet: `tableturn init --create-targets` makes it {made}")
        for table in document["targets_missing"]
    ]
    for fault in document["faults"]:
        if notes or fault["grade"] != "note":
            parts += _fault(fault)
    parts += _queries(document["queries"])
    parts += _account(document["account"])
    if document["forecast"] is None:
        parts.append(_line("note", "no forecast: only a sample was read"))
    else:
        parts += [_forecast(document), *(_line("warn", remark) for remark in document["forecast"]["remarks"])]
    parts += [_sample(sample) for sample in document["samples"]]
    return Group(*parts)


def write_files(document: dict[str, Any], offenders: Iterable[dict[str, str]], path: Path) -> None:
    """Write the report, the same as a page, and who offended, side by side. Raises FatalError naming the file."""
    lines = (json.dumps(each, ensure_ascii=False) + "\n" for each in offenders)
    try:
        path.unlink(missing_ok=True)  # an older report beside newer pages would be believed
        path.with_suffix(".offenders.jsonl").write_text("".join(lines), encoding="utf-8", errors="replace")
        path.with_suffix(".html").write_text(as_html(page(document, notes=True)), encoding="utf-8", errors="replace")
    except OSError as error:
        raise unwritten(error) from error
    write_document(document, path)


def _head(document: dict[str, Any]) -> Text:
    sign, colour = _SIGNS[document["verdict"]]
    return Text(f"{sign} {document['verdict']}: plan {document['plan']}, {document['scope']} read", style=colour)


def _line(grade: str, said: str) -> Text:
    sign, colour = _SIGNS[grade]
    return Text.assemble((sign, colour), f" {_plain(said)}")


def _counts(document: dict[str, Any]) -> Table:
    table = Table("from", "items", "bytes", box=None)
    for name, count in document["items"].items():
        table.add_row(Text(name), f"{count:,}", f"{document['bytes'][name]:,}")
    table.add_row()
    for name, count in document["target_items"].items():
        table.add_row(Text(f"→ {name}"), f"{count:,}", f"{document['target_bytes'][name]:,}")
    return table


def _queries(queries: dict[str, Any]) -> list[RenderableType]:
    if not queries:
        return [_line("note", "the plan has no queries: what the applications ask was not tried")]
    table = Table("", "query", "asked", "answers", "on", box=None)
    for name, query in queries.items():
        sign, colour = _SIGNS[query["verdict"]]
        on = f"{query['items']:,} of {query['read']:,} read of {query['source']}"
        table.add_row(Text(sign, style=colour), Text(name), f"{query['cases']:,} ×", f"{query['answers']:,}", Text(on))
    differing = [(name, case) for name, query in queries.items() for case in query["differences"]]
    return [table, *(Text(_plain(f"    {name} {_difference(case)}"), style="dim") for name, case in differing)]


def _difference(case: dict[str, Any]) -> str:
    words = (("lacks", case["missing"]), ("adds", case["extra"]), ("has", ["another order"] * case["disordered"]))
    found = "; ".join(f"{word} {', '.join(items)}" for word, items in words if items)
    return f"of {case['asked_for']} {found}"


def _account(account: dict[str, Any]) -> list[Text]:
    if not account["asked"]:
        return [_line("note", "who else is there was not asked: the endpoint is DynamoDB's alone")]
    lines = []
    for writer in account["writers"]:
        by_name = f" (named in {', '.join(writer['variables'])})" if writer["variables"] else ""
        tables = ", ".join(writer["may_write"]) or "no source"
        lines.append(_line("note", f"function {writer['function']}{by_name} may write {tables}"))
    return [*lines, *(Text(_plain(change), style="cyan") for change in account["template_changes"])]


def _fault(fault: dict[str, Any]) -> list[Text]:
    where = ", ".join(f"{name}: {count:,}" for name, count in fault["where"].items())
    lines = [_line(fault["grade"], f"{fault['kind']}: {fault['count']:,} × {fault['meaning']}  ({where})")]
    if fault["examples"]:
        lines.append(Text(_plain(f"    e.g. {', '.join(fault['examples'])}"), style="dim"))
    return [*lines, Text(f"    → {fault['way_out']}", style="dim")]


def _forecast(document: dict[str, Any]) -> Table:
    expected, prices = document["forecast"], document["prices"]
    table = Table("forecast", "", "", box=None)
    pace, seconds, dollars = expected["pace"], expected["seconds"], expected["dollars"]
    table.add_row("read", f"{expected['read_units']:,} units", f"{dollars['copy_reads']} $")
    table.add_row("write", f"{expected['write_units']:,} units", f"{dollars['copy_writes']} $")
    table.add_row("stored", f"{expected['stored_bytes']:,} bytes", f"{dollars['storage_a_month']} $ a month")
    table.add_row("copy takes", f"{seconds['copy']:,} s", f"at {pace['write_units']:,} write units a second")
    table.add_row("", "", f"prices of {prices['region']}, {prices['as_of']}")
    for heaviest in document["heaviest_keys"][:1]:
        key = _plain(f"{heaviest['index']} {heaviest['key']}")
        table.add_row("heaviest key", Text(key), f"{heaviest['per_mille'] / 10} % of it")
    return table


def _sample(sample: dict[str, Any]) -> Table:
    table = Table(escape(f"before: {sample['source']}"), "after", show_lines=True)
    after = "\n\n".join(_shown(item) for item in sample["after"])
    table.add_row(Text(_shown(sample["before"])), Text(after))
    return table


def _shown(item: dict[str, Any]) -> str:
    return _plain("\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in item.items()))


def _plain(said: str) -> str:
    """Return a text without what a terminal would obey."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in said)
