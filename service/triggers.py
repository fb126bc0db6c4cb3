"""Who acts on the streams of both sides: asked of the account, kept as evidence for the gate ``triggers``.

A function that a legacy stream fires falls silent at the cutover; one on the target's stream is fired by every item
that we copy. Evidence: row ``triggers``, ``firing`` by side with the names of those that are switched on, ``trouble``
with what could not be seen. Where there is no account around the tables nobody is asked, and nothing is written.
"""

import asyncio
import logging
from contextlib import suppress

from aws.ports import AccountPort
from cutover.facts import TRIGGERS
from domain.errors import RefusedError, TransientError
from domain.phases import Side
from ledger.book import Ledger
from service.session import Session, account_around
from service.settings import Settings

_LOG = logging.getLogger("tableturn")

_EVERY = 300.0
"""Seconds between looks of the leader."""


async def look(account: AccountPort, ledger: Ledger) -> None:
    """Ask once who reads each stream that is followed, and keep what was said.

    Raises RefusedError naming the action that is lacking, TransientError; nothing is kept then.
    """
    firing: dict[str, list[str]] = {side.value: [] for side in Side}
    for stream in await ledger.streams.all():
        readers = await account.stream_readers(stream.arn)
        firing[stream.side.value] += [reader.name for reader in readers if reader.enabled]
    found = {side: sorted(set(names)) for side, names in firing.items()}
    await ledger.evidence.put(TRIGGERS, {"firing": found, "trouble": []})


async def look_for_asker(opened: Session) -> None:
    """Look for somebody who asks for a switch; where he may not, what the leader saw is what counts."""
    async with account_around(opened.settings) as account:
        if account is not None:
            with suppress(RefusedError, TransientError):
                await look(account, opened.ledger)


async def keep_looking(settings: Settings, ledger: Ledger, stopping: asyncio.Event) -> None:
    """Look every few minutes as long as we lead; what cannot be seen is evidence too."""
    async with account_around(settings) as account:
        while account is not None and not stopping.is_set():
            await _look_or_say_why(account, ledger)
            await _pause(stopping)


async def _look_or_say_why(account: AccountPort, ledger: Ledger) -> None:
    try:
        await look(account, ledger)
    except (RefusedError, TransientError) as error:
        _LOG.warning("triggers not seen", extra={"why": str(error), "hint": error.hint})
        nobody: dict[str, list[str]] = {side.value: [] for side in Side}
        await ledger.evidence.put(TRIGGERS, {"firing": nobody, "trouble": [f"could not look: {error}"]})


async def _pause(stopping: asyncio.Event) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_EVERY):
            await stopping.wait()
