"""What one generation has seen of both sides, on disk, and the suspects that come of it: memory stays flat at any size.

Every place (a target key, or a source id) must have been seen once on each side, with the same content; the rest is
suspect. It holds keys in clear: readable by its owner only, removed at the end of its generation (`dynamo.scanfile`).
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Final, Self

from domain.items import TargetKey
from domain.phases import Side
from dynamo.scanfile import Cursor, FileKind, ScanFile
from reconcile.comparison import Seen

_KIND: Final = FileKind(
    "worksheet",
    """
    CREATE TABLE IF NOT EXISTS seen (place BLOB, content BLOB, side INTEGER, source_id BLOB, pk BLOB, sk BLOB);
    CREATE TABLE IF NOT EXISTS suspects (source_id BLOB, pk BLOB, sk BLOB);
    CREATE INDEX IF NOT EXISTS suspects_by_id ON suspects (source_id);
    """,
    "make room, or end the other comparison that works on it",
)

_SIDES: Final = {Side.SOURCE: 1, Side.TARGET: 2}

_JOIN: Final = """
    INSERT INTO suspects SELECT DISTINCT source_id, pk, sk FROM seen WHERE place IN (
        SELECT place FROM seen GROUP BY place
        HAVING COUNT(*) != 2 OR SUM(side) != 3 OR MIN(content) != MAX(content)
    )
"""

_AT_ONCE: Final = 50_000
"""Rows that are joined on the spot; more are joined in a thread, so that the lease is renewed meanwhile."""


_INTERRUPTED_AGAIN: Final = 0.05
"""Seconds until a join that goes on all the same is interrupted again."""


class Worksheet:
    """The file, as a comparison sees it."""

    def __init__(self, file: ScanFile) -> None:
        """See `open` and `of`."""
        self._file = file

    @classmethod
    def open(cls, path: Path | None, *, about: str, now_ms: int) -> Self:
        """Open or create it; see `ScanFile.open`, also for what everything here raises."""
        return cls(ScanFile.open(path, _KIND, about=about, now_ms=now_ms))

    @classmethod
    def of(cls, suspects: Mapping[str, Collection[TargetKey]]) -> Self:
        """Return one that holds these suspects and has seen nothing."""
        sheet = cls.open(None, about="", now_ms=0)
        sheet.suspect(suspects)
        return sheet

    @property
    def begun_ms(self) -> int:
        """Return when the first page was asked for, in wall milliseconds: everything is compared since then."""
        return self._file.begun_ms

    def begin(self, ground: str) -> str | None:
        """Note the ground that it is begun on; return the one that it was begun on if it is gone on with."""
        known = self._file.fact("ground")
        if known is None:
            self._file.note("ground", ground)
            self._file.commit()
        return known

    def cursors(self, scan: str, segments: int) -> list[Cursor]:
        """Return the cursors of a scan: those written down, else ``segments`` new ones."""
        return self._file.cursors(scan, segments)

    def figure(self, name: str) -> Decimal:
        """Return the sum of a figure over the pages."""
        return Decimal(self._file.fact(name) or 0)

    def take(self, side: Side, seen: Sequence[Seen], cursor: Cursor, figures: Mapping[str, int | str]) -> None:
        """Write down what a page says, where its cursor stands, and its figures, all at once."""
        rows = [(each.place, each.content, _SIDES[side], _blob(each.source_id), *_blobs(each.key)) for each in seen]
        self._file.run_many("INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?)", rows)
        self._file.move(cursor)
        for name, value in figures.items():
            self._file.note(name, str(self.figure(name) + Decimal(value)))
        self._file.commit()

    def suspect(self, source_ids: Mapping[str, Collection[TargetKey]]) -> int:
        """Suspect these, whatever was seen; return how many source ids are suspect now."""
        rows = [(_blob(name), *_blobs(key)) for name, keys in source_ids.items() for key in (*keys, None)]
        self._file.run_many("INSERT INTO suspects VALUES (?, ?, ?)", rows)
        self._file.commit()
        return self.left()

    def suspect_all(self) -> int:
        """Suspect whoever was seen; return how many source ids are suspect now."""
        self._file.run("INSERT INTO suspects SELECT DISTINCT source_id, pk, sk FROM seen")
        return self.left()

    async def find_suspects(self) -> int:
        """Join both sides; return how many source ids are suspect. One that was killed in it begins it anew."""
        self._file.run("DELETE FROM suspects")
        (rows,) = self._file.run("SELECT MAX(rowid) FROM seen").fetchone()
        if (rows or 0) > _AT_ONCE:
            await self._in_thread(_JOIN)
        else:
            self._file.run(_JOIN)
        return self.left()

    def left(self) -> int:
        """Return how many suspects (source ids) are not settled."""
        (count,) = self._file.run("SELECT COUNT(DISTINCT source_id) FROM suspects").fetchone()
        return int(count)

    def batches(self, size: int) -> Iterator[dict[str, set[TargetKey]]]:
        """Yield the suspects in order, so many ids at once, with the keys to look at; some may be settled meanwhile."""
        behind = b""
        while rows := self._file.run(
            "SELECT source_id, pk, sk FROM suspects WHERE source_id IN ("
            "SELECT DISTINCT source_id FROM suspects WHERE source_id > ? ORDER BY source_id LIMIT ?"
            ") ORDER BY source_id",
            (behind, size),
        ).fetchall():
            behind = rows[-1][0]
            yield {
                _text(name): {TargetKey(_text(pk), _text(sk)) for _, pk, sk in own if pk is not None}
                for name, own in groupby(rows, itemgetter(0))
            }

    def settle(self, source_ids: Iterable[str]) -> None:
        """Strike suspects out."""
        self._file.run_many("DELETE FROM suspects WHERE source_id = ?", [(_blob(name),) for name in source_ids])
        self._file.commit()

    def close(self, *, remove: bool) -> None:
        """Close it; ``remove`` it when its generation is over."""
        self._file.close(remove=remove)

    async def _in_thread(self, statement: str) -> None:
        """Run a statement beside the loop. A cancellation interrupts it, and waits until the file is left alone."""
        work = asyncio.ensure_future(asyncio.to_thread(self._file.run, statement))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            # One that has not begun yet is not interrupted: hence again and again, and even when called off twice.
            while not work.done():
                self._file.connection.interrupt()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({work}, timeout=_INTERRUPTED_AGAIN)
            work.exception()
            raise


def _blob(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _blobs(key: TargetKey | None) -> tuple[bytes | None, bytes | None]:
    return (None, None) if key is None else (_blob(key.pk), _blob(key.sk))


def _text(blob: bytes) -> str:
    return blob.decode("utf-8", "surrogatepass")
