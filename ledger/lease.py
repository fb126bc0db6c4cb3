"""The leader's lease, and the guard that keeps every write inside it (protocol §6, §3 c).

A contender never compares clocks with the holder: it takes over when it has itself seen the row unchanged for a
whole lease time (as the Kinesis Client Library does with its lease counter).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from domain.clock import Clock
from domain.errors import ConditionFailed, FencedError, RefusedError, TransientError
from domain.guards import Attempt
from ledger.rows import Row, Rows

_PARTITION, _NAME = "leases", "leader"
_RENEWALS = 3
"""Renewals per lease time: two may fail before the lease is lost."""


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """Seconds: how long a lease lasts, the longest one write attempt may take, and the margin kept before its end."""

    lease: float = 10.0
    request: float = 3.0
    margin: float = 0.5

    def __post_init__(self) -> None:
        """Refuse times that cannot work together."""
        if self.lease < self.request + self.margin:
            message = f"a lease of {self.lease} s cannot cover a request of {self.request} s"
            raise RefusedError(message, hint="raise the lease time or lower the request time-out")

    @property
    def settling(self) -> float:
        """How long a write without an answer may still land: twice the lease plus the longest request (§3 c)."""
        return 2 * self.lease + self.request


class LeaseGuard:
    """The one guard of this process's writes: it fences them, and knows which ones may still land."""

    def __init__(self, clock: Clock, times: LeaseTimes) -> None:
        """Start without a lease: nothing may be written."""
        self._clock = clock
        self.times = times
        self.epoch = 0
        self._deadline = float("-inf")
        self._open: dict[int, float] = {}
        self._count = 0
        self._unsettled_until = float("-inf")
        self._ended = asyncio.Event()

    def extend(self, deadline: float) -> None:
        """Allow attempts that end before ``deadline`` (monotonic seconds)."""
        self._deadline = deadline

    def doubt(self) -> None:
        """Note that writes of somebody before us may still land until the settling time is over."""
        self._unsettled_until = self._clock.monotonic() + self.times.settling

    def begin(self) -> Attempt:
        """Open an attempt; see `domain.guards.WriteGuard`."""
        now = self._clock.monotonic()
        allowed = min(self.times.request, self._deadline - self.times.margin - now)
        if allowed <= 0:
            message = f"the lease (epoch {self.epoch}) cannot cover another write"
            raise FencedError(message)
        self._count += 1
        self._open[self._count] = now
        return Attempt(self._count, allowed)

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        """Close it; one without an answer stays in doubt for the settling time."""
        self._open.pop(attempt.number, None)
        if not answered:
            self.doubt()
        self._ended.set()

    def quiet_since(self, moment: float) -> bool:
        """Tell whether no write sent before ``moment`` can still land (protocol §3 c)."""
        now = self._clock.monotonic()
        return now >= self._unsettled_until and all(sent > moment for sent in self._open.values())

    async def quiet(self) -> None:
        """Wait until no write sent before this call can still land."""
        moment = self._clock.monotonic()
        while not self.quiet_since(moment):
            self._ended.clear()
            doubt = max(0.05, self._unsettled_until - self._clock.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(doubt):
                    await self._ended.wait()


class Lease:
    """Leadership of one migration."""

    def __init__(self, rows: Rows, clock: Clock, guard: LeaseGuard, *, owner: str) -> None:
        """``owner`` names this process to others, e.g. ``host:pid:nonce``; it must be unique."""
        self._rows = rows
        self._clock = clock
        self._guard = guard
        self._owner = owner
        self._row: Row | None = None

    async def holder(self) -> Row | None:
        """Return the lease row as it stands (fields owner, epoch, counter, clean)."""
        return await self._rows.get(_PARTITION, _NAME)

    async def acquire(self, *, wait: bool) -> int:
        """Become leader; return the lease epoch.

        A lease that was given back is taken at once, one whose holder shows no life for a lease time is taken over.
        Raises RefusedError when the holder is alive and ``wait`` is false.
        """
        seen: tuple[int, float] = (-1, 0.0)
        while True:
            row = await self.holder()
            now = self._clock.monotonic()
            if row is None or not row.fields["owner"]:
                if await self._take(row):
                    break
                continue
            if row.fields["counter"] != seen[0]:
                if seen[0] >= 0 and not wait:
                    message = f"another worker leads this migration: {row.fields['owner']}"
                    raise RefusedError(message, hint="stop it first, or run with --standby to wait for it")
                seen = (row.fields["counter"], now)
            elif now - seen[1] >= self._guard.times.lease and await self._take(row):
                break
            await asyncio.sleep(self._guard.times.lease / _RENEWALS / 2)
        return self._guard.epoch

    async def keep(self) -> None:
        """Renew for ever. Raises FencedError when the lease is lost or its end cannot be pushed out in time."""
        while True:
            await asyncio.sleep(self._guard.times.lease / _RENEWALS)
            if self._row is None:
                message = "the lease was never acquired"
                raise FencedError(message)
            await self._renew(self._row)

    async def release(self) -> None:
        """Give the lease back; clean only when no write of ours can still land."""
        if self._row is None:
            return
        moment = self._clock.monotonic()
        clean = self._guard.quiet_since(moment)
        self._guard.extend(float("-inf"))
        fields = {**self._row.fields, "owner": "", "clean": clean}
        try:
            await self._rows.put(_PARTITION, _NAME, fields, revision=self._row.revision)
        except (ConditionFailed, TransientError):
            return
        finally:
            self._row = None

    async def _take(self, standing: Row | None) -> bool:
        epoch = standing.fields["epoch"] + 1 if standing else 1
        before = self._clock.monotonic()
        fields = {"owner": self._owner, "epoch": epoch, "counter": 0, "clean": False}
        if standing:
            fields["counter"] = standing.fields["counter"] + 1
        try:
            self._row = await self._rows.put(_PARTITION, _NAME, fields, revision=standing.revision if standing else 0)
        except ConditionFailed:
            return False
        self._guard.epoch = epoch
        self._guard.extend(before + self._guard.times.lease)
        if standing and not (standing.fields["clean"] and not standing.fields["owner"]):
            self._guard.doubt()
        return True

    async def _renew(self, row: Row) -> None:
        before = self._clock.monotonic()
        fields = {**row.fields, "counter": row.fields["counter"] + 1}
        try:
            self._row = await self._rows.put(_PARTITION, _NAME, fields, revision=row.revision)
        except ConditionFailed as refusal:
            self._guard.extend(float("-inf"))
            message = "the lease was taken over by another worker"
            raise FencedError(message) from refusal
        except TransientError:
            return
        self._guard.extend(before + self._guard.times.lease)
