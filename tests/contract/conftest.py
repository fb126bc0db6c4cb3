"""The flavors: the twin, DynamoDB Local, and AWS when TABLETURN_CONTRACT_AWS=1 says so."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from dynamo.aws import connect
from dynamo.memory import MemoryDatabase
from dynamo.ports import Database
from tests.contract.arena import AWS, LOCAL, MEMORY, Arena, Flavor, RealClock

FLAVORS = [
    pytest.param(MEMORY, id="memory"),
    pytest.param(LOCAL, id="local", marks=pytest.mark.local),
    *([pytest.param(AWS, id="aws")] if os.environ.get("TABLETURN_CONTRACT_AWS") == "1" else []),
]


@pytest.fixture(params=FLAVORS)
async def arena(request: pytest.FixtureRequest) -> AsyncIterator[Arena]:
    """A database of each flavor in turn."""
    flavor = cast("Flavor", request.param)
    endpoint = request.getfixturevalue("local_database") if flavor is LOCAL else None
    async with _open(flavor, endpoint) as database:
        arena = Arena(database, flavor)
        yield arena
        for table in arena.made:
            await database.delete_table(table)


@asynccontextmanager
async def _open(flavor: Flavor, endpoint: str | None) -> AsyncIterator[Database]:
    if flavor is MEMORY:
        yield MemoryDatabase(RealClock())
        return
    async with connect(endpoint_url=endpoint) as database:
        yield database
