"""The policy that is printed for a plan: a whole migration asks for nothing beyond it, and for nearly all of it."""

from fnmatch import fnmatchcase
from typing import Any

import pytest

from domain.items import number
from dynamo.weather import FairWeather
from ledger.requests import RequestKind
from proof.forecast import Pace
from proof.permissions import LOOK_AROUND, TRANSACTION, Place, policy
from proof.prices import read_prices
from proof.runner import Proof, ProofPorts, ProofSettings
from reconcile.queries import Questioner
from reconcile.rechecks import Patience
from tests.examples import ADA, BOB, audit, changed
from tests.integration.test_recapture import is_ready, lost, recaptured, switched, switched_off_and_on, users_of
from tests.world import Venue, plan_named, ready

ASKED_OF_A_TRANSACTION = ("PutItem", "DeleteItem", "ConditionCheckItem")
NOT_ASKED_BY_THE_TWIN = {
    "DescribeContinuousBackups", "DescribeTimeToLive", "ListTagsOfResource", "UpdateContinuousBackups",
    "UpdateTimeToLive",
}  # fmt: skip
"""Its tables have all of it from the start, and there is no account around them: tests/acceptance/test_account.py."""


class Watch(FairWeather):
    """Weather that is fair and remembers who asked what of which table."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()

    async def before(self, operation: str, table: str) -> None:
        self.asked.add((operation, table))


def allows(document: dict[str, Any], action: str, resource: str) -> bool:
    return any(
        f"dynamodb:{action}" in each["Action"] and any(fnmatchcase(resource, pattern) for pattern in each["Resource"])
        for each in document["Statement"]
    )


def needed(operation: str, table: str) -> list[tuple[str, str]]:
    """Return actions and resources of one request as the twin names it."""
    place, tables = Place("us-east-1", "123456789012"), table.split(",")
    actions = ASKED_OF_A_TRANSACTION if operation == TRANSACTION else (operation,)
    below = "/stream/x" if operation in {"DescribeStream", "GetRecords", "GetShardIterator"} else ""
    return [(action, place.table(name, below)) for action in actions for name in tables]


@pytest.mark.looptime
async def test_a_whole_migration_stays_within_the_policy_of_its_plan() -> None:
    watch = Watch()
    venue = Venue.in_memory(weather=watch)
    async with ready(venue, "tyler-setup", users=[ADA, BOB], audit=[audit("a")]) as (world, crew):
        watch.asked -= {("CreateTable", world.table(name)) for name in world.plan.sources}  # that was the test itself
        settings = ProofSettings(Pace(1000), read_prices(None))
        proof = await Proof.begin(ProofPorts(world.database, world.plan, venue.clock), settings)
        await proof.run()
        await Questioner(world.database, world.plan, Patience()).ask_all()
        await world.put("users", changed(ADA, lastLogin=number(5)))
        await world.delete("users", BOB)
        await switched_off_and_on(world, users_of(world))
        await lost(world, "users")
        await recaptured(world, crew, "users")
        await world.until(lambda: is_ready(world), seconds=120)
        await switched(world, crew, RequestKind.CUTOVER)
        await world.put_target(changed(await world.get_target("USER#ada", "METADATA"), lastLogin=number(6)))
        await switched(world, crew, RequestKind.ROLLBACK)
        await switched(world, crew, RequestKind.CUTOVER)
    document = policy(world.plan, world.ledger_table, Place("us-east-1", "123456789012"))
    wanted = {each for operation, table in watch.asked for each in needed(operation, table)}
    beyond = sorted(f"{action} on {resource}" for action, resource in wanted if not allows(document, action, resource))
    assert beyond == []
    granted = {action for each in document["Statement"] if each["Sid"] != LOOK_AROUND for action in each["Action"]}
    asked = {f"dynamodb:{action}" for action, _ in wanted}
    assert granted - asked == {f"dynamodb:{action}" for action in NOT_ASKED_BY_THE_TWIN}


def test_the_policy_names_tables_and_never_all_of_them() -> None:
    document = policy(plan_named("tyler-setup", "acme"), "acme-ledger", Place("eu-west-1", "1"))
    ours = [statement for statement in document["Statement"] if statement["Sid"] != LOOK_AROUND]
    resources = {each for statement in ours for each in statement["Resource"]}
    assert all(":table/acme-" in each for each in resources)
    assert not any(action.endswith("*") for each in document["Statement"] for action in each["Action"])
    writes = next(each for each in document["Statement"] if each["Sid"] == "RunWrite")
    assert "arn:aws:dynamodb:eu-west-1:1:table/acme-events" not in writes["Resource"]
