"""BatchGetItem until every key was processed, for the AWS adapter and the twin alike.

What holds: every key asked for is answered, or an error says so; a key left unprocessed is asked for again. No
progress at all counts as throttling; some is the 16 MB limit. Source: AWS, BatchGetItem, UnprocessedKeys.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import orjson

from domain.errors import ThrottledError
from domain.items import Item
from dynamo.failures import Unwritten
from dynamo.retries import Retrier, Subject

_BATCH: Final = 100  # keys of one BatchGetItem

Answer: TypeAlias = tuple[list[Item], list[Item]]
"""Items found, and keys left unprocessed."""


async def read_all(
    retrier: Retrier, table: str, keys: Sequence[Item], once: Callable[[list[Item]], Awaitable[Answer]]
) -> list[Item]:
    """Return the items that exist, in any order. Any number of keys; equal ones count once."""
    distinct = list({orjson.dumps(key, option=orjson.OPT_SORT_KEYS): key for key in keys}.values())
    found: list[Item] = []
    for start in range(0, len(distinct), _BATCH):
        found += await _read(retrier, table, distinct[start : start + _BATCH], once)
    return found


async def _read(
    retrier: Retrier, table: str, keys: list[Item], once: Callable[[list[Item]], Awaitable[Answer]]
) -> list[Item]:
    found: list[Item] = []
    pending = keys

    async def attempt() -> None:
        nonlocal pending
        items, left = await once(pending)
        found.extend(items)
        asked, pending = pending, left
        if pending:
            kind = Unwritten if len(pending) < len(asked) else ThrottledError
            raise kind(f"BatchGetItem on {table}: {len(pending)} of {len(asked)} keys unprocessed")

    await retrier.run(attempt, Subject("BatchGetItem", table))
    return found
