"""What engines of one process tell each other on the side; nothing of it lasts, nothing rests on it (layout: rooms)."""

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import suppress


class Bell:
    """Saves a poll: rung by whoever wrote something to the ledger that others may be waiting for.

    ``presses``: writes are blocked, so nobody saves work at the price of those who wait for it.
    """

    def __init__(self) -> None:
        """Start silent."""
        self._rung = asyncio.Event()
        self._marked: dict[str, asyncio.Event] = {}
        self.presses = False

    def ring(self) -> None:
        """Wake everybody who waits now."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        """Return when the bell rings, or after ``seconds``: which of it. The caller reads the ledger either way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self._rung.wait()
        return False

    def mark(self, stream: str) -> None:
        """Wake those who wait at the tip of one stream: a mark was put, which a switch waits for them to meet."""
        self._marked.setdefault(stream, asyncio.Event()).set()

    async def wait_at_tip(self, stream: str, seconds: float) -> None:
        """Return when a mark was put into the stream, or after ``seconds``; the caller reads it either way."""
        marked = self._marked.setdefault(stream, asyncio.Event())  # it stays set for a reader who was about to wait
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await marked.wait()
        marked.clear()


class Touched:
    """Source ids of changes that this process went through, until somebody looks at them again (protocol §7).

    A hint as well: it is lost with the process and gives up above ``most`` ids. Either is a break, behind which only a
    full comparison knows everything (docs/adr/0011).
    """

    def __init__(self, most: int = 100_000) -> None:
        """Start with none."""
        self._most = most
        self._ids: set[str] = set()
        self._life = secrets.token_hex(4)
        self._breaks = 0

    @property
    def unbroken(self) -> str:
        """Return a word that changes with every break, a new process included."""
        return f"{self._life}/{self._breaks}"

    def note(self, source_ids: Iterable[str]) -> None:
        """Note ids whose changes are done with, before the checkpoint says so."""
        self._ids.update(source_ids)
        if len(self._ids) > self._most:
            self._ids.clear()
            self._breaks += 1

    def take(self) -> set[str]:
        """Return those noted since the last call."""
        taken, self._ids = self._ids, set()
        return taken
