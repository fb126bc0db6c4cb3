"""A ceiling on read units a second: who has spent too much waits before the next page."""

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction

from domain.clock import Clock


@dataclass(slots=True)
class ReadBudget:
    """Shared by all readers. ``per_second`` None: no ceiling. ``spent`` is the sum of all."""

    clock: Clock
    per_second: int | None
    spent: Fraction = Fraction(0)
    _free_at: float = field(default=float("-inf"))

    async def spend(self, units: str) -> None:
        """Note what a page consumed, and wait until it is paid for. ``units`` as DynamoDB's answer says."""
        used = Fraction(units)
        self.spent += used
        if self.per_second is None:
            return
        now = self.clock.monotonic()
        self._free_at = max(self._free_at, now) + float(used / self.per_second)
        await asyncio.sleep(self._free_at - now)
