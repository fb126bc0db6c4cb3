"""Looking again until something is so: AWS tells nobody when a change has taken."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from domain.errors import TransientError

T = TypeVar("T")


async def awaited(look: Callable[[], Awaitable[T | None]], what: str, *, seconds: float, every: float) -> T:
    """Return what a look finds, as soon as it finds anything; ``every``: seconds between two looks.

    Raises TransientError, saying what it waited for, when that takes longer than ``seconds``.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (found := await look()) is None:
        if loop.time() + every > end:
            raise TransientError(f"waited {seconds:.0f} s for {what}", hint="look at it in the AWS console")
        await asyncio.sleep(every)
    return found
