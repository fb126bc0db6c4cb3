"""Sets the scene: the five legacy tables exactly as they stand today, filled to the plan's volumes.

Tables are written out here by hand (tyler-setup.md, "Legacy side"), not taken from the plan, so that the plan is held
against something. The first items are those of `sample/`, which the application itself wrote; the rest is generated.
"""

import asyncio
from collections.abc import Iterator
from importlib.resources import files
from itertools import cycle, islice
from random import Random
from typing import Final

import orjson

from domain.items import Item, number
from domain.phases import Side
from domain.tables import IndexDefinition, KeyAttribute, TableDefinition, ViewType
from dynamo.aws import AwsDatabase
from dynamo.calls import Document
from dynamo.ports import Delete, Put
from service.demo.journal import Entry, Journal, Name, wall_ms
from service.demo.people import DAY_MS, ODDITIES, People
from service.demo.writing import KEYS

VOLUMES: Final = {"users": 150, "contractors": 25, "refresh-tokens": 180, "audit": 1250, "config": 12}
"""The seed's migration plan, §2.1."""

_ACTIONS: Final = ("LOGIN_SUCCESS", "LOGIN_FAILED", "USER_UPDATED", "SECRET_READ", "CLEANUP")
_BATCH: Final = 25  # puts of one BatchWriteItem
_PAUSE: Final = 0.05


def legacy_tables(prefix: str) -> list[TableDefinition]:
    """Return today's tables: only users has a stream, contractors and refresh-tokens have TTL."""
    id_key, timestamp = (KeyAttribute("id", "S"),), KeyAttribute("timestamp", "N")
    expires, user = KeyAttribute("expiresAt", "N"), KeyAttribute("userId", "S")
    by_email = IndexDefinition("email-index", (KeyAttribute("email", "S"),))
    by_token = IndexDefinition("token-index", (KeyAttribute("token", "S"),))
    by_expiry = IndexDefinition("expiry-index", (expires,))
    of_user = IndexDefinition("userId-index", (user, expires))
    by_time = IndexDefinition("timestamp-index", (timestamp,))
    of_actor = IndexDefinition("user-index", (user, timestamp))
    return [
        TableDefinition(f"{prefix}-users", id_key, (by_email,), stream=ViewType.NEW_AND_OLD_IMAGES),
        TableDefinition(f"{prefix}-contractors", id_key, (by_token, by_expiry), ttl_attribute="ttl"),
        TableDefinition(f"{prefix}-refresh-tokens", (KeyAttribute("token", "S"),), (of_user,), ttl_attribute="ttl"),
        TableDefinition(f"{prefix}-audit", id_key, (by_time, of_actor)),
        TableDefinition(f"{prefix}-config", (KeyAttribute("key", "S"),)),
    ]


async def set_scene(database: AwsDatabase, prefix: str, journal: Journal, random: Random) -> int:
    """Create and fill the tables, acknowledge every item in the journal; return how many there are."""
    async with asyncio.TaskGroup() as group:
        for definition in legacy_tables(prefix):
            group.create_task(database.create_table(definition))
    count = 0
    for table, items in contents(random).items():
        puts: Iterator[Document] = iter({"PutRequest": {"Item": item}} for item in items)
        while batch := list(islice(puts, _BATCH)):
            await _put(database, f"{prefix}-{table}", batch)
        for item in items:
            name = Name(table, item[KEYS[table]]["S"])
            journal.acknowledge(Entry(name, Side.SOURCE, 0, "fill", None, item, seen=False, at_ms=wall_ms()))
        count += len(items)
    return count


def contents(random: Random) -> dict[str, list[Item]]:
    """Return the items of every table: the sample, then generated ones up to the plan's volumes."""
    people, now = People(random), wall_ms()
    found = {table: list(_sample(table)) for table in VOLUMES}
    found["contractors"] = _redated(found["contractors"], now)
    missing = {table: volume - len(found[table]) for table, volume in VOLUMES.items()}
    odd = cycle([*ODDITIES, {}, {}])
    past = [now - random.randrange(400 * DAY_MS) for _ in range(max(VOLUMES.values()))]
    found["users"] += [people.user(past[each], odd=next(odd)) for each in range(missing["users"])]
    user_ids = [user["id"]["S"] for user in found["users"]]
    found["contractors"] += [people.contractor(now, access_s=90_000) for _ in range(missing["contractors"])]
    found["refresh-tokens"] += [
        people.token(random.choice(user_ids), now - random.randrange(6 * DAY_MS))
        for _ in range(missing["refresh-tokens"])
    ]
    found["audit"] += [_audit(people, user_ids, past[each]) for each in range(missing["audit"])]
    found["config"] += [people.config(f"team-{each}", past[each]) for each in range(missing["config"])]
    return found


async def wake_streams(database: AwsDatabase, prefix: str) -> None:
    """Put and delete one item in every legacy table, after the streams are on and before anybody reads them.

    Only for DynamoDB Local: an iterator opened on a shard that has no record yet fails there with
    TrimmedDataAccessException as soon as any other table is written, which on AWS would mean lost records and which
    the product must therefore keep treating so. `init` has given the target's stream its first record.
    """
    for table, key_name in KEYS.items():
        key: Item = {key_name: {"S": "demo-wakes-the-stream"}}
        await database.write(Put(f"{prefix}-{table}", key))
        await database.write(Delete(f"{prefix}-{table}", key))


async def clear_away(database: AwsDatabase, prefix: str) -> None:
    """Delete every table of the demo, protected ones too: for a database that outlives it."""
    last: dict[str, str] = {}
    names: list[str] = []
    while True:
        answer = await database.call("ListTables", last)
        names += [name for name in answer["TableNames"] if name.startswith(f"{prefix}-")]
        if "LastEvaluatedTableName" not in answer:
            break
        last = {"ExclusiveStartTableName": answer["LastEvaluatedTableName"]}
    for name in names:
        table = (await database.call("DescribeTable", {"TableName": name}))["Table"]
        if table.get("DeletionProtectionEnabled"):
            off = {"TableName": name, "DeletionProtectionEnabled": False}
            table = (await database.call("UpdateTable", off))["TableDescription"]
        while table["TableStatus"] != "ACTIVE":
            await asyncio.sleep(_PAUSE)
            table = (await database.call("DescribeTable", {"TableName": name}))["Table"]
        await database.delete_table(name)


async def _put(database: AwsDatabase, table: str, batch: list[Document]) -> None:
    """Put a batch; what comes back unprocessed is put again."""
    pending = {table: batch}
    while pending:
        answer = await database.call("BatchWriteItem", {"RequestItems": pending})
        pending = answer.get("UnprocessedItems") or {}
        if pending:
            await asyncio.sleep(_PAUSE)


def _sample(table: str) -> Iterator[Item]:
    written = files("service.demo").joinpath("sample", f"{table}.jsonl").read_text(encoding="utf-8")
    for line in written.splitlines():
        item: Item = orjson.loads(line)["Item"]
        yield item


def _redated(contractors: list[Item], now_ms: int) -> list[Item]:
    """Move invitations by whole days, all alike, so that today none of the sample is over yet."""
    first_s = min(int(item["ttl"]["N"]) for item in contractors)
    days = max(0, -(-(now_ms // 1000 + 3600 - first_s) // 86_400))
    steps = {"createdAt": days * DAY_MS, "expiresAt": days * DAY_MS, "revokedAt": days * DAY_MS, "ttl": days * 86_400}
    return [
        {name: number(int(value["N"]) + steps[name]) if name in steps else value for name, value in item.items()}
        for item in contractors
    ]


def _audit(people: People, user_ids: list[str], at_ms: int) -> Item:
    """Return an entry with the attributes that entries of its kind have."""
    action = people.random.choice(_ACTIONS)
    user_id = None if action == "CLEANUP" else people.random.choice(user_ids)
    more: dict[str, Item] = {
        "LOGIN_FAILED": {"email": {"S": people.email()}, "reason": {"S": "wrong password"}},
        "USER_UPDATED": {"targetUserId": {"S": people.random.choice(user_ids)}, "changes": {"L": [{"S": "role"}]}},
        "SECRET_READ": {"resource": {"S": "db/readonly"}, "endpoint": {"S": "/secrets"}},
        "CLEANUP": {"count": number(people.random.randrange(9)), "details": {"M": {"ratio": {"N": "0.1"}}}},
    }
    if action == "LOGIN_FAILED" and people.random.choice([True, False]):
        user_id = None  # nobody of that e-mail address
    return people.audit(action, user_id=user_id, at_ms=at_ms, more=more.get(action))
