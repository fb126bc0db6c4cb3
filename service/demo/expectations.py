"""What must stand on either side, written by hand from tyler-setup.md: the checker's own understanding of it.

No line here, nor anything it imports, comes from mapping, sync, apply or reconcile: an error of theirs must not find
itself confirmed (tests/unit/demo/test_checker.py holds it). Everything is pure; items are wire items.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from domain.items import AttributeValue, Item


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


KEYS: Final = {"users": "id", "contractors": "id", "refresh-tokens": "token", "audit": "id", "config": "key"}
ENTITIES: Final = {
    "users": "USER",
    "contractors": "CONTRACTOR",
    "refresh-tokens": "REFRESH_TOKEN",
    "audit": "AUDIT",
    "config": "CONFIG",
}

KNOWN: Final[Mapping[str, frozenset[str]]] = {
    "users": _names("id email name role passwordHash isActive createdAt createdBy lastLogin lastLoginIP updatedAt"),
    "contractors": _names(
        "id email name company tokenHash createdAt expiresAt ttl accessDuration allowedSecrets permissions reason "
        "invitedBy invitedByEmail status accessCount lastAccess revokedAt revokedBy"
    ),
    "refresh-tokens": _names("token userId expiresAt createdAt ip userAgent lastUsed ttl"),
    "audit": _names(
        "id timestamp stage service action userId targetUserId email ip userAgent reason resource endpoint count "
        "changes details"
    ),
}
"""Attributes of each legacy table; config holds whatever the settings page sent."""

CARRIED: Final = "_legacy"
RETURNED: Final = "_target"
STAMPED: Final = "_stamp"
BOOKKEEPING: Final = frozenset({"_own", "_stale"})
"""Inside `_legacy`: notes of the mapping to itself."""

TECHNICAL: Final = _names(
    "PK SK GSI1PK GSI1SK GSI2PK GSI2SK GSI3PK GSI3SK GSI4PK GSI4SK entityType profile expireAt"
) | {CARRIED, RETURNED, STAMPED}
DERIVED: Final[Mapping[str, frozenset[str]]] = {
    "users": frozenset({"status", "fullName", "initials"}),
    "refresh-tokens": frozenset({"id"}),
    "config": frozenset({"id"}),
}

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def reserved(table: str) -> frozenset[str]:
    """Return the names that the target keeps for itself on items of a legacy table."""
    return TECHNICAL | DERIVED.get(table, frozenset())


def equal(one: AttributeValue | None, other: AttributeValue | None) -> bool:
    """Tell whether two values are the same to DynamoDB: every digit of a number, sets without order."""
    if one is None or other is None:
        return one is other
    (kind, mine), (other_kind, theirs) = next(iter(one.items())), next(iter(other.items()))
    if kind != other_kind:
        return False
    if kind == "N":
        return Decimal(mine) == Decimal(theirs)
    if kind in {"SS", "BS"}:
        return sorted(mine) == sorted(theirs)
    if kind == "NS":
        return sorted(map(Decimal, mine)) == sorted(map(Decimal, theirs))
    if kind == "L":
        return len(mine) == len(theirs) and all(map(equal, mine, theirs))
    if kind == "M":
        return bool(mine.keys() == theirs.keys()) and all(equal(mine[name], theirs[name]) for name in mine)
    return bool(mine == theirs)


def primary(table: str, legacy: Item) -> Item:
    """Return the target item of a legacy item that the new application never touched; without stamp."""
    item = {name: value for name, value in legacy.items() if name not in reserved(table)}
    displaced = {name: value for name, value in legacy.items() if name in reserved(table) and name != RETURNED}
    if "version" in legacy and "N" not in legacy["version"]:
        displaced["version"] = legacy["version"]
        del item["version"]
    key = legacy[KEYS[table]]["S"]
    item = {"version": {"N": "1"}, **item, **_added(table, legacy, key)}
    item |= {"PK": {"S": f"{ENTITIES[table]}#{key}"}, "SK": {"S": "METADATA"}, "id": {"S": key}}
    item["entityType"] = {"S": ENTITIES[table]}
    return item | ({CARRIED: {"M": displaced}} if displaced else {})


def beside(audit: Item) -> dict[tuple[str, str], Item]:
    """Return the USER_AUDIT item of an audit entry in either form; none without a user."""
    user_id, audit_id = audit.get("userId", {}).get("S"), audit["id"]["S"]
    if not user_id:
        return {}
    metadata = {name: audit[name] for name in ("action", "timestamp") if name in audit}
    item: Item = {
        "PK": {"S": f"USER#{user_id}"},
        "SK": {"S": f"AUDIT#{audit_id}"},
        "entityType": {"S": "USER_AUDIT"},
        "relationshipType": {"S": "USER_AUDIT"},
        "targetId": {"S": audit_id},
        "metadata": {"M": metadata},
    }
    return {(item["PK"]["S"], item["SK"]["S"]): item}


def homeward(table: str, target: Item, former: Item | None) -> Item:
    """Return what of a target item the legacy table must hold under its own names, `_target` aside.

    ``former`` is the last legacy image before the new application wrote: attributes that no handler knows are at home
    where it had them.
    """
    home = KNOWN.get(table, target.keys()) | (former or {}).keys()
    own_version = "N" in (former or {}).get("version", {})
    item = {
        name: value
        for name, value in target.items()
        if name in home and name not in reserved(table) and (name != "version" or own_version)
    }
    item |= {name: value for name, value in content(target.get(CARRIED)).items() if name not in BOOKKEEPING}
    item[KEYS[table]] = {"S": target["PK"]["S"].partition("#")[2]}
    if table == "users":
        _user_homeward(item, target)
    if table in {"contractors", "refresh-tokens"} and not equal(item.get("ttl"), target.get("expireAt")):
        item.pop("ttl", None)
        item |= {"ttl": target["expireAt"]} if "expireAt" in target else {}
    return item


Left: TypeAlias = tuple[Item, Item | None]
"""What the new application left of an item when it served, and the legacy item from before."""


def evolved(table: str, legacy: Item, lefts: Sequence[Left]) -> Item:
    """Return the target item of a legacy item that once was the new application's: ``lefts``, the latest first.

    Its own attributes are the legacy item's. What the new application had made of the others stays, unless the legacy
    application has changed since what such an attribute is derived from; it is back when that is as it was.
    """
    made, target = primary(table, legacy), lefts[0][0]
    times = [(each, primary(table, homeward(table, each, former))) for each, former in lefts]
    own = {name for name in legacy if name not in reserved(table) and (name != "version" or "N" in legacy[name])}
    own -= {KEYS[table]} - target.keys()  # the key is in PK: the new application need not say it again
    item = {name: made[name] for name in own} | ({CARRIED: made[CARRIED]} if CARRIED in made else {})
    for name in (target.keys() | made.keys()) - own - {CARRIED, STAMPED}:
        value = _kept(name, made, times)
        item |= {} if value is None else {name: value}
    return item


def _kept(name: str, made: Item, times: Sequence[tuple[Item, Item]]) -> AttributeValue | None:
    """Return an attribute: the last time that the new application made something of it decides, if it still holds.

    ``times``: what it left and what would have been made of it, the latest first. What held then and was not there is
    given up.
    """
    later: list[AttributeValue | None] = []
    for target, was in times:
        base = was.get(name)
        if not equal(target.get(name), base):
            given_up = any(equal(base, each) for each in later)
            return target.get(name) if equal(base, made.get(name)) and not given_up else made.get(name)
        later.append(base)
    return made.get(name)


def without_notes(item: Item) -> Item:
    """Return a target item without our stamp and the mapping's notes to itself."""
    left = {name: value for name, value in item.items() if name not in {STAMPED, CARRIED}}
    carried = {name: value for name, value in content(item.get(CARRIED)).items() if name not in BOOKKEEPING}
    return left | ({CARRIED: {"M": carried}} if carried else {})


def holds(value: AttributeValue | None, name: str, wanted: AttributeValue) -> bool:
    """Tell whether an attribute stands, under its name, anywhere within a map."""
    inner = content(value)
    return (name in inner and equal(inner[name], wanted)) or any(holds(each, name, wanted) for each in inner.values())


def content(value: AttributeValue | None) -> dict[str, Any]:
    """Return what a map holds; nothing for what is no map."""
    found = (value or {}).get("M")
    return found if isinstance(found, dict) else {}


def _user_homeward(item: Item, target: Item) -> None:
    status, name = target.get("status"), target.get("fullName")
    if status is not None and not equal(status, _status(item)):
        item["isActive"] = {"BOOL": status == {"S": "ACTIVE"}}
    if name is not None and not equal(name, item.get("name")):
        item["name"] = name


def _added(table: str, legacy: Item, key: str) -> Item:
    """Return derived attributes and index keys."""
    if table == "users":
        return _of_user(legacy)
    if table == "contractors":
        return _of_contractor(legacy, key)
    if table == "refresh-tokens":
        return _of_token(legacy)
    if table == "audit":
        return _of_audit(legacy, key)
    return _index(1, "CONFIG", _moment(legacy, "updatedAt"))


def _of_user(legacy: Item) -> Item:
    name, created = _text(legacy, "name"), _moment(legacy, "createdAt")
    item = _index(1, "USER", created) | _index(2, _text(legacy, "email"), "USER") | {"status": _status(legacy)}
    profile: Item = {"memberSince": {"S": created}} if created else {}
    profile |= {"role": legacy["role"]} if "S" in legacy.get("role", {}) else {}
    if "S" in legacy.get("name", {}):
        item["fullName"] = profile["displayName"] = legacy["name"]
    parts = name.split() if name else []
    if parts:
        item["initials"] = {"S": (parts[0][0] + (parts[-1][0] if len(parts) > 1 else "")).upper()}
    return item | {"profile": {"M": profile}}


def _of_contractor(legacy: Item, key: str) -> Item:
    expires, created, token = _moment(legacy, "expiresAt"), _moment(legacy, "createdAt"), _text(legacy, "tokenHash")
    item = _index(1, "CONTRACTOR", expires) | _index(2, _text(legacy, "email"), "CONTRACTOR")
    item |= _index(3, token and f"CONTRACTOR_TOKEN#{token}", expires)
    item |= _index(4, created and f"CONTRACTOR#{created[:7]}", created and f"{created}#{key}")
    return item | _lifetime(legacy)


def _of_token(legacy: Item) -> Item:
    expires, user_id = _moment(legacy, "expiresAt"), _text(legacy, "userId")
    item = _index(1, expires and f"REFRESH_TOKEN#{expires[:7]}", expires)
    return item | _index(2, user_id and f"USER#{user_id}", expires) | _lifetime(legacy)


def _of_audit(legacy: Item, key: str) -> Item:
    at, action, user_id = _moment(legacy, "timestamp"), _text(legacy, "action"), _text(legacy, "userId")
    month = at[:7] if at else None
    item = _index(1, month and f"AUDIT#{month}", at) | _index(2, action and month and f"{action}#{month}", at)
    return item | _index(3, user_id and f"AUDIT_BY_USER#{user_id}", at) | _index(4, month, at and f"{at}#{key}")


def _status(legacy: Item) -> AttributeValue:
    return {"S": "ACTIVE" if legacy.get("isActive") == {"BOOL": True} else "INACTIVE"}


def _lifetime(legacy: Item) -> Item:
    return {"expireAt": legacy["ttl"]} if "N" in legacy.get("ttl", {}) else {}


def _index(number: int, pk: str | None, sk: str | None) -> Item:
    """Return an entry of an index; none when a part is lacking."""
    return {f"GSI{number}PK": {"S": pk}, f"GSI{number}SK": {"S": sk}} if pk and sk else {}


def _text(item: Item, name: str) -> str | None:
    found: str | None = item.get(name, {}).get("S")
    return found or None


def _moment(item: Item, name: str) -> str | None:
    """Return milliseconds as ISO 8601 with milliseconds and Z."""
    written = item.get(name, {}).get("N")
    if written is None:
        return None
    at = _EPOCH + timedelta(milliseconds=int(Decimal(written)))
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
