"""BatchGetItem until every key was processed, for the AWS adapter and the twin alike.

What holds: every key asked for is answered, or an error says so; a key left unprocessed is asked for again. No
progress at all counts as throttling; some is the 16 MB limit. Source: AWS, BatchGetItem, UnprocessedKeys.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from domain.errors import ThrottledError
from domain.items import Item
from dynamo.failures import Unwritten
from dynamo.ports import Found
from dynamo.retries import Retrier, Subject

_BATCH: Final = 100  # keys of one BatchGetItem


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request gave: items found, keys left unprocessed, read units consumed."""

    items: list[Item]
    left: list[Item]
    units: float


async def read_all(
    retrier: Retrier, table: str, keys: Sequence[Item], once: Callable[[list[Item]], Awaitable[Answer]]
) -> Found:
    """Return the items that exist. Any number of keys; equal ones count once."""
    distinct = list({orjson.dumps(key, option=orjson.OPT_SORT_KEYS): key for key in keys}.values())
    answers: list[Answer] = []
    for start in range(0, len(distinct), _BATCH):
        answers += await _read(retrier, table, distinct[start : start + _BATCH], once)
    items = tuple(item for answer in answers for item in answer.items)
    return Found(items, f"{sum(answer.units for answer in answers):g}")


async def _read(
    retrier: Retrier, table: str, keys: list[Item], once: Callable[[list[Item]], Awaitable[Answer]]
) -> list[Answer]:
    answers: list[Answer] = []
    pending = keys

    async def attempt() -> None:
        nonlocal pending
        answers.append(await once(pending))
        asked, pending = pending, answers[-1].left
        if pending:
            kind = Unwritten if len(pending) < len(asked) else ThrottledError
            raise kind(f"BatchGetItem on {table}: {len(pending)} of {len(asked)} keys unprocessed")

    await retrier.run(attempt, Subject("BatchGetItem", table))
    return answers
