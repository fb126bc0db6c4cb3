"""Every error that AWS documents has its place in the table."""

from typing import Any

import botocore.loaders
import pytest

from domain.errors import (
    ConditionFailed,
    DataError,
    FatalError,
    GapError,
    IteratorExpired,
    RefusedError,
    TableturnError,
    ThrottledError,
    TransientError,
)
from domain.items import text
from dynamo.codes import CODES, WRITES, Failure, error_for
from dynamo.failures import AlreadyThere, NotFound, NotOffered, Unwritten, is_answer
from dynamo.retries import Subject

COMMON = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "InternalServerError",
    "InvalidSignatureException",
    "MalformedHttpRequestException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "OptInRequired",
    "ProvisionedThroughputExceededException",
    "ReplicatedWriteConflictException",
    "RequestAbortedException",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "RequestLimitExceeded",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionInProgressException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
]
"""AWS API reference, "Common errors", and "Error handling with DynamoDB"."""

REASONS = [
    "ConditionalCheckFailed",
    "DuplicateItem",
    "ItemCollectionSizeLimitExceeded",
    "ProvisionedThroughputExceeded",
    "ThrottlingError",
    "TransactionConflict",
    "ValidationError",
]
"""AWS API reference, TransactionCanceledException."""


def modelled(service: str) -> list[tuple[str, str]]:
    """Return the wire code of every error shape, from botocore's own service model."""
    model: dict[str, Any] = botocore.loaders.Loader().load_service_model(service, "service-2")
    errors = [(name, shape) for name, shape in model["shapes"].items() if shape.get("exception")]
    return [(service, shape.get("error", {}).get("code", name)) for name, shape in errors]


MODELLED = [*modelled("dynamodb"), *modelled("dynamodbstreams")]


def failed(
    code: str, *, operation: str = "PutItem", message: str = "", status: int = 400, body: dict[str, Any] | None = None
) -> Failure:
    return Failure(Subject(operation, "users"), code, message, status, body or {})


def test_the_models_are_really_walked() -> None:
    assert len(MODELLED) > 30
    assert ("dynamodbstreams", "TrimmedDataAccessException") in MODELLED


@pytest.mark.parametrize(("service", "code"), MODELLED)
def test_every_error_of_the_service_models_is_in_the_table(service: str, code: str) -> None:
    assert code in CODES, f"{service}: {code}"


@pytest.mark.parametrize("code", [*COMMON, *REASONS])
def test_every_common_error_and_cancellation_reason_is_in_the_table(code: str) -> None:
    assert code in CODES


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("InternalServerError", TransientError),
        ("TransactionConflictException", Unwritten),
        ("ProvisionedThroughputExceededException", ThrottledError),
        ("LimitExceededException", ThrottledError),
        ("ConditionalCheckFailedException", ConditionFailed),
        ("ResourceInUseException", AlreadyThere),
        ("ItemCollectionSizeLimitExceededException", DataError),
        ("ResourceNotFoundException", NotFound),
        ("UnknownOperationException", NotOffered),
        ("ExpiredIteratorException", IteratorExpired),
        ("TrimmedDataAccessException", GapError),
        ("IdempotentParameterMismatchException", FatalError),
        ("AccessDeniedException", FatalError),
    ],
)
def test_a_code_becomes_the_error_for_what_to_do_about_it(code: str, expected: type[TableturnError]) -> None:
    error = error_for(failed(code, message="so it is"))
    assert type(error) is expected
    assert "PutItem on users" in str(error)
    assert code in str(error)


@pytest.mark.parametrize(
    ("operation", "code", "expected"),
    [
        ("GetRecords", "ResourceNotFoundException", GapError),
        ("GetShardIterator", "ResourceNotFoundException", GapError),
        ("DescribeStream", "ResourceNotFoundException", NotFound),
        ("UpdateTable", "ResourceInUseException", Unwritten),
        ("DeleteTable", "ValidationException", RefusedError),
    ],
)
def test_some_codes_mean_something_else_in_some_operations(
    operation: str, code: str, expected: type[TableturnError]
) -> None:
    assert type(error_for(failed(code, operation=operation))) is expected


def test_denied_access_names_the_action_and_expired_credentials_the_way_out() -> None:
    assert "dynamodb:PutItem on users" in error_for(failed("AccessDeniedException")).hint
    assert "credentials" in error_for(failed("ExpiredTokenException")).hint


@pytest.mark.parametrize("status", [500, 503, 504])
def test_an_unheard_of_code_is_transient_when_the_status_says_so(status: int) -> None:
    assert type(error_for(failed("BrandNewException", status=status))) is TransientError


def test_an_unheard_of_code_is_else_throttled_or_fatal() -> None:
    assert type(error_for(failed("BrandNewException", status=429))) is ThrottledError
    assert type(error_for(failed("BrandNewException"))) is FatalError


@pytest.mark.parametrize("operation", sorted(WRITES))
def test_a_validation_that_blames_the_item_is_a_data_error_of_a_write(operation: str) -> None:
    message = "One or more parameter values were invalid: Type mismatch for Index Key g Expected: S Actual: N"
    assert type(error_for(failed("ValidationException", operation=operation, message=message))) is DataError


def test_a_validation_that_blames_the_request_is_fatal_and_so_is_any_of_a_read() -> None:
    assert type(error_for(failed("ValidationException", message="Invalid ConditionExpression"))) is FatalError
    of_read = failed("ValidationException", operation="GetItem", message="Type mismatch for key")
    assert type(error_for(of_read)) is FatalError


def test_a_refused_condition_carries_the_standing_item() -> None:
    error = error_for(failed("ConditionalCheckFailedException", body={"Item": {"PK": text("p")}}))
    assert isinstance(error, ConditionFailed)
    assert error.standing == {"PK": text("p")}


def cancelled(*reasons: dict[str, Any]) -> TableturnError:
    body = {"CancellationReasons": list(reasons)}
    return error_for(failed("TransactionCanceledException", operation="TransactWriteItems", body=body))


def test_a_cancelled_transaction_tells_of_its_first_refused_condition() -> None:
    error = cancelled(
        {"Code": "None"},
        {"Code": "TransactionConflict", "Message": "busy"},
        {"Code": "ConditionalCheckFailed", "Message": "no", "Item": {"PK": text("p")}},
        {"Code": "ConditionalCheckFailed", "Message": "no"},
    )
    assert isinstance(error, ConditionFailed)
    assert (error.index, error.standing) == (2, {"PK": text("p")})


def test_a_cancelled_transaction_is_retried_only_when_all_that_stood_against_it_passes() -> None:
    conflict = {"Code": "TransactionConflict", "Message": "busy"}
    assert type(cancelled({"Code": "None"}, conflict)) is Unwritten
    assert type(cancelled(conflict, {"Code": "ThrottlingError", "Message": "slow"})) is Unwritten
    assert type(cancelled({"Code": "ProvisionedThroughputExceeded"})) is ThrottledError
    too_large = {"Code": "ValidationError", "Message": "Item size to update has exceeded the maximum allowed size"}
    assert type(cancelled(conflict, too_large)) is DataError
    assert type(cancelled(conflict, {"Code": "ValidationError", "Message": "bad"})) is FatalError
    assert type(cancelled({"Code": "None"})) is Unwritten


@pytest.mark.parametrize(
    ("code", "answered"),
    [
        ("InternalServerError", False),
        ("TransactionInProgressException", False),
        ("ThrottlingException", True),
        ("TransactionConflictException", True),
        ("ConditionalCheckFailedException", True),
        ("ValidationException", True),
        ("AccessDeniedException", True),
    ],
)
def test_only_some_errors_leave_open_whether_the_write_landed(code: str, answered: bool) -> None:  # noqa: FBT001
    assert is_answer(error_for(failed(code))) is answered
