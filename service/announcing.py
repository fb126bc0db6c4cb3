"""``tableturn announce``: plan the moment of the switch, look at its notices, send one by hand."""

import asyncio
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from domain.errors import FatalError, RefusedError
from domain.notices import Delivery, DeliveryState, Notice, NoticeKind, NoticeState
from service.console import OUT, Exit, as_json, operator
from service.herald import Herald, standing_of
from service.noticefile import NoticeFile, read_notice_file
from service.postage import open_routes
from service.postponing import moment_of
from service.session import Session, session
from service.settings import Settings
from service.tidings import Tidings
from service.timetable import Due, listed
from service.wording import moment

BY_TIME: Final[Mapping[str, NoticeKind]] = {
    "T-48h": NoticeKind.ANNOUNCEMENT,
    "T-2h": NoticeKind.FINAL,
    "T+0": NoticeKind.CUT_OVER,
    "T+24h": NoticeKind.REPORT,
}
_SIGNS: Final = {DeliveryState.SENT: "✓", DeliveryState.FAILED: "✗", DeliveryState.WAITING: "…"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator says: plan for ``at``, or for no time; send ``now`` a kind of notice, though it was sent."""

    at: str | None = None
    clear: bool = False
    now: str | None = None
    again: bool = False
    reason: str = ""

    @property
    def kind(self) -> NoticeKind | None:
        """Return the kind to be sent. Raises RefusedError for an unknown one."""
        if self.now is None or self.now in BY_TIME:
            return BY_TIME.get(self.now or "")
        if self.now not in set(NoticeKind):
            known = ", ".join([*BY_TIME, *NoticeKind])
            raise RefusedError(f"{self.now} is no kind of notice", hint=f"there are {known}")
        return NoticeKind(self.now)


async def announce(settings: Settings, wish: Wish, *, json: bool) -> Exit:
    """``tableturn announce``."""
    async with session(settings) as opened:
        await opened.check_ledger()
        return await announced(opened, wish, json=json)


async def announced(opened: Session, wish: Wish, *, json: bool) -> Exit:
    """Do what was asked for; in any case show what is planned and was told, or the notice that was sent.

    Raises RefusedError for what cannot be, FatalError for a file that is wrong.
    """
    kind = wish.kind
    file = _file(opened, needed=kind is not None)
    planned_ms = await _planned(opened, wish)
    if kind is None or file is None:
        return await _show(opened, file, planned_ms, json=json)
    return await _by_hand(opened, file, kind, planned_ms, again=wish.again, json=json)


async def _planned(opened: Session, wish: Wish) -> int | None:
    """Plan as wished, unless it is a dry run; return for when the switch is planned then."""
    notices, dry = opened.ledger.notices, opened.settings.dry_run
    if wish.clear and wish.at is not None:
        raise RefusedError("--at and --clear contradict each other", hint="give one of them")
    if wish.clear:
        if not dry and await notices.call_off(reason=wish.reason, by=operator()) is None:
            raise RefusedError("no switch is planned", hint="there is nothing to clear")
        return None
    if wish.at is None:
        return await notices.planned()
    at_ms = moment_of(wish.at)
    if at_ms <= opened.clock.wall_ms():
        raise RefusedError(f"{moment(at_ms)} is over", hint="name a moment that is to come, or --clear")
    if not dry:
        await notices.plan(at_ms, by=operator())
    return at_ms


def _file(opened: Session, *, needed: bool) -> NoticeFile | None:
    path = opened.settings.notices_file
    if path is not None:
        return read_notice_file(path, plan=opened.plan.name, variables=os.environ)
    if needed:
        raise FatalError("there is no notice file", hint="name one in TABLETURN_NOTICES_FILE")
    return None


async def _by_hand(
    opened: Session, file: NoticeFile, kind: NoticeKind, planned_ms: int | None, *, again: bool, json: bool
) -> Exit:
    """Send the last notice of a kind that there is, or show it in a dry run."""
    ledger, now = opened.ledger, opened.clock.wall_ms()
    found = [
        each
        for each in listed(await standing_of(opened.ledger, await opened.ledger.history.since(0), planned_ms), now)
        if each.kind is kind
    ]
    if not found:
        is_planned = kind in {NoticeKind.ANNOUNCEMENT, NoticeKind.FINAL}
        hint = "plan a switch with --at, before it has taken place" if is_planned else "see `tableturn report`"
        raise RefusedError(f"there is nothing that a notice {kind} could tell", hint=hint)
    due, routes = max(found, key=lambda each: each.at_ms), file.routes_of(kind)
    tidings = Tidings(ledger, opened.database, opened.plan, opened.clock, opened.settings, file)
    if opened.settings.dry_run:
        return _preview(await tidings.document(due), routes, json=json)
    if not routes:
        raise RefusedError(f"nobody is told {kind}", hint="add it to `send` in the notice file")
    async with open_routes(file, opened.settings, os.environ, opened.clock.wall_ms) as open_:
        herald = Herald(tidings, open_, asyncio.Event())
        notice = await _begun(herald, due, await ledger.notices.get(due.notice_id), again=again)
        await herald.deliver(notice)
    return _sent(await ledger.notices.get(due.notice_id) or notice, json=json)


async def _begun(herald: Herald, due: Due, standing: Notice | None, *, again: bool) -> Notice:
    """Write down what is to be sent: all of it, or of a notice that was sent before the routes that failed.

    Raises RefusedError when none failed, unless it is to be sent ``again``.
    """
    if standing is None or standing.state is NoticeState.SKIPPED or again:
        return await herald.written(due, standing)
    failed = [route for route, each in standing.deliveries.items() if each.state is DeliveryState.FAILED]
    if standing.waiting or not failed:
        what = "is being sent" if standing.waiting else "was sent"
        raise RefusedError(f"{due.notice_id} {what} since {moment(standing.at_ms)}", hint="--again sends it once more")
    deliveries = {**standing.deliveries, **{route: Delivery() for route in failed}}
    return await herald.tidings.ledger.notices.begin(replace(standing, state=NoticeState.BEGUN, deliveries=deliveries))


def _preview(document: Mapping[str, Any], routes: list[str], *, json: bool) -> Exit:
    if json:
        as_json({"dry_run": True, "routes": routes, "document": document})
    else:
        OUT.print(f"to: {', '.join(routes) or 'nobody'}\nsubject: {document['subject']}\n", markup=False)
        OUT.print(document["text"], markup=False, end="")
    return Exit.DONE


def _sent(notice: Notice, *, json: bool) -> Exit:
    if json:
        as_json(_document(notice))
    else:
        for route, each in notice.deliveries.items():
            OUT.print(f"{_SIGNS[each.state]} {route} {each.why}".rstrip(), markup=False)
    return Exit.DONE if all(each.state is DeliveryState.SENT for each in notice.deliveries.values()) else Exit.WARNED


async def _show(opened: Session, file: NoticeFile | None, planned_ms: int | None, *, json: bool) -> Exit:
    now, written = opened.clock.wall_ms(), await opened.ledger.notices.all()
    known = {each.notice_id for each in written}
    to_come = [
        each
        for each in listed(await standing_of(opened.ledger, await opened.ledger.history.since(0), planned_ms), now)
        if each.notice_id not in known and each.until_ms > now and file is not None and file.routes_of(each.kind)
    ]
    written.sort(key=lambda each: each.at_ms)
    if json:
        coming = [{"notice": each.notice_id, "kind": each.kind, "due_ms": each.at_ms} for each in to_come]
        document = {"planned_ms": planned_ms, "notices": [_document(each) for each in written], "to_come": coming}
        as_json(document)
        return Exit.DONE
    OUT.print(f"the switch {'would be' if opened.settings.dry_run else 'is'} planned for {moment(planned_ms)}")
    if file is None:
        OUT.print("there is no notice file, nobody is told: TABLETURN_NOTICES_FILE")
    for notice in written:
        told = ", ".join(f"{_SIGNS[each.state]} {route}" for route, each in notice.deliveries.items())
        OUT.print(f"{moment(notice.at_ms)}  {notice.kind}  {notice.state}  {told}", markup=False)
    for each in to_come:
        OUT.print(f"{moment(each.at_ms)}  {each.kind}  to come", markup=False)
    return Exit.DONE


def _document(notice: Notice) -> dict[str, Any]:
    return {
        "notice": notice.notice_id,
        "kind": notice.kind,
        "state": notice.state,
        "due_ms": notice.due_ms,
        "at_ms": notice.at_ms,
        "document": json.loads(notice.document) if notice.document else None,
        "deliveries": {route: asdict(each) for route, each in notice.deliveries.items()},
    }
