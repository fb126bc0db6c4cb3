"""What a write asks before every attempt, and tells after it (protocol §3 c, §6)."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Attempt:
    """One permitted attempt: its number (unique per guard) and the seconds it may take."""

    number: int
    seconds: float


class WriteGuard(Protocol):
    """Permission for attempts of writes, asked anew on every retry."""

    def begin(self) -> Attempt:
        """Open one attempt. Raises FencedError when the lease cannot cover one."""
        ...

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        """Close it; ``answered`` is false when no definite answer came, so the write may still land."""
        ...


class Unguarded:
    """For writes that no lease protects: set-up by the operator, and the demo's own applications."""

    def begin(self) -> Attempt:
        """Allow any attempt the client's own time-out allows."""
        return Attempt(0, float("inf"))

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        """Keep no account."""


UNGUARDED = Unguarded()
