"""The tables of `plants`: as its right plan says, and then each as wrong as a table can be. What is to be told of them.

DynamoDB Local has no Global Tables, no encryption and no table that stays UPDATING: those are in
tests/unit/proof/test_tables.py.
"""

from typing import Any

from tests.acceptance.legacy import STREAM, Item, Legacy

PROBLEMS = [
    "source badges: the key of {}-badges is (id N), the plan says (id S)",
    "source badges: the stream of {}-badges has view type KEYS_ONLY, NEW_AND_OLD_IMAGES is needed",
    "source desks: no string in the key of {}-desks, so it cannot show marks",
    "target: the key of {}-entities is (PK S), the plan says (PK S, SK S)",
    "target: the stream of {}-entities has view type KEYS_ONLY, NEW_AND_OLD_IMAGES is needed",
    "target: the key of {}-events is (PK N), the plan says (PK S, SK S)",
    *(f"target: {{}}-entities lacks index {name} with the key the plan gives it" for name in ("GSI2", "GSI3", "GSI4")),
    *(f"target: {{}}-entities lacks index LSI{number} with the key the plan gives it" for number in range(1, 6)),
]
WARNINGS = [
    "source rooms: time to live of {}-rooms is off, the plan says on until",
    "source badges: time to live of {}-badges is on expires, the plan says on until",
    "source badges: {}-badges lacks index by-owner with the key that the plan gives it",
    "target: time to live of {}-entities is off, the plan says on expireAt",
    "target: {}-entities holds some 1 items already",
    "target: {}-entities is not protected against deletion, the plan wants it so",
    "target: index GSI1 of {}-entities does not project what the plan says",
    "target: time to live of {}-events is off, the plan says on ttl",
]
"""How each sentence begins; {} is the prefix."""

STREAM_OFF, TARGET_MISSING = "{}-config", "{}-cache"
KEYS_ONLY = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}


def create_right(legacy: Legacy) -> None:
    """Create every legacy table as the right plan says."""
    legacy.create_all()
    legacy.create("ballast", key={"group": "S", "id": "S"})
    legacy.create("desks", key={"number": "S"})
    for name, index, attribute in (("rooms", "by-floor", "floor"), ("badges", "by-owner", "owner")):
        _create(legacy, name, {"id": "S"}, {index: ({attribute: "S"}, "ALL")}, stream=STREAM)
        _expires(legacy, name, "until")


def put(legacy: Legacy, name: str, items: list[Item]) -> None:
    """Put items into a table that the application of `legacy` does not know."""
    for start in range(0, len(items), 25):
        requests = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        assert not legacy.client.batch_write_item(RequestItems={legacy.table(name): requests})["UnprocessedItems"]


def make_wrong(legacy: Legacy) -> None:
    """Change or create anew what stands there, until nothing fits."""
    off = {"StreamEnabled": False}
    legacy.client.update_table(TableName=legacy.table("config"), StreamSpecification=off)
    _expires(legacy, "rooms", "until", enabled=False)
    unprotected = {"DeletionProtectionEnabled": False}
    legacy.client.update_table(TableName=legacy.table("entities"), **unprotected)
    for name in ("badges", "desks", "entities", "events", "cache"):
        legacy.client.delete_table(TableName=legacy.table(name))
    _create(legacy, "badges", {"id": "N"}, {}, stream=KEYS_ONLY)
    _expires(legacy, "badges", "expires")
    _create(legacy, "desks", {"number": "N"}, {}, stream=STREAM)
    _create(legacy, "events", {"PK": "N"}, {}, stream=STREAM)
    listing = {"GSI1": ({"GSI1PK": "S", "GSI1SK": "S"}, "KEYS_ONLY")}
    _create(legacy, "entities", {"PK": "S"}, listing, stream=KEYS_ONLY)
    put(legacy, "entities", [{"PK": {"S": "somebody's"}}])


def _create(
    legacy: Legacy,
    name: str,
    key: dict[str, str],
    indexes: dict[str, tuple[dict[str, str], str]],
    *,
    stream: dict[str, Any],
) -> None:
    """Create a table; indexes are keys and projection types by name."""
    types = key | {part: kind for parts, _ in indexes.values() for part, kind in parts.items()}
    shown = [
        {"IndexName": index, "KeySchema": _schema(parts), "Projection": {"ProjectionType": projection}}
        for index, (parts, projection) in indexes.items()
    ]
    legacy.client.create_table(
        TableName=legacy.table(name),
        KeySchema=_schema(key),
        AttributeDefinitions=[{"AttributeName": part, "AttributeType": kind} for part, kind in types.items()],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification=stream,
        **({"GlobalSecondaryIndexes": shown} if shown else {}),
    )


def _expires(legacy: Legacy, name: str, attribute: str, *, enabled: bool = True) -> None:
    specification = {"Enabled": enabled, "AttributeName": attribute}
    legacy.client.update_time_to_live(TableName=legacy.table(name), TimeToLiveSpecification=specification)


def _schema(key: dict[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": part, "KeyType": kind} for part, kind in zip(key, ("HASH", "RANGE"), strict=False)]
