"""Time as the engines get it: a port, so that tests and the simulation own it."""

from typing import Final, Protocol

SKEW_MS: Final = 60_000
"""How far two good clocks may differ; what is dated further ahead was written by one that has jumped."""


class Clock(Protocol):
    """Two clocks. No decision that matters for data depends on either (protocol §10)."""

    def monotonic(self) -> float:
        """Seconds that only grow; for leases, deadlines and rates."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970; for display, history and retention budgets."""
        ...


def credible(at_ms: int, now_ms: int) -> int:
    """Return a wall time as it is, or 0, which stands for never, when it lies in the future: it proves nothing."""
    return at_ms if at_ms <= now_ms + SKEW_MS else 0
