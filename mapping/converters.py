"""Named converters: one attribute value in, text out, or None when there is nothing sensible to say.

Total over everything DynamoDB can hold, and exact: whole numbers and decimals only (tyler-setup rules 2 and 3). A
converter never fails; None means "no part", and an index entry that lacks a part is left out.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal, InvalidOperation

from domain.items import AttributeValue

Converter = Callable[[AttributeValue], str | None]

MAPPING_REVISION = 2
"""Part of every plan's hash: raise it when translating the same plan gives other items than before."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MS = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
_MOST_DIGITS = 15  # any number with more digits before the point is outside these years
_MOST_FIGURES, _LEAST_EXPONENT, _MOST_EXPONENT = 38, -130, 125  # DynamoDB's own limits


def plain_number(value: AttributeValue) -> str | None:
    """Return a number in plain figures, one spelling per value: ``1.50`` → ``1.5``, ``1E+2`` → ``100``."""
    found = _decimal(value)
    if found is None:
        return None
    if not found:
        return "0"
    spelt = f"{found:f}"
    return spelt.rstrip("0").rstrip(".") if "." in spelt else spelt


def plain_text(value: AttributeValue) -> str | None:
    """Return a string that is not empty; None for anything else, numbers included (tyler-setup trap 1)."""
    return value.get("S") or None


def base64_text(value: AttributeValue) -> str | None:
    """Return binary as the base64 text it travels in."""
    return value.get("B") or None


def iso8601(value: AttributeValue) -> str | None:
    """Return milliseconds since 1970 as ``2026-11-23T13:31:34.703Z``, which sorts as text.

    Fractions of a millisecond go down to the whole one. None for what is no number or outside years 1 to 9999.
    """
    moment = _milliseconds(value)
    if moment is None:
        return None
    return (_EPOCH + timedelta(milliseconds=moment)).isoformat(timespec="milliseconds")[:-6] + "Z"


def month(value: AttributeValue) -> str | None:
    """Return milliseconds since 1970 as ``2026-11``, UTC."""
    written = iso8601(value)
    return written[:7] if written else None


def day(value: AttributeValue) -> str | None:
    """Return milliseconds since 1970 as ``2026-11-23``, UTC."""
    written = iso8601(value)
    return written[:10] if written else None


def initials(value: AttributeValue) -> str | None:
    """Return the first letter of the first and of the last word, in capitals; one word gives one letter."""
    words = (value.get("S") or "").split()
    if not words:
        return None
    ends = words if len(words) == 1 else [words[0], words[-1]]
    return "".join(word[0].upper() for word in ends)


def lower(value: AttributeValue) -> str | None:
    """Return a string in lower case, as look-ups by name want it."""
    written = plain_text(value)
    return written.lower() if written else None


CONVERTERS: dict[str, Converter] = {
    "iso8601": iso8601,
    "month": month,
    "day": day,
    "number": plain_number,
    "initials": initials,
    "lower": lower,
}
"""What a template may name after the bar."""

BY_TYPE: dict[str, Converter] = {"S": plain_text, "N": plain_number, "B": base64_text}
"""How a key attribute of each type is written into a key."""


def _decimal(value: AttributeValue) -> Decimal | None:
    written = value.get("N")
    if not isinstance(written, str):
        return None
    try:
        found = Decimal(written)
    except InvalidOperation:
        return None
    if not found.is_finite() or (found and not _LEAST_EXPONENT <= found.adjusted() <= _MOST_EXPONENT):
        return None
    figures = "".join(map(str, found.as_tuple().digits)).strip("0")
    return found if len(figures) <= _MOST_FIGURES else None


def _milliseconds(value: AttributeValue) -> int | None:
    written = value.get("N", "")
    if len(written) <= _MOST_DIGITS and written.isdigit() and written.isascii():
        moment = int(written)
    else:
        found = _decimal(value)
        if found is None or found.adjusted() >= _MOST_DIGITS:
            return None
        moment = int(found.to_integral_value(rounding=ROUND_FLOOR))
    return moment if _FIRST_MS <= moment <= _LAST_MS else None
