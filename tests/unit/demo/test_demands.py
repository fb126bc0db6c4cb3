"""Every kind of loss is planted once, and found: a check that cannot fail proves nothing."""

from collections.abc import Callable, Sequence
from copy import deepcopy

import pytest

from domain.items import Item
from domain.phases import Side
from service.demo import expectations as forms
from service.demo.demands import Fault, Kind, Standing, View, compare
from service.demo.journal import Entry, Journal, Name
from tests.unit.demo.test_expectations import AUDIT, CONTRACTOR, USER

NOW_S = 1_795_440_000
SOURCE, TARGET = Side.SOURCE, Side.TARGET
HOSTILE: Item = {**USER, "status": {"S": "vip"}, "locale": {"S": "sv"}}

Plant = Callable[[Item], Item | None]


def history(name: Name, *writes: tuple[Side, int, Item | None]) -> list[Entry]:
    return [Entry(name, side, epoch, "write", None, after, seen=False, at_ms=0) for side, epoch, after in writes]


def spans(entries: Sequence[Entry], *more: tuple[int, Side]) -> Callable[[int], int]:
    journal = Journal()
    for entry in entries:
        journal.acknowledge(entry)
    journal.sides |= dict(more)
    return journal.spans()


def judged(entries: Sequence[Entry], side: Side, epoch: int, standing: Standing) -> list[Fault]:
    numbered = spans(entries, (epoch, side))
    return compare(entries, View(side, numbered(epoch), NOW_S), numbered, standing)


def without(*names: str) -> Plant:
    return lambda item: {name: value for name, value in item.items() if name not in names}


def holding(**values: object) -> Plant:
    return lambda item: {**item, **values}  # type: ignore[dict-item]


# ---- after the cutover ----------------------------------------------------------------------------------------------
FIRST = {**HOSTILE, "email": {"S": "first@example.com"}}
MIGRATED = history(Name("users", "u1"), (SOURCE, 0, FIRST), (SOURCE, 0, HOSTILE))
RIGHT = {**forms.primary("users", HOSTILE), "_stamp": {"M": {}}}

TRANSLATION_FAULTS: list[tuple[str, Plant, Kind]] = [
    ("the item is missing", lambda _: None, Kind.LOST),
    ("the password hash was dropped", without("passwordHash"), Kind.WRONG),
    ("the password hash is another one", holding(passwordHash={"S": "other"}), Kind.WRONG),
    ("an attribute nobody knows was dropped", without("locale"), Kind.WRONG),
    ("a number lost digits", holding(badge={"N": "12345678901234567000000000000000000000"}), Kind.WRONG),
    ("a number became text", holding(createdAt={"S": "1795438294703"}), Kind.WRONG),
    ("an index key is missing", without("GSI1PK", "GSI1SK"), Kind.WRONG),
    ("an index key is a number", holding(GSI1SK={"N": "1795438294703"}), Kind.WRONG),
    ("an index key points to the address before", holding(GSI2PK={"S": "first@example.com"}), Kind.WRONG),
    ("the status is wrong", holding(status={"S": "INACTIVE"}), Kind.WRONG),
    ("the full name is wrong", holding(fullName={"S": "Zoë"}), Kind.WRONG),
    ("the initials are wrong", holding(initials={"S": "Z"}), Kind.WRONG),
    ("the version is missing", without("version"), Kind.WRONG),
    ("a reserved name was dropped instead of carried", without("_legacy"), Kind.WRONG),
    ("the entity type is wrong", holding(entityType={"S": "AUDIT"}), Kind.WRONG),
    ("something is there that nobody wrote", holding(migratedAt={"N": "1"}), Kind.WRONG),
    ("the last write is missing", lambda _: forms.primary("users", FIRST), Kind.LOST),
    ("only a tombstone is left", lambda item: {n: item[n] for n in ("PK", "SK", "_stamp")}, Kind.TOMBSTONE),
]


def test_a_migrated_user_that_is_right_is_right() -> None:
    assert judged(MIGRATED, TARGET, 3, Standing(RIGHT)) == []


@pytest.mark.parametrize(
    ("plant", "kind"), [each[1:] for each in TRANSLATION_FAULTS], ids=[x[0] for x in TRANSLATION_FAULTS]
)
def test_after_the_cutover_it_is_found_that(plant: Plant, kind: Kind) -> None:
    assert [fault.kind for fault in judged(MIGRATED, TARGET, 3, Standing(plant(deepcopy(RIGHT))))] == [kind]


def test_a_deleted_item_must_be_gone() -> None:
    deleted = [*MIGRATED, *history(Name("users", "u1"), (SOURCE, 0, None))]
    assert judged(deleted, TARGET, 3, Standing()) == []
    assert judged(deleted, TARGET, 3, Standing(RIGHT)) == [Fault(Kind.RESURRECTED)]


def test_an_item_without_any_write_is_extra_and_marks_and_tombstones_are_told_apart() -> None:
    mark: Item = {"PK": {"S": "tableturn-mark:x#1"}, "SK": {"S": "tableturn-mark:x#1"}}
    stone: Item = {"PK": {"S": "USER#u9"}, "SK": {"S": "METADATA"}, "_stamp": {"M": {}}}
    found = [judged([], TARGET, 3, Standing(item))[0].kind for item in (RIGHT, mark, stone)]
    assert found == [Kind.EXTRA, Kind.MARK, Kind.TOMBSTONE]


class TestWhatStandsBesideAnAuditEntry:
    entries = history(Name("audit", "a1"), (SOURCE, 0, AUDIT))
    item = forms.primary("audit", AUDIT)
    (right,) = forms.beside(AUDIT).values()

    def test_is_found_right(self) -> None:
        assert judged(self.entries, TARGET, 3, Standing(self.item, (self.right,))) == []

    def test_is_found_missing(self) -> None:
        assert judged(self.entries, TARGET, 3, Standing(self.item)) == [Fault(Kind.LOST, ("beside",))]

    def test_is_found_wrong(self) -> None:
        wrong = {**self.right, "targetId": {"S": "a2"}}
        assert judged(self.entries, TARGET, 3, Standing(self.item, (wrong,))) == [Fault(Kind.WRONG, ("beside",))]

    def test_is_found_to_be_nobodys(self) -> None:
        """The trap: an entry without a user became USER#undefined."""
        nobody = {name: value for name, value in AUDIT.items() if name != "userId"}
        entries = history(Name("audit", "a1"), (SOURCE, 0, nobody))
        undefined = {**self.right, "PK": {"S": "USER#undefined"}}
        standing = Standing(forms.primary("audit", nobody), (undefined,))
        assert judged(entries, TARGET, 3, standing) == [Fault(Kind.EXTRA, ("beside",))]

    def test_is_found_after_its_entry_was_deleted(self) -> None:
        deleted = [*self.entries, *history(Name("audit", "a1"), (SOURCE, 0, None))]
        stone: Item = {"PK": self.right["PK"], "SK": self.right["SK"], "_stamp": {"M": {}}}
        found = [judged(deleted, TARGET, 3, Standing(beside=(item,))) for item in (self.right, stone)]
        assert found == [[Fault(Kind.RESURRECTED, ("beside",))], [Fault(Kind.TOMBSTONE, ("beside",))]]


class TestAnItemWhoseTimeHasCome:
    def entries(self, ttl: int) -> list[Entry]:
        return history(Name("contractors", "c1"), (SOURCE, 0, {**CONTRACTOR, "ttl": {"N": str(ttl)}}))

    def test_may_be_gone_or_not(self) -> None:
        expired = self.entries(NOW_S - 5)
        there = forms.primary("contractors", expired[0].after or {})
        assert judged(expired, TARGET, 3, Standing()) == []
        assert judged(expired, TARGET, 3, Standing(there)) == []

    def test_must_not_be_gone_before(self) -> None:
        assert judged(self.entries(NOW_S + 60), TARGET, 3, Standing()) == [Fault(Kind.LOST)]

    def test_must_keep_it(self) -> None:
        entries = self.entries(NOW_S + 60)
        item = without("expireAt")(forms.primary("contractors", entries[0].after or {}))
        assert judged(entries, TARGET, 3, Standing(item)) == [Fault(Kind.WRONG, ("expireAt",))]

    def test_of_a_user_never_comes(self) -> None:
        """A user's own attribute of that name is no time to live; it must not become one either."""
        odd = {**USER, "expireAt": {"N": "1600000000"}, "ttl": {"N": "1600000000"}}
        entries = history(Name("users", "u1"), (SOURCE, 0, odd))
        assert judged(entries, TARGET, 3, Standing()) == [Fault(Kind.LOST)]
        verbatim = {**forms.primary("users", odd), "expireAt": odd["expireAt"]}
        assert judged(entries, TARGET, 3, Standing(verbatim)) == [Fault(Kind.WRONG, ("expireAt",))]


# ---- after the rollback ---------------------------------------------------------------------------------------------
NEW: Item = {
    **without("_stamp")(RIGHT),  # type: ignore[dict-item]
    "status": {"S": "INACTIVE"},
    "fullName": {"S": "Zoë Ek"},
    "initials": {"S": "ZE"},
    "preferences": {"M": {"theme": {"S": "dark"}}},
    "version": {"N": "4"},
}
WRITTEN = [*MIGRATED, *history(Name("users", "u1"), (TARGET, 3, NEW))]
BOX: Item = {
    "set": {"M": {"preferences": NEW["preferences"], "version": {"N": "4"}, "profile": NEW["profile"]}},
    "over": {"M": {"version": {"N": "1"}}},
}
HOME: Item = {**HOSTILE, "isActive": {"BOOL": False}, "name": {"S": "Zoë Ek"}, "_target": {"M": BOX}}


def boxed(**values: object) -> Plant:
    return lambda item: {**item, "_target": {"M": {"set": {"M": {**BOX["set"]["M"], **values}}}}}


RETURN_FAULTS: list[tuple[str, Plant, Kind]] = [
    ("the item is missing", lambda _: None, Kind.LOST),
    ("a user who was deactivated can log in again", holding(isActive={"BOOL": True}), Kind.WRONG),
    ("the name did not follow", holding(name=USER["name"]), Kind.WRONG),
    ("the password hash was dropped", without("passwordHash"), Kind.WRONG),
    ("an attribute nobody knows was dropped", without("locale"), Kind.WRONG),
    ("a carried name was not restored", holding(status={"S": "INACTIVE"}), Kind.WRONG),
    ("new attributes are gone", without("_target"), Kind.WRONG),
    ("a new attribute is another one", boxed(preferences={"M": {}}), Kind.WRONG),
    ("the version is gone", boxed(version={"N": "3"}), Kind.WRONG),
    ("index keys leaked into the legacy table", holding(GSI2PK={"S": "zoe@example.com"}), Kind.WRONG),
    ("the new application's write did not come home", lambda _: HOSTILE, Kind.LOST),
]


def test_a_returned_user_that_is_right_is_right() -> None:
    assert judged(WRITTEN, SOURCE, 6, Standing(HOME)) == []


@pytest.mark.parametrize(
    ("plant", "kind"), [each[1:] for each in RETURN_FAULTS], ids=[each[0] for each in RETURN_FAULTS]
)
def test_after_the_rollback_it_is_found_that(plant: Plant, kind: Kind) -> None:
    assert [fault.kind for fault in judged(WRITTEN, SOURCE, 6, Standing(plant(deepcopy(HOME))))] == [kind]


def test_what_the_new_application_deleted_must_be_gone() -> None:
    deleted = [*WRITTEN, *history(Name("users", "u1"), (TARGET, 3, None))]
    assert judged(deleted, SOURCE, 6, Standing(HOME)) == [Fault(Kind.RESURRECTED)]


def test_a_contractor_that_was_extended_lives_longer_in_the_legacy_table_too() -> None:
    there = forms.primary("contractors", CONTRACTOR) | {"expireAt": {"N": "1798848000"}}
    entries = history(Name("contractors", "c1"), (SOURCE, 0, CONTRACTOR), (TARGET, 3, there))
    assert judged(entries, SOURCE, 6, Standing({**CONTRACTOR, "ttl": {"N": "1798848000"}})) == []
    assert judged(entries, SOURCE, 6, Standing(CONTRACTOR))[0].attributes == ("ttl",)


# ---- after the second cutover ---------------------------------------------------------------------------------------
AGAIN = [*WRITTEN, *history(Name("users", "u1"), (SOURCE, 6, {**HOME, "lastLogin": {"N": "9"}}))]
THERE: Item = {**NEW, "isActive": {"BOOL": False}, "name": {"S": "Zoë Ek"}, "lastLogin": {"N": "9"}}

SECOND_FAULTS: list[tuple[str, Plant, Kind]] = [
    ("the legacy write in between is missing", holding(lastLogin={"NULL": True}), Kind.LOST),
    ("preferences from before the rollback are gone", without("preferences"), Kind.WRONG),
    ("the version from before the rollback is gone", holding(version={"N": "1"}), Kind.WRONG),
    ("the user is active again", holding(status={"S": "ACTIVE"}), Kind.WRONG),
    ("our own map was left in the item", holding(_target={"M": BOX}), Kind.WRONG),
]


def test_a_user_who_came_back_again_is_right() -> None:
    assert judged(AGAIN, TARGET, 9, Standing(THERE)) == []


@pytest.mark.parametrize(
    ("plant", "kind"), [each[1:] for each in SECOND_FAULTS], ids=[each[0] for each in SECOND_FAULTS]
)
def test_after_the_second_cutover_it_is_found_that(plant: Plant, kind: Kind) -> None:
    assert [fault.kind for fault in judged(AGAIN, TARGET, 9, Standing(plant(deepcopy(THERE))))] == [kind]


def test_an_item_nobody_touched_in_between_is_as_it_was_but_for_what_came_home() -> None:
    untouched = {**NEW, "isActive": {"BOOL": False}, "name": {"S": "Zoë Ek"}}
    source_between = history(Name("users", "u2"), (SOURCE, 6, USER))
    numbered = spans([*WRITTEN, *source_between], (9, TARGET))
    assert compare(WRITTEN, View(TARGET, numbered(9), NOW_S), numbered, Standing(untouched)) == []
    assert compare(WRITTEN, View(TARGET, numbered(3), NOW_S), numbered, Standing(NEW)) == []
    assert compare(WRITTEN, View(TARGET, numbered(9), NOW_S), numbered, Standing(NEW))[0].kind is Kind.WRONG
