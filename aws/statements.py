"""The text of a table's resource policy, with and without the statement that fences it. Pure.

Everybody's statements are kept; ours is known by its Sid. Sources: IAM user guide, "Policy evaluation logic" (an
explicit deny wins) and "AWS global condition context keys"; DynamoDB developer guide, "API operations supported by
resource-based policies", "Resource-based policy considerations" and "IAM security policies with PartiQL".
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from domain.errors import RefusedError

Statement: TypeAlias = dict[str, Any]

SID: Final = "TableturnFence"
WRITES: Final = tuple(
    f"dynamodb:{action}"
    for action in (
        "BatchWriteItem", "DeleteItem", "PartiQLDelete", "PartiQLInsert", "PartiQLUpdate", "PutItem", "UpdateItem",
    )
)  # fmt: skip
"""Every action that writes an item; a transaction asks for those of its parts."""
LIMIT: Final = 20 * 1024
"""Bytes of a policy, white space included."""
_REPLICATION: Final = "role/aws-service-role/replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication"
_WRITTEN: Final = "%Y-%m-%dT%H:%M:%SZ"


def replication_of(partition: str, account: str) -> str:
    """Return the ARN of the role in which AWS replicates global tables. Source: "Global tables security"."""
    return f"arn:{partition}:iam::{account}:{_REPLICATION}"


def fence(table_arn: str, exempt: Sequence[str], until_ms: int) -> Statement:
    """Return what denies item writes to all but some principals (ARNs of users and roles) and AWS's own services.

    It denies until ``until_ms`` (milliseconds since 1970, cut to the second), and means nothing afterwards.
    """
    return {
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(WRITES),
        "Resource": table_arn,
        "Condition": {
            "ArnNotEquals": {"aws:PrincipalArn": sorted(exempt)},
            "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
            "DateLessThan": {"aws:CurrentTime": datetime.fromtimestamp(until_ms // 1000, UTC).strftime(_WRITTEN)},
        },
    }


def fence_in(policy: str | None) -> Statement | None:
    """Return the fence that stands in a policy."""
    return next((each for each in _statements(_parsed(policy)) if _is_ours(each)), None)


def lasts_ms(statement: Statement | None) -> int:
    """Return when a fence expires, in milliseconds since 1970; 0 for none, and for one that somebody rewrote."""
    try:
        text = (statement or {})["Condition"]["DateLessThan"]["aws:CurrentTime"]
        return int(datetime.strptime(text, _WRITTEN).replace(tzinfo=UTC).timestamp()) * 1000
    except (KeyError, TypeError, ValueError):
        return 0


def fenced(policy: str | None, statement: Statement) -> str:
    """Return a policy with a fence, in the place of any that stands. Raises RefusedError when it grows too long."""
    document = _parsed(policy) or {"Version": "2012-10-17", "Statement": []}
    kept = [each for each in _statements(document) if not _is_ours(each)]
    text = _written(document | {"Statement": [*kept, statement]})
    if (size := len(text.encode())) > LIMIT:
        message = f"the resource policy would be {size} bytes, of {LIMIT} that DynamoDB allows"
        raise RefusedError(message, hint="shorten it, or leave this table's hard fence out")
    return text


def unfenced(policy: str | None) -> str | None:
    """Return a policy without our fence, as it is where there is none; None when nothing is left of it."""
    if fence_in(policy) is None:
        return policy
    rest = _without(policy)
    return None if rest is None else _written(rest)


def undone(policy: str | None, prior: str | None) -> str | None:
    """Return the policy that shall stand after an undo: ``prior``, to the letter, where only the fence has changed.

    Where the fence is still the prior one, nothing was done; what others changed since stays, without the fence.
    """
    if fence_in(policy) == fence_in(prior):
        return policy
    return prior if _without(policy) == _without(prior) else unfenced(policy)


def _without(policy: str | None) -> dict[str, Any] | None:
    """Return the document without the fence, None when it has no other statement."""
    document = _parsed(policy)
    kept = [each for each in _statements(document) if not _is_ours(each)]
    return None if document is None or not kept else document | {"Statement": kept}


def _parsed(policy: str | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    try:
        document = json.loads(policy)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise RefusedError("a resource policy that stands is no JSON object", hint="look at it in the DynamoDB console")
    return document


def _statements(document: dict[str, Any] | None) -> list[Any]:
    """Return all, also where one stands without a list. Source: IAM, "Grammar of the IAM JSON policy language"."""
    found = (document or {}).get("Statement", [])
    return list(found) if isinstance(found, list) else [found]


def _is_ours(statement: object) -> bool:
    return isinstance(statement, dict) and statement.get("Sid") == SID


def _written(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))
