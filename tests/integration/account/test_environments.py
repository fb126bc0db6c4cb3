"""Our variables of a function come and go; whatever else stands in its environment is never harmed and never shown."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from aws.environments import LambdaEnvironment, Wanted
from aws.waiting import Waits
from domain.errors import RefusedError, TransientError
from domain.phases import Side
from tests.acceptance.account import Cloud
from tests.integration.account.conftest import Watched

FOREIGN = {
    "EMPTY": "",
    "QUOTED": "he said \"yes\", it's {'a': 1} \\ $HOME `x`",
    "UMLAUT": "Grüße, 世界 🐟",
    "LINES": "one\n\ttwo\r\n three  ",
    "TOKEN": "foreign-and-secret",
}
TARGET: Wanted = {"USE_NEW_SCHEMA": "true", "ENTITY_TABLE": "entities", "LEGACY_TABLE": None}
SOURCE: Wanted = {"USE_NEW_SCHEMA": "false"}

READ, UPDATE = "get_function_configuration", "update_function_configuration"


class Function:
    """One function, as its account sees it."""

    def __init__(self, cloud: Cloud, variables: dict[str, str]) -> None:
        self.name = f"f-{uuid.uuid4().hex[:10]}"
        cloud.function(self.name, may=[], variables=variables)
        self._client: Any = cloud.client("lambda")

    @property
    def variables(self) -> dict[str, str]:
        answer = self._client.get_function_configuration(FunctionName=self.name)
        return dict(answer.get("Environment", {}).get("Variables", {}))

    def deploy(self, variables: dict[str, str]) -> None:
        """Somebody else sets variables, as one does who read them a moment ago."""
        self._client.update_function_configuration(
            FunctionName=self.name, Environment={"Variables": self.variables | variables}
        )


Make = Callable[[dict[str, str]], Function]


@pytest.fixture
def function(cloud: Cloud) -> Make:
    return lambda variables: Function(cloud, variables)


def actuator(calls: Watched, function: Function, target: Wanted = TARGET, source: Wanted = SOURCE) -> LambdaEnvironment:
    return LambdaEnvironment(calls, function.name, target=target, source=source, waits=Waits(30.0, 0.02))


async def test_foreign_variables_survive_byte_for_byte_there_and_back(calls: Watched, function: Make) -> None:
    before = FOREIGN | {"LEGACY_TABLE": "users", "USE_NEW_SCHEMA": "no"}
    there = function(before)
    environment = actuator(calls, there)
    standing = await environment.standing(Side.TARGET)
    assert standing == {"variables": {"USE_NEW_SCHEMA": "no", "ENTITY_TABLE": None, "LEGACY_TABLE": "users"}}
    await environment.do(Side.TARGET, standing)
    await environment.verify(Side.TARGET)
    assert there.variables == FOREIGN | {"USE_NEW_SCHEMA": "true", "ENTITY_TABLE": "entities"}
    await environment.undo(Side.TARGET, standing)
    assert there.variables == before
    assert all(each.keys() == {"FunctionName", "Environment", "RevisionId"} for each in calls.parameters(UPDATE))


async def test_done_again_and_undone_again_it_changes_nothing_more(calls: Watched, function: Make) -> None:
    there = function(FOREIGN)
    environment = actuator(calls, there)
    standing = await environment.standing(Side.TARGET)
    await environment.do(Side.TARGET, standing)
    await environment.do(Side.TARGET, standing)
    await environment.undo(Side.TARGET, standing)
    await environment.undo(Side.TARGET, standing)
    assert there.variables == FOREIGN
    assert len(calls.parameters(UPDATE)) == 2


async def test_a_change_between_our_read_and_our_write_is_not_overwritten(calls: Watched, function: Make) -> None:
    there = function(FOREIGN)
    calls.before(
        UPDATE,
        lambda: there.deploy({"THEIRS": "1", "TOKEN": "renewed"}),
        lambda: there.deploy({"THEIRS": "2", "USE_NEW_SCHEMA": "x"}),
    )
    environment = actuator(calls, there)
    await environment.do(Side.TARGET, await environment.standing(Side.TARGET))
    await environment.verify(Side.TARGET)
    theirs = {"THEIRS": "2", "TOKEN": "renewed"}
    assert there.variables == FOREIGN | theirs | {"USE_NEW_SCHEMA": "true", "ENTITY_TABLE": "entities"}
    assert len(calls.parameters(UPDATE)) == 3


async def test_undo_keeps_what_others_changed_meanwhile(calls: Watched, function: Make) -> None:
    there = function(FOREIGN | {"USE_NEW_SCHEMA": "no"})
    environment = actuator(calls, there)
    standing = await environment.standing(Side.TARGET)
    await environment.do(Side.TARGET, standing)
    there.deploy({"THEIRS": "between", "TOKEN": "renewed"})
    calls.before(UPDATE, lambda: there.deploy({"THEIRS": "at the last moment"}))
    await environment.undo(Side.TARGET, standing)
    assert there.variables == FOREIGN | {"USE_NEW_SCHEMA": "no", "TOKEN": "renewed", "THEIRS": "at the last moment"}


async def test_undo_of_what_was_never_done_changes_nothing(calls: Watched, function: Make) -> None:
    there = function(FOREIGN | {"USE_NEW_SCHEMA": "no"})
    environment = actuator(calls, there)
    standing = await environment.standing(Side.TARGET)
    there.deploy({"USE_NEW_SCHEMA": "theirs"})
    await environment.undo(Side.TARGET, standing)
    assert there.variables == FOREIGN | {"USE_NEW_SCHEMA": "theirs"}
    assert not calls.parameters(UPDATE)


async def test_whoever_is_overtaken_every_time_gives_up_with_nothing_changed(calls: Watched, function: Make) -> None:
    there = function(FOREIGN)
    calls.before(UPDATE, *[lambda: there.deploy({"THEIRS": "again"})] * 5)
    environment = actuator(calls, there)
    with pytest.raises(RefusedError, match="changed by others 5 times"):
        await environment.do(Side.TARGET, {})
    assert there.variables == FOREIGN | {"THEIRS": "again"}


async def test_a_preview_shows_our_new_values_and_nothing_else(calls: Watched, function: Make) -> None:
    there = function(FOREIGN | {"USE_NEW_SCHEMA": "prior-value", "LEGACY_TABLE": "prior-table"})
    environment = actuator(calls, there)
    said = await environment.preview(Side.TARGET)
    assert said == f"function {there.name}: set USE_NEW_SCHEMA=true, set ENTITY_TABLE=entities, remove LEGACY_TABLE"
    await environment.do(Side.TARGET, {})
    assert (await environment.preview(Side.TARGET)).endswith("nothing to change")
    assert not [word for word in (*FOREIGN.values(), "prior") if word and word in said]


async def test_what_would_not_fit_is_refused_before_and_shows_nothing(calls: Watched, function: Make) -> None:
    there = function({"TOKEN": "s" * 4000})
    environment = actuator(calls, there, target={"LONG": "x" * 100})
    for attempt in (environment.preview(Side.TARGET), environment.do(Side.TARGET, {})):
        with pytest.raises(RefusedError, match="4096") as refused:
            await attempt
        assert "sss" not in str(refused.value)
    assert not calls.parameters(UPDATE)


async def test_an_environment_that_cannot_be_read_is_never_written(calls: Watched, function: Make) -> None:
    there = function(FOREIGN)
    calls.says(READ, lambda answer: answer | {"Environment": {"Error": {"ErrorCode": "AccessDeniedException"}}})
    environment = actuator(calls, there)
    for attempt in (environment.preview(Side.TARGET), environment.do(Side.TARGET, {})):
        with pytest.raises(RefusedError, match="cannot be read: AccessDenied"):
            await attempt
    assert there.variables == FOREIGN


async def test_an_update_that_fails_is_told_by_its_reason(calls: Watched, function: Make) -> None:
    there = function(FOREIGN)
    failed = {"LastUpdateStatus": "Failed", "LastUpdateStatusReasonCode": "EniLimitExceeded"}
    calls.says(READ, lambda answer: answer | failed)
    environment = actuator(calls, there)
    for attempt in (environment.do(Side.TARGET, {}), environment.verify(Side.TARGET)):
        with pytest.raises(RefusedError, match="EniLimitExceeded"):
            await attempt


async def test_an_update_without_end_is_waited_for_no_longer_than_said(calls: Watched, function: Make) -> None:
    there = function(FOREIGN)
    calls.says(READ, lambda answer: answer | {"LastUpdateStatus": "InProgress"})
    environment = LambdaEnvironment(calls, there.name, target=TARGET, source=SOURCE, waits=Waits(0.1, 0.02))
    with pytest.raises(TransientError, match=there.name):
        await environment.do(Side.TARGET, {})
    assert not calls.parameters(UPDATE)


async def test_what_did_not_take_is_named(calls: Watched, function: Make) -> None:
    there = function(FOREIGN | {"USE_NEW_SCHEMA": "true"})
    with pytest.raises(RefusedError, match="ENTITY_TABLE not as set"):
        await actuator(calls, there).verify(Side.TARGET)


@pytest.mark.parametrize("name", ["gateway:live", "arn:aws:lambda:us-east-1:000000000000:function:gateway:7", ""])
def test_a_version_or_an_alias_is_no_function_to_change(calls: Watched, name: str) -> None:
    with pytest.raises(RefusedError, match="environment can be changed"):
        LambdaEnvironment(calls, name, target={}, source={})


def test_a_name_that_lambda_cannot_have_is_refused(calls: Watched) -> None:
    with pytest.raises(RefusedError, match="1ST"):
        LambdaEnvironment(calls, "gateway", target={"1ST": "x"}, source={})
