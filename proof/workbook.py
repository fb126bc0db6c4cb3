"""What a proof has done so far, beside its report: the cursors of its scan, census, target keys, offenders.

Keys stand in it as digests. What makes a proof that was killed go on exactly where it was is `dynamo.scanfile`.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from domain.items import TargetKey, text_digest
from dynamo.scanfile import Cursor, FileKind, ScanFile

_KIND: Final = FileKind(
    "workbook",
    """
    CREATE TABLE IF NOT EXISTS keys (digest BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS offenders (kind TEXT, detail TEXT, item TEXT);
    """,
    "make room, name another --report, or wait for the other `tableturn plan`",
)

MOST_OFFENDERS = 10_000
"""Offenders kept per kind; the counts are exact whatever is kept."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A source id's claim to a target key."""

    key: TargetKey
    source_id: str


class Workbook:
    """The file, as a proof sees it."""

    def __init__(self, file: ScanFile) -> None:
        """See `open`."""
        self._file = file
        kept = file.run("SELECT kind, COUNT(*) FROM offenders GROUP BY kind").fetchall()
        self._kept: dict[str, int] = dict(kept)

    @classmethod
    def open(cls, path: Path | None, *, about: str, now_ms: int) -> Self:
        """Open or create it; see `ScanFile.open`, also for what everything here raises."""
        return cls(ScanFile.open(path, _KIND, about=about, now_ms=now_ms))

    @property
    def begun_ms(self) -> int:
        """Return when this proof was begun, in wall milliseconds: what it says is as old as that."""
        return self._file.begun_ms

    def cursors(self, source: str, segments: int) -> list[Cursor]:
        """Return the cursors of a source's scan: those written down, else ``segments`` new ones."""
        return self._file.cursors(source, segments)

    def census(self) -> dict[str, Any] | None:
        """Return the census as it was written last."""
        written = self._file.fact("census")
        return None if written is None else dict(json.loads(written))

    def claim(self, claims: Sequence[Claim]) -> list[Claim]:
        """Write target keys down, from `save` on for good; return the claims to a key that another one holds."""
        rows = [(text_digest(claim.key.pk, claim.key.sk), text_digest(claim.source_id)) for claim in claims]
        if self._file.run_many("INSERT OR IGNORE INTO keys VALUES (?, ?)", rows) == len(rows):
            return []
        return [claim for claim, row in zip(claims, rows, strict=True) if not self._holds(*row)]

    def offend(self, kind: str, detail: str, item: str) -> None:
        """Keep who offended (masked), up to a number per kind."""
        if self._kept.get(kind, 0) < MOST_OFFENDERS:
            self._file.begin()
            self._kept[kind] = self._kept.get(kind, 0) + 1
            self._file.run("INSERT INTO offenders VALUES (?, ?, ?)", (kind, detail, item))

    def save(self, cursors: Iterable[Cursor], census: dict[str, Any]) -> None:
        """Write down at once: where these cursors stand, the census, and all since the last call."""
        for each in cursors:
            self._file.move(each)
        self._file.note("census", json.dumps(census))
        self._file.commit()

    def offenders(self) -> Iterator[dict[str, str]]:
        """Yield who offended, kind by kind."""
        rows = self._file.run("SELECT kind, detail, item FROM offenders ORDER BY kind, detail, item")
        for kind, detail, item in rows:
            yield {"kind": kind, "detail": detail, "item": item}

    def examples(self, kind: str, count: int) -> list[str]:
        """Return a few offenders of a kind, each with what is said of it."""
        rows = self._file.run(
            "SELECT DISTINCT item, detail FROM offenders WHERE kind = ? ORDER BY item, detail LIMIT ?", (kind, count)
        )
        return [f"{item}: {detail}" if detail else item for item, detail in rows]

    def close(self, *, remove: bool) -> None:
        """Close it; ``remove`` it when its work is done."""
        self._file.close(remove=remove)

    def _holds(self, digest: bytes, owner: bytes) -> bool:
        row = self._file.run("SELECT owner FROM keys WHERE digest = ?", (digest,)).fetchone()
        return bool(row == (owner,))
