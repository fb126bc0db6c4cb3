"""A bell that saves a poll: within one process an engine may wake another. It carries no facts (layout: rooms)."""

import asyncio


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
        try:
            await asyncio.wait_for(self._rung.wait(), timeout=seconds)
        except TimeoutError:
            return
