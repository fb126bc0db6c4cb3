"""The hard fence stands around the side that will not serve, goes, and leaves every policy as it was.

What is shown: which policies are stored, under which revision. The emulator does not enforce them.
"""

import json
import uuid
from typing import Any

import pytest

from aws.policies import TableFence
from aws.statements import SID
from aws.waiting import Waits
from domain.errors import RefusedError, TransientError
from domain.phases import Side
from tests.acceptance.account import NUMBER, Cloud, arn_of
from tests.integration.account.conftest import Answer, Watched

PUT, GET, DELETE = "put_resource_policy", "get_resource_policy", "delete_resource_policy"


class Wall:
    """A wall clock that a test owns."""

    ms = 1_764_072_000_000

    def __call__(self) -> int:
        return self.ms


class Tables:
    """Two legacy tables and a target, as their account sees them."""

    def __init__(self, cloud: Cloud) -> None:
        self.client: Any = cloud.client("dynamodb")
        prefix = uuid.uuid4().hex[:10]
        self.users, self.audit, self.entities = (f"{prefix}-{name}" for name in ("users", "audit", "entities"))
        for table in (self.users, self.audit, self.entities):
            key = {"AttributeName": "id"}
            self.client.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                KeySchema=[key | {"KeyType": "HASH"}],
                AttributeDefinitions=[key | {"AttributeType": "S"}],
            )

    def put(self, table: str, *sids: str) -> str:
        """Somebody gives a table a policy, in a text that is nobody else's; return it."""
        allow = {"Effect": "Allow", "Principal": "*", "Action": "dynamodb:GetItem", "Resource": arn_of(table)}
        statements = [allow | {"Sid": sid} for sid in sids]
        text = json.dumps({"Statement": statements, "Version": "2012-10-17"}, indent=1)
        self.client.put_resource_policy(ResourceArn=arn_of(table), Policy=text)
        return text

    def policy(self, table: str) -> str | None:
        try:
            return str(self.client.get_resource_policy(ResourceArn=arn_of(table))["Policy"])
        except self.client.exceptions.PolicyNotFoundException:
            return None

    def sids(self, table: str) -> list[str]:
        return [each["Sid"] for each in json.loads(self.policy(table) or '{"Statement": []}')["Statement"]]


@pytest.fixture
def tables(cloud: Cloud) -> Tables:
    return Tables(cloud)


@pytest.fixture
def wall() -> Wall:
    return Wall()


def actuator(calls: Watched, tables: Tables, wall: Wall) -> TableFence:
    sides = {Side.SOURCE: [tables.users, arn_of(tables.audit)], Side.TARGET: [tables.entities]}
    return TableFence(calls, sides, wall_ms=wall, exempt=["arn:aws:iam::1:role/x"], waits=Waits(5.0, 0.02))


async def test_policies_are_fenced_and_come_back_to_the_letter(calls: Watched, tables: Tables, wall: Wall) -> None:
    prior = tables.put(tables.users, "Theirs")
    fence = actuator(calls, tables, wall)
    standing = await fence.standing(Side.TARGET)
    for _ in range(2):
        await fence.do(Side.TARGET, standing)
        await fence.verify(Side.TARGET)
    assert tables.sids(tables.users) == ["Theirs", SID]
    assert tables.sids(tables.audit) == [SID]
    assert tables.policy(tables.entities) is None
    for _ in range(2):
        await fence.undo(Side.TARGET, standing)
    assert tables.policy(tables.users) == prior
    assert tables.policy(tables.audit) is None
    assert (len(calls.parameters(PUT)), len(calls.parameters(DELETE))) == (3, 1)
    assert all("ExpectedRevisionId" in each for each in calls.parameters(PUT) + calls.parameters(DELETE))


async def test_it_denies_by_the_whole_arn_until_it_expires_and_never_us(
    calls: Watched, tables: Tables, wall: Wall
) -> None:
    fence = actuator(calls, tables, wall)
    await fence.do(Side.TARGET, {})
    (ours,) = json.loads(tables.policy(tables.users) or "")["Statement"]
    assert ours["Resource"] == arn_of(tables.users)
    replication = "role/aws-service-role/replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication"
    assert ours["Condition"] == {
        "ArnNotEquals": {
            "aws:PrincipalArn": [
                f"arn:aws:iam::{NUMBER}:{replication}", f"arn:aws:iam::{NUMBER}:root", "arn:aws:iam::1:role/x",
            ]
        },
        "BoolIfExists": {"aws:PrincipalIsAWSService": "false"},
        "DateLessThan": {"aws:CurrentTime": "2025-11-25T12:01:00Z"},
    }  # fmt: skip
    wall.ms += 60_000
    with pytest.raises(RefusedError, match=f"no fence stands around {tables.users}"):
        await fence.verify(Side.TARGET)


async def test_the_way_back_turns_the_fence_round(calls: Watched, tables: Tables, wall: Wall) -> None:
    fence = actuator(calls, tables, wall)
    await fence.do(Side.TARGET, {})
    with pytest.raises(RefusedError, match="no fence stands around"):
        await fence.verify(Side.SOURCE)
    assert f"lift the fence of {tables.users}" in await fence.preview(Side.SOURCE)
    standing = await fence.standing(Side.SOURCE)
    await fence.do(Side.SOURCE, standing)
    await fence.verify(Side.SOURCE)
    assert tables.policy(tables.users) is None
    assert tables.sids(tables.entities) == [SID]
    await fence.undo(Side.SOURCE, standing)
    await fence.verify(Side.TARGET)
    assert tables.policy(tables.entities) is None


@pytest.mark.parametrize("prior", [["Theirs"], []])
async def test_a_policy_changed_between_our_read_and_our_write_keeps_the_change(
    calls: Watched, tables: Tables, wall: Wall, prior: list[str]
) -> None:
    if prior:
        tables.put(tables.users, *prior)
    fence = TableFence(calls, {Side.SOURCE: [tables.users]}, wall_ms=wall, waits=Waits(5.0, 0.02))
    standing = await fence.standing(Side.TARGET)
    calls.before(PUT, lambda: tables.put(tables.users, *prior, "Later"))
    await fence.do(Side.TARGET, standing)
    await fence.verify(Side.TARGET)
    assert tables.sids(tables.users) == [*prior, "Later", SID]
    calls.before(PUT, lambda: tables.put(tables.users, *prior, "Last", SID))
    await fence.undo(Side.TARGET, standing)
    assert tables.sids(tables.users) == [*prior, "Last"]


async def test_a_reading_older_than_our_own_write_is_not_believed(calls: Watched, tables: Tables, wall: Wall) -> None:
    prior = tables.put(tables.users, "Theirs")
    fence = actuator(calls, tables, wall)
    standing = await fence.standing(Side.TARGET)
    before = tables.client.get_resource_policy(ResourceArn=arn_of(tables.users))
    await fence.do(Side.TARGET, standing)
    late = iter(range(3))

    def lagging(answer: Answer) -> Answer:
        return (
            before
            if SID in answer["Policy"] and "Theirs" in answer["Policy"] and next(late, None) is not None
            else answer
        )

    calls.says(GET, lagging)
    await fence.undo(Side.TARGET, standing)
    assert tables.policy(tables.users) == prior


async def test_undo_of_what_was_never_done_changes_nothing(calls: Watched, tables: Tables, wall: Wall) -> None:
    fence = actuator(calls, tables, wall)
    standing = await fence.standing(Side.TARGET)
    theirs = tables.put(tables.users, "Theirs")
    await fence.undo(Side.TARGET, standing)
    assert tables.policy(tables.users) == theirs
    assert not calls.parameters(PUT)
    assert not calls.parameters(DELETE)


async def test_a_table_that_is_not_there_fails_the_preview_and_the_others_are_still_fenced(
    calls: Watched, tables: Tables, wall: Wall
) -> None:
    fence = TableFence(calls, {Side.SOURCE: ["nowhere", tables.users]}, wall_ms=wall)
    with pytest.raises(RefusedError, match="ResourceNotFound"):
        await fence.preview(Side.TARGET)
    with pytest.raises(RefusedError, match="ResourceNotFound"):
        await fence.do(Side.TARGET, {})
    assert tables.sids(tables.users) == [SID]


async def test_whoever_is_overtaken_every_time_gives_up(calls: Watched, tables: Tables, wall: Wall) -> None:
    fence = TableFence(calls, {Side.SOURCE: [tables.users]}, wall_ms=wall, waits=Waits(0.2, 0.05))
    calls.before(PUT, *[lambda: tables.put(tables.users, f"Later{uuid.uuid4().hex}")] * 50)
    with pytest.raises(TransientError, match=tables.users):
        await fence.do(Side.TARGET, {})
    assert SID not in tables.sids(tables.users)
