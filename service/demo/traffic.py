"""The pace of an application: tasks that do one weighted random action after another, at a rate of writes per second.

`legacy_app` and `new_app` each give their actions; an action returns how many writes it did.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from service.demo.writing import Writer

Action = Callable[[], Awaitable[int]]

_TASKS = 6
_BEHIND = 0.5
"""Seconds of writes that may be made up for after a pause; what was blocked longer is not caught up with."""


class Traffic:
    """Runs one application until told to stop."""

    def __init__(self, writer: Writer, actions: Mapping[Action, int], *, rate: float, random: Random) -> None:
        """``actions`` by weight; ``rate`` in writes a second over all tasks."""
        self._writer = writer
        self._actions = list(actions)
        self._weights = list(actions.values())
        self._random = random
        self._per_write = _TASKS / rate
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; while the side is blocked or does not serve, every task waits."""
        working = [asyncio.create_task(self._work()) for _ in range(_TASKS)]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*working, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*working, stopping):
                task.cancel()
            ended = await asyncio.gather(*working, return_exceptions=True)
            await self._writer.finish()
        for error in ended:
            if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
                raise error

    def stop(self) -> None:
        """Begin no further action; `run` returns when the writes under way have ended."""
        self._stopping.set()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + self._random.random() * self._per_write
        while True:
            await self._writer.ready()
            (action,) = self._random.choices(self._actions, self._weights)
            writes = await action()
            due = max(due + max(writes, 1) * self._per_write, loop.time() - _BEHIND)
            await asyncio.sleep(max(0.0, due - loop.time()))
