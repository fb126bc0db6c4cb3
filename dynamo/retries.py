"""The one retry loop, used by the AWS adapter and by the twin alike.

What holds: the guard is asked before every attempt and told after it, whatever happens, cancellation included; no
attempt outlives ``min(guard, policy)`` seconds on our side, and none is sent after them, even by a process that was
stopped in between (`too_late`); only TransientErrors are tried again; an expired iterator never is.
Source: AWS, "Error retries and exponential backoff"; full jitter: AWS Architecture Blog.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from domain.errors import IteratorExpired, TableturnError, ThrottledError, TransientError
from domain.guards import UNGUARDED, WriteGuard
from dynamo.failures import is_answer
from dynamo.observer import NO_OBSERVER, Observer

Answer = TypeVar("Answer")

_SEND_BY: ContextVar[float] = ContextVar("send_by", default=float("inf"))
"""Loop time after which the attempt under way in this task may not leave us any more."""

_MOST_DOUBLINGS = 30  # beyond it the delay is at its maximum anyhow, and no float overflows


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long and how often, in seconds. ``attempt_timeout_s`` is the "longest request time-out" of protocol §3.

    No attempt starts once ``budget_s`` have passed; one that has started may still take its own time-out.
    """

    attempt_timeout_s: float = 5.0
    budget_s: float = 60.0
    base_delay_s: float = 0.05
    throttled_base_delay_s: float = 0.5
    max_delay_s: float = 10.0

    def delay(self, tries: int, random: Random, *, throttled: bool) -> float:
        """Return the wait before the next attempt after ``tries`` failed ones (1 or more): full jitter."""
        base = self.throttled_base_delay_s if throttled else self.base_delay_s
        return random.uniform(0, min(self.max_delay_s, base * 2 ** min(tries - 1, _MOST_DOUBLINGS)))


@dataclass(frozen=True, slots=True)
class Subject:
    """What is being tried, for messages and metrics."""

    operation: str
    table: str = ""

    def __str__(self) -> str:
        """Read as in ``PutItem on users``."""
        return f"{self.operation} on {self.table}" if self.table else self.operation


def _loop_time() -> float:
    return asyncio.get_running_loop().time()


def too_late() -> bool:
    """Tell whether the time of the attempt under way is over; asked as the last thing before its bytes leave.

    A process may be stopped between permission and sending, for hours. When it goes on, what it was about to do is done
    before any time-out strikes (protocol §6).
    """
    return _loop_time() >= _SEND_BY.get()


_SLOWED_DOWN: ContextVar[list[Subject] | None] = ContextVar("slowed_down", default=None)
"""Who was asked to slow down, for whoever wants to know (`slowdowns`)."""


@contextmanager
def slowdowns() -> Iterator[list[Subject]]:
    """Gather the calls of this task that were throttled, whether or not they worked in the end."""
    gathered: list[Subject] = []
    held = _SLOWED_DOWN.set(gathered)
    try:
        yield gathered
    finally:
        _SLOWED_DOWN.reset(held)


class Retrier:
    """Runs attempts under a policy. Time is the event loop's, so a virtual-time loop is obeyed."""

    def __init__(
        self,
        policy: RetryPolicy,
        *,
        random: Random,
        observer: Observer = NO_OBSERVER,
        now: Callable[[], float] = _loop_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """``random`` draws the jitter; ``now`` and ``sleep`` are replaced by tests."""
        self.policy = policy
        self._random = random
        self._observer = observer
        self._now = now
        self._sleep = sleep

    async def run(
        self, attempt: Callable[[], Awaitable[Answer]], subject: Subject, *, guard: WriteGuard = UNGUARDED
    ) -> Answer:
        """Try until it works, fails for good, or the budget is spent.

        Raises what the last attempt raised: a TransientError or ThrottledError then says how often was tried; and
        FencedError when the guard allows no further attempt.
        """
        started = self._now()
        tries = 0
        while True:
            try:
                return await self._once(attempt, subject, guard)
            except IteratorExpired:
                raise
            except TransientError as error:
                tries += 1
                delay = self._delay_after(error, subject, tries)
                if self._now() - started + delay > self.policy.budget_s:
                    raise _spent(error, tries, self._now() - started) from error
            await self._sleep(delay)

    def _delay_after(self, error: TransientError, subject: Subject, tries: int) -> float:
        throttled = isinstance(error, ThrottledError)
        if throttled:
            self._observer.on_throttled(subject.table, subject.operation)
            if (gathered := _SLOWED_DOWN.get()) is not None:
                gathered.append(subject)
        return self.policy.delay(tries, self._random, throttled=throttled)

    async def _once(self, attempt: Callable[[], Awaitable[Answer]], subject: Subject, guard: WriteGuard) -> Answer:
        permit = guard.begin()
        allowed = min(permit.seconds, self.policy.attempt_timeout_s)
        began = self._now()
        answered = False
        held = _SEND_BY.set(_loop_time() + allowed)
        try:
            async with asyncio.timeout(allowed):
                answer = await attempt()
            answered = True
            return answer
        except TimeoutError as error:
            raise TransientError(f"{subject}: no answer within {allowed:.1f} s") from error
        except TableturnError as error:
            answered = is_answer(error)
            raise
        finally:
            _SEND_BY.reset(held)
            guard.end(permit, answered=answered)
            self._observer.on_attempt(subject.operation, self._now() - began)


def _spent(error: TransientError, tries: int, seconds: float) -> TransientError:
    """Return the error the caller sees: outcome unknown, for an earlier attempt may have written."""
    kind = ThrottledError if isinstance(error, ThrottledError) else TransientError
    return kind(f"{error.message}; gave up after {tries} attempts in {seconds:.1f} s", hint=error.hint)
