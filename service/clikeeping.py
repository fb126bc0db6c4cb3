"""The part of the command line that keeps data safe around a switch: backups, restores, archive and clearing up."""

from typing import Annotated

import typer

from service.cliparts import APP, Confirm, Json, Ledger, Plan, ReadUnits, WriteUnits, settings_of
from service.console import carry_out

DryRun = Annotated[bool | None, typer.Option("--dry-run", envvar="DRY_RUN", help="only say what would be done")]


@APP.command()
def backup(
    plan: Plan = None,
    ledger: Ledger = None,
    final: Annotated[
        bool, typer.Option("--final/--before", help="name it as one of the switch, or as one before the migration")
    ] = False,
    targets: Annotated[bool, typer.Option("--targets", help="back the target up as well")] = False,
    enable_pitr: Annotated[
        bool, typer.Option("--enable-pitr", help="switch point-in-time recovery on where it is off")
    ] = False,
    recovery_days: Annotated[
        int | None, typer.Option(min=1, max=35, help="with --enable-pitr: days that recovery goes back")
    ] = None,
    dry_run: DryRun = None,
    json: Json = False,
) -> None:
    """Back every source up, wait until each backup can be restored, and verify point-in-time recovery.

    Exit code 5 when recovery is off somewhere.

    Example: tableturn backup --before --enable-pitr
    """
    from service.keepingcommands import back_up
    from service.safekeeping import Occasion, Recoverable

    settings = settings_of(plan=plan, ledger=ledger, dry_run=dry_run)
    occasion = Occasion.FINAL if final else Occasion.BEFORE
    recoverable = Recoverable(enable_pitr, recovery_days)
    carry_out(lambda: back_up(settings, occasion, recoverable, targets=targets, json=json))


@APP.command("restore-check")
def restore_check(
    source: Annotated[str, typer.Argument(help="a source's name, or `target`")],
    plan: Plan = None,
    ledger: Ledger = None,
    of: Annotated[
        str | None, typer.Option("--backup", metavar="ARN|latest", help="restore this backup of it (the latest one)")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", envvar="RECOVERY_POINT", metavar="TIME|latest", help="restore it as it was then, UTC"),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="leave the restored table where it is")] = False,
    read_units: ReadUnits = None,
    dry_run: DryRun = None,
    json: Json = False,
) -> None:
    """Restore a backup or a moment into a new table, count and compare what came back, and drop it again.

    What changed since then differs. Exit code 5 when something does.

    Example: tableturn restore-check users --at 2026-11-25T10:30:00Z
    """
    from service.keepingcommands import check_restore
    from service.restoring import LATEST, RestoreOptions

    settings = settings_of(plan=plan, ledger=ledger, dry_run=dry_run)
    options = RestoreOptions(source, of if of or at else LATEST, at, keep, read_units)
    carry_out(lambda: check_restore(settings, options, json=json))


@APP.command()
def archive(
    plan: Plan = None,
    ledger: Ledger = None,
    delete_sources: Annotated[
        bool, typer.Option("--delete-sources", help="then delete the legacy tables; wants PRESERVE_OLD_TABLES=false")
    ] = False,
    lift_protection: Annotated[
        bool, typer.Option("--lift-protection", help="take their protection against deletion off")
    ] = False,
    confirm: Confirm = None,
    dry_run: DryRun = None,
    json: Json = False,
) -> None:
    """Once DONE: a last backup of every source, and with --delete-sources their deletion. May be asked again.

    Example: PRESERVE_OLD_TABLES=false tableturn archive --delete-sources --lift-protection
    """
    from service.archiving import ArchiveOptions
    from service.keepingcommands import archive_sources

    settings = settings_of(plan=plan, ledger=ledger, dry_run=dry_run)
    options = ArchiveOptions(delete_sources, lift_protection, confirm)
    carry_out(lambda: archive_sources(settings, options, json=json))


@APP.command("strip-stamps")
def strip_stamps(
    plan: Plan = None,
    ledger: Ledger = None,
    write_units: WriteUnits = None,
    read_units: ReadUnits = None,
    dry_run: DryRun = None,
    json: Json = False,
) -> None:
    """Once DONE: take `_stamp` off every target item, each by one conditional update, while the target serves.

    Not before: a rollback needs the stamps. Functions that changes of the target fire hear of each item.

    Example: tableturn strip-stamps --write-units 100
    """
    from service.keepingcommands import strip_target
    from service.targetwalk import Units

    settings = settings_of(plan=plan, ledger=ledger, dry_run=dry_run)
    carry_out(lambda: strip_target(settings, Units(write_units, read_units), json=json))
