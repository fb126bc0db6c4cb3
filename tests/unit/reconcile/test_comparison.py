"""Both sides reduced and joined name every kind of suspect; a lossy rule cannot agree with itself (protocol §7)."""

import asyncio
from dataclasses import replace

import pytest

from apply.stamping import stamped, tombstone
from domain.items import Item, TargetKey, number, text
from domain.phases import Side
from domain.positions import Version
from dynamo.scanfile import Cursor
from mapping.plan import Plan
from reconcile.comparison import Kind, Reduction, differing, is_expired, judge
from reconcile.worksheet import Worksheet
from tests.examples import ADA, BOB, audit, changed, without
from tests.strategies import TYLER

ADA_AT = TargetKey("USER#ada", "METADATA")
NOW_S = 1_795_438_000


def translated(source: str, image: Item) -> dict[TargetKey, Item]:
    items = TYLER.translate(source, image).items
    identity = TYLER.source_id(source, image)
    return {key: stamped(key, item, identity, Version(1, 5)).item for key, item in items.items()}


def swept(
    serving: Side, sources: list[tuple[str, Item]], targets: list[Item], page: Reduction | None = None
) -> dict[str, set[TargetKey]]:
    page = page or Reduction(TYLER, serving)
    sheet = Worksheet.open(None, about="", now_ms=0)
    seen = [each for source, image in sources for each in page.of_source(source, image)]
    sheet.take(Side.SOURCE, seen, Cursor("source", 0, 1, done=True), {})
    sheet.take(
        Side.TARGET, [each for item in targets for each in page.of_target(item)], Cursor("target", 0, 1, done=True), {}
    )
    asyncio.run(sheet.find_suspects())
    return {source_id: keys for batch in sheet.batches(1) for source_id, keys in batch.items()}


GOOD = list(translated("users", ADA).values())


@pytest.mark.parametrize("serving", list(Side))
def test_what_agrees_is_no_suspect(serving: Side) -> None:
    entries = [*translated("audit", audit("a1")).values(), *GOOD]
    assert swept(serving, [("users", ADA), ("audit", audit("a1"))], entries) == {}


@pytest.mark.parametrize("serving", list(Side))
@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        ([("users", ADA)], []),
        ([], GOOD),
        ([("users", ADA)], [changed(GOOD[0], role=text("nobody"))]),
        ([("users", ADA)], [without(GOOD[0], "passwordHash")]),
        ([("users", ADA)], [changed(GOOD[0], unknown=number(1))]),
        ([("users", ADA)], [tombstone(ADA_AT, TYLER.key_item(ADA_AT), "users/ada", Version(1, 9)).item]),
    ],
    ids=["missing", "extra", "different", "lacks one", "has one more", "dead"],
)
def test_each_disagreement_of_a_primary_item_is_a_suspect(
    serving: Side, sources: list[tuple[str, Item]], targets: list[Item]
) -> None:
    assert set(swept(serving, sources, targets)) == {"users/ada"}


def test_items_beside_count_only_where_the_source_serves() -> None:
    entry = audit("a1")
    primary, beside = translated("audit", entry).values()
    for targets in ([primary], [primary, changed(beside, targetId=text("another"))]):
        assert set(swept(Side.SOURCE, [("audit", entry)], targets)) == {"audit/a1"}
        assert swept(Side.TARGET, [("audit", entry)], targets) == {}
    assert swept(Side.SOURCE, [("audit", without(entry, "userId"))], [beside]).keys() == {"audit/a1"}


def test_a_tombstone_where_nothing_should_stand_is_nothing() -> None:
    dead = tombstone(ADA_AT, TYLER.key_item(ADA_AT), "users/ada", Version(1, 9)).item
    assert swept(Side.SOURCE, [], [dead]) == {}


def test_what_no_entity_claims_is_counted_and_otherwise_left_alone() -> None:
    page = Reduction(TYLER, Side.SOURCE)
    assert swept(Side.SOURCE, [], [{"PK": text("SESSION#1"), "SK": text("METADATA")}], page) == {}
    assert (page.unmapped, page.compared) == (1, 0)


def leaving_out(*names: str) -> Plan:
    users = replace(TYLER.sources["users"], uncompared=frozenset(names))
    return replace(TYLER, sources={**TYLER.sources, "users": users})


@pytest.mark.parametrize("serving", list(Side))
def test_what_the_plan_leaves_out_may_differ_and_nothing_else(serving: Side) -> None:
    page = Reduction(leaving_out("role", "profile", "unknown"), serving)
    differs = changed(GOOD[0], role=text("nobody"), unknown=number(1))
    assert swept(serving, [("users", ADA)], [differs], page) == {}
    page = Reduction(leaving_out("role", "unknown"), serving)
    assert swept(serving, [("users", ADA)], [differs], page).keys() == {"users/ada"}, "profile is made of it"
    page = Reduction(leaving_out("profile", "unknown"), serving)
    assert swept(serving, [("users", ADA)], [differs], page).keys() == {"users/ada"}
    assert judge(GOOD[0], differs, {"role", "unknown"}) is None
    assert judge(GOOD[0], differs, {"unknown"}) == (Kind.DIFFERENT, ("role",))


class Lossy:
    """A plan whose way there forgets an attribute, so that the target agrees with it; its way back shows the loss."""

    def __getattr__(self, name: str) -> object:
        return getattr(TYLER, name)

    def translate(self, source: str, image: Item) -> object:
        return TYLER.translate(source, without(image, "passwordHash"))


def test_a_lossy_rule_is_found_by_the_way_back() -> None:
    page = Reduction(Lossy(), Side.SOURCE)  # type: ignore[arg-type]
    target = list(translated("users", without(ADA, "passwordHash")).values())
    assert set(swept(Side.SOURCE, [("users", ADA)], target, page)) == {"users/ada"}


@pytest.mark.parametrize("serving", list(Side))
def test_an_item_that_cannot_go_back_is_a_suspect_though_nothing_stands_on_the_other_side(serving: Side) -> None:
    bulky = changed(GOOD[0], id=text("eve"), PK=text("USER#eve"), notes=text("x" * 409_000))
    assert set(swept(serving, [("users", ADA)], [*GOOD, bulky])) == {"users/eve"}


def test_numbers_and_sets_are_compared_by_value() -> None:
    image = changed(ADA, ratio={"N": "1.50"}, tags={"SS": ["a", "b"]})
    target = [
        changed(item, ratio={"N": "15e-1"}, tags={"SS": ["b", "a"]}) for item in translated("users", image).values()
    ]
    assert swept(Side.SOURCE, [("users", image)], target) == {}


def test_a_judgement_names_the_kind_and_the_attributes_but_no_values() -> None:
    assert judge(None, None) is None
    assert judge(None, GOOD[0]) == (Kind.EXTRA, ())
    assert judge(GOOD[0], None) == (Kind.MISSING, ())
    assert judge(GOOD[0], without(GOOD[0], "_stamp")) is None
    assert judge(GOOD[0], changed(GOOD[0], role=text("x"), more=number(1))) == (Kind.DIFFERENT, ("more", "role"))
    assert differing(ADA, BOB) == ("email", "id", "name")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (number(NOW_S), True),
        (number(NOW_S - 10**6), True),
        (number(NOW_S + 1), False),
        (number(NOW_S * 1000), False),
        (number(0), False),
        (number(NOW_S - 6 * 365 * 86_400), False),
        (text(str(NOW_S - 5)), False),
    ],
)
def test_expired_is_what_dynamodb_may_have_deleted(value: Item, expected: bool) -> None:  # noqa: FBT001
    assert is_expired({"ttl": value}, "ttl", NOW_S) is expected
    assert is_expired({"ttl": value}, None, NOW_S) is False
    assert is_expired(None, "ttl", NOW_S) is False
