"""One table: every error code of DynamoDB and its streams, and what the caller does about it.

`error_for` turns a failed call into one of `domain.errors`. A test walks botocore's service models and fails when a
code is missing here. Sources: AWS, "Error handling with DynamoDB", API reference "Errors" of each operation, "Common
errors". A code that AWS invents later falls back to its HTTP status.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias

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
from domain.items import Item
from dynamo.answers import optional_item
from dynamo.failures import AlreadyThere, NotFound, NotOffered, Unwritten
from dynamo.retries import Subject

ErrorClass: TypeAlias = type[TableturnError]

_CREDENTIALS: Final = "renew the AWS credentials of this process, and check region and clock of this machine"
_HINTS: Final[Mapping[ErrorClass, str]] = {
    NotFound: "create it, or check its name, the region and the endpoint",
    NotOffered: "the endpoint is an emulator that lacks this operation; AWS has it",
    GapError: "records are lost for us; run `tableturn recapture`",
}

CODES: Final[Mapping[str, ErrorClass]] = {
    # passing trouble; a write may have taken place
    **dict.fromkeys(
        (
            "InternalServerError", "InternalServerErrorException", "InternalFailure", "InternalError",
            "InternalServiceError", "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout",
            "RequestTimeoutException", "TransactionInProgressException",
        ),
        TransientError,
    ),
    # passing trouble that wrote nothing
    **dict.fromkeys(
        (
            "TransactionConflictException", "TransactionConflict", "ReplicatedWriteConflictException",
            "TransactionCanceledException",  # only with reasons that say no more: see _cancelled
            "TableInUseException", "BackupInUseException",
        ),
        Unwritten,
    ),
    # slow down; nothing was written
    **dict.fromkeys(
        (
            "ThrottlingException", "Throttling", "ThrottledException", "ThrottlingError", "RequestThrottled",
            "RequestThrottledException", "TooManyRequestsException", "ProvisionedThroughputExceededException",
            "ProvisionedThroughputExceeded", "RequestLimitExceeded", "LimitExceededException", "SlowDown",
            "BandwidthLimitExceeded", "PriorRequestNotComplete",
        ),
        ThrottledError,
    ),
    "ExpiredIteratorException": IteratorExpired,
    # a condition said no
    **dict.fromkeys(("ConditionalCheckFailedException", "ConditionalCheckFailed"), ConditionFailed),
    **dict.fromkeys(
        (
            "ResourceInUseException", "TableAlreadyExistsException", "GlobalTableAlreadyExistsException",
            "ReplicaAlreadyExistsException",
        ),
        AlreadyThere,
    ),
    **dict.fromkeys(
        ("DuplicateItemException", "DuplicateItem", "ExportConflictException", "ImportConflictException"),
        RefusedError,
    ),
    # this item
    **dict.fromkeys(
        ("ItemCollectionSizeLimitExceededException", "ItemCollectionSizeLimitExceeded"), DataError
    ),
    # stream records are gone
    "TrimmedDataAccessException": GapError,
    # not there
    **dict.fromkeys(
        (
            "ResourceNotFoundException", "TableNotFoundException", "IndexNotFoundException",
            "BackupNotFoundException", "ExportNotFoundException", "ImportNotFoundException",
            "GlobalTableNotFoundException", "ReplicaNotFoundException", "PolicyNotFoundException",
        ),
        NotFound,
    ),
    **dict.fromkeys(("UnknownOperationException", "InvalidAction"), NotOffered),
    # only a human can help
    **dict.fromkeys(
        (
            "ValidationException", "ValidationError", "SerializationException",  # our bug, but see _ITEM_FAULTS
            "IdempotentParameterMismatchException", "InvalidRestoreTimeException", "InvalidExportTimeException",
            "ContinuousBackupsUnavailableException", "PointInTimeRecoveryUnavailableException",
            "InvalidEndpointException", "InvalidParameterCombination", "InvalidParameterValue",
            "InvalidQueryParameter", "MalformedQueryString", "MissingAction", "MissingParameter",
            "MalformedHttpRequestException", "RequestAbortedException", "RequestEntityTooLargeException",
            "UnknownParameterException",
        ),
        FatalError,
    ),
    # credentials and permissions: fatal too, with hints of their own
    **dict.fromkeys(
        (
            "AccessDeniedException", "AccessDenied", "NotAuthorized", "OptInRequired", "ExpiredTokenException",
            "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId", "IncompleteSignature",
            "IncompleteSignatureException", "InvalidSignatureException", "SignatureDoesNotMatch",
            "MissingAuthenticationToken", "MissingAuthenticationTokenException", "RequestExpired",
            "RequestTimeTooSkewed",
        ),
        FatalError,
    ),
}  # fmt: skip
"""Code → class. Reasons of a cancelled transaction are codes as well."""

BY_OPERATION: Final[Mapping[tuple[str, str], ErrorClass]] = {
    ("GetShardIterator", "ResourceNotFoundException"): GapError,  # the shard is gone
    ("GetRecords", "ResourceNotFoundException"): GapError,
    ("UpdateTable", "ResourceInUseException"): Unwritten,  # an earlier change of the table still runs
    ("UpdateTimeToLive", "ResourceInUseException"): Unwritten,
    ("DeleteTable", "ResourceInUseException"): Unwritten,
    ("DeleteTable", "ValidationException"): RefusedError,  # deletion protection is on
    (
        "UpdateContinuousBackups",
        "ContinuousBackupsUnavailableException",
    ): Unwritten,  # still being switched on
}
"""Where one code means something else in one operation."""

_PERMISSIONS: Final = frozenset({"AccessDeniedException", "AccessDenied", "NotAuthorized", "OptInRequired"})
_IDENTITY: Final = frozenset({
    "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException", "InvalidClientTokenId",
    "IncompleteSignature", "IncompleteSignatureException", "InvalidSignatureException", "SignatureDoesNotMatch",
    "MissingAuthenticationToken", "MissingAuthenticationTokenException", "RequestExpired", "RequestTimeTooSkewed",
})  # fmt: skip

WRITES: Final = frozenset({"PutItem", "DeleteItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem"})

_ITEM_FAULTS: Final = (
    "Item size",  # … has exceeded the maximum allowed size / to update has exceeded
    "Type mismatch for",  # key / Index Key
    "Missing the key",
    "One of the required keys was not given a value",
    "The provided key element does not match the schema",
    "number of conditions on the keys is invalid",
    "secondary index key",
    "for a key attribute",
    "primary key values must be under",
    "Size of hashkey has exceeded",
    "size of all range keys has exceeded",
    "Invalid attribute value type",
    "may not be empty",  # sets
    "contains duplicates",  # within a set
    "38 digits",
    "38 significant digits",
    "Number overflow",
    "Number underflow",
    "cannot be converted",  # to a number
    "Nesting Levels have exceeded",
    "Null attribute value types",
    "Empty attribute name",
    "Supplied AttributeValue",
)
"""What a ValidationException of a write says when the item is at fault, not the request.

The one place where messages are read: DynamoDB has no other code for these, and an item that cannot be written must
be quarantined while the others go on. Wordings: AWS and DynamoDB Local 2.6.1, as measured.
"""


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that DynamoDB answered with an error. ``body`` is the whole answer, ``status`` its HTTP status."""

    subject: Subject
    code: str
    message: str
    status: int = 400
    body: Mapping[str, Any] = field(default_factory=dict)


def error_for(failure: Failure) -> TableturnError:
    """Return the error to raise for a failed call; conditions carry the standing item."""
    reasons = failure.body.get("CancellationReasons")
    if isinstance(reasons, list) and reasons:
        return _cancelled(failure, [each if isinstance(each, dict) else {} for each in reasons])
    meaning = _meaning(failure)
    text = f"{failure.subject}: {failure.message or 'no message'} [{failure.code}]"
    if meaning is ConditionFailed:
        return ConditionFailed(text, standing=_standing(failure.body, failure))
    return meaning(text, hint=_hint(failure, meaning))


def _meaning(failure: Failure) -> ErrorClass:
    operation = failure.subject.operation
    meaning = BY_OPERATION.get((operation, failure.code)) or CODES.get(failure.code) or _by_status(failure.status)
    if meaning is FatalError and operation in WRITES and _blames_item(failure):
        return DataError
    return meaning


def _blames_item(failure: Failure) -> bool:
    said = failure.code in {"ValidationException", "ValidationError"}
    return said and any(fault in failure.message for fault in _ITEM_FAULTS)


def _by_status(status: int) -> ErrorClass:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ThrottledError
    return TransientError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else FatalError


def _hint(failure: Failure, meaning: ErrorClass) -> str:
    if failure.code in _PERMISSIONS:
        return f"allow dynamodb:{failure.subject.operation} on {failure.subject.table or 'it'} in the IAM policy"
    if failure.code in _IDENTITY:
        return _CREDENTIALS
    return _HINTS.get(meaning, "")


def _cancelled(failure: Failure, reasons: list[dict[str, Any]]) -> TableturnError:
    """Class a cancelled transaction: what will never work comes before what passes; then by position."""
    found = [
        (index, reason, _reason_failure(failure, reason))
        for index, reason in enumerate(reasons)
        if _said(reason, "Code") not in {"", "None"}
    ]
    ranked = sorted(found, key=lambda each: (_rank(_meaning(each[2])), each[0]))
    if not ranked:
        return Unwritten(f"{failure.subject}: {failure.message} [{failure.code}]")
    index, reason, part = ranked[0]
    text = f"{failure.subject}: action {index} refused: {part.message or 'no message'} [{part.code}]"
    meaning = _meaning(part)
    if meaning is ConditionFailed:
        return ConditionFailed(text, standing=_standing(reason, failure), index=index)
    return meaning(text, hint=_hint(part, meaning))


def _reason_failure(failure: Failure, reason: Mapping[str, Any]) -> Failure:
    return Failure(failure.subject, _said(reason, "Code"), _said(reason, "Message"), failure.status)


def _said(reason: Mapping[str, Any], name: str) -> str:
    found = reason.get(name)
    return found if isinstance(found, str) else ""


def _standing(answer: Mapping[str, Any], failure: Failure) -> Item | None:
    """Return the item that stood in the way; raises FatalError for one that cannot be understood."""
    return optional_item(failure.subject.operation, answer, "Item")


def _rank(meaning: ErrorClass) -> int:
    if meaning is ConditionFailed:
        return 0
    return 1 if not issubclass(meaning, TransientError) else 2
