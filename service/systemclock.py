"""The machine's clocks behind `domain.clock.Clock`; monotonic time is the event loop's, so virtual time is obeyed."""

import asyncio
import time


class SystemClock:
    """Real time."""

    def monotonic(self) -> float:
        """Seconds that only grow."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:  # outside of a loop
            return time.monotonic()

    def wall_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000
