"""Notices, and for when the switch is planned: what was told to whom, written down before it is sent.

Partition ``notices``, a row a notice, named by what it tells of, so that nobody tells the same thing twice; but a
leader that dies between sending and writing that down leaves it to its successor to send again (at least once). Row
``controls/planned``: the planned moment.
"""

from dataclasses import replace

from domain.clock import Clock
from domain.notices import Delivery, DeliveryState, Notice, NoticeKind, NoticeState
from ledger.history import History
from ledger.rows import Fields, Row, Rows

_PARTITION = "notices"
_CONTROLS, _PLANNED = "controls", "planned"


class Notices:
    """The partition ``notices``, and the row ``controls/planned``."""

    def __init__(self, rows: Rows, history: History, clock: Clock) -> None:
        """Wrap the rows; the clock only dates what is written."""
        self._rows = rows
        self._history = history
        self._clock = clock

    async def all(self) -> list[Notice]:
        """Return every notice."""
        return [_notice(row) for row in await self._rows.all(_PARTITION)]

    async def get(self, notice_id: str) -> Notice | None:
        """Return one notice."""
        row = await self._rows.get(_PARTITION, notice_id)
        return None if row is None else _notice(row)

    async def begin(self, notice: Notice) -> Notice:
        """Write a notice before it is sent. Raises ConditionFailed when somebody else wrote it since it was read."""
        row = await self._rows.put(
            _PARTITION, notice.notice_id, _fields(notice), revision=notice.revision, standing_fence=notice.fence
        )
        return replace(notice, revision=row.revision, fence=row.fence)

    async def delivered(self, notice_id: str, route: str, delivery: Delivery) -> None:
        """Write down what became of a notice on a route; when no route waits any more, it is over."""

        def settled(fields: Fields | None) -> Fields | None:
            if fields is None:
                return None
            deliveries = {**fields["deliveries"], route: _delivery_fields(delivery)}
            waits = any(each["state"] == DeliveryState.WAITING for each in deliveries.values())
            state = NoticeState.BEGUN if waits else NoticeState.OVER
            return {**fields, "deliveries": deliveries, "state": state.value}

        await self._rows.update(_PARTITION, notice_id, settled)

    async def planned(self) -> int | None:
        """Return for when the switch is planned (wall time in ms); None: for no time."""
        row = await self._rows.get(_CONTROLS, _PLANNED)
        return None if row is None else int(row.fields["at_ms"])

    async def plan(self, at_ms: int, *, by: str) -> None:
        """Plan the switch for a moment. Raises ConditionFailed when somebody else did at the same time."""
        row = await self._rows.get(_CONTROLS, _PLANNED)
        revision, fence = (row.revision, row.fence) if row else (0, 0)
        fields = {"at_ms": at_ms, "by": by, "written_ms": self._clock.wall_ms()}
        put = self._rows.put_action(_CONTROLS, _PLANNED, fields, revision=revision, standing_fence=fence)
        await self._rows.transact([put, self._history.action("planned", planned_ms=at_ms, by=by)])

    async def call_off(self, *, reason: str, by: str) -> int | None:
        """Plan the switch for no time any more; return for when it was planned. Raises as `plan` does."""
        row = await self._rows.get(_CONTROLS, _PLANNED)
        if row is None:
            return None
        at_ms = int(row.fields["at_ms"])
        told = self._history.action("called-off", planned_ms=at_ms, why=reason, by=by)
        await self._rows.transact([self._rows.delete_action(row), told])
        return at_ms


def _fields(notice: Notice) -> Fields:
    return {
        "kind": notice.kind.value,
        "state": notice.state.value,
        "due_ms": notice.due_ms,
        "at_ms": notice.at_ms,
        "document": notice.document,
        "deliveries": {route: _delivery_fields(each) for route, each in notice.deliveries.items()},
    }


def _delivery_fields(delivery: Delivery) -> Fields:
    return {"state": delivery.state.value, "tries": delivery.tries, "at_ms": delivery.at_ms, "why": delivery.why}


def _notice(row: Row) -> Notice:
    fields = row.fields
    deliveries = {
        route: Delivery(DeliveryState(each["state"]), each["tries"], each["at_ms"], each["why"])
        for route, each in fields["deliveries"].items()
    }
    return Notice(
        row.name,
        NoticeKind(fields["kind"]),
        NoticeState(fields["state"]),
        fields["due_ms"],
        fields["at_ms"],
        fields["document"],
        deliveries,
        row.revision,
        row.fence,
    )
