"""What may be asked about the account that the tables are in, and the nouns of the answers.

Next: `aws.account`, which asks; `proof.neighbours`, which judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the principal that policies are attached to (None: the account's root, who may do everything)."""

    account: str
    partition: str
    region: str
    principal: str | None


@dataclass(frozen=True, slots=True)
class StreamReader:
    """Somebody who reads a stream, and acts on each record: a function's event source mapping, or a pipe."""

    name: str
    enabled: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function: its role (ARN), and its environment, whose values may be secrets and are never shown."""

    name: str
    role: str
    variables: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class StackResource:
    """A table as its CloudFormation stack describes it: ``properties`` of the resource, from the processed template."""

    stack: str
    logical_id: str
    properties: Mapping[str, Any]


class AccountPort(Protocol):
    """Questions to an account. Each raises RefusedError naming the action that the asker lacks, or TransientError."""

    async def caller(self) -> Caller:
        """Return who asks."""

    async def allowed(self, principal: str, actions: Sequence[str], resources: Sequence[str]) -> set[tuple[str, str]]:
        """Return which (action, resource) the principal's policies allow, by simulation: nothing is tried out."""

    async def stream_readers(self, stream_arn: str) -> list[StreamReader]:
        """Return who reads a stream, those that are switched off included."""

    async def functions(self) -> list[Function]:
        """Return every function of the Region."""

    async def stack_resource(self, table_arn: str) -> StackResource | None:
        """Return what a stack says of a table; None when no stack manages it."""

    async def recovers(self, table: str) -> bool:
        """Tell whether a table's point-in-time recovery is on."""
