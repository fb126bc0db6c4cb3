"""Backups of tables, point-in-time recovery, restores into new tables, and what protects a table from deletion.

Sources: Amazon DynamoDB API reference, CreateBackup, DescribeBackup, ListBackups, DescribeContinuousBackups,
UpdateContinuousBackups, RestoreTableFromBackup, RestoreTableToPointInTime, DescribeTable, UpdateTable.
Every wait is bounded: what takes longer is a TransientError that says so.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aws.calls import Calls
from domain.errors import RefusedError, TransientError

SERVICES: Final = ("dynamodb",)
"""What the calls need a client of."""

_GONE: Final = frozenset({"BackupNotFoundException"})
_NO_TABLE: Final = frozenset({"ResourceNotFoundException", "TableNotFoundException"})
_NO_SUCH_TIME: Final = frozenset({"InvalidRestoreTimeException", "PointInTimeRecoveryUnavailableException"})
_BACKUP_PATIENCE: Final = 3_600.0
_RESTORE_PATIENCE: Final = 24 * 3_600.0
"""Seconds. AWS: backups are there within minutes; a restore takes 20 minutes to hours, by the table's size."""


@dataclass(frozen=True, slots=True)
class Backup:
    """An on-demand backup as DescribeBackup tells of it; ``made_ms`` by DynamoDB's clock.

    ``table_id`` names the very table it was made of; empty where it was not asked for.
    """

    arn: str
    name: str
    made_ms: int
    status: str
    table_id: str = ""

    @property
    def available(self) -> bool:
        """Tell whether it can be restored."""
        return self.status == "AVAILABLE"


@dataclass(frozen=True, slots=True)
class Recovery:
    """Point-in-time recovery of a table: on or off, and between which moments it can be restored (0: none)."""

    on: bool
    earliest_ms: int = 0
    latest_ms: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What DescribeTable says of a table that is to be restored or deleted."""

    status: str
    table_id: str
    protected: bool


class Backups:
    """Backups and restores in one account and Region.

    Every method raises RefusedError for what is not allowed or not so, TransientError for what may pass.
    """

    def __init__(self, calls: Calls, *, poll: float = 2.0) -> None:
        """``calls``: with a client of DynamoDB. ``poll``: seconds between looks at what takes its time."""
        self._calls = calls
        self._poll = poll

    async def create(self, table: str, name: str) -> Backup:
        """Ask for a backup; return it, CREATING as a rule. Several may have one name."""
        said = await self._calls.ask("dynamodb", "create_backup", TableName=table, BackupName=name)
        return _backup(said["BackupDetails"])

    async def describe(self, arn: str) -> Backup | None:
        """Return a backup; None when there is none any more."""
        said = await self._calls.find("dynamodb", "describe_backup", _GONE, BackupArn=arn)
        if said is None or said["BackupDescription"]["BackupDetails"]["BackupStatus"] == "DELETED":
            return None
        described = said["BackupDescription"]
        return _backup(described["BackupDetails"], str(described.get("SourceTableDetails", {}).get("TableId", "")))

    async def of(self, table: str) -> list[Backup]:
        """Return the backups that were asked for of a table, newest first."""
        asked = {"TableName": table, "BackupType": "USER"}
        found = await self._calls.pages("dynamodb", "list_backups", "BackupSummaries", **asked)
        backups = [_backup(each) for each in found if each["BackupStatus"] != "DELETED"]
        return sorted(backups, key=lambda backup: backup.made_ms, reverse=True)

    async def available(self, arn: str) -> Backup:
        """Wait until a backup can be restored. Raises RefusedError when it is gone."""
        found: list[Backup] = []

        async def is_there() -> bool:
            backup = await self.describe(arn)
            if backup is None:
                raise RefusedError(f"backup {arn} is gone", hint="somebody deleted it: make another one")
            found[:] = [backup]
            return backup.available

        await self._until(f"backup {arn} is AVAILABLE", is_there, _BACKUP_PATIENCE)
        return found[0]

    async def recovery(self, table: str) -> Recovery:
        """Return how far back a table can be restored."""
        said = await self._calls.ask("dynamodb", "describe_continuous_backups", TableName=table)
        told = said["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        moments = (told.get("EarliestRestorableDateTime"), told.get("LatestRestorableDateTime"))
        return Recovery(told.get("PointInTimeRecoveryStatus") == "ENABLED", *(_ms(moment) for moment in moments))

    async def enable_recovery(self, table: str, *, days: int | None = None) -> Recovery:
        """Switch recovery on, and wait until it is; ``days`` 1 to 35 to go back, None: DynamoDB's 35."""
        wanted: dict[str, Any] = {"PointInTimeRecoveryEnabled": True}
        if days is not None:
            wanted["RecoveryPeriodInDays"] = days
        await self._calls.ask(
            "dynamodb", "update_continuous_backups", TableName=table, PointInTimeRecoverySpecification=wanted
        )

        async def is_on() -> bool:
            return (await self.recovery(table)).on

        await self._until(f"point-in-time recovery of {table} is on", is_on, _BACKUP_PATIENCE)
        return await self.recovery(table)

    async def restore_backup(self, arn: str, into: str) -> None:
        """Restore a backup into a table that does not stand yet, and wait until it can be read.

        Streams, time to live, tags, alarms and recovery are not restored (AWS: "Restoring a table from a backup").
        """
        await self._refuse_standing(into)
        await self._calls.ask("dynamodb", "restore_table_from_backup", BackupArn=arn, TargetTableName=into)
        await self._until_restored(into)

    async def restore_moment(self, table: str, at_ms: int | None, into: str) -> None:
        """Restore a table as it was at a moment (None: the latest possible), likewise.

        The moment goes to the millisecond; DynamoDB wants it between ``earliest_ms`` and ``latest_ms``.
        """
        await self._refuse_standing(into)
        when: dict[str, Any] = {"UseLatestRestorableTime": True}
        if at_ms is not None:
            when = {"RestoreDateTime": datetime.fromtimestamp(at_ms / 1000, UTC)}
        begun = await self._calls.find(
            "dynamodb",
            "restore_table_to_point_in_time",
            _NO_SUCH_TIME,
            SourceTableName=table,
            TargetTableName=into,
            **when,
        )
        if begun is None:
            raise RefusedError(f"{table} cannot be restored to that moment", hint=await self._window(table))
        await self._until_restored(into)

    async def standing(self, table: str) -> Standing | None:
        """Return what stands under a name; None: no table."""
        said = await self._calls.find("dynamodb", "describe_table", _NO_TABLE, TableName=table)
        if said is None:
            return None
        described = said["Table"]
        protected = bool(described.get("DeletionProtectionEnabled", False))
        return Standing(described["TableStatus"], str(described.get("TableId", "")), protected)

    async def lift_protection(self, table: str) -> None:
        """Take the protection against deletion off a table, and wait until it is. Source: UpdateTable."""
        await self._calls.ask("dynamodb", "update_table", TableName=table, DeletionProtectionEnabled=False)

        async def is_off() -> bool:
            found = await self.standing(table)
            return found is not None and not found.protected and found.status == "ACTIVE"

        await self._until(f"{table} is no longer protected against deletion", is_off, _BACKUP_PATIENCE)

    async def gone(self, table: str) -> None:
        """Wait until a table that is being deleted is no more."""

        async def is_gone() -> bool:
            return await self.standing(table) is None

        await self._until(f"table {table} is deleted", is_gone, _BACKUP_PATIENCE)

    async def _window(self, table: str) -> str:
        found = await self.recovery(table)
        if not found.on:
            return "its point-in-time recovery is off: `tableturn backup --enable-pitr`"
        first, last = (datetime.fromtimestamp(each / 1000, UTC) for each in (found.earliest_ms, found.latest_ms))
        return f"it can be from {first:%Y-%m-%dT%H:%M:%SZ} to {last:%Y-%m-%dT%H:%M:%SZ}"

    async def _refuse_standing(self, table: str) -> None:
        if await self.standing(table) is not None:
            raise RefusedError(f"table {table} stands already", hint="nothing is restored over a table: wait a second")

    async def _until_restored(self, table: str) -> None:
        async def is_active() -> bool:
            found = await self.standing(table)
            return found is not None and found.status == "ACTIVE"

        await self._until(f"restored table {table} is ACTIVE", is_active, _RESTORE_PATIENCE)

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]], patience: float) -> None:
        """Look until it holds; trouble that may pass is no answer yet."""
        try:
            async with asyncio.timeout(patience):
                while not await _asked(holds):
                    await asyncio.sleep(self._poll)
        except TimeoutError as error:
            hint = "look at it in the AWS console; asking again goes on from there"
            raise TransientError(f"waited {patience:.0f} s in vain until {what}", hint=hint) from error


async def _asked(holds: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await holds()
    except TransientError:
        return False


def _backup(details: dict[str, Any], table_id: str = "") -> Backup:
    made = _ms(details["BackupCreationDateTime"])
    return Backup(details["BackupArn"], details["BackupName"], made, details["BackupStatus"], table_id)


def _ms(moment: datetime | None) -> int:
    return 0 if moment is None else round(moment.timestamp() * 1000)
