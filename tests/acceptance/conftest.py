"""What every test of the installed program gets: a scene of its own, whose secrets nothing may have printed."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.acceptance.legacy import Legacy
from tests.acceptance.program import Program, environment_of
from tests.acceptance.scene import Scene
from tests.conftest import a_database

SceneMaker = Callable[[], Scene]


@pytest.fixture(scope="module")
def local_database() -> Iterator[str]:
    """One for each module: what tests leave behind in streams makes it slow, at whatever comes after them."""
    with a_database() as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def client(local_database: str) -> Iterator[Any]:
    """A second client of the database, independent of the program's."""
    region = os.environ.get("AWS_REGION", "us-east-1")
    client = boto3.client(
        "dynamodb", endpoint_url=local_database, region_name=region, config=Config(max_pool_connections=20)
    )
    yield client
    client.close()


@pytest.fixture
def scenes(client: Any, local_database: str, tmp_path: Path) -> Iterator[SceneMaker]:
    """Make scenes; at the end their processes end, and what they said is searched for secrets."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(one_scene(client, local_database, tmp_path))


@pytest.fixture
def scene(scenes: SceneMaker) -> Scene:
    """One scene: nothing is created yet."""
    return scenes()


@contextmanager
def one_scene(client: Any, endpoint_url: str, folder: Path) -> Iterator[Scene]:
    prefix = f"acc-{uuid.uuid4().hex[:10]}"
    own = folder / prefix
    own.mkdir()
    scene = Scene(Legacy(client, prefix), Program(own, environment_of(endpoint_url, prefix)))
    try:
        yield scene
    finally:
        scene.program.close()
    told = "\n".join(scene.program.said())
    printed = [secret for secret in scene.legacy.secrets if secret in told]
    assert not printed, f"the program printed {len(printed)} secrets, such as {printed[:3]}"
