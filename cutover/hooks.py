"""Hooks of the operator: a program that is run, an HTTP request that is sent, at their moment in a switch.

A hook learns which side shall serve by its words or its request, and by TABLETURN_SERVING. Nothing of what it answers
is shown but its exit code or status: answers may hold anything.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from cutover.actuators import Standing, Traceless
from domain.errors import RefusedError, TransientError
from domain.phases import Side

_MOST_BYTES: Final = 64 * 1024
"""Of an answer that are read at all."""

_CLIENT_ERROR, _SERVER_ERROR = 400, 500


async def run_command(
    words: Sequence[str], *, said: bytes = b"", seconds: float, environment: Mapping[str, str] | None = None
) -> None:
    """Run a program, no shell, with ``said`` as its input; what it says goes nowhere.

    Raises RefusedError when there is no such program, it fails, or takes longer than ``seconds``: it is killed then,
    with everything that it started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise RefusedError(f"{words[0]} cannot be run: {error}", hint="name a program that can") from error
    try:
        async with asyncio.timeout(seconds):
            await process.communicate(said)
    except TimeoutError as error:
        message = f"{words[0]} did not end within {seconds:.0f} s and was killed"
        raise RefusedError(message, hint="see what it waits for, or give it more seconds") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if process.returncode != 0:
        message = f"{words[0]} ended with code {process.returncode}"
        raise RefusedError(message, hint="run it by hand to see why")


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request; ``statuses`` that count as well done, none: any below 400; ``holds``: what its text must hold.

    The latter is looked for in its first 64 KiB: GraphQL answers errors with status 200. ``shown`` stands for the
    address in messages where its path is a secret too.
    """

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    statuses: tuple[int, ...] = ()
    holds: bytes = b""
    shown: str = ""

    @property
    def place(self) -> str:
        """Return the address as it may be shown: user, path and query may be secrets, as those of webhooks are."""
        if self.shown:
            return self.shown
        parts = urlsplit(self.url)
        hidden = "/…" if parts.path.strip("/") or parts.query else ""
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{hidden}"


async def ask_http(request: Request, *, seconds: float) -> None:
    """Send a request; follow no redirect.

    Raises RefusedError for an answer that is not as wanted, TransientError when nobody answers or the server fails.
    """
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.request(
                request.method, request.url, data=request.body, headers=request.headers, allow_redirects=False
            ) as answer,
        ):
            status, body = answer.status, await _read(answer.content, request.holds)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        message = f"{request.method} {request.place}: {type(error).__name__}"
        raise TransientError(message, hint="see whether it can be reached from here") from None
    if not (status in request.statuses if request.statuses else status < _CLIENT_ERROR):
        kind = TransientError if status >= _SERVER_ERROR else RefusedError
        raise kind(f"{request.method} {request.place} was answered with {status}", hint="see the other side's log")
    if request.holds not in body:
        message = f"{request.method} {request.place}: the answer does not hold what it should"
        raise RefusedError(message, hint="send the request by hand and look at the answer")


async def _read(content: aiohttp.StreamReader, wanted: bytes) -> bytes:
    """Read until what is wanted has come, in as many parts as it likes."""
    body, part = b"", b"something"
    while part and wanted not in body and len(body) < _MOST_BYTES:
        part = await content.read(_MOST_BYTES - len(body))
        body += part
    return body


class CommandHook(Traceless):
    """A program of the operator's, run with the words of the side that shall serve; without words nothing is run."""

    def __init__(self, words: Mapping[Side, Sequence[str]], *, undo: Sequence[str] = (), seconds: float = 30.0) -> None:
        """``undo`` is run when the switch is taken back, with TABLETURN_SERVING as it was before."""
        self._words = {side: tuple(words.get(side, ())) for side in Side}
        self._undo = tuple(undo)
        self._seconds = seconds

    async def preview(self, to: Side) -> str:
        """Name the program. Raises RefusedError when there is none that could be run."""
        for words in (self._words[to], self._undo):
            if words and shutil.which(words[0]) is None:
                raise RefusedError(f"{words[0]} is no program that can be run here", hint="install it, or name another")
        return f"run {self._words[to][0]}" if self._words[to] else "nothing to run"

    async def do(self, to: Side, _standing: Standing, /) -> None:
        """Run it; raises as `run_command` does."""
        await self._run(self._words[to], to)

    async def undo(self, to: Side, _standing: Standing, /) -> None:
        """Run ``undo``, if there is one."""
        await self._run(self._undo, to.other)

    async def _run(self, words: Sequence[str], serving: Side) -> None:
        if words:
            await run_command(words, seconds=self._seconds, environment={"TABLETURN_SERVING": serving.value})


class HttpHook(Traceless):
    """A request, sent as the side that shall serve has it; without one nothing is sent."""

    def __init__(self, requests: Mapping[Side, Request], *, undo: Request | None = None, seconds: float = 10.0) -> None:
        """``undo`` is sent when the switch is taken back."""
        self._requests = dict(requests)
        self._undo = undo
        self._seconds = seconds

    async def preview(self, to: Side) -> str:
        """Name the address. Raises RefusedError when its host has none."""
        request = self._requests.get(to)
        if request is None:
            return "nothing to send"
        parts = urlsplit(request.url)
        try:
            await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or parts.scheme)
        except (OSError, UnicodeError) as error:
            raise RefusedError(f"{request.place}: its host is not known here", hint="check the address") from error
        return f"{request.method} {request.place}"

    async def do(self, to: Side, _standing: Standing, /) -> None:
        """Send it; raises as `ask_http` does."""
        await self._send(self._requests.get(to))

    async def undo(self, _to: Side, _standing: Standing, /) -> None:
        """Send ``undo``, if there is one."""
        await self._send(self._undo)

    async def _send(self, request: Request | None) -> None:
        if request is not None:
            await ask_http(request, seconds=self._seconds)
