"""The legacy application by hand: its five tables, what it writes there, and what must then stand in `entities`.

Written from the description of the application and of the wanted keys, not from the mapping; nothing of the product is
imported. Items are wire JSON, as DynamoDB itself says them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

Item = dict[str, dict[str, Any]]
Key = tuple[str, str]

SAMPLE = Path(__file__).resolve().parents[2] / "service" / "demo" / "sample"
KEYS = {"users": "id", "contractors": "id", "refresh-tokens": "token", "audit": "id", "config": "key"}
INDEXES: dict[str, dict[str, dict[str, str]]] = {
    "users": {"email-index": {"email": "S"}},
    "contractors": {"token-index": {"token": "S"}, "expiry-index": {"expiresAt": "N"}},
    "refresh-tokens": {"userId-index": {"userId": "S", "expiresAt": "N"}},
    "audit": {"timestamp-index": {"timestamp": "N"}, "user-index": {"userId": "S", "timestamp": "N"}},
    "config": {},
}
WITH_TTL = ("contractors", "refresh-tokens")
SECRET = ("email", "passwordHash", "invitedByEmail", "token", "tokenHash", "contractorEmail")
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
GENESIS = 1_795_438_294_000
SENTINEL = "harness-sentinel"


@dataclass
class Legacy:
    """The five tables of one prefix. ``standing`` and ``gone`` are what was written, acknowledged."""

    client: Any
    prefix: str
    standing: dict[Key, Item] = field(default_factory=dict)
    gone: set[Key] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set)

    def table(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def create(
        self, name: str, *, stream: Mapping[str, Any] | None = STREAM, key: Mapping[str, str] | None = None
    ) -> None:
        """Create one table; a key of another shape than the application's leaves its indexes out."""
        shape = dict(key or {KEYS[name]: "S"})
        indexes = {} if key else INDEXES[name]
        parameters: dict[str, Any] = {"StreamSpecification": dict(stream)} if stream else {}
        if indexes:
            parameters["GlobalSecondaryIndexes"] = [
                {"IndexName": each, "KeySchema": _schema(parts), "Projection": {"ProjectionType": "ALL"}}
                for each, parts in indexes.items()
            ]
        types = shape | {part: kind for parts in indexes.values() for part, kind in parts.items()}
        self.client.create_table(
            TableName=self.table(name),
            KeySchema=_schema(shape),
            AttributeDefinitions=[{"AttributeName": part, "AttributeType": kind} for part, kind in types.items()],
            BillingMode="PAY_PER_REQUEST",
            **parameters,
        )
        if name in WITH_TTL and not key:
            specification = {"Enabled": True, "AttributeName": "ttl"}
            self.client.update_time_to_live(TableName=self.table(name), TimeToLiveSpecification=specification)

    def create_all(self, *, stream: Mapping[str, Any] | None = STREAM) -> None:
        for name in KEYS:
            self.create(name, stream=stream)

    def wake(self) -> None:
        """Put and delete one item in each table: DynamoDB Local needs a record before the first iterator."""
        for name, key in KEYS.items():
            self.client.put_item(TableName=self.table(name), Item={key: {"S": SENTINEL}})
            self.client.delete_item(TableName=self.table(name), Key={key: {"S": SENTINEL}})

    def put(self, name: str, item: Item) -> None:
        self.client.put_item(TableName=self.table(name), Item=item)
        self._stands(name, item)

    def change(self, name: str, key: str, attribute: str, value: dict[str, Any]) -> None:
        """Change one attribute by UpdateItem, as the settings page does."""
        answer = self.client.update_item(
            TableName=self.table(name),
            Key={KEYS[name]: {"S": key}},
            UpdateExpression="SET #a = :v",
            ExpressionAttributeNames={"#a": attribute},
            ExpressionAttributeValues={":v": value},
            ReturnValues="ALL_NEW",
        )
        self._stands(name, answer["Attributes"])

    def delete(self, name: str, key: str) -> None:
        self.client.delete_item(TableName=self.table(name), Key={KEYS[name]: {"S": key}})
        self.standing.pop((name, key), None)
        self.gone.add((name, key))

    def fill(self, name: str, items: list[Item]) -> None:
        """Put many items at once."""
        for start in range(0, len(items), 25):
            chunk = items[start : start + 25]
            requests = [{"PutRequest": {"Item": item}} for item in chunk]
            answer = self.client.batch_write_item(RequestItems={self.table(name): requests})
            assert not answer["UnprocessedItems"]
            for item in chunk:
                self._stands(name, item)

    def fill_sample(self) -> None:
        """Put what the application itself once wrote; nobody expires while the test runs."""
        soon = int((datetime.now(UTC) + timedelta(days=30)).timestamp())
        for name in KEYS:
            lines = (SAMPLE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
            items = [json.loads(line)["Item"] for line in lines]
            self.fill(name, [{**item, "ttl": {"N": str(soon)}} if "ttl" in item else item for item in items])

    def _stands(self, name: str, item: Item) -> None:
        key = (name, item[KEYS[name]]["S"])
        self.standing[key] = item
        self.gone.discard(key)
        self.secrets.update(_secrets(item))


def user(number: int) -> Item:
    """Return a user as the application would have written it."""
    return {
        "id": {"S": f"user-{number:06}"},
        "email": {"S": f"person.{number:06}@private.example"},
        "name": {"S": f"Zoë Number{number}"},
        "role": {"S": "user"},
        "passwordHash": {"S": f"$argon2id$v=19$m=65536,t=3,p=1$c2FsdA${number:043}"},
        "isActive": {"BOOL": number % 3 != 0},
        "createdAt": {"N": str(GENESIS + number)},
        "createdBy": {"S": "system"},
        "lastLogin": {"NULL": True},
    }


def token(number: int) -> Item:
    """Return a refresh token."""
    return {
        "token": {"S": f"{number:08x}" * 8},
        "userId": {"S": f"user-{number:06}"},
        "expiresAt": {"N": str(GENESIS + 604_800_000 + number)},
        "createdAt": {"N": str(GENESIS + number)},
        "ip": {"S": "10.0.0.9"},
        "userAgent": {"S": "Mozilla/5.0"},
    }


def entry(number: int, *, whose: str | None = None) -> Item:
    """Return an audit entry, with a user or without."""
    item: Item = {
        "id": {"S": f"{GENESIS + number}-{number:06}"},
        "timestamp": {"N": str(GENESIS + number)},
        "stage": {"S": "prod"},
        "service": {"S": "employee-setup"},
        "action": {"S": "LOGIN"},
        "email": {"S": f"seen.{number:06}@private.example"},
    }
    return {**item, "userId": {"S": whose}} if whose else item


def wanted(name: str, item: Item) -> dict[Key, Item]:
    """Return by target key what must at least stand there for a legacy item: all it had, and where to find it."""
    key = item[KEYS[name]]["S"]
    carried = {**item, "version": {"N": "1"}, **_found_by(name, item)}
    entity = {"users": "USER", "refresh-tokens": "REFRESH_TOKEN", "contractors": "CONTRACTOR"}.get(name, name.upper())
    made: dict[Key, Item] = {(f"{entity}#{key}", "METADATA"): {**carried, "entityType": {"S": entity}}}
    if name == "audit" and "userId" in item:
        beside = {"relationshipType": {"S": "USER_AUDIT"}, "targetId": {"S": key}}
        made[f"USER#{item['userId']['S']}", f"AUDIT#{key}"] = beside
    return made


def differences(legacy: Legacy) -> list[str]:
    """Compare `entities` with all that was written: a line for each item that is lost, wrong, left over or risen."""
    standing = {(item["PK"]["S"], item["SK"]["S"]): item for item in scan(legacy.client, legacy.table("entities"))}
    living = {key: item for key, item in standing.items() if "dead" not in item.get("_stamp", {}).get("M", {})}
    found: list[str] = []
    expected: dict[Key, Item] = {}
    for (name, _), item in legacy.standing.items():
        expected |= wanted(name, item)
    for place, item in expected.items():
        wrong = [part for part, value in item.items() if living.get(place, {}).get(part) != value]
        if wrong:
            found.append(f"{place}: {'wrong ' + ', '.join(wrong) if place in living else 'not there'}")
    return found + [f"{place}: left over" for place in living.keys() - expected.keys()]


def legacy_differences(legacy: Legacy) -> list[str]:
    """Compare the legacy tables with all that was written to them."""
    found: list[str] = []
    for name, key in KEYS.items():
        standing = {item[key]["S"]: item for item in scan(legacy.client, legacy.table(name))}
        ours = {each: item for (table, each), item in legacy.standing.items() if table == name}
        found += [f"{name}/{each}" for each in standing.keys() | ours.keys() if standing.get(each) != ours.get(each)]
    return found


def scan(client: Any, table: str) -> Iterator[Item]:
    """Yield every item of a table but marks."""
    start: dict[str, Any] = {}
    while True:
        page = client.scan(TableName=table, ConsistentRead=True, **start)
        for item in page["Items"]:
            if not any(str(value.get("S", "")).startswith("tableturn-mark:") for value in item.values()):
                yield item
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def _found_by(name: str, item: Item) -> Item:
    """Return the index keys and other new attributes of an item's main place."""
    if name == "users":
        return {
            "GSI1PK": {"S": "USER"},
            "GSI1SK": _iso(item["createdAt"]),
            "GSI2PK": item["email"],
            "GSI2SK": {"S": "USER"},
            "status": {"S": "ACTIVE" if item.get("isActive") == {"BOOL": True} else "INACTIVE"},
            "fullName": item["name"],
        }
    if name == "contractors":
        person = {"GSI1PK": {"S": "CONTRACTOR"}, "GSI2PK": item["email"], "GSI2SK": {"S": "CONTRACTOR"}}
        hashed = {"GSI3PK": {"S": f"CONTRACTOR_TOKEN#{item['tokenHash']['S']}"}, "GSI3SK": _iso(item["expiresAt"])}
        return {**person, **hashed, "GSI1SK": _iso(item["expiresAt"]), "expireAt": item["ttl"]}
    if name == "refresh-tokens":
        whose = {"GSI2PK": {"S": f"USER#{item['userId']['S']}"}, "GSI2SK": _iso(item["expiresAt"])}
        return {**whose, "id": item["token"]}
    if name == "audit":
        when = _iso(item["timestamp"])
        month = when["S"][:7]
        time = {"GSI4PK": {"S": month}, "GSI4SK": {"S": f"{when['S']}#{item['id']['S']}"}}
        action = {"GSI2PK": {"S": f"{item['action']['S']}#{month}"}, "GSI2SK": when}
        return {**time, **action, "GSI1PK": {"S": f"AUDIT#{month}"}, "GSI1SK": when}
    return {"GSI1PK": {"S": "CONFIG"}, "id": item["key"]}


def _iso(milliseconds: dict[str, Any]) -> dict[str, Any]:
    seconds, rest = divmod(int(milliseconds["N"]), 1000)
    return {"S": f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"}


def _schema(parts: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"AttributeName": part, "KeyType": kind} for part, kind in zip(parts, ("HASH", "RANGE"), strict=False)]


def _secrets(item: Item) -> Iterator[str]:
    """Yield what must never be printed, as it is and as it would look inside a quoted key."""
    for name, value in item.items():
        if name in SECRET and "S" in value:
            yield value["S"]
            yield quote(value["S"], safe="")
        if "M" in value:
            yield from _secrets(value["M"])
