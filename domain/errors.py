"""Errors, named for what the caller does about them.

    TableturnError
     ├── TransientError        retry within a budget; the outcome of a write may be unknown
     │    ├── ThrottledError   … and slow down: the table, not the network, asked for it
     │    └── IteratorExpired  open a new shard iterator where the last one stood
     ├── FencedError           stop quietly: another owner holds the lease
     ├── RefusedError          a gate or a guard said no; nothing changed
     │    └── ConditionFailed  a conditional write met another item (carried along)
     ├── DataError             this one item cannot be translated: quarantine it, go on
     └── FatalError            stop, with a hint what to do
          └── GapError         stream records are gone before they were applied (protocol §5)

The table that maps the SDK's error codes to these lives in ``dynamo.codes``.
"""

from typing import TypeVar

from domain.items import Item

Failure = TypeVar("Failure", bound=BaseException)


def first_of(group: BaseExceptionGroup[Failure]) -> Failure:
    """Return the first error of a group, however deep: what one task ran into, the others mostly ran into as well."""
    found = group.exceptions[0]
    return first_of(found) if isinstance(found, BaseExceptionGroup) else found


class TableturnError(Exception):
    """Root of everything this program raises on purpose. ``hint`` names the way out."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the sentence and, apart from it, the hint."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Sentence and hint, as an operator reads them."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class TransientError(TableturnError):
    """Passing trouble: retry with back-off within a budget. A write may or may not have taken place."""


class ThrottledError(TransientError):
    """The table or the account asked us to slow down."""


class IteratorExpired(TransientError):
    """A shard iterator outlived its 15 minutes: open a new one after the last record read."""


class FencedError(TableturnError):
    """Another owner holds the lease, or ours cannot cover one more attempt: stop quietly (protocol §6)."""


class RefusedError(TableturnError):
    """A gate, guard or condition said no. Nothing was changed."""


class ConditionFailed(RefusedError):
    """A conditional write was refused; ``standing`` is the item that stands there (None: nothing stands there)."""

    def __init__(self, message: str, *, standing: Item | None = None, index: int = 0) -> None:
        """``index`` is the position of the refused action in its transaction (0 for a single write)."""
        super().__init__(message)
        self.standing = standing
        self.index = index


class DataError(TableturnError):
    """One item cannot be translated or written as it is; the others can. It goes to quarantine."""


class FatalError(TableturnError):
    """Nothing sensible can be done without a human; the hint says what."""


class GapError(FatalError):
    """A shard or records of it are gone before they were applied: data is missing until a recapture."""
