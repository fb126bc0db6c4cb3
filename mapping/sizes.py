"""DynamoDB's limits, checked before a write would be refused: item size, nesting, key lengths.

Sizes follow AWS, "DynamoDB item sizes and formats": names and strings in UTF-8 bytes, two figures of a number a byte
plus one, lists and maps three bytes and one more for each element. What is over a limit is a DataError of that item,
so it is quarantined by name instead of being retried for ever (layout.md, errors).
"""

from collections.abc import Callable
from typing import Any

from domain.errors import DataError
from domain.items import AttributeValue, Item

ITEM_BYTES = 400 * 1024
HASH_KEY_BYTES = 2048
SORT_KEY_BYTES = 1024
NESTING = 32
STAMP_BYTES = 160
"""Room left on a target item for ``_stamp`` besides the source id in it (protocol §1)."""


def item_size(item: Item) -> int:
    """Return the bytes AWS counts for an item; raises DataError when it is nested too deeply."""
    return sum(_text_bytes(name) + _value_size(value, 1) for name, value in item.items())


def fits_key(written: str, *, hash_key: bool) -> bool:
    """Tell whether a string may be a hash or sort key value: not empty and short enough."""
    return 0 < _text_bytes(written) <= (HASH_KEY_BYTES if hash_key else SORT_KEY_BYTES)


def key_value_fits(value: AttributeValue, kind: str, *, hash_key: bool) -> bool:
    """Tell whether DynamoDB would take the value as a key attribute of that type, in a table or an index."""
    content = value.get(kind)
    if not isinstance(content, str):
        return False
    if kind == "S":
        return fits_key(content, hash_key=hash_key)
    if kind == "B":
        return 0 < _binary_bytes(content) <= (HASH_KEY_BYTES if hash_key else SORT_KEY_BYTES)
    return True


def check_size(item: Item, *, room: int, what: Callable[[], str]) -> None:
    """Raise DataError when the item with ``room`` bytes more is over 400 KB; ``what`` tells its printable name."""
    size = item_size(item) + room
    if size > ITEM_BYTES:
        hint = "shorten or split it in the application"
        raise DataError(f"{what()} would take {size} bytes of the {ITEM_BYTES} that DynamoDB allows", hint=hint)


def _value_size(value: AttributeValue, depth: int) -> int:
    """Count a value; the attribute itself is level 1."""
    if depth > NESTING:
        raise DataError(f"an attribute is nested deeper than {NESTING} levels", hint="flatten it in the application")
    ((kind, content),) = value.items()
    if kind == "S":
        return _text_bytes(content)
    if kind == "N":
        return _number_bytes(content)
    if kind == "B":
        return _binary_bytes(content)
    if kind in {"NULL", "BOOL"}:
        return 1
    return _container_size(kind, content, depth)


def _container_size(kind: str, content: Any, depth: int) -> int:  # noqa: ANN401 - wire content differs by kind
    if kind == "M":
        return 3 + sum(_text_bytes(name) + 1 + _value_size(each, depth + 1) for name, each in content.items())
    if kind == "L":
        return 3 + sum(1 + _value_size(each, depth + 1) for each in content)
    count = {"SS": _text_bytes, "NS": _number_bytes}.get(kind, _binary_bytes)
    return sum(count(each) for each in content)


def _text_bytes(written: str) -> int:
    return len(written) if written.isascii() else len(written.encode("utf-8", "surrogatepass"))


def _number_bytes(written: str) -> int:
    return min(21, (len(written) + 1) // 2 + 2)


def _binary_bytes(written: str) -> int:
    return len(written) * 3 // 4 - written.count("=", -2) if written else 0
