"""A backup or a moment comes back in a table of its own, and what came back is counted and compared."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws.backups import Backups
from domain.errors import RefusedError
from domain.phases import Phase
from service.restoring import RestoreOptions, checked
from service.session import Session
from service.settings import Settings
from tests.examples import ADA
from tests.integration.account.conftest import Watched
from tests.world import World

BOB: Any = {**ADA, "id": {"S": "bob"}, "email": {"S": "bob@example.org"}}


def opened(world: World) -> Session:
    return Session(Settings.from_environment(), world.plan, world.database, world.ledger, world.venue.clock)


async def copied(world: World, *users: Any) -> None:
    """Bring the target to what the source says, and the phase to where that is to be expected."""
    for user in users:
        await world.put("users", user)
        await world.put_target(*world.plan.translate("users", user).items.values())
    state = await world.ledger.migration.state()
    for phase in (Phase.BACKFILL, Phase.CATCHUP, Phase.VERIFY):
        state = await world.ledger.migration.move(state, phase, why="a test says so")


async def test_a_backup_is_restored_compared_and_dropped(world: World, calls: Watched) -> None:
    backups = Backups(calls, poll=0)
    await copied(world, ADA)
    backup = await backups.create(world.table("users"), "before-bob")
    found = await checked(opened(world), backups, RestoreOptions("users", "latest"))
    assert (found["items"], found["live_items"], found["mismatches"]) == (1, 1, 0)
    assert await backups.standing(found["table"]) is None
    await world.put("users", BOB)
    await world.put_target(*world.plan.translate("users", BOB).items.values())
    found = await checked(opened(world), backups, RestoreOptions("users", backup.arn, keep=True))
    assert (found["items"], found["live_items"]) == (1, 2)
    assert found["kinds"]["extra"] == found["mismatches"] > 0
    assert await world.scanned(found["table"]) == [ADA]
    assert found["table"].startswith(f"{world.table('users')}-recovery-20")
    kept = await world.ledger.evidence.get("restore/users")
    assert kept is not None
    assert kept["of"] == backup.arn
    assert "bob@" not in str(kept)


async def test_a_moment_is_asked_for_to_the_millisecond(world: World, calls: Watched) -> None:
    await world.put("users", ADA)
    found = await checked(opened(world), Backups(calls, poll=0), RestoreOptions("users", at="2026-11-25T10:30:00.250Z"))
    (asked,) = calls.parameters("restore_table_to_point_in_time")
    assert asked["SourceTableName"] == world.table("users")
    assert asked["TargetTableName"] == found["table"]
    assert asked["RestoreDateTime"].isoformat() == "2026-11-25T10:30:00.250000+00:00"
    assert (found["items"], found["compared"]) == (1, False)


class Forgetful(Watched):
    """An account that cannot go back so far."""

    async def _call(self, service: str, operation: str, parameters: Any) -> dict[str, Any]:
        if operation == "restore_table_to_point_in_time":
            raise ClientError({"Error": {"Code": "InvalidRestoreTimeException"}}, operation)
        return await super()._call(service, operation, parameters)


REFUSED = [
    (RestoreOptions("users", at="2020-01-01T00:00:00Z"), "cannot be restored to that moment"),
    (RestoreOptions("users", at="yesterday"), "no time that names its zone"),
    (RestoreOptions("users", at="2026-11-25T10:30:00"), "no time that names its zone"),
    (RestoreOptions("users", "latest", "latest"), "one of both"),
    (RestoreOptions("nobody", "latest"), "the plan has no source nobody"),
    (RestoreOptions("users", "latest"), "there is no backup of"),
    (RestoreOptions("users", "arn:aws:dynamodb:r:1:table/other/backup/1"), "is no backup of"),
]


async def test_what_cannot_be_restored_is_refused_by_name(world: World, calls: Watched) -> None:
    for options, said in REFUSED:
        with pytest.raises(RefusedError, match=said):
            await checked(opened(world), Backups(Forgetful(calls), poll=0), options)
    assert await world.ledger.evidence.get("restore/users") is None
