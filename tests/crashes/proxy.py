"""A proxy between worker and database that does what networks do: seeded, and switched on and off while it runs.

It speaks HTTP, so that a fault can strike before the database hears of a request or after it has carried it out. The
applications of a test write past it. Faults are dealt like cards: each kind once before any kind comes again.
"""

import asyncio
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from types import TracebackType
from typing import Self

from tests.crashes.ambush import BEFORE, Ambush
from tests.crashes.iterators import Corrected
from tests.crashes.wire import Database, Heard, Message, answer, read_message, reset

JSON = "application/x-amz-json-1.0"

LONGEST_SILENCE = 8.0
"""Seconds until a connection that never answers is closed at last."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How it blows: share of requests that meet a fault, seconds of a gust, and from gust to gust.

    Between gusts there is time to settle: no switch may begin while a write without an answer can still land.
    """

    share: float = 0.1
    gust: float = 3.0
    every: float = 20.0

    @classmethod
    def for_lease(cls, seconds: float) -> Self:
        """Return weather that leaves time to settle, which takes twice the lease, and a while after it."""
        return cls(every=3 + 6 * seconds)


@dataclass(slots=True)
class FaultProxy:
    """Runs in a thread of its own, from `__enter__` to `__exit__`.

    ``blows``: faults strike. ``refuses``: an error code with which every request is refused, such as expired
    credentials. ``ambush`` looks at every request. ``met`` counts each fault that struck, ``passed`` all requests;
    ``heard`` is the last of what reached the database.
    """

    upstream: str
    seed: int
    weather: Weather = field(default_factory=Weather)
    blows: bool = False
    refuses: str = ""
    ambush: Ambush | None = None
    met: Counter[str] = field(default_factory=Counter)
    passed: int = 0
    heard: deque[Heard] = field(default_factory=lambda: deque(maxlen=50_000))
    port: int = 0
    _deck: list[str] = field(default_factory=list)
    _openings: dict[str, Message] = field(default_factory=dict)
    _random: Random = field(default_factory=Random)
    _ready: threading.Event = field(default_factory=threading.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _over: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def never_met(self) -> list[str]:
        """Kinds of fault that did not strike yet."""
        return sorted(FAULTS.keys() - self.met.keys())

    def __enter__(self) -> Self:
        assert self.upstream.startswith("http://"), "it speaks plain HTTP only: to an emulator, not to AWS"
        self._random = Random(self.seed)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="fault proxy", daemon=True)
        self._thread.start()
        assert self._ready.wait(20), "the proxy did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._over is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(20)

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._over.wait()
        server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)
        database = Corrected(Database(self.upstream, self.heard), self._openings)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while (request := await read_message(reader)) and await self._pass(request, database, reader, writer):
                    pass
        except asyncio.CancelledError:  # the test is over; asyncio.streams would log it as an error
            reset(writer)
        finally:
            database.close()
            writer.close()

    async def _pass(
        self, request: Message, database: Corrected, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; tell whether the connection can carry another."""
        self.passed += 1
        if self.refuses:
            self.met[self.refuses] += 1
            writer.write(refusal(self.refuses, "The security token included in the request is expired"))
            await writer.drain()
            return True
        exchange = Exchange(request, database, reader, writer, self._random)
        if self.ambush is not None and (moment := self.ambush.hears(request)):
            return await exchange.ambushed(self.ambush, before=moment == BEFORE)
        fault = self._dealt()
        if not fault:
            return await exchange.plainly()
        self.met[fault] += 1
        return await FAULTS[fault](exchange)

    def _dealt(self) -> str:
        blows = self.blows and time.monotonic() % self.weather.every < self.weather.gust
        if not blows or self._random.random() > self.weather.share:
            return ""
        if not self._deck:
            self._deck = sorted(FAULTS)
            self._random.shuffle(self._deck)
        return self._deck.pop()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way to the database, and its answer on the way back. Each fault is one way of it."""

    request: Message
    database: Corrected
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    random: Random

    async def plainly(self) -> bool:
        """Hand both on."""
        self.writer.write(await self.database.ask(self.request))
        await self.writer.drain()
        return True

    async def ambushed(self, ambush: Ambush, *, before: bool) -> bool:
        """The worker is gone before its request is handed on, or before the answer is."""
        if not before:
            await self.database.ask(self.request)
        ambush.strike()
        reset(self.writer)
        return False

    async def late(self) -> bool:
        await asyncio.sleep(self.random.uniform(0.02, 0.6))
        return await self.plainly()

    async def throttled(self) -> bool:
        text = "The level of configured provisioned throughput for the table was exceeded"
        self.writer.write(refusal("ProvisionedThroughputExceededException", text))
        await self.writer.drain()
        return True

    async def reset_before(self) -> bool:
        reset(self.writer)
        return False

    async def reset_after(self) -> bool:
        await self.database.ask(self.request)
        reset(self.writer)
        return False

    async def broken_after(self) -> bool:
        await self.database.ask(self.request)
        self.writer.write(refusal("InternalServerError", "The request processing has failed", status=500))
        await self.writer.drain()
        return True

    async def cut_in_the_middle(self) -> bool:
        whole = await self.database.ask(self.request)
        self.writer.write(whole[: self.random.randrange(1, len(whole))])
        await self.writer.drain()
        return False

    async def silent(self) -> bool:
        await self.database.ask(self.request)
        await self._until_they_close()
        reset(self.writer)
        return False

    async def half_closed_without_answer(self) -> bool:
        """The database has done it, says nothing and will say nothing more, but goes on listening."""
        await self.database.ask(self.request)
        self.writer.write_eof()
        await self._until_they_close()
        return False

    async def half_closed_behind_answer(self) -> bool:
        """A kept connection that its far end has closed unseen: the next request on it is never heard."""
        await self.plainly()
        self.writer.write_eof()
        await self._until_they_close()
        return False

    async def half_closed_by_client(self) -> bool:
        """The database sees the request and then no more from us, while it still has to answer."""
        told = await self.database.ask_and_half_close(self.request)
        if not told:  # it took that for a goodbye
            reset(self.writer)
            return False
        self.writer.write(told)
        await self.writer.drain()
        return True

    async def _until_they_close(self) -> None:
        """Listen without hearing, until the worker gives up or patience ends."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SILENCE):
                while await self.reader.read(65_536):
                    pass


FAULTS: dict[str, Callable[[Exchange], Awaitable[bool]]] = {
    "latency": Exchange.late,
    "throttled": Exchange.throttled,
    "reset before the write": Exchange.reset_before,
    "reset after the write": Exchange.reset_after,
    "500 after the write": Exchange.broken_after,
    "answer cut in the middle": Exchange.cut_in_the_middle,
    "no answer": Exchange.silent,
    "half-closed without an answer": Exchange.half_closed_without_answer,
    "half-closed behind an answer": Exchange.half_closed_behind_answer,
    "half-closed by the client": Exchange.half_closed_by_client,
}


def refusal(code: str, text: str, *, status: int = 400) -> bytes:
    """Return an answer that refuses, as DynamoDB spells it."""
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": text}).encode()
    return answer(status, {"Content-Type": JSON}, body)
