"""One planted fault of every kind that an item can have: each is found and named, and the clean ones show none."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from domain.items import MARK_PREFIX, AttributeValue, Item, number, text
from mapping.plan import Plan, load_plan
from proof.examination import Examiner
from proof.faults import FAULTS, Fault, Grade
from tests.examples import ADA, audit, changed, contractor, without
from tests.world import plan_named

NOW_S = 1_795_440_000
SAMPLE = Path(__file__).resolve().parents[3] / "service/demo/sample"
TYLER = plan_named("tyler-setup", "acme")


def faults(plan: Plan, source: str, image: Item) -> set[Fault]:
    return set(Examiner(plan, now_s=NOW_S).examine(plan.sources[source], image).faults)


def nested(levels: int) -> AttributeValue:
    """Return a list in a list in a list …"""
    return {"L": [nested(levels - 1)] if levels else []}


@dataclass(frozen=True)
class Planted:
    """A fault, and the item that has it."""

    source: str
    item: Item
    fault: Fault


KIM = contractor("kim", ttl=NOW_S + 86_400)
PLANTED = {
    "a key too long": Planted("users", changed(ADA, id=text("x" * 2045)), Fault("key-unusable")),
    "no room on the target": Planted("users", changed(ADA, lastLoginIP=text("x" * 409_300)), Fault("too-large")),
    "no room in `_legacy`": Planted("users", changed(ADA, PK=nested(30)), Fault("untranslatable")),
    "nearly no room": Planted("users", changed(ADA, lastLoginIP=text("x" * 380_000)), Fault("nearly-too-large")),
    "NULL in an index": Planted(
        "audit", changed(audit("a"), userId={"NULL": True}), Fault("index-key-null", "AUDIT GSI3 userId")
    ),
    "nothing in an index": Planted("audit", audit("a", user=None), Fault("index-key-absent", "AUDIT GSI3 userId")),
    "empty text in an index": Planted(
        "audit", changed(audit("a"), action=text("")), Fault("index-key-empty", "AUDIT GSI2 action")
    ),
    "text for a time": Planted(
        "users", changed(ADA, createdAt=text("yesterday")), Fault("index-key-type", "USER GSI1")
    ),
    "too long for an index": Planted(
        "audit", changed(audit("a"), action=text("x" * 2100)), Fault("index-key-long", "AUDIT GSI2")
    ),
    "a name the plan does not know": Planted(
        "users", changed(ADA, shoeSize=number(42)), Fault("unknown-attribute", "shoeSize")
    ),
    "more figures than a double has": Planted(
        "audit", changed(audit("a"), count={"N": "12345678901234567890"}), Fault("imprecise-number", "count")
    ),
    "the same in a set": Planted(
        "audit",
        changed(audit("a"), count={"NS": ["0.12345678901234567890"]}),
        Fault("imprecise-number", "count"),
    ),
    "the same deep inside": Planted(
        "audit",
        changed(audit("a"), details={"M": {"x": {"L": [{"N": "9007199254740993"}]}}}),
        Fault("imprecise-number", "details"),
    ),
    "a web token in a key": Planted(
        "audit", changed(audit("a"), userId=text("eyJhbGciOi.eyJzdWIi.c2ln")), Fault("secret-in-key", "userId")
    ),
    "an access key in a key": Planted("config", {"key": text("AKIAABCDEFGHIJKLMNOP")}, Fault("secret-in-key", "key")),
    "an address in a key": Planted(
        "audit", changed(audit("a"), userId=text("ada@example.com")), Fault("secret-in-key", "userId")
    ),
    "milliseconds to live": Planted(
        "contractors", changed(KIM, ttl=number(NOW_S * 1000)), Fault("ttl-in-milliseconds", "ttl")
    ),
    "text to live": Planted("contractors", changed(KIM, ttl=text("soon")), Fault("ttl-not-a-number", "ttl")),
    "over already": Planted("contractors", changed(KIM, ttl=number(NOW_S)), Fault("expired", "ttl")),
    "a name that is ours": Planted("users", changed(ADA, GSI1PK=text("mine")), Fault("displaced", "GSI1PK")),
    "over for five years": Planted("contractors", changed(KIM, ttl=number(100_000)), Fault("ttl-long-ago", "ttl")),
    "a key that is ours": Planted("config", {"key": text(f"{MARK_PREFIX}1"), "a": text("b")}, Fault("reserved-key")),
    "a mark of ours": Planted("config", {"key": text(f"{MARK_PREFIX}1")}, Fault("mark")),
    "bytes of a name that is copied three times": Planted(
        "users", changed(ADA, name=text("x" * 136_500)), Fault("too-large")
    ),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_a_planted_fault_is_found_and_named(planted: Planted) -> None:
    assert planted.fault in faults(TYLER, planted.source, planted.item)


def sample() -> Iterator[tuple[str, Item]]:
    for source in TYLER.sources:
        for line in (SAMPLE / f"{source}.jsonl").read_text().splitlines():
            read = json.loads(line)
            yield source, read.get("Item", read)


def test_what_the_application_really_wrote_has_no_fault() -> None:
    found = {fault for source, item in sample() for fault in faults(TYLER, source, item)}
    assert {fault.kind for fault in found if FAULTS[fault.kind].grade is not Grade.NOTE} == set()


PI, TENTH = "3.141592653589793", "0.30000000000000004"


@pytest.mark.parametrize(
    "figures",
    ["0", "-1", "9007199254740992", "12.5", "0.1", "1E+30", "1E-130", "-9.9E+125", PI, TENTH],
)
def test_numbers_that_a_double_keeps_are_no_fault(figures: str) -> None:
    found = faults(TYLER, "audit", changed(audit("a"), count={"N": figures}))
    assert not any(fault.kind == "imprecise-number" for fault in found)


@pytest.mark.parametrize(
    ("figures", "milliseconds"), [("1.7954E+12", True), ("1795400000.5", False), ("2E+9", False), ("-1E-3", False)]
)
def test_time_to_live_is_read_as_dynamodb_writes_numbers(figures: str, *, milliseconds: bool) -> None:
    found = faults(TYLER, "contractors", changed(KIM, ttl={"N": figures}))
    assert (Fault("ttl-in-milliseconds", "ttl") in found) is milliseconds


IMPURE = """
from itertools import count
_calls = count()

def ticking(image):
    return {"N": str(next(_calls))}

def failing(image):
    if next(_calls) % 2:
        raise ValueError("not again")
    return {"N": "1"}
"""
ONE_TABLE = """
plan: impure
sources:
  things: {table: things, key: {id: S}, attributes: [id]}
target: {table: target, key: {PK: S, SK: S}, type_attribute: kind}
entities:
  THING:
    source: things
    carry: all
    key: ["THING#{id}", METADATA]
    derived: {tick: {python: "impure:FUNCTION"}}
"""


@pytest.mark.parametrize(("function", "kind"), [("ticking", "not-invertible"), ("failing", "irreversible")])
def test_a_rule_that_depends_on_more_than_the_item_is_found(tmp_path: Path, function: str, kind: str) -> None:
    (tmp_path / "impure.py").write_text(IMPURE)
    (tmp_path / "plan.yaml").write_text(ONE_TABLE.replace("FUNCTION", function))
    plan = load_plan(tmp_path / "plan.yaml", variables={})
    assert Fault(kind) in faults(plan, "things", {"id": text("a")})


def test_what_would_be_written_is_measured_with_its_stamp() -> None:
    found = Examiner(TYLER, now_s=NOW_S).examine(TYLER.sources["audit"], audit("a"))
    entity, beside = found.written
    assert [entry.index for entry in entity.entries] == ["table", "GSI1", "GSI2", "GSI3", "GSI4", "LSI1-Versions"]
    assert [entry.index for entry in beside.entries] == ["table"]
    assert sum(entry.units for each in found.written for entry in each.entries) == 7
    assert entity.entries[4].size < entity.size, "GSI4 projects some attributes only"


def test_an_item_with_no_fault_has_none_without_its_rare_attributes() -> None:
    assert faults(TYLER, "users", without(ADA, "lastLogin")) == set()


def test_every_kind_has_a_name_for_what_to_do() -> None:
    of_all_items = {"collision", "collection-too-large", "collection-large", "hot-partition"}
    planted = {each.fault.kind for each in PLANTED.values()} | {"not-invertible", "irreversible"}
    of_queries = {kind for kind in FAULTS if kind.startswith("query-")}  # tests/unit/proof/test_rehearsal.py
    assert planted | of_all_items | of_queries == FAULTS.keys()
    assert all(kind.meaning and kind.way_out for kind in FAULTS.values())


FUNCTION = """
def short(image):
    nick = image.get("nick", {}).get("S")
    return None if nick is None else {"S": nick}
"""
INDEXED = ONE_TABLE.replace(
    "target: {table: target, key: {PK: S, SK: S}, ",
    "target: {table: target, key: {PK: S, SK: S}, indexes: {G: {key: {G: S}}}, ",
).replace('derived: {tick: {python: "impure:FUNCTION"}}', 'indexes: {G: [{python: "fn:short", type: S}]}')


def indexed(folder: Path) -> Plan:
    (folder / "fn.py").write_text(FUNCTION)
    (folder / "plan.yaml").write_text(INDEXED.replace("attributes: [id]", "attributes: [id, nick]"))
    return load_plan(folder / "plan.yaml", variables={})


def test_a_function_that_makes_no_index_key_leaves_the_item_out_and_that_is_no_fault(tmp_path: Path) -> None:
    found = faults(indexed(tmp_path), "things", {"id": text("a")})
    assert found == {Fault("index-key-absent", "THING G")}


def test_a_secret_that_a_function_puts_into_a_key_is_found(tmp_path: Path) -> None:
    found = faults(indexed(tmp_path), "things", {"id": text("a"), "nick": text("eyJa.eyJb.c")})
    assert Fault("secret-in-key", "G") in found


def test_an_item_that_cannot_even_be_measured_is_one_fault_and_no_end() -> None:
    (found,) = Examiner(TYLER, now_s=NOW_S).examine(TYLER.sources["users"], changed(ADA, x=nested(40))).faults
    assert found.kind == "untranslatable"


def test_what_came_home_from_the_target_is_known() -> None:
    assert faults(TYLER, "users", changed(ADA, _target={"M": {}})) <= {Fault("displaced", "_target")}
