"""What DynamoDB makes of an item on its way in: refusals, normal numbers, sizes. Used by the twin alone.

What holds: what comes out shares nothing with what went in; numbers have DynamoDB's own spelling. Sources: AWS,
"Service, account, and table quotas" (items, attributes, numbers), "DynamoDB item sizes and formats", "Naming rules and
data types"; each rule was measured against DynamoDB Local. Next: `dynamo.memory_store`.
"""

import base64
import binascii
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import orjson

from domain.errors import DataError
from domain.items import AttributeValue, Item, canonical_number
from domain.tables import KeyAttribute

LARGEST_ITEM: Final = 400 * 1024  # bytes
_LONGEST_KEY: Final = (2048, 1024)  # bytes: hash key, sort key
_DEEPEST: Final = 32  # levels, the attribute itself being the first
_DIGITS: Final = 38
_LARGEST_EXPONENT: Final = 125
_SMALLEST_EXPONENT: Final = -130
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def copied(item: Item) -> Item:
    """Return a copy that shares nothing with the item. Raises DataError for what JSON cannot carry."""
    try:
        copy: Item = orjson.loads(orjson.dumps(item))
    except orjson.JSONEncodeError as error:
        raise DataError(f"cannot be sent as JSON: {error}") from error
    return copy


def normalised(item: Item) -> Item:
    """Return the item as DynamoDB would store it. Raises DataError for what it would refuse, keys aside."""
    return {_name(name): _value(value, 1) for name, value in item.items()}


def size(item: Item) -> int:
    """Return the bytes that DynamoDB counts for a normalised item."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def check_size(item: Item) -> int:
    """Return the size. Raises DataError above 400 KB."""
    found = size(item)
    if found > LARGEST_ITEM:
        raise DataError(f"Item size has exceeded the maximum allowed size: {found} > {LARGEST_ITEM} bytes")
    return found


def check_key(item: Item, key: tuple[KeyAttribute, ...]) -> None:
    """Raise DataError unless the primary key is there, of the right type, not empty and not too long."""
    for part, longest in zip(key, _LONGEST_KEY, strict=False):
        value = item.get(part.name)
        if value is None:
            raise DataError(f"Missing the key {part.name} in the item")
        if part.type not in value:
            raise DataError(f"Type mismatch for key {part.name}: expected {part.type}, got {next(iter(value))}")
        _refuse_empty(part, value)
        if _size(value) > longest:
            raise DataError(f"Key {part.name} has exceeded its maximum of {longest} bytes")


def check_index_key(item: Item, key: tuple[KeyAttribute, ...], index: str) -> None:
    """Raise DataError when an index key attribute is there, but not as its type demands. Absent is fine."""
    for part in key:
        value = item.get(part.name)
        if value is None:
            continue
        if part.type not in value:
            raise DataError(f"Type mismatch for Index Key {part.name}: index {index} expects {part.type}")
        _refuse_empty(part, value)


def comparable(value: AttributeValue) -> Any:
    """Return what a key value sorts by: UTF-8 bytes, numeric value, bytes."""
    ((kind, content),) = value.items()
    if kind == "N":
        return Decimal(content)
    return str(content).encode() if kind == "S" else base64.b64decode(content)


def _refuse_empty(part: KeyAttribute, value: AttributeValue) -> None:
    if value[part.type] == "":
        raise DataError(f"The AttributeValue for a key attribute cannot contain an empty value. Key: {part.name}")


def _value(value: Any, depth: int) -> AttributeValue:
    if not isinstance(value, dict) or len(value) != 1:
        raise DataError(f"Supplied AttributeValue must contain exactly one of the supported datatypes: {value!r}")
    ((kind, content),) = value.items()
    if depth >= _DEEPEST and kind in {"L", "M"}:  # an empty one too: DynamoDB counts what it could hold
        raise DataError("Nesting Levels have exceeded supported limits")
    if kind == "L":
        return {"L": [_value(each, depth + 1) for each in content]}
    if kind == "M":
        return {"M": {_name(name): _value(each, depth + 1) for name, each in content.items()}}
    if kind in _SETS:
        return {kind: _set(kind, content)}
    if kind in _SCALARS:
        return {kind: _SCALARS[kind](content)}
    raise DataError(f"Supplied AttributeValue has no supported datatype: {kind!r}")


def _name(content: Any) -> str:
    if content == "":
        raise DataError("Empty attribute name")
    return _text(content)


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise DataError(f"not a string: {content!r}")
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"not Unicode: {content!r}") from error
    return content


def _binary(content: Any) -> str:
    try:
        return base64.b64encode(base64.b64decode(_text(content), validate=True)).decode()
    except binascii.Error as error:
        raise DataError(f"not base64: {content!r}") from error


def _boolean(content: Any) -> bool:
    if not isinstance(content, bool):
        raise DataError(f"not a boolean: {content!r}")
    return content


def _null(content: Any) -> bool:
    if content is not True:
        raise DataError("Null attribute value types must have the value of true")
    return True


def _number(content: Any) -> str:
    if not isinstance(content, str) or not _NUMBER.fullmatch(content):
        raise DataError(f"A value provided cannot be converted into a number: {content!r}")
    spelt = canonical_number(content)
    if spelt == "0":
        return spelt
    figures, _, exponent = spelt.lstrip("-").partition("e")
    if len(figures) > _DIGITS:
        raise DataError(f"Attempting to store more than {_DIGITS} significant digits in a Number")
    magnitude = int(exponent) + len(figures) - 1  # of the leading digit
    if magnitude > _LARGEST_EXPONENT:
        raise DataError("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if magnitude < _SMALLEST_EXPONENT:
        raise DataError("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    plain = f"{Decimal(content):f}".lstrip("+")
    return _trimmed(plain)


def _trimmed(plain: str) -> str:
    sign, digits = ("-", plain[1:]) if plain.startswith("-") else ("", plain)
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return f"{sign}{whole.lstrip('0') or '0'}{'.' if fraction else ''}{fraction}"


_SCALARS: Final[dict[str, Callable[[Any], Any]]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _boolean,
    "NULL": _null,
}
_SETS: Final = {"SS": "S", "NS": "N", "BS": "B"}


def _set(kind: str, content: list[Any]) -> list[Any]:
    """Return the members in order, as DynamoDB Local does; AWS promises none."""
    members = [_SCALARS[_SETS[kind]](each) for each in content]
    if not members:
        raise DataError("One or more parameter values were invalid: a set may not be empty")
    if len(set(members)) < len(members):
        raise DataError("Input collection contains duplicates")
    return sorted(members, key=lambda each: comparable({_SETS[kind]: each}))


def _size(value: AttributeValue) -> int:
    ((kind, content),) = value.items()
    if kind == "L":
        return 3 + sum(1 + _size(each) for each in content)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(each) for name, each in content.items())
    if kind in _SETS:
        return sum(_size({_SETS[kind]: each}) for each in content)
    return _scalar_size(kind, content)


def _scalar_size(kind: str, content: str) -> int:
    if kind == "S":
        return len(content.encode())
    if kind == "B":
        return len(base64.b64decode(content))
    if kind == "N":
        figures = canonical_number(content).lstrip("-").partition("e")[0]
        return (len(figures) + 1) // 2 + 1 + content.startswith("-")
    return 1
