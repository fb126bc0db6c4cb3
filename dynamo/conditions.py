"""Conditions as data: the AWS adapter renders them (`dynamo.expressions`), the twin evaluates them.

Paths are tuples of map keys, e.g. ``("_stamp", "ver")``; values are wire attribute values.
Source: AWS, "Comparison operator and function reference".
"""

from dataclasses import dataclass
from typing import TypeAlias

from domain.items import AttributeValue

Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Absent:
    """``attribute_not_exists(path)``; on a key attribute it says that no item stands there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Present:
    """``attribute_exists(path)``."""

    path: Path


@dataclass(frozen=True, slots=True)
class Equal:
    """``path = value``: by value, documents and sets included; false when the path is absent."""

    path: Path
    value: AttributeValue


@dataclass(frozen=True, slots=True)
class Less:
    """``path < value``: strings by UTF-8 bytes, numbers by value; false when absent or of another type."""

    path: Path
    value: AttributeValue


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Condition", ...]


Condition: TypeAlias = Absent | Present | Equal | Less | AllOf | AnyOf
