"""The faults that are planted: each by its name, on items of its own, in the order in which they are told of.

What is common to them is in `disagreements`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.acceptance.disagreements import (
    EXACT,
    HOUR,
    Fault,
    Grounds,
    Make,
    Plant,
    Spoil,
    Told,
    Way,
    beside,
    item_of,
    name_of,
    place,
    rekeyed,
    sealed,
)
from tests.acceptance.legacy import KEYS, Item, Key, Legacy, user, wanted
from tests.acceptance.plants import nested

COUNT = 12
"""Items on which each fault is planted; an even number, because some are exchanged in pairs."""

FEW = 3
"""Items that cannot be translated: each waits in quarantine."""


def legacy_items() -> dict[str, list[Item]]:
    """Return all items on which faults will be planted, by source."""
    made: dict[str, list[Item]] = {name: [] for name in KEYS}
    made["users"].append(user(0))
    for name in FAULTS:
        for source, item in items_of(name):
            made[source].append(item)
    return made


def items_of(name: str) -> tuple[tuple[str, Item], ...]:
    """Return the items of a fault, source by source: numbers of its own."""
    first = (list(FAULTS).index(name) + 1) * 100
    numbers = range(first, first + COUNT)
    return tuple((source, item_of(source, name, number)) for source in FAULTS[name].sources for number in numbers)


def planted(earlier: Mapping[Key, Item], standing: Mapping[Key, Item]) -> list[Plant]:
    """Return every plant."""
    return [
        plant
        for name, fault in FAULTS.items()
        for plant in fault.make(name, Grounds(earlier, standing, items_of(name)))
    ]


def changed_last(legacy: Legacy) -> Iterator[tuple[str, str, Key]]:
    """Let the application change and delete what is then found stale or risen; yield fault, legacy key, target key."""
    for name in ("stale image", "stamp without its image"):
        for source, item in items_of(name):
            legacy.change(source, item["id"]["S"], "name", {"S": f"Renamed {item['id']['S']}"})
            yield name, item["id"]["S"], place(source, item)
    for source, item in items_of("lost delete"):
        legacy.delete(source, item["id"]["S"])
        yield "lost delete", item["id"]["S"], place(source, item)
    for plant in _untranslatable("untranslatable", Grounds({}, {}, ())):
        legacy.put("config", {"key": {"S": plant.item.removeprefix("config/")}, "PK": nested(30)})


# ---- one item, spoilt where it stands -------------------------------------------------------------------------------


def _spoilt(source: str, spoil: Spoil, way: Way = Way.REPAIR, told: Told | None = None) -> Fault:
    """A fault of the primary item alone; one that a repair mends has a stamp that fits."""

    def make(name: str, grounds: Grounds) -> Iterator[Plant]:
        for each, item in grounds.items:
            key = place(each, item)
            right = grounds.standing[key]
            wrong = spoil(right)
            if wrong is not None and way is Way.REPAIR:
                wrong = sealed(wrong)
            yield Plant(name, name_of(each, item), key, right, wrong, way, told)

    return Fault((source,), make)


def _but(**attributes: dict[str, Any]) -> Spoil:
    return lambda item: {**item, **attributes}


def _lacking(*names: str) -> Spoil:
    return lambda item: {name: value for name, value in item.items() if name not in names}


def _nothing(item: Item) -> None:
    del item


def _only_key(item: Item) -> Item:
    return {name: item[name] for name in ("PK", "SK", "_stamp")}


def _dead(item: Item) -> Item:
    stamp = {**item["_stamp"]["M"], "dead": {"BOOL": True}}
    return {**_only_key(item), "_stamp": {"M": stamp}}


def _deep(item: Item) -> Item:
    deep = {"M": {**item["details"]["M"]["deep"]["M"], "flag": {"BOOL": False}}}
    return {**item, "details": {"M": {"deep": deep}}}


def _listed(name: str, change: Callable[[list[Any]], list[Any]]) -> Spoil:
    return lambda item: {**item, name: {"L": change(item[name]["L"])}}


def _aged(item: Item) -> Item:
    version = item["_stamp"]["M"]["ver"]["S"]
    return sealed(item, version=f"000000{version[6:]}")


# ---- several items, or items that nothing calls for -----------------------------------------------------------------


def _both(name: str, grounds: Grounds) -> Iterator[Plant]:
    for source, item in grounds.items:
        for key in wanted(source, item):
            yield Plant(name, name_of(source, item), key, grounds.standing[key], None, Way.REPAIR)


def _second(spoil: Spoil) -> Make:
    def make(name: str, grounds: Grounds) -> Iterator[Plant]:
        for source, item in grounds.items:
            right = grounds.standing[beside(item)]
            wrong = spoil(right)
            wrong = None if wrong is None else sealed(wrong)
            yield Plant(name, name_of(source, item), beside(item), right, wrong, Way.REPAIR)

    return make


def _left_behind(name: str, grounds: Grounds) -> Iterator[Plant]:
    for source, item in grounds.items:
        key = ("USER#somebody-else", beside(item)[1])
        wrong = sealed(rekeyed(grounds.standing[beside(item)], key))
        yield Plant(name, name_of(source, item), key, None, wrong, Way.REPAIR)


def _earlier(*, under_the_newer_stamp: bool) -> Make:
    def make(name: str, grounds: Grounds) -> Iterator[Plant]:
        for source, item in grounds.items:
            key = place(source, item)
            right, wrong = grounds.standing[key], grounds.earlier[key]
            if under_the_newer_stamp:
                wrong = sealed(wrong, version=right["_stamp"]["M"]["ver"]["S"])
            yield Plant(name, name_of(source, item), key, right, wrong, Way.REPAIR)

    return make


def _undeleted(name: str, grounds: Grounds) -> Iterator[Plant]:
    for source, item in grounds.items:
        key = place(source, item)
        yield Plant(name, name_of(source, item), key, None, grounds.earlier[key], Way.REPAIR)


def _risen(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(COUNT):
        key = (f"USER#risen-{number}", "METADATA")
        wrong = sealed(rekeyed(grounds.model, key), whose=f"users/risen-{number}")
        yield Plant(name, f"users/risen-{number}", key, None, wrong, Way.REPAIR)


def _exchanged(*, stamps_too: bool) -> Make:
    def make(name: str, grounds: Grounds) -> Iterator[Plant]:
        half = len(grounds.items) // 2
        others = grounds.items[half:] + grounds.items[:half]
        for (source, item), (other_source, other) in zip(grounds.items, others, strict=True):
            key = place(source, item)
            right, wrong = grounds.standing[key], rekeyed(grounds.standing[place(other_source, other)], key)
            way = Way.HAND if stamps_too else Way.REPAIR
            wrong = wrong if stamps_too else sealed({**wrong, "_stamp": right["_stamp"]})
            yield Plant(name, name_of(source, item), key, right, wrong, way)

    return make


def _foreign(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(COUNT):
        key = (f"USER#stranger-{number}", "METADATA")
        yield Plant(name, f"users/stranger-{number}", key, None, rekeyed({"note": {"S": "?"}}, key), Way.HAND)


def _foreign_second(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(COUNT):
        key = ("USER#user-000000", f"AUDIT#nobodys-{number}")
        yield Plant(name, f"audit/nobodys-{number}", key, None, rekeyed({"note": {"S": "?"}}, key), Way.HAND)


def _copied(name: str, grounds: Grounds) -> Iterator[Plant]:
    for source, item in grounds.items:
        key = (f"USER#copy-of-{item['id']['S']}", "METADATA")
        wrong = rekeyed(grounds.standing[place(source, item)], key)
        yield Plant(name, f"users/copy-of-{item['id']['S']}", key, None, wrong, Way.HAND)


def _untranslatable(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(FEW):
        yield Plant(name, f"config/deep-{number}", None, None, None, Way.HAND, ("missing", ("untranslatable",)))


def _expired_extra(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(COUNT):
        key = (f"CONTRACTOR#past-{number}", "METADATA")
        past = {"expireAt": {"N": str(int(time.time()) - HOUR)}}
        wrong = sealed(rekeyed({**grounds.model, **past}, key), whose=f"contractors/past-{number}")
        yield Plant(name, f"contractors/past-{number}", key, None, wrong, Way.NONE)


def _dead_of_nobody(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(COUNT):
        key = (f"USER#dead-{number}", "METADATA")
        wrong = sealed(rekeyed(_dead(grounds.model), key), whose=f"users/dead-{number}")
        yield Plant(name, f"users/dead-{number}", key, None, wrong, Way.NONE)


def _unmapped(name: str, grounds: Grounds) -> Iterator[Plant]:
    for number in range(COUNT):
        key = (f"SESSION#{number}", "METADATA")
        yield Plant(name, f"nobody/{number}", key, None, rekeyed({"note": {"S": "?"}}, key), Way.NONE)


_INDEX_KEY = {"GSI2PK": {"S": "nobody@private.example"}}
_LISTS: Mapping[str, Callable[[list[Any]], list[Any]]] = {
    "shorter": lambda listed: listed[:-1],
    "turned": lambda listed: listed[::-1],
    "spelt": lambda listed: [{"N": "15e-1"}, {"N": "100"}, *listed[2:]],
    "unlike": lambda listed: [{"N": "1.5"}, *listed[1:]],
}

FAULTS: Mapping[str, Fault] = {
    # What tableturn could have done wrong itself.
    "lost put": _spoilt("users", _nothing),
    "lost put of two": Fault(("audit",), _both),
    "second item lost": Fault(("audit",), _second(_nothing)),
    "second item wrong": Fault(("audit",), _second(_but(targetId={"S": "another"}))),
    "second item left behind": Fault(("audit",), _left_behind),
    "lost delete": Fault(("users",), _undeleted),
    "deleted item risen": Fault((), _risen),
    "buried alive": _spoilt("users", _dead, told=("missing", ())),
    "stale image": Fault(("users",), _earlier(under_the_newer_stamp=False)),
    "stamp without its image": Fault(("users",), _earlier(under_the_newer_stamp=True)),
    "attribute changed": _spoilt("users", _but(role={"S": "admin"})),
    "attribute lacking": _spoilt("users", _lacking("passwordHash")),
    "attribute more": _spoilt("users", _but(shoeSize={"N": "42"})),
    "null lacking": _spoilt("users", _lacking("lastLogin")),
    "bool flipped": _spoilt("users", lambda item: {**item, "isActive": {"BOOL": not item["isActive"]["BOOL"]}}),
    "number made text": _spoilt("users", lambda item: {**item, "createdAt": {"S": item["createdAt"]["N"]}}),
    "blank at the end": _spoilt("users", lambda item: {**item, "fullName": {"S": f"{item['fullName']['S']} "}}),
    "derived map changed": _spoilt("users", lambda item: {**item, "profile": {"M": {}}}),
    "default lacking": _spoilt("users", _lacking("version")),
    "index key wrong": _spoilt("users", _but(**_INDEX_KEY)),
    "index entry lacking": _spoilt("users", _lacking("GSI2PK", "GSI2SK")),
    "emptied": _spoilt("users", _only_key),
    "list truncated": _spoilt("contractors", _listed("allowedSecrets", _LISTS["shorter"])),
    "list in another order": _spoilt("contractors", _listed("allowedSecrets", _LISTS["turned"])),
    "time to live lacking": _spoilt("contractors", _lacking("expireAt")),
    "nested map changed": _spoilt("audit", _deep),
    "last of 38 digits": _spoilt("config", _but(limit={"N": f"{EXACT[:-1]}9"})),
    "binary changed": _spoilt("config", _but(logo={"B": bytes(range(200, 255)) + b"\0"})),
    "set short of one": _spoilt("config", _but(domains={"SS": ["a.example", "b.example"]})),
    "letters of another form": _spoilt("config", _but(label={"S": "Zoe\u0308"})),
    "token's time changed": _spoilt("refresh-tokens", _but(expiresAt={"N": "1"})),
    "contents exchanged": Fault(("users",), _exchanged(stamps_too=False)),
    "tables exchanged": Fault(("users", "contractors"), _exchanged(stamps_too=False)),
    "expired, different": _spoilt("contractors", _but(company={"S": "Other"})),
    "long past its time, missing": _spoilt("contractors", _nothing),
    # What somebody else did, or what no repair mends.
    "changed by hand": _spoilt("users", _but(role={"S": "admin"}), Way.HAND),
    "foreign over ours": _spoilt("users", _lacking("_stamp", "role"), Way.HAND),
    "foreign": Fault((), _foreign),
    "foreign second item": Fault((), _foreign_second),
    "stamp copied along": Fault(("users",), _copied),
    "exchanged with their stamps": Fault(("users",), _exchanged(stamps_too=True)),
    "false tombstone": _spoilt("users", _dead, Way.HAND),
    "lossy rule": _spoilt(
        "config", _listed("ratios", _LISTS["unlike"]), Way.HAND, told=("different", ("_target", "ratioText"))
    ),
    "untranslatable": Fault((), _untranslatable),
    # No faults.
    "numbers spelt otherwise": _spoilt("audit", _listed("changes", _LISTS["spelt"]), Way.NONE),
    "set in another order": _spoilt(
        "config", _but(domains={"SS": ["c.example", "a.example", "b.example"]}), Way.NONE
    ),  # DynamoDB Local sorts sets as it stores them; whether order counts is for unit tests
    "stamp lost": _spoilt("users", _lacking("_stamp"), Way.NONE),
    "stamp of an earlier version": _spoilt("users", _aged, Way.NONE),
    "expired, missing": _spoilt("contractors", _nothing, Way.NONE),
    "expired, extra": Fault((), _expired_extra),
    "tombstone of nobody": Fault((), _dead_of_nobody),
    "unmapped": Fault((), _unmapped),
}
"""Every kind of fault, and of what looks like one."""
