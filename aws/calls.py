"""Calls to AWS's services other than DynamoDB's data: clients opened once, and every failure as one of ours.

botocore's standard retries do here: nothing of it is urgent, and what is written so may be written twice.
"""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from domain.errors import FatalError, RefusedError, TransientError

ACTING: Final = ("cloudwatch", "dynamodb", "iam", "lambda", "sns", "ssm", "sts")
"""Services that this room changes something in, and those that say who we are."""
_CONFIG: Final = AioConfig(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=20)
_FORBIDDEN: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess",
                               "AuthorizationError", "AuthorizationErrorException"})  # fmt: skip
_BUSY: Final = frozenset({"ResourceConflictException", "ResourceInUseException", "LimitExceededException",
                          "TooManyUpdates", "TooManyRequestsException", "BackupInUseException", "TableInUseException",
                          "ContinuousBackupsUnavailableException"})  # fmt: skip
"""Another change of the same thing is under way: Lambda, DynamoDB and its backups, Systems Manager."""
_SERVER_ERROR: Final = 500


class Calls:
    """Clients of one account in one Region, one for each service. Made by `connect_calls`."""

    def __init__(self, clients: dict[str, Any], region: str) -> None:
        """``clients``: those of aiobotocore, by service."""
        self._clients = clients
        self.region = region

    async def ask(self, service: str, operation: str, **parameters: object) -> dict[str, Any]:
        """Return the answer.

        Raises RefusedError when it is not allowed or what is asked for is not so, TransientError for what may pass.
        """
        try:
            return await self._call(service, operation, parameters)
        except (ClientError, BotoCoreError) as error:
            # Lambda repeats whole environments in its messages: what AWS said stays out of tracebacks.
            raise _ours(service, operation, error) from None

    async def find(
        self, service: str, operation: str, codes: Collection[str], **parameters: object
    ) -> dict[str, Any] | None:
        """Return the answer; None when the call failed with one of some error codes. Raises as `ask` does."""
        try:
            return await self._call(service, operation, parameters)
        except (ClientError, BotoCoreError) as error:
            if _code_of(error) in codes:
                return None
            raise _ours(service, operation, error) from None

    async def pages(self, service: str, operation: str, part: str, **parameters: object) -> list[dict[str, Any]]:
        """Return what is listed under ``part`` of every page. Raises as `ask` does."""
        paginator = self._clients[service].get_paginator(operation)
        try:
            return [each async for page in paginator.paginate(**parameters) for each in page.get(part, ())]
        except (ClientError, BotoCoreError) as error:
            raise _ours(service, operation, error) from None

    async def _call(self, service: str, operation: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        answer: dict[str, Any] = await getattr(self._clients[service], operation)(**parameters)
        return answer


@asynccontextmanager
async def connect_calls(
    *, region: str | None, endpoint_url: str | None = None, services: Iterable[str] = ACTING
) -> AsyncIterator[Calls]:
    """Open clients for the length of the block. ``endpoint_url`` None: AWS itself.

    Raises FatalError when region or credentials cannot be had.
    """
    session = get_session()
    async with AsyncExitStack() as stack:
        try:
            clients = {
                service: await stack.enter_async_context(
                    session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=_CONFIG)
                )
                for service in services
            }
        except (BotoCoreError, ValueError) as error:
            hint = "check AWS_REGION, TABLETURN_ACCOUNT_ENDPOINT_URL and the AWS profile"
            raise FatalError(f"cannot open the account: {error}", hint=hint) from error
        yield Calls(clients, next(iter(clients.values())).meta.region_name)


def _code_of(error: ClientError | BotoCoreError) -> str:
    """Return the code that AWS gave, "" when it did not answer."""
    return "" if isinstance(error, BotoCoreError) else str(error.response.get("Error", {}).get("Code", ""))


def _ours(service: str, operation: str, error: ClientError | BotoCoreError) -> Exception:
    """Turn a failure into one of our errors, by code and status, never by message."""
    action = f"{service}:{''.join(word.capitalize() for word in operation.split('_'))}"
    if isinstance(error, ParamValidationError):  # its text shows what was sent
        return RefusedError(f"{action} was given something that it cannot take", hint="check names and values for it")
    if isinstance(error, BotoCoreError):
        return TransientError(f"{action}: {error}")
    code, status = _code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _FORBIDDEN:
        return RefusedError(f"{action} is not allowed", hint=f"allow {action}, or do without it")
    if status >= _SERVER_ERROR or "Throttl" in code or code in _BUSY:
        return TransientError(f"{action} failed with {code}", hint="it is tried again")
    return RefusedError(f"{action} failed with {code}", hint="look at it in the AWS console, then try again")
