"""One of each, as a switch carries them: what stands is kept as the ledger keeps it, and comes back from there."""

import uuid
from typing import Any

import pytest

from aws.alarms import ErrorAlarm
from aws.environments import LambdaEnvironment
from aws.parameters import StoreParameter
from aws.policies import TableFence
from aws.waiting import Waits
from cutover.actuators import Actuator
from domain.phases import Side
from ledger.rows import _plain, _wire
from tests.acceptance.account import Cloud, arn_of
from tests.integration.account.conftest import Watched


@pytest.fixture
def actuators(cloud: Cloud, calls: Watched) -> list[Actuator]:
    name = f"x{uuid.uuid4().hex[:10]}"
    cloud.function(name, may=[], variables={"EMPTY": "", "USE_NEW_SCHEMA": "false"})
    cloud.client("ssm").put_parameter(Name=f"/{name}", Value="users", Type="String")
    table: Any = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    }
    cloud.client("dynamodb").create_table(**table)
    variables = {"EMPTY": "no more", "USE_NEW_SCHEMA": "true", "ENTITY_TABLE": "entities"}
    return [
        LambdaEnvironment(calls, name, target=variables, source={}, waits=Waits(30.0, 0.02)),
        StoreParameter(calls, f"/{name}", target="entities", source="users"),
        TableFence(calls, {Side.SOURCE: [arn_of(name)]}, wall_ms=lambda: 1_764_072_000_000, waits=Waits(5.0, 0.02)),
        ErrorAlarm(calls, name),
    ]


async def test_each_is_seen_done_and_undone_with_what_the_ledger_kept(actuators: list[Actuator]) -> None:
    for actuator in actuators:
        before = await actuator.preview(Side.TARGET)
        standing = await actuator.standing(Side.TARGET)
        assert _plain(_wire(standing)) == standing
        await actuator.do(Side.TARGET, _plain(_wire(standing)))
        await actuator.verify(Side.TARGET)
        await actuator.undo(Side.TARGET, _plain(_wire(standing)))
        assert await actuator.preview(Side.TARGET) == before
        assert await actuator.standing(Side.TARGET) | {"version": 0} == standing | {"version": 0}
