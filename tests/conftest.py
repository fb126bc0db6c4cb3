"""What every test may ask for: a real DynamoDB, and table names of its own in it.

Tests are marked by where they lie (tests/contract, …) and by what they ask for, so none has to say so itself.
"""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dynamo.local import endpoint_from_environment, run_local

MARKED_BY_FOLDER = {"contract", "simulation", "integration", "acceptance", "fuzz"}

EMULATOR_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "tableturn",
    "AWS_SECRET_ACCESS_KEY": "tableturn",
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def pytest_configure() -> None:
    """Say that there is no event loop: looptime asks before each test, and asking makes one to leak."""
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its folder, and with `local` if it wants a database."""
    for item in items:
        folder = Path(item.path).relative_to(Path(__file__).parent).parts[0]
        if folder in MARKED_BY_FOLDER:
            item.add_marker(folder)
        if "local_database" in getattr(item, "fixturenames", ()):
            item.add_marker("local")


@pytest.fixture(scope="session")
def local_database() -> Iterator[str]:
    """Endpoint URL of the database the user named, else of a DynamoDB Local that lives for the session."""
    with a_database() as endpoint:
        yield endpoint


@contextmanager
def a_database() -> Iterator[str]:
    """Yield the endpoint URL of the database the user named, else of a DynamoDB Local of one's own."""
    with pytest.MonkeyPatch.context() as environment:
        if chosen := endpoint_from_environment():
            if not (urlsplit(chosen).hostname or "").endswith(("amazonaws.com", "amazonaws.com.cn")):
                _sign_as_nobody(environment)
            yield chosen
            return
        _sign_as_nobody(environment)
        with run_local() as database:
            yield database.endpoint_url


@pytest.fixture
def prefix(local_database: str) -> str:
    """Start of this test's table names: unique, so that tests share a database and never a table."""
    return f"t-{uuid.uuid4().hex[:12]}-"


def _sign_as_nobody(environment: pytest.MonkeyPatch) -> None:
    """An emulator wants a signature, not a secret; what is really in the environment must not reach it."""
    environment.delenv("AWS_SESSION_TOKEN", raising=False)
    environment.delenv("AWS_PROFILE", raising=False)
    for name, value in EMULATOR_ENVIRONMENT.items():
        environment.setenv(name, value)
