"""Tables that do not fit the plan: each way by name, with the way out; what fits is not spoken of."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from domain.tables import KeyAttribute, TableDefinition, ViewType
from dynamo.ports import TableDescription
from proof.tables import Preflight, examine
from tests.world import plan_named

PLAN = plan_named("tyler-setup", "acme")
Change = Callable[[TableDescription], TableDescription | None]


def described(definition: TableDefinition) -> TableDescription:
    return TableDescription(
        definition.name,
        definition.key,
        definition.indexes,
        "arn",
        ViewType.NEW_AND_OLD_IMAGES,
        definition.ttl_attribute,
        "ACTIVE",
        0,
        0,
        deletion_protection=definition.deletion_protection,
    )


def examined(name: str, change: Change) -> Preflight:
    definitions = [*(each.definition for each in PLAN.sources.values()), PLAN.target, *PLAN.companions]
    found: dict[str, TableDescription | None] = {each.name: described(each) for each in definitions}
    standing = found[name]
    assert standing is not None
    return examine(PLAN, {**found, name: change(standing)})


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("acme-users", lambda _: None, ["there is no table acme-users", "prefix"]),
        (
            "acme-users",
            lambda table: replace(table, key=(KeyAttribute("id", "N"),)),
            ["(id N)", "(id S)", "(KeySchema in CloudFormation, hash_key, range_key in Terraform)"],
        ),
        (
            "acme-users",
            lambda table: replace(table, stream_view=ViewType.KEYS_ONLY),
            ["KEYS_ONLY", "NEW_AND_OLD_IMAGES", "StreamViewType", "stream_view_type"],
        ),
        ("acme-users", lambda table: replace(table, replicas=("eu-west-1",)), ["Global Table", "eu-west-1"]),
        ("acme-users", lambda table: replace(table, status="UPDATING"), ["UPDATING", "wait"]),
        (
            "acme-entities",
            lambda table: replace(table, indexes=table.indexes[1:]),
            ["lacks index GSI1", "create it", "(GlobalSecondaryIndexes "],
        ),
        ("acme-entities", lambda table: replace(table, replicas=("eu-west-1",)), ["Global Table"]),
        ("acme-events", lambda table: replace(table, key=(KeyAttribute("id", "S"),)), ["(id S)"]),
    ],
)
def test_what_cannot_be_accepted_is_a_problem(table: str, change: Change, says: list[str]) -> None:
    (problem,) = examined(table, change).problems
    assert table in problem
    assert all(word in problem for word in says)


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        (
            "acme-contractors",
            lambda table: replace(table, ttl_attribute=None),
            ["is off", "on ttl", "TimeToLiveSpecification"],
        ),
        ("acme-users", lambda table: replace(table, ttl_attribute="ttl"), ["on ttl", "says off"]),
        ("acme-users", lambda table: replace(table, indexes=()), ["lacks index email-index"]),
        ("acme-users", lambda table: replace(table, encryption_key="arn:k"), ["arn:k", "kms:Decrypt"]),
        ("acme-entities", lambda table: replace(table, ttl_attribute=None), ["is off", "on expireAt"]),
        ("acme-entities", lambda table: replace(table, item_count=7), ["7 items already"]),
        (
            "acme-entities",
            lambda table: replace(table, deletion_protection=False),
            ["not protected", "deletion_protection_enabled"],
        ),
        (
            "acme-entities",
            lambda table: replace(
                table, indexes=tuple(replace(index, include=()) for index in table.indexes[:1]) + table.indexes[1:]
            ),
            ["GSI1", "does not project", "non_key_attributes"],
        ),
    ],
)
def test_what_an_operator_may_accept_is_a_warning(table: str, change: Change, says: list[str]) -> None:
    found = examined(table, change)
    assert found.problems == ()
    (warning,) = found.warnings
    assert table in warning
    assert all(word in warning for word in says)


def test_what_fits_is_not_spoken_of() -> None:
    found = examined("acme-users", lambda table: table)
    assert (found.problems, found.warnings, found.streams_off, found.targets_missing) == ((), (), (), ())


def test_a_stream_that_is_off_is_for_init_to_switch_on() -> None:
    assert examined("acme-audit", lambda table: replace(table, stream_arn=None)).streams_off == ("acme-audit",)
