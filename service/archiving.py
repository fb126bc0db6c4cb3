"""``tableturn archive``: after the migration is DONE, a last backup of every source, then, if asked, their deletion.

Every table is archived before the first is deleted, and nothing is deleted that is protected, that cannot be recovered,
or that was written after its archive. What was begun stands in the ledger first (``archive/<source>``), so that after a
crash the next run goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from aws.backups import Backup, Backups
from aws.backups import Standing as TableStanding
from domain.errors import RefusedError
from domain.phases import Phase
from service.confirming import check_typed
from service.latecomers import TELLS_FOR_MS, changes_since
from service.safekeeping import Occasion
from service.session import Session

EVIDENCE: Final = "archive"


class State(StrEnum):
    """How far a source is."""

    ARCHIVED = "archived"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """What the operator asks for. ``typed``: the plan's name as typed, None to be asked at a terminal."""

    delete_sources: bool = False
    lift_protection: bool = False
    typed: str | None = None


@dataclass(frozen=True, slots=True)
class Archived:
    """The archive of one source: its backup, of which very table, and how far the table's deletion is."""

    arn: str
    name: str
    made_ms: int
    table_id: str
    state: State = State.ARCHIVED


class Archive:
    """The sources of one migration that is over."""

    def __init__(self, opened: Session, backups: Backups, told: Callable[[str], None] = lambda _: None) -> None:
        """``told`` hears of every step."""
        self._opened = opened
        self._backups = backups
        self._ledger = opened.ledger
        self._told = told
        self._tables = {name: source.definition.name for name, source in opened.plan.sources.items()}

    async def run(self, options: ArchiveOptions) -> dict[str, Any]:
        """Archive, then delete if asked; return what stands in the ledger of each source.

        Raises RefusedError with everything that stands in the way; then nothing was deleted.
        """
        await self._check_phase()
        if options.delete_sources:
            self._check_preserved()
            check_typed(self._opened.plan.name, options.typed, "delete the legacy tables")
        archived = {source: await self._archived(source) for source in self._tables}
        if options.delete_sources:
            obstacles = await self._obstacles(archived, options)
            if obstacles:
                message = "\n".join(["nothing was deleted; every source is archived, but:", *obstacles])
                raise RefusedError(message, hint="see to that, then ask again")
            archived = {source: await self._deleted(source, each, options) for source, each in archived.items()}
        return {source: _fields(each) for source, each in archived.items()}

    async def preview(self, options: ArchiveOptions) -> list[str]:
        """Return what `run` would do, a line each, with what would stop it; nothing is changed."""
        await self._check_phase()
        now, said = self._opened.clock.wall_ms(), []
        left = {source: table for source, table in self._tables.items() if await self._backups.standing(table)}
        for source, table in left.items():
            said.append(f"would back {table} up as {Occasion.ARCHIVE.name_for(source, now)}")
        if options.delete_sources:
            said += [f"would delete {table}" for table in left.values()]
            said += [f"refused: {error}" for error in self._preserved()]
            for source in left:
                said += [f"refused: {each}" for each in await self._protections(source, options)]
        return said

    async def _check_phase(self) -> None:
        phase = (await self._ledger.migration.state()).phase
        if phase is not Phase.DONE:
            hint = "the legacy tables are what a rollback goes back to: `tableturn complete` first, after the bake"
            raise RefusedError(f"the migration is in phase {phase}, not DONE", hint=hint)

    def _preserved(self) -> list[str]:
        preserve = self._opened.settings.preserve_sources
        return ["PRESERVE_OLD_TABLES is true, as it is unless said otherwise"] if preserve else []

    def _check_preserved(self) -> None:
        for error in self._preserved():
            raise RefusedError(error, hint="say PRESERVE_OLD_TABLES=false to have the legacy tables deleted")

    async def _archived(self, source: str) -> Archived:
        """Return the archive of a source, taken now unless one stands that nothing came after."""
        table, kept = self._tables[source], await self._kept(source)
        standing = await self._backups.standing(table)
        if standing is not None and standing.status == "DELETING":
            await self._backups.gone(table)
            standing = None
        if standing is None:
            return await self._gone(source, kept)
        if kept is not None and kept.state is State.DELETED:
            message = f"{table} was deleted by this command and stands again"
            raise RefusedError(message, hint="somebody made it anew: it is not ours to archive or delete")
        backup = await self._standing_backup(source, standing, kept)
        if backup is None:
            asked = await self._backups.create(table, Occasion.ARCHIVE.name_for(source, self._now()))
            self._told(f"backing {table} up as {asked.name}")
            backup = await self._backups.available(asked.arn)
        found = Archived(backup.arn, backup.name, backup.made_ms, standing.table_id)
        if kept is None or kept.arn != found.arn:
            await self._ledger.history.add("archived", source=source, table=table, backup=found.name, arn=found.arn)
            await self._keep(source, found)
        return found

    async def _standing_backup(self, source: str, standing: TableStanding, kept: Archived | None) -> Backup | None:
        """Return an archive of this very table that nothing came after: the one kept, or one a crash left unwritten."""
        name = Occasion.ARCHIVE.name_for(source, self._now())
        arns = [each.arn for each in await self._backups.of(self._tables[source]) if each.name == name]
        for arn in ([kept.arn] if kept else []) + arns:
            backup = await self._backups.describe(arn)
            if backup is None or backup.table_id != standing.table_id:
                continue
            if self._now() - backup.made_ms < TELLS_FOR_MS and not await self._written_since(source, backup.made_ms):
                return await self._backups.available(arn)
        return None

    async def _written_since(self, source: str, moment_ms: int) -> int:
        return await changes_since(self._opened.database, self._ledger, source, moment_ms)

    async def _gone(self, source: str, kept: Archived | None) -> Archived:
        """Take note that a table is no more: deleted by us, maybe before a crash, or by somebody else."""
        table = self._tables[source]
        if kept is None:
            message = f"table {table} is gone, and was never archived"
            raise RefusedError(message, hint="restore it from its last backup, or look who deleted it: see the history")
        if kept.state is State.DELETED:
            return kept
        by = "this command" if kept.state is State.DELETING else "somebody else"
        await self._ledger.history.add("source-deleted", source=source, table=table, by=by)
        return await self._keep(source, replace(kept, state=State.DELETED))

    async def _obstacles(self, archived: dict[str, Archived], options: ArchiveOptions) -> list[str]:
        """Return everything that forbids the deletion of any source."""
        found = []
        for source, each in archived.items():
            if each.state is State.DELETED:
                continue
            table = self._tables[source]
            found += await self._protections(source, options)
            late = await self._written_since(source, each.made_ms)
            if late:
                changes = "1 change" if late == 1 else f"{late} changes"
                found.append(f"{changes} of {table} came after its archive: somebody still uses it")
        return found

    async def _protections(self, source: str, options: ArchiveOptions) -> list[str]:
        table, found = self._tables[source], []
        standing = await self._backups.standing(table)
        if standing is not None and standing.protected and not options.lift_protection:
            command = f"aws dynamodb update-table --table-name {table} --no-deletion-protection-enabled"
            found.append(f"{table} is protected against deletion: `{command}`, or --lift-protection")
        if not (await self._backups.recovery(table)).on:
            way_out = "`tableturn backup --enable-pitr`"
            found.append(f"point-in-time recovery of {table} is off, so no system backup would remain: {way_out}")
        return found

    async def _deleted(self, source: str, archived: Archived, options: ArchiveOptions) -> Archived:
        """Delete one source, written down before and after."""
        if archived.state is State.DELETED:
            return archived
        table = self._tables[source]
        standing = await self._backups.standing(table)
        if standing is None or standing.table_id != archived.table_id:
            message = f"{table} is no longer the table that was archived"
            raise RefusedError(message, hint="somebody deleted or made it anew: look, then ask again")
        archived = await self._keep(source, replace(archived, state=State.DELETING))
        await self._ledger.history.add("source-deleting", source=source, table=table, archive=archived.arn)
        self._told(f"deleting {table}")
        if standing.protected and options.lift_protection:
            await self._backups.lift_protection(table)
        await self._opened.database.delete_table(table)
        await self._ledger.history.add("source-deleted", source=source, table=table, by="this command")
        return await self._keep(source, replace(archived, state=State.DELETED))

    async def _kept(self, source: str) -> Archived | None:
        row = await self._ledger.evidence.get(f"{EVIDENCE}/{source}")
        if row is None:
            return None
        return Archived(row["arn"], row["name"], row["made_ms"], row["table_id"], State(row["state"]))

    async def _keep(self, source: str, archived: Archived) -> Archived:
        await self._ledger.evidence.put(f"{EVIDENCE}/{source}", _fields(archived))
        return archived

    def _now(self) -> int:
        return self._opened.clock.wall_ms()


def _fields(archived: Archived) -> dict[str, Any]:
    return {
        "arn": archived.arn,
        "name": archived.name,
        "made_ms": archived.made_ms,
        "table_id": archived.table_id,
        "state": archived.state.value,
    }
