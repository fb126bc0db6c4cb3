"""Keeps the engines running: transient trouble restarts one with back-off, anything else ends the process in order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random

from domain.errors import FatalError, FencedError, TransientError

_LOG = logging.getLogger("tableturn")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds before an engine is started again; doubled with each failure, with jitter."""


def gravest(error: BaseException) -> BaseException:
    """Return the error that decides: of a group the one that leaves the least choice."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    found = [gravest(each) for each in error.exceptions]
    for kind in (FencedError, FatalError):
        for each in found:
            if isinstance(each, kind):
                return each
    unexpected = [each for each in found if not isinstance(each, TransientError)]
    return (unexpected or found)[0]


_HEALTHY = 60.0
"""Seconds after which an engine that ran counts as sound again."""


async def supervise(
    name: str, engine: Callable[[], Awaitable[object]], *, random: Random, dispensable: bool = False
) -> None:
    """Run an engine to its end; start it again when it fails for a passing reason. Raises everything else.

    One that is ``dispensable`` is started again whatever it failed for, a lost lease aside: the migration goes on.
    """
    loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE
    while True:
        began = loop.time()
        try:
            await engine()
        except (Exception, BaseExceptionGroup) as error:
            cause = gravest(error)
            pause = _FIRST_PAUSE if loop.time() - began > _HEALTHY else pause
            if isinstance(cause, FencedError) or not (dispensable or isinstance(cause, TransientError)):
                raise cause from error
            _LOG.warning("engine_restarted", extra={"engine": name, "cause": str(cause), "pause_s": round(pause, 1)})
        else:
            return
        await asyncio.sleep(random.uniform(pause / 2, pause))
        pause = min(_LONGEST_PAUSE, 2 * pause)
