"""The installed program from outside: its processes, what they say, and their end.

Nothing of the product is imported here. Every process is ended by its own id, and everything that any of them said is
kept in `Program.said`, so that a test can search it for what must never be printed.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

BINARY = Path(sys.executable).with_name("tableturn")

QUICK = {
    "TABLETURN_LEASE_SECONDS": "3",
    "TABLETURN_REQUEST_SECONDS": "1",
    "TABLETURN_PORT": "0",
    "TABLETURN_BAKE_SECONDS": "0",
    "TABLETURN_RECONCILE_INTERVAL_SECONDS": "2",
    "TABLETURN_FLAG_STALENESS_SECONDS": "0.1",
    "TABLETURN_LONGEST_REQUEST_SECONDS": "0.2",
}
"""Weeks made seconds."""

LONGEST_COMMAND = 45.0
"""Seconds after which a command that should have ended is a failure; with a busy machine in mind."""

Found = TypeVar("Found")


def eventually(what: str, look: Callable[[], Found | None], *, seconds: float = 30.0, pause: float = 0.05) -> Found:
    """Look again and again until something true is found; fail, saying what was awaited, when the time is over."""
    began, waiting = time.monotonic(), threading.Event()
    while not (found := look()):
        assert time.monotonic() - began < seconds, f"waited {seconds:.0f} s in vain until {what}"
        waiting.wait(pause)
    return found


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def document(self) -> Any:
        assert self.out, self.said
        return json.loads(self.out)


class Worker:
    """A `tableturn run` of our own; its log goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log
        self.began = time.monotonic()

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def events(self) -> list[dict[str, Any]]:
        """Return what was logged, line by line; a line still being written is left out."""
        return [json.loads(line) for line in self.said.splitlines() if line.startswith("{") and line.endswith("}")]

    def event(self, name: str) -> dict[str, Any] | None:
        assert self.process.poll() is None or self.said, "the worker ended without a word"
        return next((event for event in self.events() if event["event"] == name), None)

    def logged(self, name: str, *, seconds: float = 30.0) -> dict[str, Any]:
        """Wait until an event is logged; a worker that ended will not log it any more."""

        def look() -> dict[str, Any] | None:
            ended = self.process.poll() is not None
            found = self.event(name)
            assert found or not ended, f"the worker ended before {name}:\n{self.said}"
            return found

        return eventually(f"the worker logs {name}", look, seconds=seconds)

    def leading(self) -> "Worker":
        self.logged("leading")
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Ask over HTTP; return status and body."""
        port = self.logged("listening")["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def end(self, number: signal.Signals, *, seconds: float = 20.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def kill(self) -> None:
        assert self.end(signal.SIGKILL) == -signal.SIGKILL

    def terminate(self) -> int:
        return self.end(signal.SIGTERM)


@dataclass
class Program:
    """`tableturn` with the environment of one migration, in an empty folder."""

    folder: Path
    environment: dict[str, str]
    workers: list[Worker] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    longest: float = LONGEST_COMMAND

    def run(self, *words: str, **settings: str | None) -> Done:
        """Run a command to its end."""
        began = time.monotonic()
        ended = subprocess.run(
            [BINARY, *words],
            env=self._with(settings),
            cwd=self.folder,
            capture_output=True,
            check=False,
            text=True,
            timeout=self.longest,
        )
        done = Done(ended.returncode, ended.stdout, ended.stderr, time.monotonic() - began)
        self.done.append(done)
        return done

    def good(self, *words: str, **settings: str | None) -> Done:
        """Run a command that must end well."""
        done = self.run(*words, **settings)
        assert done.code == 0, f"tableturn {' '.join(words)}: exit code {done.code}\n{done.said}"
        return done

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Begin a command whose end is awaited elsewhere (`ended`)."""
        return subprocess.Popen(
            [BINARY, *words],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ended(self, process: subprocess.Popen[str]) -> Done:
        """Wait for the end of a command that was begun."""
        out, err = process.communicate(timeout=self.longest)
        self.done.append(Done(process.returncode, out, err, 0.0))
        return self.done[-1]

    def work(self, *words: str, output: Path | None = None, **settings: str | None) -> Worker:
        """Start a worker; what it says goes to its log, or to ``output``, which nobody reads."""
        log = self.folder / f"worker-{len(self.workers)}.log"
        log.touch()
        with (output or log).open("wb") as said:
            process = subprocess.Popen(
                [BINARY, "run", *words],
                env=self._with(settings),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(Worker(process, log))
        return self.workers[-1]

    def kill_last(self) -> None:
        """Kill the worker that was started last, from whatever thread, without waiting for its end."""
        self.workers[-1].process.kill()

    def said(self) -> Iterator[str]:
        """Yield all that any process of this migration said."""
        yield from (done.said for done in self.done)
        yield from (worker.said for worker in self.workers)
        yield from self.pages

    def close(self) -> None:
        """End what still runs."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()

    def _with(self, settings: Mapping[str, str | None]) -> dict[str, str]:
        """Return the environment with some settings other or, None, without them."""
        merged = {**self.environment, **settings}
        return {name: value for name, value in merged.items() if value is not None}


def environment_of(endpoint_url: str, prefix: str) -> dict[str, str]:
    """Return all that the program is told: nothing of this process's settings, terminal or credentials."""
    home = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    signing = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    told = {"TABLETURN_ENDPOINT_URL": endpoint_url, "SECRETS_PREFIX": prefix}
    return {**home, **signing, **QUICK, **told}
