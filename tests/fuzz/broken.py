"""What no DynamoDB sends and somebody in between may: JSON of any shape, spoilt values, mutated documents."""

from typing import Any

from hypothesis import strategies as st

from domain.items import AttributeValue, Item
from tests.strategies import TEXT, wire_values

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**45), 10**45),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["", "0", "-1", "1.5", "1e9", "9" * 41, "٣", "²", "NaN", "true", "S", "N", "M"]),
)

JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)),
    max_leaves=6,
)
"""Any JSON document, and floats that JSON has no words for."""

KINDS = ["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS", "X", "s", ""]

BROKEN_VALUES: st.SearchStrategy[Any] = st.one_of(
    JSON,
    st.dictionaries(st.sampled_from(KINDS), JSON, min_size=1, max_size=2),
    wire_values(),
)
"""An attribute value, well formed or not."""


def broken_items(names: st.SearchStrategy[str]) -> st.SearchStrategy[Item]:
    """Items some of whose values are no attribute values."""
    return st.dictionaries(names, BROKEN_VALUES, max_size=4)


def nested_values(depth: int, value: AttributeValue, kind: str) -> AttributeValue:
    """Return a value so many levels down."""
    for _ in range(depth):
        value = {"L": [value]} if kind == "L" else {"M": {"a": value}}
    return value


@st.composite
def mutated(draw: st.DrawFn, document: Any, *, times: int = 2) -> Any:
    """Return the JSON document with a few of its nodes removed, replaced, or moved to where another one stands."""
    for _ in range(draw(st.integers(1, times))):
        document = _mutated_once(draw, document)
    return document


def places(document: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every node but the root."""
    below: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        below = list(document.items())
    elif isinstance(document, list):
        below = list(enumerate(document))
    return [path for step, each in below for path in [(*here, step), *places(each, (*here, step))]]


def at(document: Any, path: tuple[Any, ...]) -> Any:
    """Return the node at a path."""
    for step in path:
        document = document[step]
    return document


def replaced(document: Any, path: tuple[Any, ...], content: Any) -> Any:
    """Return the document with other content at a path; the one given is not changed."""
    if not path:
        return content
    step, *rest = path
    copy = list(document) if isinstance(document, list) else dict(document)
    copy[step] = replaced(document[step], tuple(rest), content)
    return copy


def removed(document: Any, path: tuple[Any, ...]) -> Any:
    """Return the document without the node at a path."""
    *above, step = path
    parent = at(document, tuple(above))
    kept = (
        [each for position, each in enumerate(parent) if position != step]
        if isinstance(parent, list)
        else {name: each for name, each in parent.items() if name != step}
    )
    return replaced(document, tuple(above), kept)


def _mutated_once(draw: st.DrawFn, document: Any) -> Any:
    found = places(document)
    if not found:
        return draw(JSON)
    path = draw(st.sampled_from(found))
    change = draw(st.sampled_from(["remove", "replace", "value", "move", "rename"]))
    if change == "remove":
        return removed(document, path)
    if change == "move":
        return replaced(document, path, at(document, draw(st.sampled_from(found))))
    if change == "rename" and isinstance(path[-1], str):
        content = at(document, path)
        return replaced(removed(document, path), (*path[:-1],), _renamed(draw, document, path, content))
    return replaced(document, path, draw(BROKEN_VALUES if change == "value" else JSON))


def _renamed(draw: st.DrawFn, document: Any, path: tuple[Any, ...], content: Any) -> Any:
    parent = {name: each for name, each in at(document, path[:-1]).items() if name != path[-1]}
    return {**parent, draw(st.one_of(TEXT, st.sampled_from(["NewImage", "Keys", "S", "N"]))): content}
