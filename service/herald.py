"""Sends notices: whatever the history or the planned moment calls for, once, over the routes of the notice file.

It runs in the leader, beside the engines, and never in their way: a notice is written down before it is sent, a route
that fails is tried again with back-off, then given up, recorded and logged. At least once: who takes over from a leader
that died in the middle sends what was begun and not written down as sent.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random

from domain.errors import ConditionFailed, FatalError, RefusedError, TransientError
from domain.notices import Delivery, DeliveryState, Notice, NoticeState
from ledger.book import Ledger
from service.noticefile import read_notice_file
from service.postage import Route, open_routes
from service.session import Session
from service.tidings import Tidings, masked
from service.timetable import Due, Event, Standing, due

_LOG = logging.getLogger("tableturn")

_LOOK = 5.0
"""Seconds between looks at what has happened."""

_MOST_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a route is tried again; doubled with each failure, with jitter: eight tries take two minutes."""

Heralds = Callable[[Ledger, asyncio.Event], Awaitable[None]]
"""Runs until told to stop, over the ledger of a leader."""


@dataclass(slots=True)
class Herald:
    """One leader's. ``tidings`` is made over its ledger; ``random`` is jitter."""

    tidings: Tidings
    routes: Mapping[str, Route]
    stopping: asyncio.Event
    random: Random = field(default_factory=Random)
    _known: set[str] = field(default_factory=set)
    _history: dict[str, Event] = field(default_factory=dict)
    _read_ms: int = 0

    @property
    def _ledger(self) -> Ledger:
        return self.tidings.ledger

    async def run(self) -> None:
        """Send until told to stop, and once more then: the last phase is news as well."""
        begun = await self._ledger.notices.all()
        self._known |= {each.notice_id for each in begun}
        async with asyncio.TaskGroup() as group:
            for notice in begun:
                if notice.state is NoticeState.BEGUN:
                    group.create_task(self.deliver(notice))
            while not self.stopping.is_set():
                await self._look(group)
                await self._pause(_LOOK)
            await self._look(group)

    async def _standing(self) -> Standing:
        """Read what decides over notices; of the history what is new."""
        now = self.tidings.clock.wall_ms()
        self._history |= await self._ledger.history.since(self._read_ms)
        self._read_ms = now
        return await standing_of(self._ledger, self._history, await self._ledger.notices.planned())

    async def deliver(self, notice: Notice) -> None:
        """Send a notice over every route on which it waits, side by side."""
        async with asyncio.TaskGroup() as group:
            for route in notice.waiting:
                group.create_task(self._hand_over(notice, route))

    async def written(self, each: Due, standing_row: Notice | None = None) -> Notice:
        """Write a notice down, to be sent; in place of ``standing_row``. Raises ConditionFailed when another stands."""
        document = await self.tidings.document(each)
        waiting = {route: Delivery() for route in self.tidings.file.routes_of(each.kind)}
        now = self.tidings.clock.wall_ms()
        notice = Notice(each.notice_id, each.kind, NoticeState.BEGUN, each.at_ms, now, json.dumps(document), waiting)
        if standing_row is not None:
            notice = replace(notice, revision=standing_row.revision, fence=standing_row.fence)
        return await self._ledger.notices.begin(notice)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        now = self.tidings.clock.wall_ms()
        for each in due(await self._standing(), now):
            if each.notice_id in self._known:
                continue
            self._known.add(each.notice_id)
            if not self.tidings.file.routes_of(each.kind):
                continue
            with suppress(ConditionFailed):  # somebody sent it by hand at this moment
                if now >= each.until_ms:
                    await self._skip(each, now)
                else:
                    group.create_task(self.deliver(await self.written(each)))

    async def _skip(self, each: Due, now: int) -> None:
        await self._ledger.notices.begin(Notice(each.notice_id, each.kind, NoticeState.SKIPPED, each.at_ms, now))
        _LOG.warning("notice_skipped", extra={"notice": each.notice_id, "late_s": (now - each.at_ms) // 1000})

    async def _hand_over(self, notice: Notice, name: str) -> None:
        """Try a route until it takes the notice; told to stop in between, leave it to whoever leads next."""
        route, why, pause = self.routes.get(name), "the notice file has no such route any more", _FIRST_PAUSE
        tries = 0
        while route is not None and tries < _MOST_TRIES:
            tries += 1
            try:
                await route.send(json.loads(notice.document))
            except (RefusedError, TransientError, FatalError) as error:
                why = masked(str(error))
            else:
                await self._settle(notice, name, DeliveryState.SENT, tries)
                return
            if tries < _MOST_TRIES and await self._pause(self.random.uniform(pause / 2, pause)):
                return
            pause = min(_LONGEST_PAUSE, 2 * pause)
        await self._settle(notice, name, DeliveryState.FAILED, tries, why)

    async def _settle(self, notice: Notice, name: str, state: DeliveryState, tries: int, why: str = "") -> None:
        now = self.tidings.clock.wall_ms()
        await self._ledger.notices.delivered(notice.notice_id, name, Delivery(state, tries, now, why))
        told = {"notice": notice.notice_id, "route": name, "tries": tries}
        if state is DeliveryState.SENT:
            _LOG.info("notice_sent", extra=told)
        else:
            _LOG.error(
                "notice_failed", extra={**told, "cause": why, "hint": "mend the route, then `tableturn announce`"}
            )

    async def _pause(self, seconds: float) -> bool:
        """Wait; return at once, and true, when told to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await self.stopping.wait()
        return False


async def standing_of(ledger: Ledger, history: Mapping[str, Event], planned_ms: int | None) -> Standing:
    """Return what decides over notices, by a history that was read and a planned moment."""
    postponed = await ledger.controls.postponed()
    phase = (await ledger.migration.state()).phase
    return Standing(history, phase, planned_ms, postponed["until_ms"] if postponed else 0)


@asynccontextmanager
async def heralds_of(opened: Session) -> AsyncIterator[Heralds]:
    """Open the routes of the notice file for the length of the block; without a file nobody is told anything.

    Raises FatalError naming everything that is wrong.
    """
    settings, clock = opened.settings, opened.clock
    if settings.notices_file is None:
        yield _silent
        return
    file = read_notice_file(settings.notices_file, plan=opened.plan.name, variables=os.environ)
    async with open_routes(file, settings, os.environ, clock.wall_ms) as routes:

        async def herald(ledger: Ledger, stopping: asyncio.Event) -> None:
            tidings = Tidings(ledger, opened.database, opened.plan, clock, settings, file)
            await Herald(tidings, routes, stopping).run()

        yield herald


async def _silent(_ledger: Ledger, _stopping: asyncio.Event) -> None:
    """Tell nobody."""
