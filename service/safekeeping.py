"""On-demand backups, and recovery verified: taken before the migration and at the switch, kept as evidence per table.

The names are those of the plan that this program was made for: ``migration-backup-users-20261125`` before,
``final-migration-backup-users-202611251430`` at the switch, ``final-archive-users-20261202`` at the end; times are UTC.
Evidence: row ``backups/<source>``, which the gate of that name reads; ``at_ms`` is when it was seen AVAILABLE.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from aws.backups import SERVICES, Backup, Backups, Recovery
from aws.calls import connect_calls
from cutover.actuators import Standing
from domain.clock import Clock
from domain.phases import Side
from ledger.book import Ledger
from mapping.plan import Plan
from service.session import Session
from service.settings import Settings

EVIDENCE: Final = "backups"
TARGET: Final = "target"
"""Name that the target has among the sources, as its stream has."""

_UNNAMEABLE: Final = re.compile(r"[^A-Za-z0-9_.-]")
"""CreateBackup: a name has letters, figures and ``_.-`` only."""


class Occasion(StrEnum):
    """Why a backup is taken: the first words of its name."""

    BEFORE = "migration-backup"
    FINAL = "final-migration-backup"
    ARCHIVE = "final-archive"

    def name_for(self, source: str, now_ms: int) -> str:
        """Return the name of a backup of a source: dated by day, at the switch by minute."""
        form = "%Y%m%d%H%M" if self is Occasion.FINAL else "%Y%m%d"
        moment = datetime.fromtimestamp(now_ms / 1000, UTC)
        return f"{self}-{_UNNAMEABLE.sub('-', source)}-{moment:{form}}"


@dataclass(frozen=True, slots=True)
class Keeping:
    """What taking backups works with."""

    backups: Backups
    ledger: Ledger
    clock: Clock


@dataclass(frozen=True, slots=True)
class Recoverable:
    """Whether recovery that is off may be switched on, and how many days it shall go back (None: DynamoDB's 35)."""

    enable: bool = False
    days: int | None = None


VERIFIED: Final = Recoverable()
"""Recovery is looked at, and left as it is."""


@asynccontextmanager
async def open_backups(settings: Settings) -> AsyncIterator[Backups]:
    """Open what takes backups: DynamoDB itself, wherever the tables are. Raises FatalError without credentials."""
    async with connect_calls(region=settings.region, endpoint_url=settings.endpoint_url, services=SERVICES) as calls:
        yield Backups(calls)


def tables_of(plan: Plan, side: Side) -> dict[str, str]:
    """Return the tables of a side by the names that evidence has for them."""
    if side is Side.TARGET:
        return {TARGET: plan.target.name}
    return {name: source.definition.name for name, source in plan.sources.items()}


def tables_to_keep(plan: Plan, *, targets: bool) -> dict[str, str]:
    """Return the tables of all sources, and the target's where it is wanted, by name."""
    return {**tables_of(plan, Side.SOURCE), **(tables_of(plan, Side.TARGET) if targets else {})}


def named(occasion: Occasion, tables: Mapping[str, str], clock: Clock) -> list[str]:
    """Return what `backed_up` would do, a line a table."""
    now = clock.wall_ms()
    return [f"would back {table} up as {occasion.name_for(source, now)}" for source, table in tables.items()]


async def back_up_sources(opened: Session, occasion: Occasion) -> list[str]:
    """Back every source up (or, in a dry run, only say so); return what was done, a line each."""
    tables = tables_of(opened.plan, Side.SOURCE)
    if opened.settings.dry_run:
        return named(occasion, tables, opened.clock)
    async with open_backups(opened.settings) as backups:
        found = await backed_up(Keeping(backups, opened.ledger, opened.clock), occasion, tables)
    return [f"back {source} up as {finding['name']}" for source, finding in found.items()]


async def backed_up(
    keeping: Keeping,
    occasion: Occasion,
    tables: Mapping[str, str],
    recoverable: Recoverable = VERIFIED,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Back tables up, all side by side, wait until each backup can be restored; return and keep the evidence of each.

    ``tables`` by name; ``told`` hears of each step. Raises RefusedError naming the action that is not allowed; what
    was taken until then stays.
    """
    asked: dict[str, Backup] = {}
    for source, table in tables.items():
        name = occasion.name_for(source, keeping.clock.wall_ms())
        asked[source] = await keeping.backups.create(table, name)
        told(f"backing {table} up as {name}")
    return {
        source: await kept(keeping, source, backup, await _recovery(keeping, tables[source], recoverable))
        for source, backup in asked.items()
    }


async def _recovery(keeping: Keeping, table: str, recoverable: Recoverable) -> Recovery:
    found = await keeping.backups.recovery(table)
    if found.on or not recoverable.enable:
        return found
    return await keeping.backups.enable_recovery(table, days=recoverable.days)


async def kept(keeping: Keeping, source: str, backup: Backup, recovery: Recovery) -> dict[str, Any]:
    """Wait until a backup can be restored, write it down and return what was written."""
    backup = await keeping.backups.available(backup.arn)
    finding: dict[str, Any] = {
        "arn": backup.arn,
        "name": backup.name,
        "made_ms": backup.made_ms,
        "available": backup.available,
        "pitr": recovery.on,
        "earliest_ms": recovery.earliest_ms,
        "latest_ms": recovery.latest_ms,
    }
    await keeping.ledger.history.add("backed-up", source=source, backup=backup.name, arn=backup.arn, pitr=recovery.on)
    await keeping.ledger.evidence.put(f"{EVIDENCE}/{source}", finding)
    return finding


class FinalBackups:
    """Backups of the side that serves until now, taken before the fence: an actuator of `Moment.PREPARE`.

    A backup is never undone. One that a try before a crash asked for is found again by its name.
    """

    def __init__(self, keeping: Keeping, plan: Plan) -> None:
        """``keeping``: with the leader's ledger."""
        self._keeping = keeping
        self._plan = plan
        self._asked: dict[str, Backup] = {}

    async def preview(self, to: Side) -> str:
        """Return the names; raises RefusedError when nobody may look. Whether recovery is on, a gate asks."""
        said = []
        for source, table in tables_of(self._plan, to.other).items():
            await self._keeping.backups.recovery(table)
            await self._keeping.backups.of(table)
            said.append(Occasion.FINAL.name_for(source, self._keeping.clock.wall_ms()))
        return f"back up as {', '.join(said)}"

    async def standing(self, to: Side) -> dict[str, Any]:
        """Return the names that the backups of this switch shall have."""
        now = self._keeping.clock.wall_ms()
        return {source: Occasion.FINAL.name_for(source, now) for source in tables_of(self._plan, to.other)}

    async def do(self, to: Side, standing: Standing) -> None:
        """Ask for those backups that there are not yet."""
        for source, table in tables_of(self._plan, to.other).items():
            name = standing[source]
            named = [backup for backup in await self._keeping.backups.of(table) if backup.name == name]
            self._asked[source] = named[0] if named else await self._keeping.backups.create(table, name)

    async def verify(self, to: Side) -> None:
        """Wait until each can be restored, and keep it as evidence."""
        for source, table in tables_of(self._plan, to.other).items():
            recovery = await self._keeping.backups.recovery(table)
            await kept(self._keeping, source, self._asked[source], recovery)

    async def undo(self, to: Side, standing: Standing) -> None:
        """Let them be: what was backed up stays."""
