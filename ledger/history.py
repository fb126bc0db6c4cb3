"""What happened, when, by whom and why: rows that are only ever added."""

import secrets
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from domain.clock import SKEW_MS, Clock
from dynamo.ports import Put
from ledger.rows import Rows

_PARTITION = "history"


class History:
    """The audit history of a migration; ``who`` is the process or operator that writes it."""

    def __init__(self, rows: Rows, clock: Clock, *, who: str) -> None:
        """Wrap the rows."""
        self._rows = rows
        self._clock = clock
        self._who = who

    def action(self, event: str, **facts: object) -> Put:
        """Return the put of one event, for a transaction that makes it true."""
        now = self._clock.wall_ms()
        fields = {"event": event, "at_ms": now, "who": self._who, **facts}
        return self._rows.put_action(_PARTITION, f"{now:015}-{secrets.token_hex(4)}", fields, revision=0)

    async def add(self, event: str, **facts: object) -> None:
        """Write one event by itself."""
        await self._rows.transact([self.action(event, **facts)])

    async def all(self) -> list[Mapping[str, object]]:
        """Return every event, oldest first."""
        return [row.fields for row in await self._rows.all(_PARTITION)]

    async def since(self, at_ms: int) -> dict[str, Mapping[str, Any]]:
        """Return what was told from a wall time in ms on, and maybe some of what was before, by row, oldest first."""
        bounds = (f"{max(0, at_ms - SKEW_MS):015}", f"{self._clock.wall_ms() + SKEW_MS:015}")
        common = takewhile(lambda pair: pair[0] == pair[1], zip(*bounds, strict=True))
        return {row.name: row.fields for row in await self._rows.all(_PARTITION, "".join(digit for digit, _ in common))}
