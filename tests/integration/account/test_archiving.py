"""The legacy tables after the end: archived, and deleted only when nothing speaks against it."""

from dataclasses import replace
from typing import Any

import pytest

from aws.backups import Backups
from domain.errors import RefusedError
from domain.phases import Phase
from service.archiving import Archive, ArchiveOptions
from service.session import Session
from service.settings import Settings
from tests.acceptance.account import Cloud
from tests.integration.account.conftest import Watched
from tests.world import World

ADA = {"id": {"S": "u1"}, "email": {"S": "ada@example.org"}, "name": {"S": "Ada"}}
DELETE = ArchiveOptions(delete_sources=True, lift_protection=True, typed="tyler-setup")


class Killed(Exception):
    """The process ended there."""


class Mortal:
    """A database whose user is killed just behind the first deletion of a table."""

    def __init__(self, database: Any) -> None:
        self._database = database

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    async def delete_table(self, table: str) -> None:
        await self._database.delete_table(table)
        raise Killed


async def over(world: World, calls: Watched) -> Backups:
    """End the migration, every table recoverable, its last change a while ago by DynamoDB's clock."""
    for phase in (*list(Phase)[list(Phase).index(Phase.BACKFILL) : list(Phase).index(Phase.DONE)], Phase.DONE):
        await world.ledger.migration.move(await world.ledger.migration.state(), phase, why="a test says so")
    backups = Backups(calls, poll=0)
    for source in world.plan.sources:
        await backups.enable_recovery(world.table(source))
    await quiet(world)
    return backups


async def quiet(world: World) -> None:
    """Wait until what was written before is of an earlier second, which is as exact as records are dated."""
    written = world.venue.clock.wall_ms() // 1000

    async def is_over() -> bool:
        return world.venue.clock.wall_ms() // 1000 > written

    await world.until(is_over)


def archive(world: World, backups: Backups, *, preserve: bool = False, database: Any = None) -> Archive:
    settings = Settings.from_environment(preserve_sources=preserve)
    return Archive(Session(settings, world.plan, database or world.database, world.ledger, world.venue.clock), backups)


async def standing(world: World, backups: Backups) -> list[str]:
    return [source for source in world.plan.sources if await backups.standing(world.table(source)) is not None]


async def events(world: World) -> list[tuple[object, object]]:
    told = await world.ledger.history.all()
    return [(each["event"], each.get("source")) for each in told if each["event"] not in {"phase", "initialised"}]


async def test_sources_are_archived_and_deleted_whatever_kills_us_on_the_way(world: World, calls: Watched) -> None:
    await world.put("users", ADA)
    backups = await over(world, calls)
    protected = world.table("users")
    await calls.ask("dynamodb", "update_table", TableName=protected, DeletionProtectionEnabled=True)
    with pytest.raises(Killed):
        await archive(world, backups, database=Mortal(world.database)).run(DELETE)
    assert await standing(world, backups) == ["refresh-tokens"]
    found = await archive(world, backups).run(DELETE)
    assert await standing(world, backups) == []
    assert [each["state"] for each in found.values()] == ["deleted", "deleted"]
    assert await archive(world, backups).run(DELETE) == found
    assert len(calls.parameters("create_backup")) == 2
    assert (await events(world)).count(("source-deleted", "users")) == 1
    assert [each["DeletionProtectionEnabled"] for each in calls.parameters("update_table")] == [True, False]
    await backups.restore_backup(found["users"]["arn"], f"{protected}-again")
    assert await world.scanned(f"{protected}-again") == [ADA]


async def test_before_the_end_nothing_is_archived_or_deleted(world: World, calls: Watched) -> None:
    with pytest.raises(RefusedError, match="in phase CAPTURE, not DONE"):
        await archive(world, Backups(calls)).run(DELETE)
    assert calls.made == []


async def test_a_table_that_is_to_be_kept_is_kept(world: World, calls: Watched) -> None:
    backups = await over(world, calls)
    table = world.table("refresh-tokens")
    await calls.ask("dynamodb", "update_table", TableName=table, DeletionProtectionEnabled=True)
    with pytest.raises(RefusedError, match="PRESERVE_OLD_TABLES is true"):
        await archive(world, backups, preserve=True).run(DELETE)
    with pytest.raises(RefusedError, match="wants the plan's name typed"):
        await archive(world, backups).run(replace(DELETE, typed="tyler"))
    with pytest.raises(RefusedError, match=f"update-table --table-name {table} --no-deletion-protection-enabled"):
        await archive(world, backups).run(replace(DELETE, lift_protection=False))
    assert await standing(world, backups) == list(world.plan.sources)


async def test_what_is_still_written_or_could_not_be_recovered_is_not_deleted(
    world: World, cloud: Cloud, calls: Watched
) -> None:
    backups = await over(world, calls)
    first = await archive(world, backups).run(ArchiveOptions())
    await world.put("users", ADA)  # by somebody who has never heard of the migration
    again = await archive(world, backups).run(ArchiveOptions())
    assert again["users"]["arn"] != first["users"]["arn"]
    assert again["refresh-tokens"] == first["refresh-tokens"]
    await quiet(world)
    off, table = {"PointInTimeRecoveryEnabled": False}, world.table("refresh-tokens")
    await calls.ask("dynamodb", "update_continuous_backups", TableName=table, PointInTimeRecoverySpecification=off)
    client, user = cloud.client("dynamodb"), ADA | {"name": {"S": "Ada L."}}
    calls.before("describe_continuous_backups", lambda: client.put_item(TableName=world.table("users"), Item=user))
    with pytest.raises(RefusedError) as refusal:
        await archive(world, backups).run(DELETE)
    assert f"1 change of {world.table('users')} came after its archive" in refusal.value.message
    assert f"recovery of {table} is off" in refusal.value.message
    assert await standing(world, backups) == list(world.plan.sources)


async def test_a_dry_run_tells_everything_and_changes_nothing(world: World, calls: Watched) -> None:
    backups = await over(world, calls)
    said = await archive(world, backups, preserve=True).preview(DELETE)
    assert [line for line in said if line.startswith("would back")] == [said[0], said[1]]
    assert f"would delete {world.table('users')}" in said
    assert "refused: PRESERVE_OLD_TABLES is true, as it is unless said otherwise" in said
    assert calls.parameters("create_backup") == []
