"""Finer errors than `domain.errors`, for use within this package, and what an error says about a write.

    TransientError ─ Unwritten     passing trouble that certainly wrote nothing (not even connected, conflict …)
    FatalError     ─ NotFound      no table, index, stream or backup of that name
    FatalError     ─ NotOffered    the endpoint does not know the operation: an emulator, not AWS
    RefusedError   ─ AlreadyThere  a table of that name exists

Callers outside catch the parents. Next: `dynamo.codes` maps DynamoDB's error codes to these.
"""

from domain.errors import (
    FatalError,
    IteratorExpired,
    RefusedError,
    TableturnError,
    ThrottledError,
    TransientError,
)


class Unwritten(TransientError):
    """Passing trouble that certainly wrote nothing."""


class NotFound(FatalError):
    """What the call names does not exist."""


class NotOffered(FatalError):
    """The endpoint does not know the operation."""


class AlreadyThere(RefusedError):
    """What the call would create exists."""


def is_answer(error: TableturnError) -> bool:
    """Tell whether the error is the server's definite word that this attempt wrote nothing (protocol §3 c)."""
    if isinstance(error, TransientError):
        return isinstance(error, Unwritten | ThrottledError | IteratorExpired)
    return True
