"""What operators agreed upon between themselves, for a worker to heed: a cutover is postponed (protocol §8).

The partition ``controls``, one row a matter. Whoever sets one stands in the history, in the same transaction.
"""

from domain.clock import Clock
from ledger.history import History
from ledger.rows import Fields, Rows

_PARTITION = "controls"
_POSTPONED = "postponed"


class Controls:
    """The partition ``controls``."""

    def __init__(self, rows: Rows, history: History, clock: Clock) -> None:
        """Wrap the rows."""
        self._rows = rows
        self._history = history
        self._clock = clock

    async def postponed(self) -> Fields | None:
        """Return until when (``until_ms``), why, by whom and since when a cutover is postponed; None when it is not.

        It may be over by now: that is for a gate to say.
        """
        row = await self._rows.get(_PARTITION, _POSTPONED)
        return row.fields if row is not None and row.fields["until_ms"] else None

    async def postpone(self, until_ms: int, *, reason: str, by: str) -> None:
        """Postpone a cutover to a wall time in ms; 0 ends it. Raises ConditionFailed when another did so meanwhile."""
        row = await self._rows.get(_PARTITION, _POSTPONED)
        fields = {"until_ms": until_ms, "reason": reason, "by": by, "at_ms": self._clock.wall_ms()}
        revision, fence = (row.revision, row.fence) if row else (0, 0)
        event = "postponed" if until_ms else "postponement-ended"
        await self._rows.transact(
            [
                self._rows.put_action(_PARTITION, _POSTPONED, fields, revision=revision, standing_fence=fence),
                self._history.action(event, until_ms=until_ms, why=reason, by=by),
            ]
        )
