"""A fence goes into a resource policy and out of it again, and everybody else's statements are as they were."""

import json
from typing import Any

import pytest

from aws.statements import LIMIT, SID, WRITES, fence, fence_in, fenced, lasts_ms, undone, unfenced
from domain.errors import RefusedError

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/users"
OURS = "arn:aws:iam::123456789012:role/service/tableturn"
MOMENT = 1_764_072_000_000  # 2025-11-25T12:00:00Z
FENCE = fence(TABLE, [OURS], MOMENT + 999)
THEIRS = {"Sid": "Läsen", "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "dynamodb:GetItem", "Resource": TABLE}
PRIOR = json.dumps({"Version": "2008-10-17", "Id": "theirs", "Statement": THEIRS}, indent=2)
EMPTY = {"Version": "2012-10-17", "Statement": []}


def denied(statement: dict[str, Any], action: str, principal: str, *, service: bool, now: str) -> bool:
    """Say what IAM would, by its rules for these three operators: values of one key are any of, keys are all of."""
    conditions = statement["Condition"]
    return (
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and action in statement["Action"]
        and principal not in conditions["ArnNotEquals"]["aws:PrincipalArn"]
        and conditions["BoolIfExists"] == {"aws:PrincipalIsAWSService": str(service).lower()}
        and now < conditions["DateLessThan"]["aws:CurrentTime"]
    )


def test_it_denies_every_write_of_others_until_its_moment_and_nothing_else() -> None:
    someone, before, after = "arn:aws:iam::123456789012:role/app", "2025-11-25T11:59:59Z", "2025-11-25T12:00:00Z"
    assert all(denied(FENCE, action, someone, service=False, now=before) for action in WRITES)
    assert not denied(FENCE, "dynamodb:PutItem", OURS, service=False, now=before)
    assert not denied(FENCE, "dynamodb:PutItem", someone, service=True, now=before)
    assert not denied(FENCE, "dynamodb:PutItem", someone, service=False, now=after)
    assert not denied(FENCE, "dynamodb:GetItem", someone, service=False, now=before)
    assert FENCE["Resource"] == TABLE
    assert lasts_ms(FENCE) == MOMENT


def test_the_writes_are_those_of_the_service_authorization_reference() -> None:
    words = {action.removeprefix("dynamodb:") for action in WRITES}
    assert words >= {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}
    assert words >= {"PartiQLInsert", "PartiQLUpdate", "PartiQLDelete"}
    assert "TransactWriteItems" not in words  # no IAM action: it asks for those of its parts


@pytest.mark.parametrize("prior", [None, PRIOR, json.dumps(EMPTY), json.dumps(EMPTY | {"Statement": [THEIRS, THEIRS]})])
def test_what_stood_comes_back_to_the_letter(prior: str | None) -> None:
    with_it = fenced(prior, FENCE)
    assert fence_in(with_it) == FENCE
    assert undone(with_it, prior) == prior


def test_statements_that_stand_stay_with_all_about_them() -> None:
    document = json.loads(fenced(PRIOR, FENCE))
    assert document == {"Version": "2008-10-17", "Id": "theirs", "Statement": [THEIRS, FENCE]}


def test_a_fence_takes_the_place_of_an_earlier_one() -> None:
    later = fence(TABLE, [OURS], MOMENT * 2)
    assert [each["Sid"] for each in json.loads(fenced(fenced(PRIOR, FENCE), later))["Statement"]] == ["Läsen", SID]
    assert undone(fenced(fenced(PRIOR, FENCE), later), fenced(PRIOR, FENCE)) == fenced(PRIOR, FENCE)


def test_what_others_changed_meanwhile_stays_and_only_the_fence_goes() -> None:
    changed = json.loads(fenced(PRIOR, FENCE))
    changed["Statement"].insert(0, THEIRS | {"Sid": "Later"})
    left = undone(json.dumps(changed), PRIOR)
    assert left is not None
    assert [each["Sid"] for each in json.loads(left)["Statement"]] == ["Later", "Läsen"]


def test_where_nothing_was_done_nothing_is_undone() -> None:
    changed = json.dumps(EMPTY | {"Statement": [THEIRS | {"Sid": "Later"}]})
    assert undone(changed, PRIOR) == changed
    assert undone(None, PRIOR) is None
    assert undone(changed, None) == changed


def test_without_a_fence_there_is_nothing_to_lift() -> None:
    assert unfenced(PRIOR) == PRIOR
    assert unfenced(None) is None
    assert unfenced(fenced(None, FENCE)) is None
    assert json.loads(unfenced(fenced(PRIOR, FENCE)) or "") == json.loads(PRIOR) | {"Statement": [THEIRS]}


def test_a_policy_that_grew_too_long_or_cannot_be_read_is_refused() -> None:
    with pytest.raises(RefusedError, match=str(LIMIT)):
        fenced(json.dumps(EMPTY | {"Id": "x" * (LIMIT - 300)}), FENCE)
    for text in ("", "[]", "{"):
        with pytest.raises(RefusedError, match="JSON"):
            fenced(text, FENCE)


@pytest.mark.parametrize("broken", [{}, {"DateLessThan": {"aws:CurrentTime": "soon"}}, {"DateLessThan": []}])
def test_a_fence_that_somebody_rewrote_counts_as_none(broken: dict[str, Any]) -> None:
    assert lasts_ms(FENCE | {"Condition": broken}) == 0
    assert lasts_ms(None) == 0
