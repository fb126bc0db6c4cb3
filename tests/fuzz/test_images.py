"""translate and untranslate of images that no application writes: there and back by value, or DataError; and pure."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DataError
from domain.items import STAMP, Item, TargetKey, digest
from mapping.plan import Plan
from mapping.sizes import fits_key
from tests.fuzz.broken import BROKEN_VALUES, mutated, nested_values
from tests.fuzz.effort import fuzzed
from tests.strategies import HOSTILE, PLAN_OF, SOURCE_OF, SOURCES, application_items, legacy_items, wire_values

sources = pytest.mark.parametrize("source", [source for _, source in SOURCES])
entities = pytest.mark.parametrize("entity", list(SOURCE_OF))

PIECES = [
    "#",
    "%",
    "%23",
    "\0",
    "😀",
    "e\u0301",
    "\u202e",
    "\uffff",
    "/",
    "\n",
    "~",
    "{id}",
    " ",
    "USER#",
    "METADATA",
    "A",
]
HARD_TEXT = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=5).map("".join),
    st.builds(lambda piece, times: piece * times, st.sampled_from(PIECES), st.sampled_from([500, 1024, 1025, 2049])),
)
HARD_NUMBERS = st.one_of(
    st.sampled_from(
        ["0", "-0", "1E-130", "9" * 38, "-" + "9" * 38, "1E125", "9.9E+125", "1E126", "9" * 39, "1e999", "+1", ".5"]
    ),
    st.from_regex(r"-?[0-9]{1,38}(\.[0-9]{1,10})?([eE]-?[0-9]{1,3})?", fullmatch=True),
)
HARD_VALUES: st.SearchStrategy[Any] = st.one_of(
    HARD_TEXT.map(lambda content: {"S": content}),
    HARD_NUMBERS.map(lambda content: {"N": content}),
    st.sampled_from(
        [{"B": ""}, {"B": "AA=="}, {"B": "!"}, {"M": {}}, {"L": []}, {"SS": []}, {"NULL": False}, {"N": ""}]
    ),
    st.builds(nested_values, st.sampled_from([1, 31, 32, 33]), wire_values(), st.sampled_from(["L", "M"])),
    wire_values(),
)


def names(source: str) -> st.SearchStrategy[str]:
    home = PLAN_OF[source].entities[source].home
    return st.sampled_from(sorted({*HOSTILE, *home.types, *(home.declared or ()), "\0", "😀", "a#b"}))


def images(source: str) -> st.SearchStrategy[Any]:
    """Items with hard values everywhere, items with values that are none, mutated items of the legacy application."""
    sound = legacy_items(source)
    hard = st.dictionaries(names(source), HARD_VALUES, max_size=5)
    broken = st.dictionaries(names(source), BROKEN_VALUES, max_size=3)
    return st.one_of(
        st.builds(lambda one, two: {**one, **two}, sound, hard),
        st.builds(lambda one, two: {**one, **two}, sound, broken),
        sound.flatmap(mutated),
        hard,
    )


def assert_legal(key: TargetKey) -> None:
    assert 0 < len(key.pk.encode("utf-8", "surrogatepass")) <= 2048
    assert 0 < len(key.sk.encode("utf-8", "surrogatepass")) <= 1024


def assert_there_and_back(plan: Plan, source: str, image: Item) -> None:
    """A translation is pure, has legal keys, and comes back by value; what has none is a DataError."""
    before = deepcopy(image)
    try:
        made = plan.translate(source, image)
    except DataError:
        assert image == before, "a refused image was changed"
        return
    assert plan.translate(source, image) == made
    for key in made.items:
        assert_legal(key)
    returned = plan.untranslate(made.items[made.primary])
    assert image == before, "the image given was changed"
    assert returned is not None
    assert returned.source == source
    assert digest({**returned.item, STAMP: {"S": ""}}) == digest({**image, STAMP: {"S": ""}})
    assert plan.source_id(source, returned.item) == plan.source_id(source, image)


def user(**attributes: Any) -> Item:
    return {"id": {"S": "ada"}, **attributes}


@sources
@fuzzed(share=0.5)
@given(data=st.data())
def test_any_image_goes_there_and_back_or_is_refused(source: str, data: st.DataObject) -> None:
    image = data.draw(images(source))
    if isinstance(image, dict):
        assert_there_and_back(PLAN_OF[source], source, image)


REFUSED: dict[str, Any] = {
    "a value that is none": 5,
    "a value of no type": {},
    "a value of two types": {"S": "a", "N": "1"},
    "a type that DynamoDB does not have": {"X": "a"},
    "a text that is none": {"S": 5},
    "a number that is a float": {"N": 1.5},
    "a number that is none": {"N": "abc"},
    "a number in other figures": {"N": "٣"},
    "a truth that is none": {"BOOL": "true"},
    "nothing that is something": {"NULL": "x"},
    "a list that is a map": {"L": {"a": {"S": "b"}}},
    "a map that is a list": {"M": [{"S": "b"}]},
    "a set that is a text": {"SS": "abc"},
    "a set of floats": {"NS": [1.5]},
    "a set of numbers that are none": {"NS": ["x"]},
    "something wrong far down": {"L": [{"M": {"a": {"N": None}}}]},
    "a value nested deeper than the interpreter goes": nested_values(2_000, {"S": "a"}, "L"),
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("name", ["name", "createdAt", "_target", "_legacy", "id", "unheardOf"])
def test_what_is_no_attribute_value_is_a_data_error(name: str, value: Any) -> None:
    """Most of these were a TypeError or a ValueError, which ends the process; some went on to the target."""
    plan = PLAN_OF["users"]
    with pytest.raises(DataError):
        plan.translate("users", user(**{name: value}))
    target = plan.translate("users", user())
    item = target.items[target.primary]
    if name != "id":  # which the key holds, and so need not be read from the item
        with pytest.raises(DataError):
            plan.untranslate({**item, name: value})


@entities
@fuzzed(share=0.5)
@given(data=st.data())
def test_any_target_item_comes_back_or_is_refused(entity: str, data: st.DataObject) -> None:
    source = SOURCE_OF[entity]
    plan = PLAN_OF[source]
    sound = application_items(entity)
    odd = st.dictionaries(names(source), st.one_of(HARD_VALUES, BROKEN_VALUES), max_size=3)
    item = data.draw(st.one_of(sound.flatmap(mutated), st.builds(lambda one, two: {**two, **one}, sound, odd), odd))
    if not isinstance(item, dict):
        return
    before = deepcopy(item)
    try:
        found = plan.untranslate(item)
    except DataError:
        assert item == before, "a refused item was changed"
        return
    assert item == before, "the item given was changed"
    assert plan.untranslate(item) == found
    if found is not None:
        again = plan.translate(found.source, found.item)
        assert again.primary == plan.target_key(item)


KEYS = st.one_of(
    HARD_TEXT,
    st.builds("{}{}".format, st.sampled_from(["USER#", "AUDIT#", "CONFIG#", "C#", "O#", "L#", "S#"]), HARD_TEXT),
)


@fuzzed()
@given(pk=KEYS, sk=st.one_of(KEYS, st.just("METADATA")))
def test_any_target_key_is_of_one_source_item_or_of_nobody(pk: str, sk: str) -> None:
    for plan in {id(plan): plan for plan, _ in SOURCES}.values():
        key = TargetKey(pk, sk)
        assert plan.masked_target(key) or not (pk + sk)
        owner = plan.owner(key)
        if owner is None:
            continue
        assert plan.source_key(owner.source_id) == (owner.source, owner.source_key)
        if owner.primary and fits_key(pk, hash_key=True) and fits_key(sk, hash_key=False):
            assert plan.primary_key(owner.source, owner.source_key) == key
