"""Marks under way, and the spans that settled ones made (protocol §1, §8, §9).

A mark is ``pending`` until the sequence that wrote it knows its outcome: ``kept`` (it now bounds a span) or ``dropped``
(the sequence went back). Readers stop at a pending mark and go on when it is settled.
"""

from dataclasses import dataclass
from enum import StrEnum

from domain.cuts import Cut, Span
from dynamo.ports import Action, Put
from ledger.rows import Fields, Row, Rows
from ledger.streams import Streams


class MarkState(StrEnum):
    """What became of a mark."""

    PENDING = "pending"
    KEPT = "kept"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of one stream."""

    mark_id: str
    stream: str
    state: MarkState
    revision: int


class Marks:
    """The partitions ``marks``, ``cuts/<mark>`` (a row a shard: readers never contend), ``spans/<stream>/<epoch>``."""

    def __init__(self, rows: Rows, streams: Streams) -> None:
        """Wrap the rows; the streams know the epoch in force."""
        self._rows = rows
        self._streams = streams

    async def announce(self, mark_id: str, stream: str) -> None:
        """Write a mark down before its first item is put."""
        await self._rows.put("marks", mark_id, {"stream": stream, "state": MarkState.PENDING}, revision=0)

    async def get(self, mark_id: str) -> Mark | None:
        """Return a mark; None for one nobody announced."""
        row = await self._rows.get("marks", mark_id)
        return None if row is None else _mark(row)

    async def pending(self) -> list[Mark]:
        """Return the marks whose outcome is open."""
        marks = [_mark(row) for row in await self._rows.all("marks")]
        return [mark for mark in marks if mark.state is MarkState.PENDING]

    async def met(self, mark_id: str, shard_id: str, sequence: int) -> None:
        """Note where a reader met the mark; the first place in a shard counts."""
        place = {"sequence": str(sequence)}
        await self._rows.update(f"cuts/{mark_id}", shard_id, lambda standing: None if standing else place)

    async def cut(self, mark_id: str) -> Cut:
        """Return the places where readers have met the mark so far."""
        rows = await self._rows.all(f"cuts/{mark_id}")
        return Cut({row.name: int(row.fields["sequence"]) for row in rows})

    async def drop(self, mark_id: str) -> None:
        """Settle a mark as if it had never been."""

        def dropped(fields: Fields | None) -> Fields | None:
            if fields is None or fields["state"] != MarkState.PENDING:
                return None
            return {**fields, "state": MarkState.DROPPED}

        await self._rows.update("marks", mark_id, dropped)

    def keep_actions(self, mark: Mark, epoch: int, span: tuple[int, Span]) -> list[Action]:
        """Return the writes that settle a mark as kept and put down the span (number, content) it bounds."""
        number, content = span
        partition = _spans(mark.stream, epoch)
        fields = {"stream": mark.stream, "state": MarkState.KEPT}
        bounds = {"opened": _bound(content.opened), "closed": _bound(content.closed)}
        return [
            self._rows.put_action("marks", mark.mark_id, fields, revision=mark.revision),
            self._rows.put_action(partition, f"{number:06}", bounds, revision=1 if content.closed else 0),
        ]

    def first_span(self, stream: str, epoch: int) -> Put:
        """Return the write that says: all of a serving side's stream is the application's until a mark ends it."""
        return self._rows.put_action(_spans(stream, epoch), f"{0:06}", {"opened": None, "closed": None}, revision=0)

    async def spans(self, stream: str) -> list[Span]:
        """Return the spans of a stream in the epoch in force, oldest first; the last one may be open."""
        rows = await self._rows.all(_spans(stream, await self._streams.epoch(stream)))
        return [Span(_cut(row.fields["opened"]), _cut(row.fields["closed"])) for row in rows]


def _spans(stream: str, epoch: int) -> str:
    return f"spans/{stream}/{epoch}"


def _mark(row: Row) -> Mark:
    return Mark(row.name, row.fields["stream"], MarkState(row.fields["state"]), row.revision)


def _bound(cut: Cut | None) -> Fields | None:
    return None if cut is None else {shard: str(sequence) for shard, sequence in cut.places.items()}


def _cut(places: Fields | None) -> Cut | None:
    return None if places is None else Cut({shard: int(sequence) for shard, sequence in places.items()})
