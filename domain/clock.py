"""Time as the engines get it: a port, so that tests and the simulation own it."""

from typing import Protocol


class Clock(Protocol):
    """Two clocks. No decision that matters for data depends on either (protocol §10)."""

    def monotonic(self) -> float:
        """Seconds that only grow; for leases, deadlines and rates."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since 1970; for display, history and retention budgets."""
        ...
