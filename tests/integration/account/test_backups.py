"""Backups, recovery and restores, as the account is asked for them and as it tells of them."""

from typing import Any

import pytest

from aws.backups import Backups
from domain.errors import RefusedError
from domain.phases import Side
from service.safekeeping import FinalBackups, Keeping, Occasion, Recoverable, backed_up, tables_of
from tests.integration.account.conftest import Watched
from tests.world import World

USER = {"id": {"S": "u1"}, "email": {"S": "ada@example.org"}}


class Slow(Watched):
    """An account in which a backup is CREATING at the first looks, as on AWS and on no emulator."""

    looks = 2

    async def _call(self, service: str, operation: str, parameters: Any) -> dict[str, Any]:
        answer = await super()._call(service, operation, parameters)
        if operation == "describe_backup" and self.looks:
            self.looks -= 1
            answer["BackupDescription"]["BackupDetails"]["BackupStatus"] = "CREATING"
        return answer


def keeping(world: World, calls: Watched) -> Keeping:
    return Keeping(Backups(calls, poll=0), world.ledger, world.venue.clock)


async def test_every_source_is_backed_up_by_name_and_recovery_switched_on(world: World, calls: Watched) -> None:
    slow, sources = Slow(calls), tables_of(world.plan, Side.SOURCE)
    found = await backed_up(keeping(world, slow), Occasion.BEFORE, sources, Recoverable(enable=True, days=7))
    assert [asked["TableName"] for asked in slow.parameters("create_backup")] == list(sources.values())
    assert {finding["name"][:-8] for finding in found.values()} == {
        "migration-backup-users-",
        "migration-backup-refresh-tokens-",
    }
    assert slow.looks == 0
    assert [asked["PointInTimeRecoverySpecification"] for asked in slow.parameters("update_continuous_backups")] == [
        {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7}
    ] * len(sources)
    for source in sources:
        kept = await world.ledger.evidence.get(f"backups/{source}")
        assert kept is not None
        assert (kept["available"], kept["pitr"], kept["arn"]) == (True, True, found[source]["arn"])
        assert 0 < kept["made_ms"] <= kept["at_ms"]
        assert kept["earliest_ms"] > 0


async def test_recovery_that_is_off_is_told_and_left_off(world: World, calls: Watched) -> None:
    found = await backed_up(keeping(world, calls), Occasion.BEFORE, tables_of(world.plan, Side.SOURCE))
    assert [finding["pitr"] for finding in found.values()] == [False, False]
    assert calls.parameters("update_continuous_backups") == []


async def test_at_a_switch_the_side_that_serves_is_backed_up_once_however_often_it_is_tried(
    world: World, calls: Watched
) -> None:
    before = FinalBackups(keeping(world, calls), world.plan)
    standing = await before.standing(Side.SOURCE)
    await before.do(Side.SOURCE, standing)
    after = FinalBackups(keeping(world, calls), world.plan)  # the worker was killed in between
    await after.do(Side.SOURCE, standing)
    await after.verify(Side.SOURCE)
    await after.undo(Side.SOURCE, standing)
    (made,) = await Backups(calls).of(world.plan.target.name)
    assert made.name == standing["target"]
    assert made.name.startswith("final-migration-backup-target-20")
    kept = await world.ledger.evidence.get("backups/target")
    assert kept is not None
    assert kept["arn"] == made.arn


async def test_a_backup_that_somebody_deleted_is_told_from_one_that_takes_its_time(
    world: World, calls: Watched
) -> None:
    backups = Backups(calls, poll=0)
    backup = await backups.create(world.table("users"), "kept-by-nobody")
    await calls.ask("dynamodb", "delete_backup", BackupArn=backup.arn)
    with pytest.raises(RefusedError, match=r"backup arn:.* is gone"):
        await backups.available(backup.arn)


async def test_nothing_is_restored_over_a_table_that_stands(world: World, calls: Watched) -> None:
    backups = Backups(calls, poll=0)
    backup = await backups.create(world.table("users"), "some-name")
    with pytest.raises(RefusedError, match="stands already"):
        await backups.restore_backup(backup.arn, world.table("refresh-tokens"))
    with pytest.raises(RefusedError, match="stands already"):
        await backups.restore_moment(world.table("users"), None, world.table("users"))
    assert calls.parameters("restore_table_from_backup") == []
    assert calls.parameters("restore_table_to_point_in_time") == []
