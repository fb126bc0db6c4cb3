"""Slows the copy down when the streams need the time: retention is a budget (protocol §5).

Records are kept for 24 hours. While the oldest unapplied change is younger than half of that the copy runs freely; from
there on it takes less and less of the time, and none at all when a quarter is left, until the streams have caught up.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from domain.clock import Clock
from ledger.book import Ledger

RETENTION = 24 * 3600.0
"""Seconds that DynamoDB Streams keep a record (AWS: "Change data capture for DynamoDB Streams")."""

_FREE, _NONE = 0.5, 0.25
"""Shares of the retention left: above the first the copy runs freely, below the second it stands."""

_LOOK = 5.0
"""Seconds between looks at the headroom."""


def duty(headroom: float, retention: float) -> float:
    """Return the share of time that the copy may take, from 0 to 1, with ``headroom`` seconds of ``retention`` left."""
    return min(1.0, max(0.0, (headroom / retention - _NONE) / (_FREE - _NONE)))


@dataclass(slots=True)
class Pacer:
    """Knows how much of the time the copy may take just now."""

    ledger: Ledger
    clock: Clock
    retention: float
    _duty: float = 1.0
    _looked: float = float("-inf")

    async def breathe(self, worked: float, stopping: asyncio.Event) -> None:
        """Pause after ``worked`` seconds of copying so that they are no more than the share allowed."""
        began = self.clock.monotonic()
        while not stopping.is_set():
            left = began + await self._rest(worked) - self.clock.monotonic()
            if left <= 0:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK)):
                    await stopping.wait()

    async def _rest(self, worked: float) -> float:
        share = await self._share()
        return worked * (1 / share - 1) if share else float("inf")

    async def _share(self) -> float:
        """Look at every stream that has not lost records already; one that nobody has looked at yet says nothing."""
        now = self.clock.monotonic()
        if now - self._looked >= _LOOK:
            self._looked = now
            streams = [stream for stream in await self.ledger.streams.all() if not stream.gap]
            through = [await self.ledger.streams.through_ms(stream) for stream in streams]
            oldest = min((each for each in through if each), default=self.clock.wall_ms())
            self._duty = duty(self.retention - (self.clock.wall_ms() - oldest) / 1000, self.retention)
        return self._duty
