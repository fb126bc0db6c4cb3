"""One call of DynamoDB: through botocore, observed, its failure turned into one of our errors, retried.

Next: `dynamo.codes` for what errors mean, `dynamo.retries` for the loop, `dynamo.aws_items` for who calls.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import aiohttp
import orjson
from botocore import xform_name
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from domain.errors import DataError, FatalError, TableturnError, TransientError
from domain.guards import UNGUARDED, WriteGuard
from dynamo import answers
from dynamo.codes import WRITES, Failure, error_for
from dynamo.failures import Unwritten
from dynamo.observer import Kind, Observer
from dynamo.retries import Retrier, Subject

Document: TypeAlias = dict[str, Any]

_STREAM_OPERATIONS: Final = frozenset({"DescribeStream", "GetShardIterator", "GetRecords", "ListStreams"})
_BROKEN: Final = (
    HTTPClientError, BotoConnectionError, ChecksumError, IncompleteReadError, ResponseParserError,
    aiohttp.ClientError, OSError,
)  # fmt: skip
"""Nobody knows what became of the request."""

_NEVER_SENT: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""Causes of the above that struck before the request left us."""

_CREDENTIALS_LATE: Final = (CredentialRetrievalError, MetadataRetrievalError)


class Calls:
    """Calls both services of one account, region and endpoint."""

    def __init__(self, *, tables: Any, streams: Any, retrier: Retrier, observer: Observer) -> None:
        """``tables`` and ``streams`` are aiobotocore clients with `dynamo.wire_json` in them."""
        self._tables = tables
        self._streams = streams
        self._observer = observer
        self.retrier = retrier

    async def call(self, operation: str, parameters: Document, *, guard: WriteGuard = UNGUARDED) -> Document:
        """Call with retries. Raises what `dynamo.codes` says."""
        return await self.retrier.run(
            lambda: self.once(operation, parameters), subject_of(operation, parameters), guard=guard
        )

    async def once(self, operation: str, parameters: Document) -> Document:
        """Call once; the answer without botocore's metadata."""
        client = self._streams if operation in _STREAM_OPERATIONS else self._tables
        subject = subject_of(operation, parameters)
        try:
            answer: Document = await getattr(client, xform_name(operation))(**parameters)
        except ClientError as error:
            raise error_for(_failure(subject, error.response)) from error
        except _BROKEN as error:
            raise _broken(subject, error) from error
        except _CREDENTIALS_LATE as error:
            raise Unwritten(f"{subject}: {error}") from error
        except BotoCoreError as error:
            raise FatalError(f"{subject}: {error}", hint="set AWS credentials and region for this process") from error
        except orjson.JSONEncodeError as error:
            raise DataError(f"{subject}: cannot be sent as JSON: {error}") from error
        del answer["ResponseMetadata"]
        self._tell_consumed(operation, answer)
        return answer

    def _tell_consumed(self, operation: str, answer: Mapping[str, Any]) -> None:
        kind: Kind = "write" if operation in WRITES else "read"
        for each in answers.consumed(operation, answer):
            table = answers.optional_text(operation, each, "TableName") or ""
            self._observer.on_consumed(table, kind, float(answers.amount(operation, each, "CapacityUnits")))


def subject_of(operation: str, parameters: Mapping[str, Any]) -> Subject:
    """Name the call: its tables, as the request names them."""
    if "TableName" in parameters:
        return Subject(operation, parameters["TableName"])
    if "RequestItems" in parameters:
        return Subject(operation, ",".join(sorted(parameters["RequestItems"])))
    actions = parameters.get("TransactItems", ())
    names = {part.get("TableName", "") for action in actions for part in action.values()}
    return Subject(operation, ",".join(sorted(names)) or parameters.get("StreamArn", ""))


def _failure(subject: Subject, response: Mapping[str, Any]) -> Failure:
    error = response.get("Error", {})
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
    return Failure(subject, error.get("Code", ""), error.get("Message", ""), status, response)


def _broken(subject: Subject, error: Exception) -> TableturnError:
    """Tell a connection that never came about from one that broke (aiobotocore wraps both alike)."""
    cause = error.__context__ if isinstance(error, BotoCoreError) else error
    kind = Unwritten if isinstance(cause, _NEVER_SENT) else TransientError
    return kind(f"{subject}: {error}")
