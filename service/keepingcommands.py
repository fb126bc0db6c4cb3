"""What the commands of `service.clikeeping` do, one coroutine each. Each returns its exit code."""

from service.archiving import Archive, ArchiveOptions
from service.console import ERR, OUT, Exit, as_json
from service.safekeeping import Keeping, Occasion, Recoverable, backed_up, named, open_backups, tables_to_keep
from service.session import session
from service.settings import Settings


async def back_up(
    settings: Settings, occasion: Occasion, recoverable: Recoverable, *, targets: bool, json: bool
) -> Exit:
    """``tableturn backup``."""
    async with session(settings) as opened, open_backups(settings) as backups:
        await opened.check_ledger()
        tables = tables_to_keep(opened.plan, targets=targets)
        if settings.dry_run:
            return _told(named(occasion, tables, opened.clock), json=json)
        keeping = Keeping(backups, opened.ledger, opened.clock)
        found = await backed_up(keeping, occasion, tables, recoverable, (lambda _: None) if json else ERR.print)
    unprotected = [tables[source] for source, finding in found.items() if not finding["pitr"]]
    if json:
        as_json({"backups": found, "recovery_off": unprotected})
    else:
        for source, finding in found.items():
            OUT.print(f"✓ {source}: {finding['name']}  {finding['arn']}")
        for table in unprotected:
            OUT.print(f"✗ point-in-time recovery of {table} is off: --enable-pitr switches it on")
    return Exit.WARNED if unprotected else Exit.DONE


async def archive_sources(settings: Settings, options: ArchiveOptions, *, json: bool) -> Exit:
    """``tableturn archive``."""
    async with session(settings) as opened, open_backups(settings) as backups:
        await opened.check_ledger()
        archive = Archive(opened, backups, (lambda _: None) if json else ERR.print)
        if settings.dry_run:
            return _told(await archive.preview(options), json=json)
        found = await archive.run(options)
    if json:
        as_json({"sources": found})
    else:
        for source, finding in found.items():
            OUT.print(f"✓ {source}: {finding['state']}, {finding['name']}  {finding['arn']}")
    return Exit.DONE


def _told(steps: list[str], *, json: bool) -> Exit:
    if json:
        as_json({"dry_run": True, "steps": steps})
    else:
        for step in steps:
            OUT.print(f"  {step}")
    return Exit.DONE
