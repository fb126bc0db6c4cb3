"""How fast scans may read: below a ceiling of read units a second, and slower where a table asks for it.

Who has spent too much waits before the next page. Who was throttled reads for half of the time that it did, and takes
it back step by step with every page that was not: additive increase, multiplicative decrease.
"""

import asyncio
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

from domain.clock import Clock

_LEAST_SHARE: Final = 1 / 16
_GAIN: Final = 1 / 16
"""Shares of the time: what is left to a reader that is throttled all the time, and what each good page gives back."""

_LONGEST_REST: Final = 60.0
"""Seconds: a page that was retried for a minute is no reason to stand still for a quarter of an hour."""


@dataclass(slots=True)
class ReadBudget:
    """Shared by all readers. ``per_second`` None: no ceiling."""

    clock: Clock
    per_second: int | None
    _free_at: float = field(default=float("-inf"))
    _share: float = 1.0

    async def spend(self, units: str, *, took: float = 0.0, throttled: bool = False) -> None:
        """Note what a page consumed, and wait until it is paid for.

        ``units`` as DynamoDB's answer says; ``took`` seconds, ``throttled``: the table asked for less on the way.
        """
        self._share = max(_LEAST_SHARE, self._share / 2) if throttled else min(1.0, self._share + _GAIN)
        now = self.clock.monotonic()
        rest = min(_LONGEST_REST, took * (1 / self._share - 1))
        if self.per_second is not None:
            self._free_at = max(self._free_at, now) + float(Fraction(units) / self.per_second)
            rest = max(rest, self._free_at - now)
        if rest > 0:
            await asyncio.sleep(rest)
