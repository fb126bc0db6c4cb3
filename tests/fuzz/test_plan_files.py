"""Plan files of any bytes: a plan that works, or every problem with its place and the way out; no code, no hang."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import DataError
from domain.items import Item
from mapping.overrides import same_item
from mapping.plan import Plan, PlanError, load_plan
from tests.fuzz.broken import at, places, removed, replaced
from tests.fuzz.effort import fuzzed
from tests.strategies import HOSTILE, PLANS

VARIABLES = {"SECRETS_PREFIX": "test", "DESK": "test"}
REAL = {name: (PLANS / f"{name}.yaml").read_text(encoding="utf-8") for name in ("tyler-setup", "order-desk")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the Python functions of the plans, and no other module."""
    folder = tmp_path_factory.mktemp("plans")
    shutil.copy(PLANS / "order_desk.py", folder)
    return folder


def load(folder: Path, content: bytes) -> Plan | PlanError:
    """Load a plan file of those bytes; an error must be whole and printable."""
    path = folder / "plan.yaml"
    path.write_bytes(content)
    try:
        return load_plan(path, variables=VARIABLES)
    except PlanError as error:
        refusal = error
    assert str(path) in str(refusal)
    assert refusal.hint
    assert refusal.problems
    assert all(problem.where and problem.what and problem.way_out for problem in refusal.problems)
    str(refusal).encode()
    return refusal


SAMPLES: dict[str, Any] = {"S": "a", "N": "1", "B": "AAEC"}


def assert_works(plan: Plan) -> None:
    """Every source's items have distinct homes and come back, unless a function of the plan refuses them."""
    for name, table in plan.sources.items():
        types = plan.entities[name].home.types
        item: Item = {each: {kind: SAMPLES[kind]} for each, kind in types.items()}
        rest: Item = {each: {"S": "x"} for each in ("name", "status", "email", "_target") if each not in types}
        for image in (item, {**rest, **item}):
            try:
                translation = plan.translate(name, image)
            except DataError:
                continue
            returned = plan.untranslate(translation.items[translation.primary])
            assert returned is not None
            assert returned.source == name
            assert same_item(returned.item, image)
            assert all("" not in made for made in translation.items.values()), "DynamoDB has no nameless attributes"
        assert table.definition.key


def check(folder: Path, content: bytes) -> None:
    plan = load(folder, content)
    if isinstance(plan, Plan):
        assert_works(plan)


DEEP = "[" * 5_000
BOMB = "a: &a [x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(9)
)
MAP_BOMB = "plan: x\nsources: {}\ntarget: {}\nentities:\n" + "".join(
    f"  e{n}: &e{n} {{map: {{a: *e{n - 1}, b: *e{n - 1}}}}}\n" if n else "  e0: &e0 {copy: x}\n" for n in range(40)
)
TEXTS = [
    *("", "\0", "\ufeff", "\t", "a:\tb", "- \t- x", "---\n---", "%YAML 9.9\n---\n", "? [a]\n: b", "{a: b, a: c}"),
    *(
        "!!python/object/apply:os.system [echo]",
        "!!python/name:os.system",
        "!x y",
        "!!binary '%'",
        "!!set {a}",
        "&a [*a]",
    ),
    *(
        "!!map x",
        "!!map [a]",
        "!!int x",
        "!!float x",
        "!!timestamp x",
        "!!bool x",
        "!!null x",
        "!!omap [a]",
        "!!pairs x",
    ),
    *("plan: .inf", "plan: .nan", "plan: 0o17", "plan: 2026-11-24", "plan: 1e999", "*a", "a: *b", "<<: *a", "<<: 1"),
    *(
        '"\\ud800"',
        'plan: "\\ud800"',
        '{"\\ud800": x}',
        "plan: \x85",
        "plan: \u2028",
        "!!merge x: y",
        "? \n: x",
        "~: x",
    ),
    *(DEEP, "{a: " * 5_000, "- " * 5_000),
]


@fuzzed()
@given(
    content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda each: each.encode("utf-8", "replace")))
)
@example(BOMB.encode()).via("nine to the ninth")
@example(MAP_BOMB.encode()).via("two to the fortieth: shared nodes are few, but each would be looked at anew")
@example("\n".join(f"k{n}: x" for n in range(20_000)).encode()).via("names were compared with each other: minutes")
def test_any_bytes_are_a_plan_or_a_problem(folder: Path, content: bytes) -> None:
    check(folder, content)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_yaml_has_surprises_for_is_refused(folder: Path, text: str) -> None:
    assert isinstance(load(folder, text.encode()), PlanError)


def test_a_plan_file_that_is_a_folder_or_far_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(PlanError):
        load_plan(folder, variables=VARIABLES)
    assert isinstance(load(folder, b"# " + b"x" * 2_000_000), PlanError)


NAMES = [
    *(*HOSTILE, "", "a b", "customerId", "orderNo", "createdAt", "pk", "é" * 200, "x" * 300, "{", "{id}", "a\nb"),
    "\ud800",
]
WORDS = [
    *(
        "S",
        "N",
        "B",
        "all",
        "none",
        "filled",
        "true",
        "id",
        "customerId",
        "users",
        "orders",
        "PK",
        "_legacy",
        "_target",
    ),
    *("{id}", "{id|lower}", "X#{id}", "{", "}", "{}", "{|}", "{id}{id}", "{a|b|c}", "%{id}", "{id}0", "A" * 3000),
    *("1", "1_000", "٣", " 1 ", "1e5", "1e999999", "NaN", "Infinity", "9" * 40, "-0", "0x10", ".", "-", "{UPPER}"),
    *("order_desk:priority", "order_desk:Decimal", "order_desk:", ":x", "../order_desk:rush", "x" * 300 + ":f"),
    *(".a:b", "a.b:c", "a/b", "USER#{id}", "tableturn-mark:", "tableturn-mark:{id}", "NEW_IMAGE", "_stamp", "_own"),
    *("iso8601", "month", "name", "template"),
]
PARTS = st.sampled_from(["copy", "map", "type", "key", "a", "inverse", "attribute"])
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from([*WORDS, *NAMES, None, True, False, [], {}, [[]], ["a", "b"], {"a": "b"}, {"copy": "id"}]),
    st.text(max_size=6),
    st.recursive(
        st.sampled_from(WORDS),
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(PARTS, inner, max_size=2)),
        max_leaves=4,
    ),
)


@st.composite
def mutated_plans(draw: st.DrawFn) -> Any:
    """A real plan with one to three of its nodes removed, replaced, renamed, or put where another one stood."""
    document = PARSED[draw(st.sampled_from(sorted(PARSED)))]
    for _ in range(draw(st.integers(1, 3))):
        found = places(document)
        path = draw(st.sampled_from(found))
        change = draw(st.sampled_from(["remove", "replace", "move", "rename", "add"]))
        if change == "remove":
            document = removed(document, path)
        elif change == "move":
            document = replaced(document, path, at(document, draw(st.sampled_from(found))))
        else:
            document = _changed(draw, document, path, change)
    return document


def _changed(draw: st.DrawFn, document: Any, path: tuple[Any, ...], change: str) -> Any:
    parent = at(document, path[:-1])
    if change == "rename" and isinstance(parent, dict):
        name = draw(st.sampled_from(NAMES))
        return replaced(document, path[:-1], {name if each == path[-1] else each: parent[each] for each in parent})
    if change == "add" and isinstance(parent, dict):
        return replaced(document, path[:-1], {**parent, draw(st.sampled_from(NAMES)): draw(VALUES)})
    return replaced(document, path, draw(VALUES))


def _parsed(text: str) -> Any:
    """Read a real plan as text alone, as the product does."""
    loader = type("Plain", (yaml.SafeLoader,), {"yaml_implicit_resolvers": {}})
    return _with_truth(yaml.load(text, Loader=loader))  # a SafeLoader


def _with_truth(node: Any) -> Any:
    if isinstance(node, dict):
        return {_with_truth(name): _with_truth(each) for name, each in node.items()}
    if isinstance(node, list):
        return [_with_truth(each) for each in node]
    return {"true": True, "false": False}.get(node, node)


PARSED = {name: _parsed(text) for name, text in REAL.items()}


class _WrittenOut(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def dumped(document: Any) -> bytes:
    text = yaml.dump(document, Dumper=_WrittenOut, allow_unicode=False, sort_keys=False, width=1000)
    return text.encode("utf-8", "replace")


def test_the_real_plans_work_as_they_are_and_dumped_anew(folder: Path) -> None:
    for name, text in REAL.items():
        again = load(folder, dumped(PARSED[name]))
        assert isinstance(again, Plan)
        assert_works(again)
        assert again.hash == load_plan(PLANS / f"{name}.yaml", variables=VARIABLES).hash, text[:40]


FOUND = {
    "a number that only Python reads": ("tyler-setup", "{number: 1}", "{number: 1_000}", "is no number"),
    "a number in other figures": ("tyler-setup", "{number: 1}", "{number: ٣}", "is no number"),
    "an attribute without a name": ("tyler-setup", "type_attribute: entityType", 'type_attribute: ""', "at least 1"),
    "a type attribute over what was displaced": ("tyler-setup", "type_attribute: entityType", "type_attribute: _legacy",
        "_legacy is our own"),
    "a TTL attribute over the stamp": ("tyler-setup", "ttl: expireAt", "ttl: _stamp", "_stamp is our own"),
    "an index key over the overrides": ("order-desk", "tagged: {key: {tag: S}", "tagged: {key: {_target: S}",
        "_target is our own"),
    "a module beyond the folder": ("order-desk", "order_desk:priority", "../order_desk:priority", "of the form"),
    "a name that no file can have": ("order-desk", "order_desk:priority", "x" * 300 + ":f", "cannot be imported"),
    "a key too long for any table": ("tyler-setup", '"USER#{id}", METADATA', '"' + "A" * 50_000 + '#{id}", METADATA',
        "too long for any key"),
}  # fmt: skip
"""What the fuzz has found: a plan, a text in it, what it became, and what is said of it now."""


@pytest.mark.parametrize(("name", "text", "instead", "said"), FOUND.values(), ids=FOUND.keys())
def test_what_the_fuzz_found_is_refused_by_name(folder: Path, name: str, text: str, instead: str, said: str) -> None:
    assert text in REAL[name]
    refusal = load(folder, REAL[name].replace(text, instead, 1).encode())
    assert isinstance(refusal, PlanError)
    assert said in str(refusal)


@fuzzed()
@given(document=mutated_plans())
def test_a_mutated_plan_works_or_says_what_is_wrong(folder: Path, document: Any) -> None:
    check(folder, dumped(document))


@fuzzed(share=0.5)
@given(name=st.sampled_from(sorted(REAL)), data=st.data())
def test_a_plan_with_characters_changed_works_or_says_what_is_wrong(
    folder: Path, name: str, data: st.DataObject
) -> None:
    text = REAL[name]
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(0, 12))
    instead = data.draw(
        st.one_of(st.text(max_size=3), st.sampled_from(["&a ", "*a", "<<: ", "!!int ", "\t", ": ", "- ", "\0"]))
    )
    check(folder, (text[:start] + instead + text[start + length :]).encode("utf-8", "replace"))
