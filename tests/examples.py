"""Items as the two example plans' applications write them, small enough to be read at a glance."""

from domain.items import AttributeValue, Item, number, text

ADA: Item = {
    "id": text("ada"),
    "email": text("ada@example.com"),
    "name": text("Ada Lovelace"),
    "role": text("admin"),
    "passwordHash": text("$argon2id$ada"),
    "isActive": {"BOOL": True},
    "createdAt": number(1_795_438_266_988),
    "lastLogin": {"NULL": True},
}

BOB: Item = {**ADA, "id": text("bob"), "email": text("bob@example.com"), "name": text("Bob")}
CYD: Item = {**ADA, "id": text("cyd"), "email": text("cyd@example.com"), "name": text("Cyd")}


def changed(item: Item, **attributes: AttributeValue) -> Item:
    """Return the item with some attributes as given."""
    return {**item, **attributes}


def without(item: Item, *names: str) -> Item:
    """Return the item less some attributes."""
    return {name: value for name, value in item.items() if name not in names}


def logged_in(item: Item, moment: int) -> Item:
    """Return a user after a login, which the legacy application puts back whole."""
    return changed(item, lastLogin=number(moment))


def audit(name: str, *, user: str | None = "ada", moment: int = 1_795_438_300_000) -> Item:
    """Return an audit entry."""
    entry: Item = {
        "id": text(name),
        "timestamp": number(moment),
        "stage": text("prod"),
        "service": text("setup"),
        "action": text("LOGIN"),
    }
    return entry if user is None else {**entry, "userId": text(user)}


def contractor(name: str, *, ttl: int) -> Item:
    """Return a contractor that time to live removes at ``ttl`` (seconds)."""
    return {
        "id": text(name),
        "email": text(f"{name}@example.com"),
        "name": text(name),
        "tokenHash": text(f"hash-of-{name}"),
        "createdAt": number(1_795_438_266_988),
        "expiresAt": number(ttl * 1000),
        "ttl": number(ttl),
        "status": text("pending"),
    }


def order(count: int, *, status: str | None = "o", customer: str = "c1", **attributes: AttributeValue) -> Item:
    """Return an order; the second of its three target items moves with the status."""
    item: Item = {
        "customerId": text(customer),
        "orderNo": number(count),
        "placedAt": number(1_795_438_300_000),
        "totalCents": number(1250),
        "currency": text("EUR"),
        **attributes,
    }
    return item if status is None else {**item, "status": text(status)}
