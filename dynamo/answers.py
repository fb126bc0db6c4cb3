"""Reading what an endpoint answered: each member is what AWS documents, or the process stops.

An answer that cannot be understood is never read past: a record left out is a change lost. It is no passing trouble
either (a body spoilt on its way fails its checksum, or is no JSON: `dynamo.wire_json`), so it is a FatalError. Messages
name the member and never what it holds.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from domain.errors import FatalError
from domain.items import Item

_SEQUENCE: Final = re.compile(r"[0-9]{1,40}")  # AWS: 21 to 40 figures; a version has room for 40 (protocol §1)
_HINT: Final = "is the endpoint really DynamoDB, and is nothing in between that changes its answers?"
_MS_PER_S: Final = 1000
_LATEST_S: Final = 253_402_300_799  # the end of year 9999


def strange(operation: str, what: str) -> FatalError:
    """Return the error for an answer that is not as documented."""
    return FatalError(f"{operation} answered what cannot be understood: {what}", hint=_HINT)


def mapping(operation: str, found: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object."""
    if not isinstance(found, dict):
        raise strange(operation, f"{what} is no object")
    return found


def listed(operation: str, answer: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list that may be left out."""
    found = answer.get(name, [])
    if not isinstance(found, list):
        raise strange(operation, f"{name} is no list")
    return found


def text(operation: str, answer: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there."""
    found = optional_text(operation, answer, name)
    if not found:
        raise strange(operation, f"{name} is missing or empty")
    return found


def optional_text(operation: str, answer: Mapping[str, Any], name: str) -> str | None:
    """Return a text that may be left out."""
    found = answer.get(name)
    if found is not None and not isinstance(found, str):
        raise strange(operation, f"{name} is no text")
    return found


def sequence(operation: str, answer: Mapping[str, Any], name: str) -> int:
    """Return a sequence number: up to 40 figures, which a float could not hold."""
    found = text(operation, answer, name)
    if _SEQUENCE.fullmatch(found) is None:
        raise strange(operation, f"{name} is no sequence number")
    return int(found)


def milliseconds(operation: str, answer: Mapping[str, Any], name: str) -> int:
    """Return seconds since 1970, whole or not, as milliseconds; 0 when left out: they are for display only."""
    found = amount(operation, answer, name)
    if not 0 <= found <= _LATEST_S:
        raise strange(operation, f"{name} is no time")
    return int(found * _MS_PER_S)


def amount(operation: str, answer: Mapping[str, Any], name: str) -> float:
    """Return a number that may be left out, then 0; for display and budgets only."""
    found = answer.get(name, 0)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise strange(operation, f"{name} is no number")
    return found


def consumed(operation: str, answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what each table that a request touched consumed; nothing where the endpoint does not say."""
    told = answer.get("ConsumedCapacity") or []
    return [mapping(operation, each or {}, "ConsumedCapacity") for each in (told if isinstance(told, list) else [told])]


def item(operation: str, found: object, what: str) -> Item:
    """Return an item: named attributes with one value each; what the values hold is judged where it matters."""
    named = mapping(operation, found, what)
    if not named or not all(isinstance(value, dict) and len(value) == 1 for value in named.values()):
        raise strange(operation, f"{what} is no item")
    return dict(named)


def optional_item(operation: str, answer: Mapping[str, Any], name: str) -> Item | None:
    """Return an item that may be left out."""
    found = answer.get(name)
    return None if found is None else item(operation, found, name)
