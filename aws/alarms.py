"""A CloudWatch alarm on the errors of one Lambda function; an alarm of its name that stood before comes back as it was.

Lambda's metric Errors is counted for each function by the dimension FunctionName; without it, all functions of the
account count together. PutMetricAlarm cannot be made conditional: an alarm that was changed since it was looked at is
left alone, but for the moment between our last look and our write. Sources: Amazon CloudWatch API reference,
PutMetricAlarm and DescribeAlarms; AWS Lambda developer guide, "Types of metrics for Lambda functions".
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from aws.calls import Calls
from domain.errors import RefusedError
from domain.phases import Side

THRESHOLD: Final = 5
"""Errors in a period; more than so many are too many."""
PERIOD: Final = 300
"""Seconds."""
PERIODS: Final = 2
"""Periods in a row."""
_KEPT: Final = (
    "ActionConfiguration", "ActionsEnabled", "AlarmActions", "AlarmDescription", "AlarmName", "ComparisonOperator",
    "DatapointsToAlarm", "Dimensions", "EvaluateLowSampleCountPercentile", "EvaluationCriteria", "EvaluationInterval",
    "EvaluationPeriods", "EvaluationWindow", "ExtendedStatistic", "InsufficientDataActions", "MetricName", "Metrics",
    "Namespace", "OKActions", "Period", "Statistic", "Threshold", "ThresholdMetricId", "TreatMissingData", "Unit",
    "WarmUpConfiguration",
)  # fmt: skip
"""What DescribeAlarms tells and PutMetricAlarm takes; tags and state stay through an update anyhow."""


class ErrorAlarm:
    """One function's alarm: an actuator (`cutover.actuators`). It is the same whichever side serves."""

    def __init__(self, calls: Calls, function: str, *, topic: str | None = None, name: str | None = None) -> None:
        """Take a function's name, the ARN of an SNS topic that is told, and the alarm's name if not the usual one.

        Raises RefusedError for an ARN, or a version or alias: the metric's dimension is the name.
        """
        if not function or ":" in function:
            hint = "give the function's name alone"
            raise RefusedError(f"{function} is no name that Lambda counts errors by", hint=hint)
        self._calls = calls
        self._function = function
        self._topic = topic
        self._name = name or f"{function}-post-migration-errors"

    async def preview(self, to: Side) -> str:
        """Tell what would ring, and whom. Raises RefusedError where there is no such function, TransientError."""
        del to
        await self._calls.ask("lambda", "get_function_configuration", FunctionName=self._function)
        found = await self._found()
        if self._is_ours(found):
            return f"alarm {self._name}: nothing to change"
        condition = f"more than {THRESHOLD} errors of function {self._function} in {PERIOD} s, {PERIODS} times in a row"
        told = f"; tell {self._topic}" if self._topic else ""
        return f"alarm {self._name}: {'make' if found is None else 'replace'} it: {condition}{told}"

    async def standing(self, to: Side) -> dict[str, Any]:
        """Return ``{"alarm": JSON of what PutMetricAlarm takes, or None where there is none}``."""
        del to
        return {"alarm": _text(await self._found())}

    async def do(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Make the alarm, or put it in the place of what stood. Raises RefusedError when that was changed meanwhile."""
        del to
        found = await self._found()
        if self._is_ours(found):
            return
        if _text(found) != standing["alarm"]:
            message = f"alarm {self._name} was changed by somebody else meanwhile"
            raise RefusedError(message, hint="look who else sets it, then try again")
        await self._calls.ask("cloudwatch", "put_metric_alarm", **self._wanted())

    async def verify(self, to: Side) -> None:
        """Return when CloudWatch shows the alarm. Raises RefusedError, TransientError."""
        del to
        if not self._is_ours(await self._found()):
            raise RefusedError(f"alarm {self._name} is not as set", hint="look who else sets it, then try again")

    async def undo(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Put back the alarm that stood, or delete ours where there was none; one that others changed since stays."""
        del to
        found = await self._found()
        if not self._is_ours(found) or _text(found) == standing["alarm"]:
            return
        if standing["alarm"] is None:
            await self._calls.ask("cloudwatch", "delete_alarms", AlarmNames=[self._name])
        else:
            await self._calls.ask("cloudwatch", "put_metric_alarm", **json.loads(standing["alarm"]))

    async def _found(self) -> dict[str, Any] | None:
        """Return the alarm of this name. Raises RefusedError for one of another kind: it cannot be replaced by ours."""
        asked = {"AlarmNames": [self._name], "AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
        answer = await self._calls.ask("cloudwatch", "describe_alarms", **asked)
        if answer.get("CompositeAlarms"):
            raise RefusedError(f"{self._name} is a composite alarm", hint="give the alarm another name")
        alarms = answer.get("MetricAlarms")
        return _kept(alarms[0]) if alarms else None

    def _wanted(self) -> dict[str, Any]:
        """Return the alarm; a function that is not called reports no errors at all, and that is well."""
        return {
            "AlarmName": self._name,
            "AlarmDescription": f"High error rate of {self._function} after migration",
            "ActionsEnabled": True,
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Dimensions": [{"Name": "FunctionName", "Value": self._function}],
            "Statistic": "Sum",
            "Period": PERIOD,
            "EvaluationPeriods": PERIODS,
            "Threshold": float(THRESHOLD),
            "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching",
            **({"AlarmActions": [self._topic]} if self._topic else {}),
        }

    def _is_ours(self, found: Mapping[str, Any] | None) -> bool:
        return found is not None and all(found.get(name) == value for name, value in self._wanted().items())


def _kept(alarm: Mapping[str, Any]) -> dict[str, Any]:
    return {name: alarm[name] for name in _KEPT if alarm.get(name) not in (None, "", [])}


def _text(alarm: Mapping[str, Any] | None) -> str | None:
    """Return it as text, in which a fraction stays what it is: the ledger keeps no floats."""
    return None if alarm is None else json.dumps(alarm, sort_keys=True)
