"""What the database tells whoever measures it: a port that `service` turns into metrics. Next: `dynamo.calls`."""

from typing import Literal, Protocol, TypeAlias

Kind: TypeAlias = Literal["read", "write"]


class Observer(Protocol):
    """Told of every attempt; must be quick and must not raise."""

    def on_attempt(self, operation: str, seconds: float) -> None:
        """One request ended, well or badly, after that many seconds."""
        ...

    def on_throttled(self, table: str, operation: str) -> None:
        """The table (or several, joined by commas) asked us to slow down."""
        ...

    def on_consumed(self, table: str, kind: Kind, units: float) -> None:
        """A request consumed capacity units of that table."""
        ...


class NoObserver:
    """Listens to nothing."""

    def on_attempt(self, operation: str, seconds: float) -> None:
        """Ignore it."""

    def on_throttled(self, table: str, operation: str) -> None:
        """Ignore it."""

    def on_consumed(self, table: str, kind: Kind, units: float) -> None:
        """Ignore it."""


NO_OBSERVER = NoObserver()
