"""The venues of the engine tests: the twin under virtual time, and DynamoDB Local in real time."""

from collections.abc import AsyncIterator

import pytest

from dynamo.aws import connect
from tests.world import Venue

TWIN = pytest.param("twin", marks=pytest.mark.looptime)
LOCAL = pytest.param("local", marks=pytest.mark.local)


@pytest.fixture(params=[TWIN, LOCAL])
async def venue(request: pytest.FixtureRequest) -> AsyncIterator[Venue]:
    """Each of the two in turn."""
    if request.param == "twin":
        yield Venue.in_memory()
        return
    endpoint, prefix = request.getfixturevalue("local_database"), request.getfixturevalue("prefix")
    async with connect(endpoint_url=endpoint) as database:
        yield Venue.on(database, prefix.removesuffix("-"))


@pytest.fixture
def twin() -> Venue:
    """The twin alone, for what no emulator can do; such tests carry the mark `looptime`."""
    return Venue.in_memory()
