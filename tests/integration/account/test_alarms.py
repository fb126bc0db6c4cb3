"""An alarm on a function's errors is set beside a switch, and what stood under its name comes back."""

import uuid
from typing import Any

import pytest

from aws.alarms import ErrorAlarm
from domain.errors import RefusedError
from domain.phases import Side
from tests.acceptance.account import NUMBER, REGION, Cloud
from tests.integration.account.conftest import Watched

TOPIC = f"arn:aws:sns:{REGION}:{NUMBER}:on-call"
PUT = "put_metric_alarm"


class Watch:
    """The alarms of an account, of which one is ours to be."""

    def __init__(self, cloud: Cloud) -> None:
        self.client: Any = cloud.client("cloudwatch")
        self.function = f"f-{uuid.uuid4().hex[:10]}"
        self.name = f"{self.function}-post-migration-errors"
        cloud.function(self.function, may=[])

    def put(self, threshold: float) -> None:
        """Somebody has an alarm of that name, on something else."""
        self.client.put_metric_alarm(
            AlarmName=self.name,
            AlarmDescription="theirs — „bitte nicht löschen“",
            ActionsEnabled=False,
            OKActions=[TOPIC],
            Namespace="Custom",
            MetricName="Depth",
            Dimensions=[{"Name": "Queue", "Value": "q"}, {"Name": "Zone", "Value": "z"}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=3,
            DatapointsToAlarm=2,
            Threshold=threshold,
            ComparisonOperator="LessThanOrEqualToThreshold",
            TreatMissingData="breaching",
            Unit="Count",
        )

    def told(self) -> dict[str, Any] | None:
        """Return all but what is only about now."""
        alarms = self.client.describe_alarms(AlarmNames=[self.name])["MetricAlarms"]
        now = ("State", "AlarmConfigurationUpdated")
        return {name: value for name, value in alarms[0].items() if not name.startswith(now)} if alarms else None


@pytest.fixture
def watch(cloud: Cloud) -> Watch:
    return Watch(cloud)


async def test_it_rings_as_the_plan_says_for_this_function_and_goes_again(calls: Watched, watch: Watch) -> None:
    alarm = ErrorAlarm(calls, watch.function, topic=TOPIC)
    said = await alarm.preview(Side.TARGET)
    assert "make it: more than 5 errors" in said
    assert TOPIC in said
    standing = await alarm.standing(Side.TARGET)
    for _ in range(2):
        await alarm.do(Side.TARGET, standing)
        await alarm.verify(Side.TARGET)
    (asked,) = calls.parameters(PUT)
    assert asked == {
        "AlarmName": watch.name,
        "AlarmDescription": f"High error rate of {watch.function} after migration",
        "ActionsEnabled": True,
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": watch.function}],
        "Statistic": "Sum",
        "Period": 300,
        "EvaluationPeriods": 2,
        "Threshold": 5,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [TOPIC],
    }
    assert "nothing to change" in await alarm.preview(Side.TARGET)
    for _ in range(2):
        await alarm.undo(Side.TARGET, standing)
    assert watch.told() is None


async def test_an_alarm_of_its_name_comes_back_as_it_was(calls: Watched, watch: Watch) -> None:
    watch.put(0.1)
    before = watch.told()
    alarm = ErrorAlarm(calls, watch.function)
    standing = await alarm.standing(Side.TARGET)
    assert isinstance(standing["alarm"], str)
    await alarm.undo(Side.TARGET, standing)
    assert not calls.parameters(PUT)
    await alarm.do(Side.TARGET, standing)
    assert watch.told() != before
    await alarm.undo(Side.TARGET, standing)
    assert watch.told() == before


async def test_an_alarm_that_others_changed_is_left_alone(calls: Watched, watch: Watch) -> None:
    alarm = ErrorAlarm(calls, watch.function)
    standing = await alarm.standing(Side.TARGET)
    watch.put(1.0)
    theirs = watch.told()
    with pytest.raises(RefusedError, match="changed by somebody else"):
        await alarm.do(Side.TARGET, standing)
    with pytest.raises(RefusedError, match="not as set"):
        await alarm.verify(Side.TARGET)
    await alarm.undo(Side.TARGET, standing)
    assert watch.told() == theirs


async def test_a_function_that_is_not_there_fails_the_preview(calls: Watched) -> None:
    with pytest.raises(RefusedError, match="ResourceNotFound"):
        await ErrorAlarm(calls, "nobody").preview(Side.TARGET)


def test_errors_are_counted_by_name_alone(calls: Watched) -> None:
    with pytest.raises(RefusedError, match="no name that Lambda counts errors by"):
        ErrorAlarm(calls, "gateway:live")
