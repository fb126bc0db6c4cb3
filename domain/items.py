"""Items as DynamoDB sends them, and their canonical form.

An attribute value is the wire's one-entry map, e.g. ``{"N": "12.5"}``; numbers stay strings, binary stays base64
text, sets are lists under SS/NS/BS. Nothing here ever makes a float. Source: AWS, "DynamoDB low-level API",
attribute value; canonical form: protocol §7.
"""

import hashlib
import json
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

AttributeValue: TypeAlias = dict[str, Any]
Item: TypeAlias = dict[str, AttributeValue]

STAMP = "_stamp"
"""Name of the one attribute that is ours on a target item (protocol §1)."""

MARK_PREFIX = "tableturn-mark:"
"""Every mark item's partition key starts so; no application may use it (protocol §1)."""


class TargetKey(NamedTuple):
    """Primary key of a target item; both parts are strings because templates make them."""

    pk: str
    sk: str


def mark_id(key: Item) -> str | None:
    """Return the id of the mark that a key names, or None for the key of an item."""
    for value in key.values():
        written = str(value.get("S", ""))
        if written.startswith(MARK_PREFIX):
            return written.removeprefix(MARK_PREFIX).partition("#")[0]
    return None


def text(value: str) -> AttributeValue:
    """Return the wire form of a string."""
    return {"S": value}


def number(value: int) -> AttributeValue:
    """Return the wire form of a whole number."""
    return {"N": str(value)}


def canonical_number(digits: str) -> str:
    """Return one spelling per numeric value, all 38 digits kept: ``1.50``, ``1.5`` and ``15e-1`` are equal."""
    if digits.isascii() and digits.isdigit() and digits[0] != "0":  # the usual case: whole, positive, plain
        kept = digits.rstrip("0")
        return f"{kept}e{len(digits) - len(kept)}"
    sign, figures, exponent = Decimal(digits).as_tuple()
    if not isinstance(exponent, int):
        message = f"not a finite number: {digits!r}"
        raise ValueError(message)  # noqa: TRY004 - the value is wrong, not its Python type
    mantissa = "".join(map(str, figures)).lstrip("0")
    kept = mantissa.rstrip("0")
    if not kept:
        return "0"
    return f"{'-' if sign else ''}{kept}e{exponent + len(mantissa) - len(kept)}"


def canonical(value: AttributeValue) -> AttributeValue:
    """Return a form in which equal DynamoDB values are equal: numbers by value, sets without order."""
    for kind, content in value.items():
        if kind == "N":
            return {kind: canonical_number(content)}
        if kind == "M":
            return {kind: _canonical_map(content)}
        if kind == "L":
            return {kind: [canonical(each) for each in content]}
        if kind == "NS":
            return {kind: sorted([canonical_number(each) for each in content])}
        if kind in {"SS", "BS"}:
            return {kind: sorted(content)}
    return value


def digest(item: Item) -> str:
    """Return 32 hex digits over the canonical item, key included and the stamp left out (protocol §1, §7)."""
    form = _canonical_map(item)
    form.pop(STAMP, None)
    return hashlib.blake2b(_ENCODER.encode(form).encode(), digest_size=16).hexdigest()


def _canonical_map(item: Item) -> Item:
    # Most values are strings, which are their own canonical form: told here, they cost no call.
    return {name: value if "S" in value else canonical(value) for name, value in item.items()}


def text_digest(*parts: str) -> bytes:
    """Return 16 bytes that stand for some texts in their order."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hashed.update(len(encoded).to_bytes(4) + encoded)
    return hashed.digest()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)


def source_id(source: str, key: Item, names: tuple[str, ...]) -> str:
    """Name a source item: ``users/0d3f…``, one quoted part per key attribute in schema order (protocol §1).

    Equal keys give equal text (numbers go by value); `parse_source_id` is the inverse.
    """
    return "/".join([quote(source, safe=""), *(quote(_plain(key[name]), safe="") for name in names)])


def parse_source_id(written: str, schema: tuple[tuple[str, str], ...]) -> tuple[str, Item]:
    """Invert `source_id`, given (name, type) of each key attribute: return the source's name and the key."""
    source, *parts = written.split("/")
    key: Item = {name: {kind: unquote(part)} for (name, kind), part in zip(schema, parts, strict=True)}
    return unquote(source), key


def _plain(value: AttributeValue) -> str:
    ((kind, content),) = value.items()
    if kind == "N":
        spelt = f"{Decimal(content):f}"
        return (spelt.rstrip("0").rstrip(".") if "." in spelt else spelt) if Decimal(content) else "0"
    return str(content)
