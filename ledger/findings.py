"""Evidence and quarantine: what was measured, dated, and what could not be applied, per source id (protocol §2)."""

from dataclasses import dataclass
from enum import StrEnum

from domain.clock import Clock
from domain.items import TargetKey
from domain.outcomes import Reason
from ledger.addresses import address
from ledger.rows import Fields, Row, Rows


class Lane(StrEnum):
    """Whose versions an entry speaks: a legacy stream's (forward), the target's (reverse), or of either (stray)."""

    FORWARD = "forward"
    REVERSE = "reverse"
    STRAY = "stray"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One source id that could not be applied: since which version, why, and its last good target keys."""

    source: str
    source_id: str
    version: str
    reason: Reason
    detail: str
    keys: tuple[TargetKey, ...] = ()
    at_ms: int = 0
    lane: Lane = Lane.FORWARD


class Quarantine:
    """The partitions ``quarantine/<lane>``; one row per source id, its source's name first."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        """Wrap the rows."""
        self._rows = rows
        self._clock = clock

    async def of(self, source: str, lane: Lane = Lane.FORWARD) -> dict[str, Quarantined]:
        """Return what is quarantined of a source in one lane, by source id."""
        found = [_quarantined(row) for row in await self._rows.all(f"quarantine/{lane}", f"{source}\n")]
        return {entry.source_id: entry for entry in found}

    async def everything(self) -> list[Quarantined]:
        """Return every entry, all lanes."""
        return [_quarantined(row) for lane in Lane for row in await self._rows.all(f"quarantine/{lane}")]

    async def strays(self) -> set[str]:
        """Return the source ids whose strays wait for somebody to look at them: nothing mends these by itself."""
        return {_quarantined(row).source_id for row in await self._rows.all(f"quarantine/{Lane.STRAY}")}

    async def put(self, entry: Quarantined) -> None:
        """Add or renew an entry: keys are united with those kept, and an older version never replaces a newer."""

        def merged(fields: Fields | None) -> Fields | None:
            if fields is not None and fields["version"] > entry.version:
                return None
            kept = {tuple(key) for key in fields["keys"]} if fields else set()
            keys = sorted(kept | {tuple(key) for key in entry.keys})
            return {
                "source_id": entry.source_id,
                "version": entry.version,
                "reason": entry.reason.value,
                "detail": entry.detail,
                "keys": [list(key) for key in keys],
                "at_ms": fields["at_ms"] if fields else self._clock.wall_ms(),
            }

        await self._rows.update(f"quarantine/{entry.lane}", f"{entry.source}\n{address(entry.source_id)}", merged)

    async def clear(self, entry: Quarantined, version: str) -> None:
        """Remove an entry once a change of its id, at least as new, has been applied."""
        row = await self._rows.get(f"quarantine/{entry.lane}", f"{entry.source}\n{address(entry.source_id)}")
        if row is not None and row.fields["version"] <= version:
            await self._rows.delete(row)


class Evidence:
    """The partition ``evidence``: the newest finding of each kind, with its wall time in ``at_ms``."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        """Wrap the rows."""
        self._rows = rows
        self._clock = clock

    async def put(self, kind: str, finding: Fields) -> None:
        """Replace the finding of a kind."""
        dated = {**finding, "at_ms": self._clock.wall_ms()}
        await self._rows.update("evidence", kind, lambda _: dated)

    async def get(self, kind: str) -> Fields | None:
        """Return the newest finding of a kind."""
        row = await self._rows.get("evidence", kind)
        return None if row is None else row.fields

    async def all(self) -> dict[str, Fields]:
        """Return the newest finding of every kind, by kind."""
        return {row.name: row.fields for row in await self._rows.all("evidence")}


def _quarantined(row: Row) -> Quarantined:
    fields = row.fields
    return Quarantined(
        row.name.partition("\n")[0],
        fields["source_id"],
        fields["version"],
        Reason(fields["reason"]),
        fields["detail"],
        tuple(TargetKey(*key) for key in fields["keys"]),
        fields["at_ms"],
        Lane(row.partition.removeprefix("quarantine/")),
    )
