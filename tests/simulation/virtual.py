"""An event loop without a world: time is a number, chance is a seed, and nothing outside can wake anybody.

Deterministic where asyncio is not: tasks hash by birth, so that sets of them have one order; `secrets` draw from the
seed. The order of sets of strings needs ``PYTHONHASHSEED``, which `tests.simulation.__main__` sees to.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any, TypeVar

Result = TypeVar("Result")

_LONGEST = 20_000.0
"""Virtual seconds after which a simulation hangs rather than takes long."""


class Stuck(BaseException):
    """Nothing will ever happen again, or virtual time has run out."""


class _Task(asyncio.Task[Any]):
    """A task that hashes by birth, not by its address in memory."""

    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(coro, **options)

    def __hash__(self) -> int:
        return self._number


class _Future(asyncio.Future[Any]):
    """A future likewise."""

    def __init__(self, *, number: int, **options: Any) -> None:
        self._number = number
        super().__init__(**options)

    def __hash__(self) -> int:
        return self._number


class _Nothing:
    """What the loop selects from: it advances time instead of waiting."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None or self._loop.now > _LONGEST:
            raise Stuck
        self._loop.now += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs callbacks in order of their time; where all wait, time jumps to the first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._born = 0
        super().__init__()
        self._selector = _Nothing(self)
        self.set_task_factory(self._task)
        self.set_exception_handler(lambda *_: None)  # a crashed process leaves tasks that nobody asks any more

    def time(self) -> float:
        return self.now

    def create_future(self) -> asyncio.Future[Any]:
        self._born += 1
        return _Future(number=self._born, loop=self)

    def _task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        self._born += 1
        return _Task(coro, number=self._born, loop=loop, **options)

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody else is there to be woken by."""


@contextlib.contextmanager
def _drawn(random: Random) -> Iterator[None]:
    """Let `secrets` draw from a seed: entropy is the machine's, and so belongs to the simulation."""
    drawn: dict[str, Callable[..., Any]] = {
        "token_hex": lambda count=32: random.randbytes(count).hex(),
        "token_bytes": lambda count=32: random.randbytes(count),
        "randbelow": random.randrange,
    }
    kept = {name: getattr(secrets, name) for name in drawn}
    try:
        for name, draw in drawn.items():
            setattr(secrets, name, draw)
        yield
    finally:
        for name, real in kept.items():
            setattr(secrets, name, real)


def run(main: Callable[[], Coroutine[Any, Any, Result]], *, random: Random) -> Result:
    """Run a coroutine to its end in virtual time. Raises Stuck when it never ends."""
    with _drawn(random), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())
