"""A parameter takes the value of the side that serves, keeps its type and key, and gets back what stood."""

import uuid
from typing import Any

import pytest

from aws.parameters import StoreParameter
from domain.errors import RefusedError
from domain.phases import Side
from tests.acceptance.account import Cloud
from tests.integration.account.conftest import Watched

DESCRIBED = {"Description": "who serves", "AllowedPattern": "^[a-z-]+$", "Tier": "Advanced", "DataType": "text"}
PUT = "put_parameter"


class Store:
    """One parameter's name, and the store as its account sees it."""

    def __init__(self, cloud: Cloud) -> None:
        self.name = f"/tyler/{uuid.uuid4().hex[:10]}"
        self.client: Any = cloud.client("ssm")

    def put(self, value: str, **more: str) -> None:
        self.client.put_parameter(Name=self.name, Value=value, Overwrite=True, **{"Type": "String", **more})

    def told(self) -> dict[str, Any] | None:
        """Return what stands, but for its version and dates."""
        try:
            history = self.client.get_parameter_history(Name=self.name, WithDecryption=True)["Parameters"]
        except self.client.exceptions.ParameterNotFound:
            return None
        newest = max(history, key=lambda each: int(each["Version"]))
        ever = {"Version", "LastModifiedDate", "LastModifiedUser", "Labels"}
        return {name: value for name, value in newest.items() if name not in ever}


@pytest.fixture
def store(cloud: Cloud) -> Store:
    return Store(cloud)


def actuator(calls: Watched, store: Store, **more: Any) -> StoreParameter:
    return StoreParameter(calls, store.name, target="entities", source="users", **more)


@pytest.mark.parametrize(
    "more",
    [DESCRIBED, {"Type": "StringList"}, {"Type": "SecureString", "KeyId": "alias/tyler"}],
    ids=["described", "list", "secret"],
)
async def test_it_takes_a_new_value_with_all_else_as_it_was_and_goes_back(
    calls: Watched, store: Store, more: dict[str, str]
) -> None:
    store.put("prior", **more)
    before = store.told()
    assert before is not None
    parameter = actuator(calls, store)
    standing = await parameter.standing(Side.TARGET)
    assert standing == {"version": 1}
    for _ in range(2):
        await parameter.do(Side.TARGET, standing)
        await parameter.verify(Side.TARGET)
    assert store.told() == before | {"Value": "entities"}
    for _ in range(2):
        await parameter.undo(Side.TARGET, standing)
    assert store.told() == before
    assert len(calls.parameters(PUT)) == 2


async def test_what_was_not_there_is_made_and_goes_again(calls: Watched, store: Store) -> None:
    parameter = actuator(calls, store, kind="SecureString")
    assert await parameter.preview(Side.TARGET) == f"parameter {store.name}: make SecureString (not shown)"
    standing = await parameter.standing(Side.TARGET)
    await parameter.do(Side.TARGET, standing)
    told = store.told()
    assert told is not None
    assert (told["Type"], told["Value"]) == ("SecureString", "entities")
    for _ in range(2):
        await parameter.undo(Side.TARGET, standing)
    assert store.told() is None


async def test_a_value_written_since_we_looked_is_not_overwritten(calls: Watched, store: Store) -> None:
    store.put("prior")
    parameter = actuator(calls, store)
    standing = await parameter.standing(Side.TARGET)
    store.put("theirs")
    with pytest.raises(RefusedError, match="changed by somebody else"):
        await parameter.do(Side.TARGET, standing)
    await parameter.undo(Side.TARGET, standing)
    told = store.told()
    assert told is not None
    assert told["Value"] == "theirs"


@pytest.mark.parametrize("stood", [True, False])
async def test_a_value_written_just_before_ours_comes_back(calls: Watched, store: Store, *, stood: bool) -> None:
    if stood:
        store.put("prior")
    parameter = actuator(calls, store)
    standing = await parameter.standing(Side.TARGET)
    calls.before(PUT, lambda: store.put("theirs"))
    with pytest.raises(RefusedError, match="changed by somebody else"):
        await parameter.do(Side.TARGET, standing)
    await parameter.undo(Side.TARGET, standing)
    told = store.told()
    assert told is not None
    assert told["Value"] == "theirs"


async def test_undo_leaves_what_was_never_ours(calls: Watched, store: Store) -> None:
    store.put("entities")
    parameter = actuator(calls, store)
    standing = await parameter.standing(Side.TARGET)
    await parameter.do(Side.TARGET, standing)
    await parameter.undo(Side.TARGET, standing)
    assert not calls.parameters(PUT)


async def test_a_preview_shows_no_value_that_stands(calls: Watched, store: Store) -> None:
    store.put("prior-value")
    assert await actuator(calls, store).preview(Side.TARGET) == f"parameter {store.name}: set String entities"
    secret = actuator(calls, store, kind="SecureString")
    assert await secret.preview(Side.TARGET) == f"parameter {store.name}: set String (not shown)"
    store.put("prior-value", Type="SecureString")
    said = await actuator(calls, store).preview(Side.TARGET)
    assert said == f"parameter {store.name}: set SecureString (not shown)"
    with pytest.raises(RefusedError, match="not as set") as refused:
        await actuator(calls, store).verify(Side.TARGET)
    assert "prior" not in str(refused.value)
    assert "entities" not in str(refused.value)


def test_a_version_is_no_name(calls: Watched) -> None:
    with pytest.raises(RefusedError, match="no name of a parameter"):
        StoreParameter(calls, "/tyler/serving:3", target="a", source="b")
