"""Somebody edits the ledger by hand: every reader still gives what it promises, or says which row to restore."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import FatalError, TableturnError
from domain.items import AttributeValue, Item
from ledger.marks import MarkState
from ledger.requests import RequestState
from ledger.shapes import SHAPES
from tests.fuzz.broken import at, places, removed, replaced
from tests.fuzz.effort import fuzzed
from tests.fuzz.shelf import TABLE, Shelf, check_types, readers
from tests.strategies import wire_values

CANARY = "personal-data"
"""Stands in every value that an edit puts; no message may show it."""

ODD: list[AttributeValue] = [
    *({"S": written} for written in ("", CANARY, "0", "-1", "1.5", "٣", "9" * 41, "SOURCE", "true", f"1\n{CANARY}")),
    *({"N": digits} for digits in ("-1", "0", "1.5", "1E+100", "9" * 38)),
    *({"BOOL": each} for each in (True, False)),
    *({"L": each} for each in ([], [{"S": CANARY}], [{"L": [{"S": CANARY}]}], [{"N": "1"}])),
    *({"M": each} for each in ({}, {"a": {"S": CANARY}}, {"a": {"N": "1"}})),
    {"NULL": True},
    {"B": "AAEC"},
    {"SS": [CANARY]},
    {"NS": ["1"]},
]


@pytest.fixture
async def shelf() -> Shelf:
    shelf = Shelf()
    await shelf.fill()
    return shelf


@st.composite
def edits(draw: st.DrawFn, item: Item) -> Any:
    """Return a stored item after somebody's edit of one attribute, or of something within one."""
    values = [path for path in places(item) if path[0] not in ("PK", "SK") and _is_value(at(item, path), path)]
    path = draw(st.sampled_from(values))
    edited: Item = replaced(item, path, draw(st.one_of(st.sampled_from(ODD), wire_values())))
    return removed(item, path) if draw(st.booleans()) else edited


def _is_value(node: object, path: tuple[object, ...]) -> bool:
    return len(path) % 2 == 1 and isinstance(node, dict) and len(node) == 1


async def read_everything(shelf: Shelf) -> None:
    """Read all there is; an error must be one of ours, and a refusal to read must name table and row alone."""
    errors: list[TableturnError] = []
    for reader in readers(shelf).values():
        try:
            check_types(await reader(shelf.ledger))
        except TableturnError as error:
            errors.append(error)
    assert not [each for each in errors if "tok-3f9a" in str(each)], "a token in a message"
    for refusal in [each for each in errors if "cannot be read" in each.message]:
        assert isinstance(refusal, FatalError)
        assert CANARY not in str(refusal)
        assert refusal.message.startswith("ledger row ")
        assert f" of table {TABLE} " in refusal.message
        assert "recovery" in refusal.hint


async def test_every_kind_of_row_is_on_the_shelf_and_reads_well(shelf: Shelf) -> None:
    standing = {shape_key(item) for item in shelf.sound}
    assert standing >= SHAPES.keys() - {"requests", "evidence"}
    for reader in readers(shelf).values():
        check_types(await reader(shelf.ledger))


def shape_key(item: Item) -> str:
    words = f"{item['PK']['S']}/{item['SK']['S']}".split("/")
    return next(key for key in ("/".join(words[:2]), words[0]) if key in SHAPES)


@fuzzed()
@given(data=st.data())
async def test_a_row_that_somebody_edited_is_read_as_promised_or_named(shelf: Shelf, data: st.DataObject) -> None:
    item = data.draw(st.sampled_from(shelf.sound))
    await shelf.put(data.draw(edits(item)))
    try:
        await read_everything(shelf)
    finally:
        await shelf.restore()


async def test_every_field_of_every_row_may_be_gone_or_anything_else(shelf: Shelf) -> None:
    """The same without chance: each attribute removed, and replaced by a text and by a map."""
    text_and_map: list[AttributeValue] = [{"S": CANARY}, {"M": {"a": {"S": CANARY}}}]
    for item in shelf.sound:
        for name in item.keys() - {"PK", "SK"}:
            spoilt = [{**item, name: odd} for odd in text_and_map]
            for edited in [removed(item, (name,)), *spoilt]:
                await shelf.put(edited)
                await read_everything(shelf)
                await shelf.put(item)


def test_the_words_of_the_shapes_are_those_of_the_modules() -> None:
    """`ledger.shapes` stands below the modules that own these words, so it writes them out."""
    for shape, words in (("marks", MarkState), ("requests", RequestState)):
        kind = SHAPES[shape].fields["state"]
        assert kind.name == f"one of {', '.join(word.value for word in words)}"
