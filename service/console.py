"""How commands speak: documents for machines on standard output, words for people, errors with exit codes."""

import asyncio
import getpass
import json
import sys
from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from domain.errors import FatalError, FencedError, RefusedError, TableturnError
from service.supervisor import gravest


class Exit(IntEnum):
    """Exit codes of every command (docs/reference/cli.md)."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    FENCED = 4


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
        ERR.print(f"[red]error:[/red] {cause.message}", markup=True)
        if cause.hint:
            ERR.print(f"       {cause.hint}")
        code = exit_code(cause)
    except KeyboardInterrupt:
        code = Exit.FAILED
    sys.exit(code)


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
    for heading in ("", "gate", "is", "wanted", "way out"):
        table.add_column(heading)
    for gate in gates:
        sign = "[green]✓[/green]" if gate["passes"] else "[red]✗[/red]"
        table.add_row(
            sign, gate["name"], str(gate["value"]), str(gate["limit"]), "" if gate["passes"] else gate["hint"]
        )
    return table


async def _awaited(command: Callable[[], Awaitable[Exit]]) -> Exit:
    return await command()
