"""An AWS account, asked by its own services: STS, IAM, Lambda, EventBridge Pipes, CloudFormation, DynamoDB. Reads only.

botocore's standard retries do here: nothing of it is urgent, and nothing writes. Next: `aws.templates` for templates.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from aws.ports import Caller, Function, StackResource, StreamReader
from aws.templates import properties_of
from domain.errors import FatalError, RefusedError, TransientError

_SERVICES: Final = ("cloudformation", "dynamodb", "iam", "lambda", "pipes", "sts")
_CONFIG: Final = AioConfig(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=20)
_FORBIDDEN: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnauthorizedAccess"})
_ALLOWED: Final = "allowed"
_STACK_TAG: Final = "aws:cloudformation:"


class Account:
    """One account in one Region. Made by `connect_account`; see `aws.ports.AccountPort` for what it answers."""

    def __init__(self, clients: dict[str, Any], region: str) -> None:
        """``clients``: one of aiobotocore for each service that is asked."""
        self._clients = clients
        self._region = region

    async def caller(self) -> Caller:
        """Return who asks. Source: IAM, GetRole: a role may lie on a path that the ARN of its session leaves out."""
        said = await self._ask("sts", "get_caller_identity")
        _, partition, service, _, account, name = said["Arn"].split(":", 5)
        principal: str | None = said["Arn"]
        if service == "sts" and name.startswith("assumed-role/"):
            role = await self._ask("iam", "get_role", RoleName=name.split("/")[1])
            principal = role["Role"]["Arn"]
        elif name == "root":
            principal = None
        return Caller(account, partition, self._region, principal)

    async def allowed(self, principal: str, actions: Sequence[str], resources: Sequence[str]) -> set[tuple[str, str]]:
        """Return which pairs are allowed. Source: IAM, SimulatePrincipalPolicy.

        One resource a call: so each answer is of that resource, however the results are grouped.
        """
        found: set[tuple[str, str]] = set()
        for resource in resources:
            asked = {"PolicySourceArn": principal, "ActionNames": list(actions), "ResourceArns": [resource]}
            results = await self._all("iam", "simulate_principal_policy", "EvaluationResults", **asked)
            found |= {(each["EvalActionName"], resource) for each in results if each["EvalDecision"] == _ALLOWED}
        return found

    async def stream_readers(self, stream_arn: str) -> list[StreamReader]:
        """Return functions and pipes. Sources: Lambda, ListEventSourceMappings; EventBridge Pipes, ListPipes."""
        mappings = await self._all(
            "lambda", "list_event_source_mappings", "EventSourceMappings", EventSourceArn=stream_arn
        )
        functions = [
            StreamReader(f"function {each['FunctionArn'].split(':')[6]}", each["State"] not in {"Disabled", "Deleting"})
            for each in mappings
        ]
        pipes = await self._all("pipes", "list_pipes", "Pipes", SourcePrefix=stream_arn)
        return functions + [StreamReader(f"pipe {each['Name']}", each["CurrentState"] == "RUNNING") for each in pipes]

    async def functions(self) -> list[Function]:
        """Return them all. Source: Lambda, ListFunctions."""
        found = await self._all("lambda", "list_functions", "Functions")
        return [
            Function(each["FunctionName"], each["Role"], each.get("Environment", {}).get("Variables", {}))
            for each in found
        ]

    async def stack_resource(self, table_arn: str) -> StackResource | None:
        """Return the stack's word. Sources: CloudFormation, "Resource tag" (it marks what it makes); GetTemplate."""
        tags = await self._all("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=table_arn)
        said = {tag["Key"]: tag["Value"] for tag in tags}
        if (stack := said.get(f"{_STACK_TAG}stack-name")) is None:
            return None
        logical_id = said.get(f"{_STACK_TAG}logical-id", "")
        template = await self._ask("cloudformation", "get_template", StackName=stack, TemplateStage="Processed")
        return StackResource(stack, logical_id, properties_of(template["TemplateBody"], logical_id))

    async def recovers(self, table: str) -> bool:
        """Tell whether recovery is on. Source: DynamoDB, DescribeContinuousBackups."""
        said = await self._ask("dynamodb", "describe_continuous_backups", TableName=table)
        state = said["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return bool(state.get("PointInTimeRecoveryStatus") == "ENABLED")

    async def _all(self, service: str, operation: str, part: str, **parameters: object) -> list[dict[str, Any]]:
        """Ask for every page."""
        paginator = self._clients[service].get_paginator(operation)
        try:
            return [each async for page in paginator.paginate(**parameters) for each in page.get(part, ())]
        except (ClientError, BotoCoreError) as error:
            raise _ours(service, operation, error) from error

    async def _ask(self, service: str, operation: str, **parameters: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await getattr(self._clients[service], operation)(**parameters)
        except (ClientError, BotoCoreError) as error:
            raise _ours(service, operation, error) from error
        return answer


@asynccontextmanager
async def connect_account(*, region: str | None, endpoint_url: str | None = None) -> AsyncIterator[Account]:
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
                for service in _SERVICES
            }
        except (BotoCoreError, ValueError) as error:
            hint = "check AWS_REGION, TABLETURN_ACCOUNT_ENDPOINT_URL and the AWS profile"
            raise FatalError(f"cannot ask about the account: {error}", hint=hint) from error
        yield Account(clients, clients["lambda"].meta.region_name)


def _ours(service: str, operation: str, error: ClientError | BotoCoreError) -> Exception:
    """Turn a failure into one of our errors, by code and status, never by message."""
    action = f"{service}:{''.join(word.capitalize() for word in operation.split('_'))}"
    if isinstance(error, BotoCoreError):
        return TransientError(f"{action}: {error}")
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _FORBIDDEN:
        return RefusedError(f"{action} is not allowed", hint=f"allow {action} for this look, or do without it")
    kind = TransientError if status >= 500 or "Throttl" in code else FatalError  # noqa: PLR2004 - HTTP
    return kind(f"{action} failed with {code}", hint="look at it in the AWS console, then try again")
