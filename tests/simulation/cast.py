"""The data that a simulation plays with: per source, how its legacy application makes items, and changes them."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from domain.items import Item, number, text

_DAYS_MS = 86_400_000
_BEGAN_MS = 1_795_438_000_000


@dataclass(frozen=True, slots=True)
class Part:
    """A source that plays a part: ``make`` an item under a number, ``change`` it, ``spoil`` it (untranslatable)."""

    source: str
    make: Callable[[Random, int], Item]
    change: Callable[[Random, Item], Item]
    spoil: Callable[[Item], Item] | None = None


def _order(random: Random, count: int) -> Item:
    item: Item = {
        "customerId": text(f"c{count % 3}"),
        "orderNo": number(count),
        "placedAt": number(_BEGAN_MS + _DAYS_MS * random.randrange(3)),
        "totalCents": number(random.randrange(10**6)),
        "currency": text(random.choice(["EUR", "USD"])),
    }
    return item if random.random() < 0.2 else {**item, "status": text(random.choice("ops"))}


def _later_order(random: Random, item: Item) -> Item:
    """Move it: its status or day decides under which keys its other two target items stand."""
    changed = {**item, "totalCents": number(random.randrange(10**6))}
    match random.randrange(4):
        case 0:
            changed["status"] = text(random.choice("ops"))
        case 1:
            changed.pop("status", None)
        case 2:
            changed["placedAt"] = number(_BEGAN_MS + _DAYS_MS * random.randrange(3))
        case _:
            changed["note"] = {"L": [text("a"), {"NULL": True}, {"N": str(random.randrange(99))}]}
    return changed


def _user(random: Random, count: int) -> Item:
    return {
        "id": text(f"u{count}"),
        "email": text(f"u{count}@example.com"),
        "name": text(f"User {random.randrange(10**6)}"),
        "role": text("admin"),
        "passwordHash": text("$argon2id$x"),
        "isActive": {"BOOL": True},
        "createdAt": number(_BEGAN_MS - count),
        "lastLogin": {"NULL": True},
    }


def _later_user(random: Random, item: Item) -> Item:
    return {**item, "lastLogin": number(_BEGAN_MS + random.randrange(10**9)), "tags": {"SS": ["x", "y"]}}


def _audit(random: Random, count: int) -> Item:
    entry: Item = {
        "id": text(f"a{count}"),
        "timestamp": number(_BEGAN_MS + count),
        "stage": text("prod"),
        "service": text("setup"),
        "action": text(random.choice(["LOGIN", "LOGOUT"])),
    }
    return entry if random.random() < 0.3 else {**entry, "userId": text(f"u{random.randrange(5)}")}


def _later_audit(random: Random, item: Item) -> Item:
    changed = {**item, "action": text(f"X{random.randrange(10**6)}")}
    if random.random() < 0.3:
        changed["userId"] = text(f"u{random.randrange(5)}")
    return changed


def _contractor(random: Random, count: int) -> Item:
    ends = _BEGAN_MS // 1000 + random.choice([20, 120, 10**6])
    return {
        "id": text(f"k{count}"),
        "email": text(f"k{count}@example.com"),
        "name": text(f"K {random.randrange(10**6)}"),
        "tokenHash": text(f"hash-{count}"),
        "createdAt": number(_BEGAN_MS),
        "expiresAt": number(ends * 1000),
        "ttl": number(ends),
        "status": text("pending"),
    }


def _later_contractor(random: Random, item: Item) -> Item:
    ends = _BEGAN_MS // 1000 + random.choice([60, 200, 10**6])
    return {**item, "ttl": number(ends), "expiresAt": number(ends * 1000), "status": text(random.choice(["ok", "no"]))}


ORDERS = Part("orders", _order, _later_order)
USERS = Part("users", _user, _later_user)
AUDIT = Part("audit", _audit, _later_audit)
CONTRACTORS = Part("contractors", _contractor, _later_contractor)

CASTS: list[tuple[str, tuple[Part, ...]]] = [
    ("order-desk", (ORDERS,)),
    ("tyler-setup", (USERS, AUDIT)),
    ("tyler-setup", (CONTRACTORS,)),
]
"""Plan and parts, in turn by seed."""
