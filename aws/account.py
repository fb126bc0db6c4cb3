"""An AWS account, asked by its own services: STS, IAM, Lambda, EventBridge Pipes, CloudFormation, DynamoDB. Reads only.

Next: `aws.calls` for the calls themselves, `aws.templates` for templates.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aws.calls import Calls, connect_calls
from aws.ports import Caller, Function, StackResource, StreamReader
from aws.templates import properties_of

_SERVICES: Final = ("cloudformation", "dynamodb", "iam", "lambda", "pipes", "sts")
_ALLOWED: Final = "allowed"
_STACK_TAG: Final = "aws:cloudformation:"


class Account:
    """One account in one Region. Made by `connect_account`; see `aws.ports.AccountPort` for what it answers."""

    def __init__(self, calls: Calls) -> None:
        """``calls``: with a client of each service that is asked."""
        self._calls = calls

    async def caller(self) -> Caller:
        """Return who asks. Source: IAM, GetRole: a role may lie on a path that the ARN of its session leaves out."""
        said = await self._calls.ask("sts", "get_caller_identity")
        _, partition, service, _, account, name = said["Arn"].split(":", 5)
        principal: str | None = said["Arn"]
        if service == "sts" and name.startswith("assumed-role/"):
            role = await self._calls.ask("iam", "get_role", RoleName=name.split("/")[1])
            principal = role["Role"]["Arn"]
        elif name == "root":
            principal = None
        return Caller(account, partition, self._calls.region, principal)

    async def allowed(self, principal: str, actions: Sequence[str], resources: Sequence[str]) -> set[tuple[str, str]]:
        """Return which pairs are allowed. Source: IAM, SimulatePrincipalPolicy.

        One resource a call: so each answer is of that resource, however the results are grouped.
        """
        found: set[tuple[str, str]] = set()
        for resource in resources:
            asked = {"PolicySourceArn": principal, "ActionNames": list(actions), "ResourceArns": [resource]}
            results = await self._calls.pages("iam", "simulate_principal_policy", "EvaluationResults", **asked)
            found |= {(each["EvalActionName"], resource) for each in results if each["EvalDecision"] == _ALLOWED}
        return found

    async def stream_readers(self, stream_arn: str) -> list[StreamReader]:
        """Return functions and pipes. Sources: Lambda, ListEventSourceMappings; EventBridge Pipes, ListPipes."""
        mappings = await self._calls.pages(
            "lambda", "list_event_source_mappings", "EventSourceMappings", EventSourceArn=stream_arn
        )
        functions = [
            StreamReader(f"function {each['FunctionArn'].split(':')[6]}", each["State"] not in {"Disabled", "Deleting"})
            for each in mappings
        ]
        pipes = await self._calls.pages("pipes", "list_pipes", "Pipes", SourcePrefix=stream_arn)
        return functions + [StreamReader(f"pipe {each['Name']}", each["CurrentState"] == "RUNNING") for each in pipes]

    async def functions(self) -> list[Function]:
        """Return them all. Source: Lambda, ListFunctions."""
        found = await self._calls.pages("lambda", "list_functions", "Functions")
        return [
            Function(each["FunctionName"], each["Role"], each.get("Environment", {}).get("Variables", {}))
            for each in found
        ]

    async def stack_resource(self, table_arn: str) -> StackResource | None:
        """Return the stack's word. Sources: CloudFormation, "Resource tag" (it marks what it makes); GetTemplate."""
        tags = await self._calls.pages("dynamodb", "list_tags_of_resource", "Tags", ResourceArn=table_arn)
        said = {tag["Key"]: tag["Value"] for tag in tags}
        if (stack := said.get(f"{_STACK_TAG}stack-name")) is None:
            return None
        logical_id = said.get(f"{_STACK_TAG}logical-id", "")
        template = await self._calls.ask("cloudformation", "get_template", StackName=stack, TemplateStage="Processed")
        return StackResource(stack, logical_id, properties_of(template["TemplateBody"], logical_id))

    async def recovers(self, table: str) -> bool:
        """Tell whether recovery is on. Source: DynamoDB, DescribeContinuousBackups."""
        said = await self._calls.ask("dynamodb", "describe_continuous_backups", TableName=table)
        state = said["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        return bool(state.get("PointInTimeRecoveryStatus") == "ENABLED")


@asynccontextmanager
async def connect_account(*, region: str | None, endpoint_url: str | None = None) -> AsyncIterator[Account]:
    """Open an account for the length of the block. ``endpoint_url`` None: AWS itself.

    Raises FatalError when region or credentials cannot be had.
    """
    async with connect_calls(region=region, endpoint_url=endpoint_url, services=_SERVICES) as calls:
        yield Account(calls)
