"""Both halves of a request of the twin: a client with retries and a guard, a server that knows no client.

What holds: the server half runs as a task of its own, so a client that gave up, was cancelled or lost its lease cannot
take back what it sent; between request and effect, and between effect and answer, other tasks run. Next:
`dynamo.weather` for what may go wrong in between, `dynamo.memory` for the whole.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from domain.guards import UNGUARDED, WriteGuard
from dynamo.failures import NotFound
from dynamo.memory_log import StreamLog, Ticker
from dynamo.memory_store import StoredTable
from dynamo.retries import Retrier, Subject
from dynamo.weather import Weather
from dynamo.witness import NO_WITNESS, Effect, Witness

Answer = TypeVar("Answer")


@dataclass(slots=True)
class MemoryServer:
    """State of the database and the way to it. ``streams`` keeps those of deleted tables, too."""

    ticker: Ticker
    weather: Weather
    retrier: Retrier
    shards: int
    witness: Witness = NO_WITNESS
    tables: dict[str, StoredTable] = field(default_factory=dict)
    streams: dict[str, StreamLog] = field(default_factory=dict)
    _in_flight: set["asyncio.Task[object]"] = field(default_factory=set)

    async def ask(self, subject: Subject, work: Callable[[], Answer], *, guard: WriteGuard = UNGUARDED) -> Answer:
        """Do the work, which must be atomic (synchronous), as a request: retried, guarded, weathered."""
        return await self.retrier.run(lambda: self.serve(subject, work), subject, guard=guard)

    async def serve(self, subject: Subject, work: Callable[[], Answer]) -> Answer:
        """Do the work as one attempt; it goes on when nobody waits for it any more."""
        task = asyncio.get_running_loop().create_task(self._serve(subject, work))
        self._in_flight.add(task)
        task.add_done_callback(self._landed)
        return await asyncio.shield(task)

    def saw(self, effect: Effect) -> None:
        """Show an effect to whoever looks."""
        self.witness.saw(effect)

    async def settle(self) -> None:
        """Wait until every request in flight has landed, those that nobody waits for included."""
        while self._in_flight:
            await asyncio.wait(self._in_flight)

    def table(self, name: str) -> StoredTable:
        """Return a table. Raises FatalError when there is none."""
        found = self.tables.get(name)
        if found is None:
            raise NotFound(f"no table {name}", hint="create it, or check its name")
        return found

    async def _serve(self, subject: Subject, work: Callable[[], Answer]) -> Answer:
        await asyncio.sleep(0)
        await self.weather.before(subject.operation, subject.table)
        answer = work()
        await self.weather.after(subject.operation, subject.table)
        await asyncio.sleep(0)
        return answer

    def _landed(self, task: "asyncio.Task[object]") -> None:
        self._in_flight.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, so that the loop does not complain when nobody waits for it any more
