"""Takes our stamps off the target once the migration is DONE, while the target serves (ADR 12).

Before DONE we write to a serving side not at all (protocol §9), for whose record it is, is decided by position. After
it nobody reads the target's stream for a rollback any more, nothing of ours may come that a stamp would have to refuse,
and the stamps are nothing but bytes. Each is removed by one conditional update, which touches nothing else of the item
and may be repeated. A function that a change of the target fires hears of each as of any MODIFY.
"""

from collections.abc import Awaitable
from typing import Any, Final

from apply.door import Door
from domain.errors import RefusedError
from domain.guards import UNGUARDED
from domain.items import STAMP, Item, mark_id
from domain.phases import Phase
from domain.stamps import is_tombstone
from service.session import Session
from service.targetwalk import TargetWalk, Units

EVIDENCE: Final = "stripped"
STAMPS, TOMBSTONES, MARKS = "stamps", "tombstones", "marks"
_GOES: Final = (STAMPS, TOMBSTONES, MARKS)


class Stripping:
    """The target of one migration that is over."""

    def __init__(self, opened: Session, units: Units) -> None:
        """Nothing is read before `run`."""
        self._opened = opened
        self._target = opened.plan.target
        self._door = Door(opened.database, self._target, guard=UNGUARDED)
        self._walk = TargetWalk(opened.database, self._target, opened.clock, units)

    async def preview(self) -> dict[str, Any]:
        """Count what is left of ours, in whatever phase; nothing is changed."""
        return dict(await self._walk.over(self._judged, (), self._removed))

    async def run(self) -> dict[str, Any]:
        """Walk once; return what was taken away, and how many items somebody was quicker to write (``overtaken``).

        Raises RefusedError unless the migration is DONE.
        """
        phase = (await self._opened.ledger.migration.state()).phase
        if phase is not Phase.DONE:
            hint = "until then a rollback needs them: `tableturn complete` first"
            raise RefusedError(f"stamps stay in phase {phase}, until the migration is DONE", hint=hint)
        counts = await self._walk.over(self._judged, _GOES, self._removed)
        await self._opened.ledger.evidence.put(EVIDENCE, dict(counts))
        await self._opened.ledger.history.add("stripped", table=self._target.name, **counts)
        return dict(counts)

    def _judged(self, item: Item) -> str | None:
        """Say what of ours there is to take away."""
        if mark_id(self._target.key_of(item)) is not None:
            return MARKS
        if STAMP not in item:
            return None
        return TOMBSTONES if is_tombstone(item) else STAMPS

    def _removed(self, item: Item, word: str) -> Awaitable[bool]:
        """A tombstone without its stamp would be an item: it goes whole, as a mark does."""
        return self._door.strip(item) if word == STAMPS else self._door.remove(item)
