"""What looks like a secret, or personal, wherever it stands: found in keys, hidden wherever a proof shows something.

The plan's `sensitive` attributes are masked by the plan itself; this is for those that it should have named. Pure.
"""

import re
from urllib.parse import unquote

from domain.items import AttributeValue, Item
from mapping.masking import short_digest

_SECRETS = re.compile(
    r"^eyJ[\w-]+\.[\w-]+\.[\w-]*$|^(AKIA|ASIA)[A-Z0-9]{16}$|^gh[pousr]_\w{20,}|^xox[abprs]-|^[rs]k_(live|test)_"
    r"|^\$(argon2|2[aby]\$)|^-----BEGIN |^[^@\s]+@[^@\s]+\.[a-zA-Z]{2,}$"
)
"""Web tokens, AWS access keys, GitHub, Slack and Stripe tokens, password hashes, PEM blocks, e-mail addresses."""

_PIECES = re.compile(r"[\s#/,:'\"()]+")
_HEAD = re.compile(r"^[\w.-]*[#/]")


def is_secret(written: str) -> bool:
    """Tell whether a text, or a piece of it between separators, looks like a secret."""
    if _SECRETS.match(written):
        return True
    return any(_SECRETS.match(piece) for text in {written, unquote(written)} for piece in _PIECES.split(text))


def hide(written: str) -> str:
    """Return the text as it may be shown: with a secret in it only its beginning up to ``#`` or ``/``, and a digest."""
    if not is_secret(written):
        return written
    head = _HEAD.match(written)
    begins = head[0] if head and not is_secret(head[0]) else ""
    return begins + short_digest(written.removeprefix(begins))


def hide_item(item: Item) -> Item:
    """Return an item with every text, and every name, hidden that looks like a secret, at any depth."""
    return {hide(name): _hidden(value) for name, value in item.items()}


def _hidden(value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return {kind: hide(content)}
        case "SS":
            return {kind: [hide(each) for each in content]}
        case "L":
            return {kind: [_hidden(each) for each in content]}
        case "M":
            return {kind: hide_item(content)}
        case _:
            return value
