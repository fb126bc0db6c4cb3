"""Row names made of source ids and target keys, which may be longer than a sort key allows."""

import hashlib

_LONGEST = 200
"""Names up to this many bytes stand as they are; a DynamoDB sort key holds 1,024."""


def address(name: str) -> str:
    """Return the name itself, or its head and a digest when it is long; equal names give equal addresses."""
    encoded = name.encode()
    if len(encoded) <= _LONGEST:
        return name
    head = encoded[: _LONGEST // 2].decode(errors="ignore")
    return f"{head}~{hashlib.blake2b(encoded, digest_size=16).hexdigest()}"
