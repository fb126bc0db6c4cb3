"""The journal of a cutover or rollback under way: each step is written before it is taken (protocol §8).

One row. While it is `open`, a restarted leader finds here what to take back: before the unfence everything, after it
nothing, because the unfence closes the journal in its own transaction.
"""

from dataclasses import dataclass, replace

from domain.errors import ConditionFailed, RefusedError
from domain.phases import Phase, Side
from dynamo.ports import Action
from ledger.rows import Fields, Row, Rows

_PARTITION, _NAME = "switch", "current"


@dataclass(frozen=True, slots=True)
class Switch:
    """One cutover (``to`` is the target) or rollback (``to`` is the source).

    ``came_from`` is the phase to return to; ``drain_marks`` and ``open_marks`` are mark ids by stream; ``is_taken``
    tells whether ``step`` has come to its end.
    """

    switch_id: str
    to: Side
    came_from: Phase
    step: str
    is_open: bool
    drain_marks: dict[str, str]
    open_marks: dict[str, str]
    facts: Fields
    is_taken: bool = False
    revision: int = 0
    fence: int = 0


class Switches:
    """The row ``switch/current``."""

    def __init__(self, rows: Rows) -> None:
        """Wrap the rows."""
        self._rows = rows

    async def current(self) -> Switch | None:
        """Return the last switch, open or closed; None before the first."""
        row = await self._rows.get(_PARTITION, _NAME)
        return None if row is None else _switch(row)

    async def begin(self, switch: Switch) -> Switch:
        """Open the journal. Raises RefusedError when another switch is open."""
        standing = await self.current()
        if standing is not None and standing.is_open:
            message = f"a switch to the {standing.to} side is under way since step {standing.step}"
            raise RefusedError(message, hint="wait for its outcome: see `tableturn status`")
        revision, fence = (standing.revision, standing.fence) if standing else (0, 0)
        try:
            return await self.save(replace(switch, revision=revision, fence=fence))
        except ConditionFailed as refusal:
            message = "another switch began at the same moment"
            raise RefusedError(message) from refusal

    async def save(self, switch: Switch) -> Switch:
        """Write a step down before it is taken."""
        row = await self._rows.put(
            _PARTITION, _NAME, _fields(switch), revision=switch.revision, standing_fence=switch.fence
        )
        return replace(switch, revision=row.revision, fence=row.fence)

    def close_action(self, switch: Switch) -> Action:
        """Return the write that closes the journal, for the transaction that settles the outcome."""
        closed = _fields(replace(switch, is_open=False))
        return self._rows.put_action(_PARTITION, _NAME, closed, revision=switch.revision, standing_fence=switch.fence)


def _fields(switch: Switch) -> Fields:
    return {
        "id": switch.switch_id,
        "to": switch.to.value,
        "came_from": switch.came_from.value,
        "step": switch.step,
        "open": switch.is_open,
        "drain_marks": switch.drain_marks,
        "open_marks": switch.open_marks,
        "facts": switch.facts,
        "taken": switch.is_taken,
    }


def _switch(row: Row) -> Switch:
    fields = row.fields
    return Switch(
        fields["id"],
        Side(fields["to"]),
        Phase(fields["came_from"]),
        fields["step"],
        fields["open"],
        fields["drain_marks"],
        fields["open_marks"],
        fields["facts"],
        fields.get("taken", False),
        row.revision,
        row.fence,
    )
