"""Legacy items that nobody keeps: made from their number when asked for, by the million. Next: `bench.proving`."""

import resource
import sys

from domain.items import Item, number, text

PAGE = 1_000
"""Items of a page."""

_BEGAN_MS = 1_795_438_000_000


def user(count: int) -> Item:
    """Return a user."""
    return {
        "id": text(f"user-{count:09}"),
        "email": text(f"user-{count:09}@example.com"),
        "name": text(f"User {count}"),
        "role": text("user"),
        "passwordHash": text("$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"),
        "isActive": {"BOOL": True},
        "createdAt": number(_BEGAN_MS + count),
        "lastLogin": {"NULL": True},
    }


def audit(count: int) -> Item:
    """Return an audit entry; nine of them to a user."""
    return {
        "id": text(f"{_BEGAN_MS + count}-{count:06}"),
        "timestamp": number(_BEGAN_MS + count * 1000),
        "stage": text("prod"),
        "service": text("employee-setup"),
        "action": text(("LOGIN", "LOGOUT", "REFRESH")[count % 3]),
        "userId": text(f"user-{count // 9:09}"),
        "ip": text("10.0.0.1"),
    }


def peak_mb(who: int = resource.RUSAGE_SELF) -> int:
    """Return the most memory that this process, or one of its children, has held (Linux: kilobytes; macOS: bytes)."""
    peak = resource.getrusage(who).ru_maxrss
    return peak // (1024 if sys.platform.startswith("linux") else 1024 * 1024)
