"""How commands speak: documents for machines on standard output, words for people, errors with exit codes."""

import asyncio
import getpass
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import IntEnum
from io import StringIO
from typing import Any, NoReturn

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from cutover.judgement import span
from domain.errors import FatalError, FencedError, RefusedError, TableturnError
from service.supervisor import gravest


class Exit(IntEnum):
    """Exit codes of every command (docs/reference/cli.md)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    FENCED = 4
    WARNED = 5


_PAGE_COLUMNS = 150

OUT = Console(soft_wrap=True, highlight=False)
ERR = Console(stderr=True, soft_wrap=True, highlight=False)


def carry_out(command: Callable[[], Awaitable[Exit]]) -> NoReturn:
    """Run an async command and end the process with its exit code; errors become one clear message."""
    try:
        code = asyncio.run(_awaited(command))
    except (TableturnError, BaseExceptionGroup) as error:
        cause = gravest(error)
        if not isinstance(cause, TableturnError):
            raise
        code = exit_code(cause)
        with suppress(OSError):  # the disk under it is full: the exit code still tells
            ERR.print(f"[red]error:[/red] {cause.message}", markup=True)
            if cause.hint:
                ERR.print(f"       {cause.hint}")
    except KeyboardInterrupt:
        code = Exit.FAILED
    _give_up_unwritten_logs()
    sys.exit(code)


def _give_up_unwritten_logs() -> None:
    """Let a full disk under standard error cost log lines and nothing else: Python would end with 120 for them.

    Standard output is another matter: what cannot be written there is what was asked for.
    """
    try:
        sys.stderr.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def exit_code(error: TableturnError) -> Exit:
    """Return the exit code of an error."""
    if isinstance(error, RefusedError):
        return Exit.REFUSED
    return Exit.FENCED if isinstance(error, FencedError) else Exit.FAILED


def fail(error: FatalError) -> NoReturn:
    """End at once with an error found before anything ran."""

    async def raised() -> Exit:
        raise error

    carry_out(raised)


def as_json(document: Any) -> None:  # noqa: ANN401 - any JSON document
    """Print one JSON document."""
    print(json.dumps(document, indent=2, default=str, ensure_ascii=False))  # noqa: T201 - this is the output


def operator() -> str:
    """Return who types, for the history."""
    try:
        return f"operator {getpass.getuser()}"
    except (KeyError, OSError):  # no such user in a container
        return "operator"


def gates_table(gates: list[dict[str, Any]]) -> Table:
    """Show gates as a checklist."""
    table = Table(title="gates", title_justify="left")
    for heading in ("", "gate", "is", "wanted", "seen", "way out"):
        table.add_column(heading)
    for gate in gates:
        sign = "[green]✓[/green]" if gate["passes"] else "[red]✗[/red]"
        seen = "never" if gate["age_ms"] is None else f"{span(gate['age_ms'])} ago" if gate["age_ms"] else "now"
        out = "" if gate["passes"] else gate["hint"]
        if gate["overridable"] and not gate["passes"]:
            out += f", or --override {gate['name']}=REASON"
        if gate["override"]:
            sign, out = "[yellow]✓[/yellow]", f"overridden: {gate['override']}"
        table.add_row(sign, gate["name"], *(escape(str(each)) for each in (gate["value"], gate["limit"], seen, out)))
    return table


async def _awaited(command: Callable[[], Awaitable[Exit]]) -> Exit:
    return await command()


def as_html(page: RenderableType) -> str:
    """Return what a terminal of some width would show, as a page of HTML."""
    console = Console(record=True, width=_PAGE_COLUMNS, file=StringIO())
    console.print(page)
    return console.export_html()
