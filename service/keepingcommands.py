"""What the commands of `service.clikeeping` do, one coroutine each. Each returns its exit code."""

from collections.abc import Callable
from typing import Any

from ledger.requests import Request, RequestKind
from service.archiving import Archive, ArchiveOptions
from service.asking import ask
from service.console import ERR, OUT, Exit, as_json
from service.discarding import Discard
from service.restoring import RestoreOptions, checked
from service.safekeeping import Keeping, Occasion, Recoverable, backed_up, named, open_backups, tables_to_keep
from service.session import session
from service.settings import Settings
from service.stripping import Stripping
from service.targetwalk import Units
from service.worker import process_name


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


async def check_restore(settings: Settings, options: RestoreOptions, *, json: bool) -> Exit:
    """``tableturn restore-check``."""
    async with session(settings) as opened, open_backups(settings) as backups:
        await opened.check_ledger()
        if settings.dry_run:
            return _told([f"would restore {options.source} from {options.backup or options.at}"], json=json)
        found = await checked(opened, backups, options, (lambda _: None) if json else ERR.print)
    if json:
        as_json(found)
    else:
        live = "is gone" if found["live_items"] is None else f"has {found['live_items']:,}"
        OUT.print(f"restored {found['of']}: {found['items']:,} items, the live table {live}")
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in found["kinds"].items() if count)
        OUT.print(
            f"compared with the other side: {kinds or 'all agree'}" if found["compared"] else "nothing to compare"
        )
        OUT.print(f"kept as {found['table']}" if found["kept"] else f"dropped {found['table']} again")
    return Exit.WARNED if found["mismatches"] else Exit.DONE


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


async def discard_copy(settings: Settings, typed: str | None, units: Units, *, json: bool) -> Exit:
    """``tableturn rollback --discard``: in a dry run what is there is counted."""
    async with session(settings) as opened:
        await opened.check_ledger()
        discard = Discard(opened, who=process_name(), units=units)
        counts = await discard.preview() if settings.dry_run else await discard.run(typed)
    return _counted("would discard" if settings.dry_run else "discarded", counts, json=json)


async def strip_target(settings: Settings, units: Units, *, json: bool) -> Exit:
    """``tableturn strip-stamps``: in a dry run what is there is counted."""
    async with session(settings) as opened:
        await opened.check_ledger()
        stripping = Stripping(opened, units)
        counts = await stripping.preview() if settings.dry_run else await stripping.run()
    return _counted("would strip" if settings.dry_run else "stripped", counts, json=json)


async def complete_and_strip(
    settings: Settings, facts: dict[str, Any], units: Units, *, told: Callable[[Request], None], json: bool
) -> Exit:
    """``tableturn complete --strip-stamps``: what completion answers is told by what is stripped after it."""
    async with session(settings) as opened:
        await opened.check_ledger()
        await ask(opened, RequestKind.COMPLETE, facts, (lambda _: None) if json else told)
        counts = await Stripping(opened, units).run()
    return _counted("complete, and stripped", counts, json=json)


def _counted(what: str, counts: dict[str, int], *, json: bool) -> Exit:
    if json:
        as_json({"what": what, "items": counts})
    else:
        OUT.print(f"{what}: {', '.join(f'{count:,} {word}' for word, count in sorted(counts.items())) or 'nothing'}")
    return Exit.DONE


def _told(steps: list[str], *, json: bool) -> Exit:
    if json:
        as_json({"dry_run": True, "steps": steps})
    else:
        for step in steps:
            OUT.print(f"  {step}")
    return Exit.DONE
