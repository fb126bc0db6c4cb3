"""An AWS account on this machine, a hand of its root's, and our calls to it, which a test may watch and interrupt."""

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from aws.calls import Calls, connect_calls
from dynamo.aws import connect
from tests.acceptance.account import REGION, ROOT, Cloud, run_account
from tests.world import Venue, World

Deed = Callable[[], object]
Answer = dict[str, Any]


class Watched(Calls):
    """Calls that remember what was asked, and let something happen just before one is made."""

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls._clients, calls.region)
        self.made: list[tuple[str, Answer]] = []
        self._before: list[tuple[str, Deed]] = []
        self._said: dict[str, Callable[[Answer], Answer]] = {}

    def before(self, operation: str, *deeds: Deed) -> None:
        """Do these, one each of the next times that an operation is called."""
        self._before += [(operation, deed) for deed in deeds]

    def says(self, operation: str, change: Callable[[Answer], Answer]) -> None:
        """Change what an operation answers from now on: what the emulator never says, and AWS does."""
        self._said[operation] = change

    def parameters(self, operation: str) -> list[Answer]:
        return [parameters for made, parameters in self.made if made == operation]

    async def _call(self, service: str, operation: str, parameters: Any) -> Answer:
        for place, (awaited, deed) in enumerate(self._before):
            if awaited == operation:
                del self._before[place]
                deed()
                break
        self.made.append((operation, dict(parameters)))
        answer = await super()._call(service, operation, parameters)
        return self._said[operation](answer) if operation in self._said else answer


@pytest.fixture(scope="package")
def cloud() -> Iterator[Cloud]:
    with run_account() as account:
        yield account


@pytest.fixture
async def calls(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Watched]:
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    for name, value in ROOT.items():
        monkeypatch.setenv(name, value)
    async with connect_calls(region=REGION, endpoint_url=cloud.url) as opened:
        yield Watched(opened)


@pytest.fixture
async def world(cloud: Cloud, calls: Watched) -> AsyncIterator[World]:
    """A migration of two sources in that account, initialised."""
    async with connect(endpoint_url=cloud.url, region=REGION) as database:
        yield await Venue.on(database, f"t{uuid.uuid4().hex[:8]}").world("tyler-setup", "users", "refresh-tokens")
