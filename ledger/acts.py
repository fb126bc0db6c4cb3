"""What actuators did in a switch, and what stood before: written down before anything is done, to be undone by.

The partition ``acts/<switch id>``, a row an actuator. Invariant: `standing` of a row is what stood before the *first*
try, whatever was tried since. A row that says undone, or done after a switch that took place, is over.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from ledger.rows import Fields, Row, Rows


class ActState(StrEnum):
    """How far an act is."""

    BEGUN = "begun"
    DONE = "done"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class ActRow:
    """One act: of which actuator, at which moment of which switch, and what stood before it (never shown)."""

    switch_id: str
    name: str
    moment: str
    state: ActState = ActState.BEGUN
    standing: Fields = field(default_factory=dict, repr=False)
    revision: int = 0
    fence: int = 0


class Acts:
    """The partitions ``acts/<switch id>``."""

    def __init__(self, rows: Rows) -> None:
        """Wrap the rows."""
        self._rows = rows

    async def of(self, switch_id: str) -> list[ActRow]:
        """Return what was begun in a switch."""
        return [_act(switch_id, row) for row in await self._rows.all(f"acts/{switch_id}")]

    async def save(self, act: ActRow) -> ActRow:
        """Compare-and-set one act; the lease's fence is part of the condition. Raises ConditionFailed, FencedError."""
        fields = {"moment": act.moment, "state": act.state.value, "standing": act.standing}
        row = await self._rows.put(
            f"acts/{act.switch_id}", act.name, fields, revision=act.revision, standing_fence=act.fence
        )
        return replace(act, revision=row.revision, fence=row.fence)


def _act(switch_id: str, row: Row) -> ActRow:
    fields = row.fields
    return ActRow(
        switch_id, row.name, fields["moment"], ActState(fields["state"]), fields["standing"], row.revision, row.fence
    )
