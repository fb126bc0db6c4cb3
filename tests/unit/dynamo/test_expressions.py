"""Rendering is pure text: every name and value behind a placeholder."""

import pytest

from domain.items import number, text
from dynamo.conditions import Absent, AllOf, AnyOf, Condition, Equal, Less, Present
from dynamo.expressions import condition_parameters, key_condition_parameters
from dynamo.ports import QueryRequest


def test_the_door_of_the_protocol_reads_as_protocol_section_2_says() -> None:
    same = Equal(("_stamp", "src"), text("users/1"))
    door = AnyOf((Absent(("PK",)), AllOf((same, Less(("_stamp", "ver"), text("7"))))))
    assert condition_parameters(door) == {
        "ConditionExpression": "(attribute_not_exists(#n0) OR (#n1.#n2 = :v0 AND #n1.#n3 < :v1))",
        "ExpressionAttributeNames": {"#n0": "PK", "#n1": "_stamp", "#n2": "src", "#n3": "ver"},
        "ExpressionAttributeValues": {":v0": text("users/1"), ":v1": text("7")},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_without_values_there_is_no_empty_map_of_them() -> None:
    assert condition_parameters(Present(("a.b",))) == {
        "ConditionExpression": "attribute_exists(#n0)",
        "ExpressionAttributeNames": {"#n0": "a.b"},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def test_no_condition_is_no_parameter() -> None:
    assert condition_parameters(None) == {}


@pytest.mark.parametrize("empty", [AllOf(()), AnyOf(())])
def test_a_condition_of_no_parts_cannot_be_rendered(empty: Condition) -> None:
    with pytest.raises(ValueError, match="no parts"):
        condition_parameters(empty)


def test_equal_values_keep_placeholders_of_their_own() -> None:
    both = AllOf((Equal(("a",), number(1)), Equal(("b",), number(1))))
    parameters = condition_parameters(both)
    assert parameters["ConditionExpression"] == "(#n0 = :v0 AND #n1 = :v1)"


def test_a_key_condition_names_hash_key_and_prefix() -> None:
    request = QueryRequest("t", ("PK", "p"), sort_prefix=("SK", "order#"))
    assert key_condition_parameters(request) == {
        "KeyConditionExpression": "#n0 = :v0 AND begins_with(#n1, :v1)",
        "ExpressionAttributeNames": {"#n0": "PK", "#n1": "SK"},
        "ExpressionAttributeValues": {":v0": text("p"), ":v1": text("order#")},
    }
