"""What a request of the twin may meet on its way: the seam at which a simulation does its worst.

A request of the twin has a client half (retries, time-outs) and a server half that goes on when the client gave up, as
in life: so whatever `before` delays may land after its lease was lost. Next: `dynamo.memory_server`.
"""

from typing import Protocol


class Weather(Protocol):
    """Asked once per attempt, on the server's side. What it raises is the answer the client gets."""

    async def before(self, operation: str, table: str) -> None:
        """Delay, or raise (ThrottledError, TransientError …) before anything took place."""
        ...

    async def after(self, operation: str, table: str) -> None:
        """Delay, or raise TransientError although the operation took place."""
        ...

    def shown(self, shard_id: str, available: int) -> int:
        """Return how many of the records ready to be read are shown by now (0: an empty page before the tip)."""
        ...

    def processed(self, keys: int) -> int:
        """Return how many keys of a batch are processed (0: none, which counts as throttling)."""
        ...


class FairWeather:
    """Nothing happens."""

    async def before(self, operation: str, table: str) -> None:
        """Let it pass."""

    async def after(self, operation: str, table: str) -> None:
        """Let it pass."""

    def shown(self, shard_id: str, available: int) -> int:  # noqa: ARG002 - the port's signature
        """Show all."""
        return available

    def processed(self, keys: int) -> int:
        """Process all."""
        return keys


FAIR_WEATHER = FairWeather()
