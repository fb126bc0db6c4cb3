"""Other people's time: libfaketime between a process and the machine's clock, where it is installed.

Debian and Ubuntu: ``apt-get install faketime``. Without it a test skips on a developer's machine and fails in CI.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynamo.local import LocalDatabase, fetch, run_local

_PLACES = ("lib/*/faketime", "lib/faketime", "lib64/faketime", "local/lib/faketime")
_NAME = "libfaketimeMT.so.1"
"""The build for programs with threads."""

_HINT = "libfaketime is not installed: apt-get install faketime"


def library() -> Path | None:
    """Return the library, wherever this architecture's packages put it."""
    found = (path for place in _PLACES for path in sorted(Path("/usr").glob(f"{place}/{_NAME}")))
    return next(found, None)


def required() -> Path:
    """Return the library, for a test; see above for where there is none."""
    found = library()
    if found is None and not os.environ.get("CI"):
        pytest.skip(_HINT)
    assert found is not None, _HINT
    return found


@contextmanager
def run_fast(speed: int) -> Iterator[LocalDatabase]:
    """Run a database whose clock goes ``speed`` times as fast: its shards roll every four hours of it.

    Its own time-outs go as fast: past 120 on an idle machine, and past 60 on a busy one, requests fail with its lock
    waits, and as nobody knows what became of them no switch may begin.
    """
    found = library()
    assert found is not None, _HINT
    fetch()  # at the speed of the network
    faster = {
        "LD_PRELOAD": str(found),
        "FAKETIME": f"+0 x{speed}",
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "0",
    }
    with ExitStack() as stack:
        with _environment(faster):  # inherited by what starts meanwhile, and by nothing else
            database = stack.enter_context(run_local())
        yield database


@dataclass(frozen=True, slots=True)
class WallClock:
    """The wall clock of a process, as a file says it; its monotonic clock stays the machine's."""

    library: Path
    file: Path

    def set(self, offset: str) -> None:
        """Let it jump to so far from the machine's time: ``+1d``, ``-1d``, ``+0``."""
        scratch = self.file.with_suffix(".next")
        scratch.write_text(offset, encoding="ascii")
        scratch.rename(self.file)

    @property
    def environment(self) -> dict[str, str]:
        """What a process must be started with to live by this clock."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_CACHE_DURATION": "1",  # s between looks at the file
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@contextmanager
def _environment(more: dict[str, str]) -> Iterator[None]:
    """Add to this process's environment for the length of the block."""
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
