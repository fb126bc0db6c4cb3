"""Faults to be planted: a legacy data set and a plan that are right, and what makes them wrong in every way there is.

The plan is `tyler-setup` with four more sources: `rooms`, for queries; `ballast`, each item of which becomes fifty that
are nine times as large, so that six megabytes make collections of many gigabytes; `badges` and `desks`, for tables that
do not fit (`misfits`). Nothing of the product is imported here.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.legacy import GENESIS, Item, entry, token, user

SHIPPED = Path(__file__).resolve().parents[2] / "plans" / "tyler-setup.yaml"
MARK = "tableturn-mark:"
BEARER = "eyJhbGciOi.eyJzdWIi.c2ln"
ACCESS_KEY = "AKIAABCDEFGHIJKLMNOP"
ADDRESS = "kim@private.example"
TOKEN = token(1)["token"]["S"]

COPIES, BULK = 50, 40_000
HUGE, LARGE = 100, 50
"""Items of `ballast` whose collections take more than 10 GB, and more than half of that."""

SOURCES = """sources:
  rooms:
    table: "{SECRETS_PREFIX}-rooms"
    key: {id: S}
    indexes:
      by-floor: {key: {floor: S}}
    ttl: until
    attributes: [id, floor, house, name, seats, code, team, until]
  ballast:
    table: "{SECRETS_PREFIX}-ballast"
    key: {group: S, id: S}
    attributes: [group, id, bulk]
  badges:
    table: "{SECRETS_PREFIX}-badges"
    key: {id: S}
    indexes:
      by-owner: {key: {owner: S}}
    ttl: until
  desks:
    table: "{SECRETS_PREFIX}-desks"
    key: {number: S}
"""
ENTITIES = """entities:
  ROOM:
    source: rooms
    carry: all
    key: ["ROOM#{id}", METADATA]
    indexes:
      GSI1: ["FLOOR#{floor}", "{name}"]
      GSI2: ["{code}", ROOM]
      GSI3: ["LEVEL#{floor}", "{id}"]
      GSI4: ["TEAM#{team}", "{id}"]
  BADGE: {source: badges, carry: all, key: ["BADGE#{id}", METADATA]}
  DESK: {source: desks, carry: all, key: ["DESK#{number}", METADATA]}
  BALLAST:
    source: ballast
    carry: all
    key: ["BALLAST#{group}", "ITEM#{id}"]
    beside:
"""
ONE_COPY = """      BALLAST_{number}:
        key: ["BALLAST#{{group}}", "COPY#{number}#{{id}}"]
        carry: all
        attributes: {{{bulk}}}
        indexes: {{GSI1: ["BALLAST#{{group}}", "{{id}}"]}}
"""
QUERIES = """queries:
  rooms-of-a-floor:
    source: rooms
    where: "{floor}"
    target: {index: GSI1, key: "FLOOR#{floor}"}
    order: name
  room-by-code:
    source: rooms
    where: "{code}"
    target: {index: GSI2, key: "{code}"}
  rooms-of-a-level:
    source: rooms
    legacy: {index: by-floor, key: floor}
    target: {index: GSI3, key: "LEVEL#{floor}"}
  rooms-of-a-team:
    source: rooms
    where: "{team}"
    target: {index: GSI4, key: "TEAM#{team}"}
"""
LOCAL = "    LSI1-Versions: {key: {PK: S, version: N}, local: true}\n"
CONFIG = "    derived:\n      id: {copy: key}\n\n# ---- what the applications ask"
IMPURE = 'seen: {python: "impure:seen", type: N}\n      mood: {python: "impure:mood", type: S}'
FUNCTIONS = '''"""Functions of a plan that work, but for two items."""

import time

_asked = set()


def seen(image):
    return {"N": str(time.time_ns())} if image["key"]["S"] == "clock" else None


def mood(image):
    if image["key"]["S"] != "moody":
        return None
    if "moody" in _asked:
        raise ValueError("not again")
    _asked.add("moody")
    return {"S": "fine"}
'''


def right_plan() -> str:
    """Return the plan by which nothing is wrong."""
    bulk = ", ".join(f"bulk{number}: {{copy: bulk, type: S}}" for number in range(8))
    copies = "".join(ONE_COPY.format(number=number, bulk=bulk) for number in range(COPIES))
    local = LOCAL.replace("version: N", "GSI1SK: S")
    indexes = "".join(local.replace("LSI1-Versions", f"LSI{number}") for number in range(1, 6))
    edits = [
        ("sources:\n", SOURCES),
        ("entities:\n", ENTITIES + copies),
        ("queries:\n", QUERIES),
        (LOCAL, indexes),
        (CONFIG, CONFIG.replace("id: {copy: key}", f"id: {{copy: key}}\n      {IMPURE}")),
    ]
    return edited(SHIPPED.read_text(encoding="utf-8"), edits)


EDITS = [
    ("order: name\n  room-by", "order: seats\n  room-by"),
    ('GSI2: ["{code}", ROOM]', 'GSI2: ["{code|lower}", ROOM]'),
    ('GSI3: ["LEVEL#{floor}"', 'GSI3: ["LEVEL#{house}"'),
    ('index: GSI3, key: "LEVEL#{floor}"', 'index: GSI3, key: "LEVEL#{house}"'),
    ('where: "{team}"', 'where: "{crew}"'),
    ("key: {number: S}", "key: {number: N}"),
]
"""What makes the plan wrong: a sort key, a hash key, one too wide, an attribute nobody has, a key without a text."""


def wrong_plan() -> str:
    """Return the plan by which the same items are wrong."""
    return edited(right_plan(), EDITS)


def edited(written: str, edits: list[tuple[str, str]]) -> str:
    """Replace each text, which must stand there exactly once."""
    for given, instead in edits:
        assert written.count(given) == 1, given
        written = written.replace(given, instead)
    return written


def room(name: str, floor: str, seats: int, code: str) -> Item:
    """Return a room of the one house that there is."""
    texts = {"id": name, "floor": floor, "house": "main", "name": f"Room {name}", "code": code, "team": "red"}
    return {**{each: {"S": value} for each, value in texts.items()}, "seats": {"N": str(seats)}}


ROOMS = [
    room("r1", "1", 10, "a1"),
    room("r2", "1", 8, "a2"),
    room("r3", "1", 12, "a3"),
    room("r4", "2", 4, "a4"),
    room("r5", "2", 6, "B5"),
]


def ballast(group: str, count: int) -> list[Item]:
    """Return some items of one hash key."""
    return [{"group": {"S": group}, "id": {"S": f"b{number}"}, "bulk": {"S": "x" * BULK}} for number in range(count)]


@dataclass(frozen=True)
class Plant:
    """An item, what it is called where nothing secret may be, and its faults: kinds, each with where it is counted."""

    source: str
    item: Item
    shown: str
    faults: dict[str, str]


def contractor(name: str, **others: dict[str, Any]) -> Item:
    """Return somebody who has been invited."""
    texts = {"id": name, "email": f"{name}@private.example", "name": name, "tokenHash": f"hash-{name}", "status": "odd"}
    numbers = {"createdAt": GENESIS, "expiresAt": GENESIS * 2}
    item = {each: {"S": value} for each, value in texts.items()} | {each: {"N": str(n)} for each, n in numbers.items()}
    return {**item, **others}


def _of_people() -> list[Plant]:
    def one(number: int, faults: dict[str, str], **attributes: dict[str, Any]) -> Plant:
        item = {**user(number), **attributes}
        return Plant("users", item, f"users/{item['id']['S']}", faults)

    unborn = {"index-key-null": "USER GSI1 createdAt", "query-lacks-told": "users-by-creation"}
    return [
        one(1, {"key-unusable": ""}, id={"S": "x" * 2045}),
        one(2, {"too-large": ""}, lastLoginIP={"S": "x" * 409_200}),
        one(3, {"nearly-too-large": ""}, lastLoginIP={"S": "x" * 380_000}),
        one(5, unborn, createdAt={"NULL": True}),
        one(6, {"unknown-attribute": "shoeSize"}, shoeSize={"N": "42"}),
        one(7, {"unknown-attribute": "~"}, **{ADDRESS: {"S": "x"}}),
    ]


def _of_contractors() -> list[Plant]:
    def one(name: str, faults: dict[str, str], **attributes: dict[str, Any]) -> Plant:
        return Plant("contractors", contractor(name, **attributes), f"contractors/{name}", faults)

    return [
        one("late", {"ttl-long-ago": "ttl"}, ttl={"N": "100000"}),
        one("hasty", {"ttl-in-milliseconds": "ttl"}, ttl={"N": str(GENESIS * 2)}),
        one("wordy", {"ttl-not-a-number": "ttl"}, ttl={"S": "soon"}),
        one("endless", {"index-key-long": "CONTRACTOR GSI2"}, email={"S": "y" * 2049}),
    ]


def _of_the_others() -> list[Plant]:
    def config(key: str, shown: str, faults: dict[str, str], **attributes: dict[str, Any]) -> Plant:
        return Plant("config", {"key": {"S": key}, **attributes}, f"config/{shown}", faults)

    late = {**room("r9", "9", 1, "a9"), "until": {"N": str(int(time.time()) - 60)}}
    bearer = entry(1, whose=BEARER)
    exact = {**entry(2, whose="kim"), "count": {"N": "12345678901234567890"}}
    nobody = entry(3)
    unindexed = {"index-key-absent": "CONFIG GSI1 updatedAt"}
    return [
        Plant("rooms", late, "rooms/r9", {"expired": "until"}),
        Plant("audit", bearer, f"audit/{bearer['id']['S']}", {"secret-in-key": "userId"}),
        Plant("audit", exact, f"audit/{exact['id']['S']}", {"imprecise-number": "count"}),
        Plant("audit", nobody, f"audit/{nobody['id']['S']}", {"index-key-absent": "AUDIT GSI3 userId"}),
        Plant("refresh-tokens", {**token(1), "tint": {"S": "red"}}, "refresh-tokens/~", {"unknown-attribute": "tint"}),
        config(ACCESS_KEY, "~", {"secret-in-key": "key", **unindexed}),
        config("silent", "silent", {"index-key-empty": "CONFIG GSI1 updatedAt"}, updatedAt={"S": ""}),
        config("odd", "odd", {"index-key-type": "CONFIG GSI1"}, updatedAt={"S": "yesterday"}),
        config(f"{MARK}1", "tableturn-mark%3A1", {"reserved-key": "", **unindexed}, a={"S": "b"}),
        config(f"{MARK}2", f"{MARK}2", {"mark": ""}),
        config("deep", "deep", {"untranslatable": ""}, PK=nested(30)),
        config("crowded", "crowded", {"displaced": "GSI1PK", **unindexed}, GSI1PK={"S": "mine"}),
        config("clock", "clock", {"not-invertible": "", **unindexed}),
        config("moody", "moody", {"irreversible": "", **unindexed}),
    ]


def nested(levels: int) -> dict[str, Any]:
    """Return a list in a list in a list …"""
    return {"L": [nested(levels - 1)] if levels else []}


OF_THE_PLAN = [
    ("query-disordered", "rooms-of-a-floor", "rooms/r1"),
    ("query-lacks", "room-by-code", "rooms/r5"),
    *(("query-adds", "rooms-of-a-level", f"rooms/{name}") for name in ("r1", "r2", "r3", "r4", "r5", "r9")),
    ("query-unasked", "rooms-of-a-team", "rooms"),
    ("collection-too-large", "table", "BALLAST#huge"),
    ("collection-large", "table", "BALLAST#large"),
    ("hot-partition", "table", "BALLAST#huge"),
]
"""What the wrong plan makes of items that are right: kind, where it is counted, who is named."""

PLANTS = [*_of_people(), *_of_contractors(), *_of_the_others()]
"""Every item that has a fault of its own."""


def expected() -> list[tuple[str, str, str]]:
    """Return every fault that is to be told: its kind, where it is counted, and who is named."""
    of_items = [
        (kind, where if kind.startswith("query-") else f"{each.source} {where}".strip(), each.shown)
        for each in PLANTS
        for kind, where in each.faults.items()
    ]
    return [*of_items, *OF_THE_PLAN]
