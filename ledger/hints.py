"""A bell that saves a poll: within one process an engine may wake another. It carries no facts (layout: rooms)."""

import asyncio
from contextlib import suppress


class Bell:
    """Rung by whoever wrote something to the ledger that others may be waiting for."""

    def __init__(self) -> None:
        """Start silent."""
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who waits now."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Return when the bell rings, or after ``seconds``; the caller reads the ledger either way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._rung.wait()
