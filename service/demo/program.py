"""Runs the real program as its operator does: commands as processes with ``--json``, the worker in the background.

What a process that failed had to say is part of the error: the tail of its log.
"""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Final

from domain.errors import FatalError

_TAIL: Final = 15
"""Lines of a failed process that are shown."""

_REFUSED: Final = 3
_COMMAND_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 15.0

_NOT_OURS: Final = ("TABLETURN_PLAN", "TABLETURN_LEDGER", "DRY_RUN", "TABLETURN_PAGE_ITEMS", "TABLETURN_SEGMENTS")
"""Settings of the user's own migration, which the demo must not inherit."""


class ProgramFailed(FatalError):
    """A process of the program ended otherwise than it should."""


class ProgramRefused(ProgramFailed):
    """A gate said no, or a switch was taken back: everything is as it was (exit code 3)."""


class Program:
    """The program under one set of settings."""

    def __init__(self, settings: Mapping[str, str], folder: Path) -> None:
        """``settings`` are environment variables; logs go to ``folder``."""
        self._environment = {name: value for name, value in os.environ.items() if name not in _NOT_OURS}
        self._environment |= settings
        self._log = folder / "worker.log"
        self._worker: Process | None = None
        self._output: IO[bytes] | None = None

    async def command(self, *words: str) -> dict[str, Any]:
        """Run a command to its end; return the JSON document it prints. Raises ProgramFailed."""
        process = await self._start(*words, "--json", stdout=PIPE, stderr=PIPE)
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                out, said = await process.communicate()
        except TimeoutError as error:
            process.kill()
            await process.wait()
            message = f"`tableturn {' '.join(words)}` did not end within {_COMMAND_SECONDS:.0f} s"
            raise ProgramFailed(message, hint=self.log_tail()) from error
        if process.returncode != 0:
            message = f"`tableturn {' '.join(words)}` ended with code {process.returncode}: {said.decode().strip()}"
            kind = ProgramRefused if process.returncode == _REFUSED else ProgramFailed
            raise kind(message, hint=self.log_tail())
        document: dict[str, Any] = json.loads(out)
        return document

    async def start_worker(self) -> None:
        """Start ``tableturn run``; its log goes to a file."""
        self._output = self._log.open("ab")
        self._worker = await self._start("run", stdout=DEVNULL, stderr=self._output)

    def check_worker(self) -> None:
        """Raise ProgramFailed when the worker has ended though nobody told it to."""
        if self._worker is not None and self._worker.returncode is not None:
            message = f"`tableturn run` ended with code {self._worker.returncode}"
            raise ProgramFailed(message, hint=self.log_tail())

    async def stop_worker(self) -> int:
        """Tell the worker to stop by SIGTERM, unless it has ended by itself; return its exit code."""
        worker, self._worker = self._worker, None
        if worker is None:
            return 0
        if worker.returncode is None:
            worker.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                return await worker.wait()
        except TimeoutError:
            worker.kill()
            return await worker.wait()
        finally:
            if self._output is not None:
                self._output.close()

    def log_tail(self) -> str:
        """Return the last lines of the worker's log."""
        if not self._log.exists():
            return "(no log)"
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])

    async def _start(self, *words: str, stdout: int, stderr: int | IO[bytes]) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", *words, stdin=DEVNULL, stdout=stdout, stderr=stderr, env=self._environment
        )
