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
_DONE: Final = (0, 5)
"""Exit codes: done, and done with warnings."""
_FENCED: Final = 4
_RESTARTS: Final = 3
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
        self.folder = folder
        self._log = folder / "worker.log"
        self._worker: Process | None = None
        self._keeper: asyncio.Task[int] | None = None
        self._stopping = False
        self.restarts = 0

    async def command(self, *words: str) -> dict[str, Any]:
        """Run a command to its end, with warnings or without; return the JSON document it prints.

        Raises ProgramFailed.
        """
        process = await self._start(*words, "--json", stdout=PIPE, stderr=PIPE)
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                out, said = await process.communicate()
        except TimeoutError as error:
            message = f"`tableturn {' '.join(words)}` did not end within {_COMMAND_SECONDS:.0f} s"
            raise ProgramFailed(message, hint=self.log_tail()) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode not in _DONE:
            message = f"`tableturn {' '.join(words)}` ended with code {process.returncode}: {said.decode().strip()}"
            kind = ProgramRefused if process.returncode == _REFUSED else ProgramFailed
            raise kind(message, hint=self.log_tail())
        document: dict[str, Any] = json.loads(out)
        return document

    async def start_worker(self) -> None:
        """Start ``tableturn run``, and again when it loses its lease, as any service manager does. Logs to a file."""
        self._worker = await self._start_worker()
        self._keeper = asyncio.create_task(self._keep_worker())

    def check_worker(self) -> None:
        """Raise ProgramFailed when the worker has ended though nobody told it to."""
        if self._keeper is not None and self._keeper.done():
            message = f"`tableturn run` ended with code {self._keeper.result()}"
            raise ProgramFailed(message, hint=self.log_tail())

    async def stop_worker(self) -> int:
        """Tell the worker to stop by SIGTERM, unless it has ended by itself; return its exit code."""
        keeper, self._keeper, worker = self._keeper, None, self._worker
        if keeper is None or worker is None:
            return 0
        self._stopping = True
        if worker.returncode is None:
            worker.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                return await asyncio.shield(keeper)
        except TimeoutError:
            worker.kill()
            return await keeper

    async def _keep_worker(self) -> int:
        """Wait for the worker's end; return its exit code."""
        while True:
            if self._worker is None:
                return 0
            code = await self._worker.wait()
            if code != _FENCED or self._stopping or self.restarts == _RESTARTS:
                return code
            self.restarts += 1
            self._worker = await self._start_worker()

    async def _start_worker(self) -> Process:
        with self._log.open("ab") as output:
            return await self._start("run", "--standby", stdout=DEVNULL, stderr=output)

    def log_tail(self) -> str:
        """Return the last lines of the worker's log."""
        if not self._log.exists():
            return "(no log)"
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:])

    async def _start(self, *words: str, stdout: int, stderr: int | IO[bytes]) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "service", *words, stdin=DEVNULL, stdout=stdout, stderr=stderr, env=self._environment
        )
