"""Two sides made to disagree, in every way there is: what is planted where, and what must be told of it.

A fault that tableturn itself could have made is planted under a stamp that fits, as if tableturn had written it: a
repair may mend it. Anything else is somebody else's work: a repair leaves it alone. What is expected is worked out here
from what stood there and what was planted; of the product only the digest is used, to make a stamp fit.
"""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from boto3.dynamodb.types import TypeDeserializer

from domain.items import digest
from tests.acceptance.legacy import GENESIS, KEYS, Item, Key, entry, token, user, wanted
from tests.acceptance.plants import SHIPPED, edited

YEAR, HOUR = 365 * 86_400, 3600
EXACT = "1234567890123456789012345678901234567.8"
_PLAIN = TypeDeserializer()
_NOTHING = object()

CONFIG = "    derived:\n      id: {copy: key}\n\n# ---- what the applications ask"
FIRST = """    derived:
      id: {copy: key}
      firstRatio: {python: "spelling:first", type: S, inverse: {attribute: ratioText, python: "spelling:back"}}

# ---- what the applications ask"""
SPELLING = '''"""A rule that loses something: a number in a list has many spellings, and this goes by the spelling."""


def first(image):
    ratios = image.get("ratios", {}).get("L")
    return {"S": ratios[0]["N"]} if ratios else None


def back(value, image):
    return {"S": value["S"]}
'''


def lossy_plan() -> str:
    """Return the shipped plan with a rule by which the target agrees, and does not lead back."""
    return edited(SHIPPED.read_text(encoding="utf-8"), [(CONFIG, FIRST)])


Told = tuple[str, tuple[str, ...]]
"""The kind of a mismatch, and the attributes that it names."""


class Way(StrEnum):
    """Who settles a fault."""

    REPAIR = "a repair mends it"
    HAND = "a repair leaves it alone"
    NONE = "it is no fault"


@dataclass(frozen=True)
class Plant:
    """What is planted at a target key (None: nothing) in the place of what is right there; ``told`` if not by that."""

    fault: str
    item: str
    key: Key | None
    right: Item | None
    planted: Item | None
    way: Way
    told: Told | None = None

    @property
    def mismatch(self) -> Told | None:
        """Return the kind and the attributes that a comparison must tell; None: nothing."""
        if self.way is Way.NONE or self.told is not None:
            return self.told
        if self.right is None:
            return "extra", ()
        return ("missing", ()) if self.planted is None else ("different", differing(self.right, self.planted))


@dataclass(frozen=True)
class Grounds:
    """The target before and after the application changed and deleted its last items, and the items of a fault."""

    earlier: Mapping[Key, Item]
    standing: Mapping[Key, Item]
    items: tuple[tuple[str, Item], ...]

    @property
    def model(self) -> Item:
        """Return the user whom what is not real is modelled on."""
        return self.standing["USER#user-000000", "METADATA"]


Spoil = Callable[[Item], Item | None]
Make = Callable[[str, Grounds], Iterator[Plant]]


@dataclass(frozen=True)
class Fault:
    """A kind of fault: of which sources' items it is made, how, and who settles it."""

    sources: tuple[str, ...]
    make: Make


def differing(one: Item, other: Item) -> tuple[str, ...]:
    """Return the names of what is not equal by value."""
    names = sorted((one.keys() | other.keys()) - {"_stamp"})
    return tuple(name for name in names if _value(one, name) != _value(other, name))


def content(item: Item | None) -> Item | None:
    """Return an item without its stamp; nothing for a tombstone."""
    if item is None or "dead" in item.get("_stamp", {}).get("M", {}):
        return None
    return {name: value for name, value in item.items() if name != "_stamp"}


def sealed(item: Item, *, whose: str = "", version: str = "") -> Item:
    """Return the item under a stamp that fits, as if tableturn had written it, of this source id and version."""
    bare = {name: value for name, value in item.items() if name != "_stamp"}
    fields = {"src": {"S": whose}} if whose else {}
    fields |= {"ver": {"S": version}} if version else {}
    return {**bare, "_stamp": {"M": {**item["_stamp"]["M"], **fields, "sum": {"S": digest(_wire(bare))}}}}


def item_of(source: str, fault: str, number: int) -> Item:
    """Return a legacy item in full dress."""
    now = int(time.time())
    past = {"expired, missing": HOUR, "expired, different": HOUR, "long past its time, missing": 6 * YEAR}
    match source:
        case "users":
            return user(number)
        case "refresh-tokens":
            return token(number)
        case "audit":
            details: Item = {"deep": {"M": {"flag": {"BOOL": True}, "from": {"S": "10.0.0.9"}}}}
            listed = {"L": [{"N": "1.50"}, {"N": "1E2"}, {"S": "x"}]}
            return {**entry(number, whose=f"user-{number:06}"), "details": {"M": details}, "changes": listed}
        case "contractors":
            return _contractor(number, now - past.get(fault, -30 * 86_400))
        case _:
            return _setting(number)


def _contractor(number: int, ttl: int) -> Item:
    texts = {"company": "External", "reason": "audit", "status": "pending", "tokenHash": f"{number:064x}"}
    secrets = [{"S": f"secret-{each}"} for each in range(3)]
    return {
        "id": {"S": f"contractor-{number:06}"},
        "email": {"S": f"vendor.{number:06}@private.example"},
        "name": {"S": f"Contractor {number}"},
        **{name: {"S": value} for name, value in texts.items()},
        "createdAt": {"N": str(GENESIS + number)},
        "expiresAt": {"N": str(GENESIS + 86_400_000 + number)},
        "ttl": {"N": str(ttl)},
        "allowedSecrets": {"L": secrets},
        "lastAccess": {"NULL": True},
    }


def _setting(number: int) -> Item:
    return {
        "key": {"S": f"setting-{number:06}"},
        "updatedAt": {"N": str(GENESIS + number)},
        "limit": {"N": EXACT},
        "logo": {"B": bytes(range(200, 256))},
        "domains": {"SS": ["a.example", "b.example", "c.example"]},
        "ratios": {"L": [{"N": "1.50"}, {"N": "2"}]},
        "label": {"S": "Zoë"},
    }


def place(source: str, item: Item) -> Key:
    return next(iter(wanted(source, item)))


def beside(item: Item) -> Key:
    return list(wanted("audit", item))[1]


def name_of(source: str, item: Item) -> str:
    return f"{source}/{quote(item[KEYS[source]]['S'], safe='')}"


def rekeyed(item: Item, key: Key) -> Item:
    return {**item, "PK": {"S": key[0]}, "SK": {"S": key[1]}}


def _value(item: Item, name: str) -> object:
    return _PLAIN.deserialize(item[name]) if name in item else _NOTHING


def _wire(value: Any) -> Any:
    """Return wire JSON: binary as text."""
    if isinstance(value, dict):
        return {name: _wire(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_wire(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
