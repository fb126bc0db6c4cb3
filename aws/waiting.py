"""Looking again until something is so: AWS tells nobody when a change has taken."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from domain.errors import TransientError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waits:
    """How long something may take, and how long is waited between two looks at it; in seconds."""

    seconds: float
    every: float = 0.5


async def awaited(look: Callable[[], Awaitable[T | None]], what: str, waits: Waits) -> T:
    """Return what a look finds, as soon as it finds anything.

    Raises TransientError, saying what it waited for, when that takes too long.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + waits.seconds
    while (found := await look()) is None:
        if loop.time() + waits.every > end:
            raise TransientError(f"waited {waits.seconds:.0f} s for {what}", hint="look at it in the AWS console")
        await asyncio.sleep(waits.every)
    return found
