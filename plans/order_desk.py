"""Functions of order-desk.yaml: pure, exact, and total over whatever an attribute holds."""  # noqa: INP001 - found beside the plan

from decimal import Decimal, DecimalException, localcontext
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]


def priority(image: Item) -> Value | None:
    """Return a word for the rush flag; none where an order has no such flag."""
    flag = image.get("rush", {}).get("BOOL")
    return None if flag is None else {"S": "high" if flag else "normal"}


def rush(value: Value, image: Item) -> Value | None:
    """Return the flag for a word; None for words that the flag cannot say."""
    del image
    flags = {"high": True, "normal": False}
    word = value.get("S")
    return {"BOOL": flags[word]} if word in flags else None


def line_total(image: Item) -> Value | None:
    """Return quantity times unit price in cents, exactly; none where a figure is lacking or DynamoDB has no room."""
    figures = [image.get(name, {}).get("N") for name in ("quantity", "unitCents")]
    try:
        with localcontext(prec=80):
            total = Decimal(figures[0] or "NaN") * Decimal(figures[1] or "NaN")
    except DecimalException:
        return None
    if not total.is_finite() or len(total.as_tuple().digits) > 38 or not -130 < total.adjusted() < 126:  # noqa: PLR2004
        return None
    return {"N": str(total)}
