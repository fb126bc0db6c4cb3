"""``tableturn restore-check``: a backup or a moment is restored into a new table, and what came back is looked at.

It is counted beside the live table, and compared through the mapping with the other side, as `reconcile --against`
does. What changed since that moment differs, and is told by kind. Nothing is ever restored over a table; the restored
one is dropped again unless it is to be kept, and left where it stands when something fails on the way.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aws.backups import Backups
from domain.errors import RefusedError
from domain.items import Item
from domain.phases import Phase, Side
from dynamo.budget import ReadBudget
from dynamo.scanfile import Cursor
from dynamo.scanning import Scanning
from service.reconciling import CompareOptions, compared
from service.safekeeping import TARGET, tables_of
from service.session import Session

EVIDENCE: Final = "restore"
LATEST: Final = "latest"
_LONGEST_NAME: Final = 255
"""Characters of a table's name (AWS: CreateTable)."""

_NOTHING_TO_COMPARE: Final = frozenset({Phase.PLANNED, Phase.CAPTURE, Phase.BACKFILL, Phase.CATCHUP, Phase.ABORTED})
"""Phases in which the other side does not hold what this one says."""


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """What is restored: a backup (ARN, or ``latest``) or a moment (ISO 8601, or ``latest``); exactly one is given."""

    source: str
    backup: str | None = None
    at: str | None = None
    keep: bool = False
    read_units: int | None = None

    def moment_ms(self) -> int | None:
        """Return the moment, None for the latest. Raises RefusedError for what is no time, or none of a zone."""
        if self.at is None or self.at == LATEST:
            return None
        try:
            moment = datetime.fromisoformat(self.at)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            hint = "such as 2026-11-25T10:30:00Z, or `latest`"
            raise RefusedError(f"{self.at} is no time that names its zone", hint=hint)
        return round(moment.timestamp() * 1000)


async def checked(
    opened: Session, backups: Backups, options: RestoreOptions, told: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Restore, compare, drop; return the finding. ``told`` hears of each step.

    Raises RefusedError for a source, a backup or a moment that there is not, TransientError for a restore that takes
    longer than a day. Then a table that was begun stands, and the history says which.
    """
    table = _table_of(opened, options)
    now = datetime.fromtimestamp(opened.clock.wall_ms() / 1000, UTC)
    into = f"{table}-recovery-{now:%Y%m%d%H%M%S}"
    if len(into) > _LONGEST_NAME:
        raise RefusedError(f"the name of {table} is too long to add -recovery- and a time", hint="restore it by hand")
    of = await _restored(opened, backups, options, into, told)
    finding = {"of": of, "table": into, "kept": options.keep, **await _looked_at(opened, options, table, into, told)}
    if not options.keep:
        told(f"dropping {into}")
        await opened.database.delete_table(into)
    kept = {name: value for name, value in finding.items() if name != "examples"}
    await opened.ledger.evidence.put(f"{EVIDENCE}/{options.source}", kept)
    await opened.ledger.history.add("restored", source=options.source, **kept)
    return finding


def _table_of(opened: Session, options: RestoreOptions) -> str:
    if (options.backup is None) is (options.at is None):
        raise RefusedError("a backup or a moment is restored, one of both", hint="--backup latest, or --at TIME")
    options.moment_ms()
    tables = tables_of(opened.plan, Side.SOURCE) | tables_of(opened.plan, Side.TARGET)
    if options.source not in tables:
        raise RefusedError(f"the plan has no source {options.source}", hint=f"it has {', '.join(tables)}")
    return tables[options.source]


async def _restored(
    opened: Session, backups: Backups, options: RestoreOptions, into: str, told: Callable[[str], None]
) -> str:
    """Restore; return what of."""
    table = _table_of(opened, options)
    if options.backup is None:
        of = options.at or LATEST
        told(f"restoring {table} as of {of} into {into}; that takes its time")
        await opened.ledger.history.add("restoring", source=options.source, of=of, table=into)
        await backups.restore_moment(table, options.moment_ms(), into)
        return of
    arn = await _backup_of(backups, table, options.backup)
    told(f"restoring {arn} into {into}; that takes its time")
    await opened.ledger.history.add("restoring", source=options.source, of=arn, table=into)
    await backups.restore_backup(arn, into)
    return arn


async def _backup_of(backups: Backups, table: str, wanted: str) -> str:
    """Return the ARN of a backup of this table that can be restored."""
    if wanted == LATEST:
        for backup in await backups.of(table):
            if backup.available:
                return backup.arn
        raise RefusedError(f"there is no backup of {table}", hint="`tableturn backup` takes one")
    if f":table/{table}/backup/" not in wanted:
        raise RefusedError(f"{wanted} is no backup of {table}", hint="take one of `aws dynamodb list-backups`")
    return (await backups.available(wanted)).arn


async def _looked_at(
    opened: Session, options: RestoreOptions, table: str, into: str, told: Callable[[str], None]
) -> dict[str, Any]:
    """Count, and compare where there is something to compare with."""
    told(f"looking at {into}")
    live = await opened.database.describe_table(table)
    found: dict[str, Any] = {
        "items": await _counted(opened, into, options.read_units),
        "live_items": None if live is None else await _counted(opened, table, options.read_units),
        "compared": False,
        "mismatches": 0,
        "kinds": {},
    }
    if (await opened.ledger.migration.state()).phase in _NOTHING_TO_COMPARE:
        return found
    source = None if options.source == TARGET else options.source
    document = await compared(opened, CompareOptions(source, against=into, read_units=options.read_units))
    return found | {"compared": True} | {name: document[name] for name in ("mismatches", "kinds", "examples")}


async def _counted(opened: Session, table: str, read_units: int | None) -> int:
    """Count by reading: what DescribeTable says is up to six hours old."""
    count = 0

    async def taken(cursor: Cursor, items: list[Item], units: str) -> None:
        nonlocal count
        del cursor, units
        count += len(items)

    scanning = Scanning(opened.database, ReadBudget(opened.clock, read_units), consistent=True)
    described = await opened.database.describe_table(table)
    segments = scanning.segments(0 if described is None else described.size_bytes)
    await scanning.read(table, [Cursor(table, segment, segments) for segment in range(segments)], taken)
    return count
