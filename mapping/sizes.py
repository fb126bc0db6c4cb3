"""DynamoDB's limits, checked before a write would be refused: item size, nesting, key lengths.

Sizes follow AWS, "DynamoDB item sizes and formats": names and strings in UTF-8 bytes, two figures of a number a byte
plus one, lists and maps three bytes and one more for each element. What is over a limit is a DataError of that item,
so it is quarantined by name instead of being retried for ever (layout.md, errors).
"""

import re
from collections.abc import Callable
from typing import Any

from domain.errors import DataError
from domain.items import AttributeValue, Item

ITEM_BYTES = 400 * 1024
HASH_KEY_BYTES = 2048
SORT_KEY_BYTES = 1024
NESTING = 32
_FIGURES = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a value fails with that is none; whether it was one is told by `item_size`, and only then."""

STAMP_BYTES = 160
"""Room left on a target item for ``_stamp`` besides the source id in it (protocol §1)."""


class TooLarge(DataError):
    """An item is over the 400 KB that DynamoDB allows."""


def item_size(item: Item) -> int:
    """Return the bytes AWS counts for an item; raises DataError for what is none, or nested too deeply."""
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
    """Raise TooLarge when the item with ``room`` bytes more is over 400 KB; ``what`` tells its printable name."""
    size = item_size(item) + room
    if size > ITEM_BYTES:
        hint = "shorten or split it in the application"
        raise TooLarge(f"{what()} would take {size} bytes of the {ITEM_BYTES} that DynamoDB allows", hint=hint)


def _value_size(value: Any, depth: int) -> int:  # noqa: ANN401 - what stands where a value should
    """Count a value; the attribute itself is level 1. Raises DataError for what is no attribute value."""
    if not isinstance(value, dict) or len(value) != 1:
        raise _misshapen("something that is no attribute value")
    ((kind, content),) = value.items()
    if kind == "S":
        return _text_bytes(content)
    if kind == "N":
        return _number_bytes(content)
    if kind == "B":
        return _binary_bytes(content)
    if kind in {"NULL", "BOOL"}:
        if not isinstance(content, bool):
            raise _misshapen(f"{kind} that is neither true nor false")
        return 1
    return _container_size(kind, content, depth)


def _container_size(kind: str, content: Any, depth: int) -> int:  # noqa: ANN401 - wire content differs by kind
    if depth >= NESTING and kind in {"L", "M"}:  # an empty one too: DynamoDB counts what it could hold
        raise DataError(f"an attribute is nested deeper than {NESTING} levels", hint="flatten it in the application")
    if kind == "M" and isinstance(content, dict):
        return 3 + sum(_text_bytes(name) + 1 + _value_size(each, depth + 1) for name, each in content.items())
    if kind == "L" and isinstance(content, list):
        return 3 + sum(1 + _value_size(each, depth + 1) for each in content)
    count = _MEMBERS.get(kind)
    if count is None or not isinstance(content, list):
        raise _misshapen("a list, map or set that is none, or of no type that DynamoDB has")
    return sum(count(each) for each in content)


def _misshapen(what: str) -> DataError:
    return DataError(f"an attribute holds {what}", hint="DynamoDB never sends such: what is between it and us?")


def _text_bytes(written: str) -> int:
    if not isinstance(written, str):
        raise _misshapen("a text that is none")
    return len(written) if written.isascii() else len(written.encode("utf-8", "surrogatepass"))


def _number_bytes(written: str) -> int:
    if not is_number(written):
        raise _misshapen("a number that is none")
    return min(21, (len(written) + 1) // 2 + 2)


def _binary_bytes(written: str) -> int:
    if not isinstance(written, str):
        raise _misshapen("binary that is not base64 text")
    return len(written) * 3 // 4 - written.count("=", -2) if written else 0


def is_number(written: object) -> bool:
    """Tell whether DynamoDB reads it as a number; Python's Decimal takes more: ``1_000``, blanks, any figures."""
    if not isinstance(written, str):
        return False
    return (written.isascii() and written.isdigit()) or _FIGURES.fullmatch(written) is not None


_MEMBERS = {"SS": _text_bytes, "NS": _number_bytes, "BS": _binary_bytes}
