"""The real DynamoDB: `connect` gives a `dynamo.ports.Database` over aiobotocore.

botocore signs, resolves endpoints and refreshes credentials; its retries are off (ours: `dynamo.retries`) and its walk
over shapes is replaced (`dynamo.wire_json`). Next: `dynamo.aws_tables`, `dynamo.aws_items`, `dynamo.aws_streams`.
"""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError

from domain.errors import FatalError
from dynamo.aws_items import AwsItems
from dynamo.aws_streams import AwsStreams
from dynamo.aws_tables import AwsTables
from dynamo.calls import Calls, Document
from dynamo.observer import NO_OBSERVER, Observer
from dynamo.punctual import punctual_socket
from dynamo.retries import Retrier, RetryPolicy
from dynamo.wire_json import RawParserFactory, RawSerializer

DEFAULT_RETRY: Final = RetryPolicy()

_LOCAL_REGION: Final = "us-east-1"
_LOCAL_KEY: Final = "tableturn"  # DynamoDB Local takes letters and digits only


class AwsDatabase(AwsTables, AwsItems, AwsStreams):
    """A DynamoDB, on AWS or behind an endpoint that speaks its protocol. Made by `connect`."""

    def __init__(self, calls: Calls, *, emulator_allowed: bool) -> None:
        """See `connect`."""
        AwsTables.__init__(self, calls, emulator_allowed=emulator_allowed)

    async def call(self, operation: str, parameters: Document) -> Document:
        """Call any operation of DynamoDB or its streams by its API name, with the same retries and errors.

        Parameters and answer are wire JSON as the API reference shows it (binary as base64 text). For applications
        such as the demo's, which write as no engine may; never for a target.
        """
        return await self._calls.call(operation, parameters)


@asynccontextmanager
async def connect(
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    retry: RetryPolicy = DEFAULT_RETRY,
    observer: Observer = NO_OBSERVER,
    connections: int = 64,
    random: Random | None = None,
) -> AsyncIterator[AwsDatabase]:
    """Open clients for tables and streams, and close them at the end of the block.

    ``endpoint_url`` None means AWS itself; region and credentials then come from botocore's usual chain. A loopback
    endpoint needs neither. ``connections`` is the most requests in flight per client; ``random`` draws the jitter.
    Raises FatalError when region or credentials cannot be had.
    """
    session = get_session()
    session.register_component("response_parser_factory", RawParserFactory())
    parameters: dict[str, Any] = {
        "endpoint_url": endpoint_url,
        "region_name": region,
        "config": _config(retry, connections),
    }
    async with AsyncExitStack() as stack:
        try:
            if endpoint_url is not None and _is_loopback(endpoint_url):
                parameters |= await _local_defaults(session, region)
            tables = await stack.enter_async_context(session.create_client("dynamodb", **parameters))
            streams = await stack.enter_async_context(session.create_client("dynamodbstreams", **parameters))
        except (BotoCoreError, ValueError) as error:  # botocore says ValueError for a malformed endpoint
            raise FatalError(
                f"cannot connect to DynamoDB: {error}", hint="check endpoint, region and AWS profile"
            ) from error
        for client in (tables, streams):
            _speak_raw(client)
        retrier = Retrier(retry, random=random or Random(), observer=observer)
        calls = Calls(tables=tables, streams=streams, retrier=retrier, observer=observer)
        yield AwsDatabase(calls, emulator_allowed=endpoint_url is not None)


def _config(retry: RetryPolicy, connections: int) -> AioConfig:
    return AioConfig(
        connect_timeout=retry.attempt_timeout_s,
        read_timeout=retry.attempt_timeout_s,
        max_pool_connections=connections,
        connector_args={"socket_factory": punctual_socket},
        parameter_validation=False,  # the service validates, and ours is raw JSON
        retries={"mode": "standard", "total_max_attempts": 1},
    )


def _speak_raw(client: Any) -> None:
    """Replace the serializer, for which botocore has no public seam (the parser has one, the session's component)."""
    if not hasattr(client, "_serializer"):
        raise FatalError("this botocore keeps its serializer elsewhere", hint="install the locked versions")
    client._serializer = RawSerializer()  # noqa: SLF001 - see above; held by a test against a real server


def _is_loopback(endpoint_url: str) -> bool:
    host = urlsplit(endpoint_url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _local_defaults(session: AioSession, region: str | None) -> dict[str, Any]:
    """Return what a database on this machine needs and the environment does not say.

    Asking the cloud's metadata service for credentials is left out: it takes seconds where there is none.
    """
    session.get_component("credential_provider").remove("iam-role")
    defaults: dict[str, Any] = {}
    if await session.get_credentials() is None:
        defaults |= {"aws_access_key_id": _LOCAL_KEY, "aws_secret_access_key": _LOCAL_KEY}
    if region is None and session.get_config_variable("region") is None:
        defaults["region_name"] = _LOCAL_REGION
    return defaults
