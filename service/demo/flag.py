"""The application's reader of the switch: which side serves, and whether it may be written (operations: "the flag").

What holds, and why no write that began under an open flag can land behind the fence (protocol §8.1):

    R                 a read of the flag begins; it shows the flag as it stood at R or later
    R + staleness     until here that view is believed; then the flag is read again
    deadline          = R + staleness + longest request: by then every write that took this permission has ended, by
                      answer or by its own time-out, and none of them is sent again

The worker writes the fence at F and waits until F + staleness + longest request. A view that does not show the fence
was read at R < F, so its deadline lies before the end of that wait. Whatever asks must therefore take the permission
right before each write, end the write by the deadline (`Permission.time_out`), and never retry one on its own.

What was *read* under another flag epoch may be stale, for the other side served in between: `Permission.epoch` tells.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from domain.errors import TransientError
from domain.items import Item
from domain.phases import Side
from dynamo.ports import Database

_KEY: Item = {"PK": {"S": "migration"}, "SK": {"S": "flag"}}


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


@dataclass(frozen=True, slots=True)
class FlagTimes:
    """Seconds: how old a view may be, how long one write may take, between looks while blocked, and to wait at most."""

    staleness: float = 0.25
    longest_request: float = 0.4
    poll: float = 0.05
    max_wait: float = 60.0


@dataclass(frozen=True, slots=True)
class Permission:
    """Leave to write one side: under which flag epoch, and until when (event loop's time) a write may take."""

    side: Side
    epoch: int
    deadline: float
    longest_request: float

    def time_out(self, now: float) -> float:
        """Return the moment at which a write that starts now must be given up."""
        return min(self.deadline, now + self.longest_request)


class FlagReader:
    """Reads the flag for one application process; all its tasks share the view."""

    def __init__(
        self, database: Database, ledger: str, *, times: FlagTimes | None = None, now: Callable[[], float] = _loop_time
    ) -> None:
        """``ledger`` names the ledger table; nothing is read before somebody asks."""
        self._database = database
        self._ledger = ledger
        self._times = times or FlagTimes()
        self._now = now
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._view: Item | None = None

    async def look(self, side: Side) -> Permission | None:
        """Return the permission to write a side now, None while there is none; reads the flag when the view is old."""
        async with self._reading:
            is_open = self._permission(side) is not None
            if self._now() - self._read_at >= (self._times.staleness if is_open else self._times.poll):
                began = self._now()
                self._view = await self._read()
                self._read_at = began
        return self._permission(side)

    async def permission(self, side: Side) -> Permission:
        """Wait until a side may be written. Raises TransientError after the longest wait."""
        until = self._now() + self._times.max_wait
        while (permission := await self.look(side)) is None:
            if self._now() >= until:
                message = f"the {side} side could not be written for {self._times.max_wait:.0f} s"
                raise TransientError(message, hint="see `tableturn status`")
            await asyncio.sleep(self._times.poll)
        return permission

    async def _read(self) -> Item | None:
        """Read the flag; None before `tableturn init` has made the ledger. Once seen, it must be there."""
        if self._view is None and await self._database.describe_table(self._ledger) is None:
            return None
        return await self._database.get_item(self._ledger, _KEY) or self._view

    def _permission(self, side: Side) -> Permission | None:
        """Judge the view. Without a flag nothing has begun: the legacy side serves."""
        serving, writable, epoch = _shown(self._view)
        if serving is not side or not writable:
            return None
        longest = self._times.longest_request
        return Permission(side, epoch, self._read_at + self._times.staleness + longest, longest)


def _shown(view: Item | None) -> tuple[Side, bool, int]:
    if view is None:
        return Side.SOURCE, True, 0
    return Side(view["serving"]["S"]), bool(view["writable"]["BOOL"]), int(view["epoch"]["N"])
