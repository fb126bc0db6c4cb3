"""Evaluate conditions against an item: what DynamoDB does on its side, for the twin. Pure.

Source: AWS, "Comparison operator and function reference". The AWS adapter renders the same data instead
(`dynamo.expressions`); the contract suite holds that both mean the same.
"""

from typing import Any

from domain.errors import FatalError
from domain.items import AttributeValue, Item, canonical
from dynamo.conditions import Absent, AllOf, AnyOf, Condition, Equal, Less, Path, Present
from dynamo.item_rules import comparable

_ORDERED = frozenset({"S", "N", "B"})


def holds(condition: Condition | None, item: Item | None) -> bool:
    """Tell whether a condition holds for what stands there (None: nothing). Raises FatalError as AWS would.

    No condition always holds.
    """
    match condition:
        case None:
            return True
        case Absent(path):
            return _at(item, path) is None
        case Present(path):
            return _at(item, path) is not None
        case Equal(path, value):
            found = _at(item, path)
            return found is not None and canonical(found) == canonical(value)
        case Less(path, value):
            return _is_less(_at(item, path), value)
        case AllOf(parts):
            verdicts = [holds(part, item) for part in parts]  # every part, for AWS refuses a malformed one anywhere
            return all(verdicts)
        case AnyOf(parts):
            verdicts = [holds(part, item) for part in parts]
            return any(verdicts)


def _at(item: Item | None, path: Path) -> AttributeValue | None:
    level: Any = item or {}
    for depth, name in enumerate(path):
        if depth:
            level = level.get("M", {})
        level = level.get(name)
        if level is None:
            return None
    found: AttributeValue = level
    return found


def _is_less(found: AttributeValue | None, value: AttributeValue) -> bool:
    (kind,) = value
    if kind not in _ORDERED:
        raise FatalError(f"Incorrect operand type for operator <: {kind}")
    if found is None or kind not in found:
        return False
    return bool(comparable(found) < comparable(value))
