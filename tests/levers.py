"""A lever: the smallest thing outside of the ledger that has to know which side serves. Tests jam it and hold it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from domain.errors import TransientError
from domain.phases import Side
from ledger.book import Ledger

Shown = tuple[str, str, bool]
"""What was done with a lever, and the flag at that moment: which side served, whether it could be written."""


@dataclass
class Lever:
    """Stands at a side or elsewhere. ``faults``: errors by method, next first. ``held`` keeps `do` from ending."""

    ledger: Ledger | None = None
    at: str = "somewhere"
    faults: dict[str, list[Exception]] = field(default_factory=dict)
    held: asyncio.Event | None = None
    seen: list[Shown] = field(default_factory=list)

    async def preview(self, to: Side) -> str:
        self._meet("preview")
        return f"from {self.at} to {to}"

    async def standing(self, to: Side) -> dict[str, Any]:
        self._meet("standing")
        return {"at": self.at}

    async def do(self, to: Side, standing: Mapping[str, Any]) -> None:
        await self._show("do")
        self._meet("do")
        if self.held is not None:
            await self.held.wait()
        self.at = to.value

    async def verify(self, to: Side) -> None:
        self._meet("verify")
        if self.at != to.value:
            raise TransientError(f"the lever stands at {self.at}")

    async def undo(self, to: Side, standing: Mapping[str, Any]) -> None:
        await self._show("undo")
        self._meet("undo")
        self.at = str(standing["at"])

    async def _show(self, what: str) -> None:
        if self.ledger is not None:
            flag = (await self.ledger.migration.state()).flag
            self.seen.append((what, flag.serving.value, flag.writable))

    def _meet(self, method: str) -> None:
        if self.faults.get(method):
            raise self.faults[method].pop(0)
