"""The weather of a simulation: every fault that DynamoDB, the network and slow machines have, drawn by the seed.

It comes in gusts with calm between them: a storm that never ends would let no switch begin. What a worker has sent may
land long after it gave up, but within the settling time that protocol §3 (c) grants; what an application has sent lands
within its longest request, as it declares (`Actor.lands_by`).
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from domain.errors import IteratorExpired, ThrottledError, TransientError
from domain.items import mark_id
from dynamo.failures import Unwritten
from dynamo.ports import Put
from dynamo.retries import too_late
from tests.seams import ASKED, Call
from tests.simulation.actors import ACTOR, Actor, Kind

LATEST_LANDING = 12.0
"""Seconds after which a worker's request has landed or never will: less than twice a lease and the longest request."""

_WRITES = frozenset({"PutItem", "DeleteItem", "TransactWriteItems"})


@dataclass(frozen=True, slots=True)
class Rates:
    """Chances per request within a gust."""

    throttled: float = 0.03
    failed: float = 0.02
    answer_lost: float = 0.03
    slow: float = 0.10
    slow_batch: float = 0.30
    slow_answer: float = 0.05
    stuck: float = 0.04
    expired: float = 0.03
    hidden: float = 0.30
    unprocessed: float = 0.30


@dataclass(slots=True)
class Flight:
    """A request on its way: sent, not landed."""

    actor: Actor
    operation: str
    table: str
    sent: float
    call: Call | None

    @property
    def is_write(self) -> bool:
        """Tell whether it may change something."""
        return self.operation in _WRITES

    @property
    def puts_an_item(self) -> bool:
        """Tell whether it is a put of an item and not of a mark."""
        asked = self.call.asked if self.call is not None else None
        return self.operation == "PutItem" and isinstance(asked, Put) and mark_id(asked.item) is None


@dataclass(slots=True)
class Storm:
    """Keeps `dynamo.weather.Weather`."""

    random: Random
    rates: Rates
    where: Callable[[], str]
    sent: Callable[[Flight], None] = field(default=lambda _: None)
    leaving: Callable[[Actor], Awaitable[None]] = field(default=lambda _: asyncio.sleep(0))
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    flying: dict[int, Flight] = field(default_factory=dict)
    over: bool = False
    calm: bool = False
    failed_writes: int = 0
    _blows_until: float = 0.0
    _count: int = 0

    def gust(self, seconds: float) -> None:
        """Let it blow for a while, unless it is ``calm``."""
        if self.calm:
            return
        self._blows_until = max(self._blows_until, _now() + seconds)
        self._note("gust")

    def clear(self) -> None:
        """Let the weather be fair from now on, so that everything can come to rest."""
        self.over = True

    async def before(self, operation: str, table: str) -> None:
        """Delay, or fail before anything took place.

        What a stopped process was about to send, it sends when it goes on; if its time is over by then, not at all: the
        adapter for AWS asks the same of its sockets.
        """
        actor = ACTOR.get()
        await self.leaving(actor)
        if too_late():
            raise Unwritten("held up beyond its time, and not sent")
        self._count += 1
        number = self._count
        flight = self.flying[number] = Flight(actor, operation, table, _now(), ASKED.get())
        self.sent(flight)
        try:
            await self._befall(actor, operation)
        except TransientError:
            self.failed_writes += actor.kind is Kind.WORKER and flight.puts_an_item
            raise
        finally:
            del self.flying[number]

    async def after(self, operation: str, table: str) -> None:
        """Lose or delay the answer."""
        del table
        if not self._blows(ACTOR.get()):
            return
        if operation in _WRITES and self._strikes("answer lost", self.rates.answer_lost):
            raise TransientError("500 after the write took place")
        if self._strikes("slow answer", self.rates.slow_answer):
            await asyncio.sleep(self.random.uniform(0.1, 4.0))

    def shown(self, shard_id: str, available: int) -> int:
        """Show records late, and empty pages before the tip."""
        del shard_id
        if available == 0 or self.over or self.random.random() >= self.rates.hidden:
            return available
        self._note("records late")
        return self.random.randrange(available)

    def processed(self, keys: int) -> int:
        """Leave keys of a batch unprocessed."""
        chance = self.rates.unprocessed if self._blows(ACTOR.get()) else self.rates.unprocessed / 4
        if self.over or self.random.random() >= chance:
            return keys  # else: it is not only throttling that leaves keys, an answer may simply be full
        self._note("unprocessed keys")
        return self.random.randrange(keys)

    async def _befall(self, actor: Actor, operation: str) -> None:
        if self.random.random() < 0.5:
            await self._sleep(actor, self.random.expovariate(1 / 0.02))
        if not self._blows(actor):
            return
        if self._strikes("throttled", self.rates.throttled):
            raise ThrottledError("throttled")
        if self._strikes("failed", self.rates.failed):
            raise TransientError("500 before anything took place")
        if operation == "GetRecords" and self._strikes("iterator expired", self.rates.expired):
            raise IteratorExpired("the iterator has expired")
        if operation == "BatchGetItem" and self._strikes("slow batch", self.rates.slow_batch):
            await self._sleep(actor, self.random.uniform(0.5, 3.0))
        elif self._strikes("slow", self.rates.slow):
            await self._sleep(actor, self.random.uniform(0.05, 2.0))
        elif self._strikes("stuck", self.rates.stuck):
            await self._sleep(actor, self.random.uniform(2.0, LATEST_LANDING))

    async def _sleep(self, actor: Actor, seconds: float) -> None:
        """Be on the way; what an application has sent may not land after its deadline, so it is lost instead."""
        if _now() + seconds > actor.lands_by:
            await asyncio.sleep(max(0.0, actor.lands_by - _now()))
            raise TransientError("lost on the way")
        await asyncio.sleep(seconds)

    def _blows(self, actor: Actor) -> bool:
        return not self.over and _now() < self._blows_until and (actor.kind is Kind.WORKER or actor.is_application)

    def _strikes(self, fault: str, chance: float) -> bool:
        if self.random.random() >= chance:
            return False
        self._note(fault)
        return True

    def _note(self, fault: str) -> None:
        self.faults[fault, self.where()] += 1


def _now() -> float:
    return asyncio.get_running_loop().time()
