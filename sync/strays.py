"""Strays: writes to the side that does not serve, by somebody who ignored the flag (protocol §9).

On either side a record outside the application's spans is our own, TTL's, or a stray's. In the legacy streams ours are
known as echoes (`forward`); in the target's by their stamp. This decides what is told, never what is applied.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.changes import Change
from domain.outcomes import Reason
from domain.phases import Side
from domain.positions import Version
from domain.stamps import Stamp
from ledger.findings import Lane, Quarantine, Quarantined

_MOST_NAMES = 8
"""Attribute names told of one stray."""

_LONGEST = 200
"""Characters of them."""

_TABLES = {Side.SOURCE: "legacy table while the target serves", Side.TARGET: "target while the legacy tables serve"}


@dataclass(frozen=True, slots=True)
class Stray:
    """One record that nobody should have written, and whose item it is of."""

    source: str
    source_id: str
    version: Version
    change: Change


@dataclass(frozen=True, slots=True)
class Alarm:
    """Strays that were found together: in which side's tables, of which source, and their source ids, unmasked."""

    side: Side
    source: str
    source_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Strays:
    """Sets strays aside, where they block every switch until somebody has settled them, and tells of them."""

    quarantine: Quarantine
    alarm: Callable[[Alarm], None] = lambda _: None

    async def put(self, side: Side, strays: Sequence[Stray]) -> None:
        """Write each down and sound the alarm, once a source; without any, nothing happens."""
        for stray in strays:
            entry = Quarantined(
                stray.source,
                stray.source_id,
                str(stray.version),
                Reason.STRAY,
                told(side, stray.change),
                lane=Lane.STRAY,
            )
            await self.quarantine.put(entry)
        for source in sorted({stray.source for stray in strays}):
            own = dict.fromkeys(stray.source_id for stray in strays if stray.source == source)
            self.alarm(Alarm(side, source, tuple(own)))


def is_ours(change: Change) -> bool:
    """Tell whether a record of the target's stream is our own write, or time to live's.

    We put stamped items only, each newer than what of the same id it replaces, and delete what bears the stamp of a
    tombstone only, whatever somebody has added to it. A copy that carries a stamp along does not fit it; who puts back
    what we wrote earlier puts an older version.
    """
    if change.by_ttl:
        return True
    if change.new is None:
        buried = None if change.old is None else Stamp.of(change.old)
        return buried is not None and buried.dead
    stamp = Stamp.of(change.new)
    if stamp is None or not stamp.fits(change.new):
        return False
    before = None if change.old is None else Stamp.of(change.old)
    return before is None or before.source != stamp.source or before.version < stamp.version


def told(side: Side, change: Change) -> str:
    """Say what somebody did, when, and to which attributes; no values."""
    when = datetime.fromtimestamp(change.created_ms / 1000, UTC).isoformat(timespec="seconds")
    return f"{_deed(change)} in the {_TABLES[side]}, at {when}, by somebody who ignored the flag"


def _deed(change: Change) -> str:
    if change.new is None:
        return "deleted"
    if change.old is None:
        return "created"
    names = sorted(name for name in {*change.old, *change.new} if change.old.get(name) != change.new.get(name))
    more = " …" if len(names) > _MOST_NAMES else ""
    return f"changed ({', '.join(names[:_MOST_NAMES])[:_LONGEST]}{more})"
