"""A ceiling on read units a second: who has spent too much waits before the next page."""

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction

from domain.clock import Clock


@dataclass(slots=True)
class ReadBudget:
    """Shared by all readers. ``per_second`` None: no ceiling."""

    clock: Clock
    per_second: int | None
    _free_at: float = field(default=float("-inf"))

    async def spend(self, units: str) -> None:
        """Note what a page consumed, and wait until it is paid for. ``units`` as DynamoDB's answer says."""
        if self.per_second is None:
            return
        now = self.clock.monotonic()
        self._free_at = max(self._free_at, now) + float(Fraction(units) / self.per_second)
        await asyncio.sleep(self._free_at - now)
