"""The reader of tableturn's flag, for applications in Python: which side serves, and when it may be written.

One file, to be copied; it needs nothing but boto3. See docs/operating/flag.md.

    flag = Flag(boto3.client("dynamodb"), "acme-entities-tableturn")  # once a process, shared by its threads
    permission = flag.permission()                                    # right before each write; waits while blocked
    if permission.side == "target": ...

What holds, and why no write that began under an open flag lands behind the fence: a view that was read at R is believed
until R + staleness, and a write that asks before it begins has ended `longest_request` later. The worker writes the
fence and waits for the sum of both. So: ask right before each write, let none take longer than `permission.seconds`,
and never send one again without asking again (`write_options` turns the client's own retries off).
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from botocore.exceptions import BotoCoreError, ClientError

_KEY: Final = {"PK": {"S": "migration"}, "SK": {"S": "flag"}}
_SIDES: Final = ("source", "target")


class FlagError(Exception):
    """Root of what this reader raises; nothing was written by it."""


class Blocked(FlagError):
    """Writes were blocked for longer than `max_wait`: answer "try again", as with any overload."""


class Unreachable(FlagError):
    """The flag could not be read for longer than `max_wait`, or, for reads, than `reads_on`."""


class Misread(FlagError):
    """What stands there is no flag: another table, or none that `tableturn init` has made."""


class Client(Protocol):
    """What is needed of a boto3 client."""

    def get_item(self, **parameters: Any) -> Mapping[str, Any]:  # noqa: ANN401 - boto3 has no types
        """Read one item."""


@dataclass(frozen=True)
class Times:
    """Seconds. The first two must be what the worker is told.

    That is TABLETURN_FLAG_STALENESS_SECONDS and TABLETURN_LONGEST_REQUEST_SECONDS. ``poll``: between looks while
    blocked; ``max_wait``: how long a write waits; ``reads_on``: how long reads believe the last view while the flag
    cannot be read.
    """

    staleness: float = 1.0
    longest_request: float = 2.0
    poll: float = 0.1
    max_wait: float = 60.0
    reads_on: float = 300.0


@dataclass(frozen=True)
class Permission:
    """Leave to write one side, for a write that begins now and takes ``seconds`` at most.

    ``epoch`` grows with each change of the flag: what was read under another one may be stale, read it again.
    """

    side: str
    epoch: int
    seconds: float


@dataclass(frozen=True)
class View:
    """The flag as it was read, by both clocks: that of a frozen sandbox stands still, and the wall clock may be set."""

    side: str
    writable: bool
    epoch: int
    monotonic: float
    wall: float


class Clocks:
    """Both clocks, and waiting; tests have their own."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def wait(self, seconds: float) -> None:
        """Wait."""
        threading.Event().wait(seconds)


class Flag:
    """Reads the flag for one process; its threads share the view."""

    def __init__(self, client: Client, table: str, times: Times | None = None, clocks: Clocks | None = None) -> None:
        """``table`` is the ledger's name; nothing is read before somebody asks."""
        self._client = client
        self._table = table
        self._times = times or Times()
        self._clocks = clocks or Clocks()
        self._reading = threading.Lock()
        self._view: View | None = None

    def permission(self, side: str | None = None) -> Permission:
        """Wait until a side may be written, or ``side`` if it is given, and return the permission.

        Raises Blocked or Unreachable after the longest wait, Misread at once.
        """
        until = self._clocks.monotonic() + self._times.max_wait
        while True:
            try:
                view, last = self._fresh(), None
            except Unreachable as error:
                view, last = None, error
            if view is not None and view.writable and side in {None, view.side}:
                return Permission(view.side, view.epoch, self._times.longest_request)
            if self._clocks.monotonic() >= until:
                raise last or Blocked(f"writes were blocked for {self._times.max_wait:g} s")
            self._clocks.wait(self._times.poll)

    def serving(self) -> str:
        """Return the side to read from. Raises Unreachable when nothing is known any more, Misread at once."""
        try:
            return self._fresh().side
        except Unreachable:
            if self._view is not None and self._age(self._view) <= self._times.reads_on:
                return self._view.side
            raise

    def health(self) -> dict[str, Any]:
        """Return what an application's /health says of the flag; raises nothing."""
        try:
            view = self._fresh()
        except FlagError as error:
            return {"status": "degraded", "message": f"the flag cannot be read: {type(error).__name__}"}
        if not view.writable:
            return {"status": "maintenance", "message": "System under maintenance", "serving": view.side}
        return {"status": "healthy", "serving": view.side, "epoch": view.epoch}

    def write_options(self) -> dict[str, Any]:
        """Return what the client that writes needs: ``Config(**flag.write_options())`` of botocore."""
        half = self._times.longest_request / 2
        return {"connect_timeout": half, "read_timeout": half, "retries": {"total_max_attempts": 1}}

    def _fresh(self) -> View:
        """Return a view that may be believed now: a blocked one is read anew every ``poll``.

        One thread reads, the others wait for it, and never longer than a reading is good for: else each of them would
        wait in turn for a network that does not answer.
        """
        slow = f"reading the flag in table {self._table} takes longer than {self._times.staleness:g} s"
        if not self._reading.acquire(timeout=self._times.staleness):
            raise Unreachable(slow)
        try:
            view = self._view
            if view is not None:
                limit = self._times.staleness if view.writable else min(self._times.poll, self._times.staleness)
                if self._age(view) < limit:
                    return view
            self._view = view = self._read()
        finally:
            self._reading.release()
        if self._age(view) > self._times.staleness:  # it may be old by now: nothing may rest on it
            raise Unreachable(slow)
        return view

    def _age(self, view: View) -> float:
        """Return the larger of both ages; a clock that went back proves nothing."""
        ages = (self._clocks.monotonic() - view.monotonic, self._clocks.wall() - view.wall)
        return float("inf") if min(ages) < 0 else max(ages)

    def _read(self) -> View:
        monotonic, wall = self._clocks.monotonic(), self._clocks.wall()  # before: it shows the flag as of now or later
        try:
            answer = self._client.get_item(TableName=self._table, Key=_KEY, ConsistentRead=True)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"ResourceNotFoundException", "ValidationException"}:
                raise Misread(f"there is no flag in table {self._table}") from error
            raise Unreachable(f"the flag in table {self._table} cannot be read") from error
        except (BotoCoreError, OSError) as error:
            raise Unreachable(f"the flag in table {self._table} cannot be read") from error
        item = answer.get("Item") or {}
        try:
            side, writable, epoch = item["serving"]["S"], item["writable"]["BOOL"], int(item["epoch"]["N"])
        except (KeyError, TypeError, ValueError):
            side, writable, epoch = "", False, 0
        if side not in _SIDES or not isinstance(writable, bool):
            raise Misread(f"there is no flag in table {self._table}: see whether `tableturn init` has made it")
        return View(side, writable, epoch, monotonic, wall)
