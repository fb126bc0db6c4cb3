"""What a proof has done so far, in one SQLite file beside its report: cursors, census, target keys, offenders.

A page's cursor, counts and keys are written in one transaction, so that a proof that was killed goes on exactly where
it was. Keys stand in it as digests; cursors hold key values of legacy items, so the file is readable by its owner only
and is removed when the report is written. SQLite rather than DuckDB: many small transactions and one unique index.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from domain.errors import FatalError
from domain.items import Item, TargetKey

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursors (
    source TEXT, segment INTEGER, segments INTEGER NOT NULL, start TEXT, done INTEGER NOT NULL,
    PRIMARY KEY (source, segment)
);
CREATE TABLE IF NOT EXISTS keys (digest BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS offenders (kind TEXT, detail TEXT, item TEXT);
"""
MOST_AGE_MS = 24 * 3600 * 1000
"""A proof that was begun longer ago says little about tables that are being written."""

MOST_OFFENDERS = 10_000
"""Offenders kept per kind; the counts are exact whatever is kept."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one segment of a source's scan has come; ``start`` None: at its beginning, unless it is done."""

    source: str
    segment: int
    segments: int
    start: Item | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """A source id's claim to a target key."""

    key: TargetKey
    source_id: str


class Workbook:
    """The file. Not for several processes at once: the second is refused."""

    def __init__(self, connection: sqlite3.Connection, path: Path | None) -> None:
        """See `open`."""
        self._connection = connection
        self._path = path
        self._kept: dict[str, int] = dict(
            connection.execute("SELECT kind, COUNT(*) FROM offenders GROUP BY kind").fetchall()
        )

    @classmethod
    def open(cls, path: Path | None, *, about: str, now_ms: int) -> Self:
        """Open or create it; ``about`` says which proof it is of: one of another proof, or of a day ago, is begun anew.

        ``path`` None keeps it in a file without a name, which goes with the process. Raises FatalError when the file
        cannot be written, or another process works on it; so does everything below.
        """
        try:
            if path is not None:
                path.touch(mode=0o600)
                path.chmod(0o600)
            connection = sqlite3.connect("" if path is None else path, timeout=0, isolation_level=None)
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.executescript(_TABLES)
            known = dict(connection.execute("SELECT name, value FROM facts WHERE name IN ('about', 'begun_ms')"))
            if known.get("about") != about or not 0 <= now_ms - int(known["begun_ms"]) < MOST_AGE_MS:
                connection.executescript(
                    "DELETE FROM facts; DELETE FROM cursors; DELETE FROM keys; DELETE FROM offenders;"
                )
                connection.execute("INSERT INTO facts VALUES ('about', ?), ('begun_ms', ?)", (about, str(now_ms)))
        except (OSError, sqlite3.Error) as error:
            raise _unusable(path, error) from error
        return cls(connection, path)

    @property
    def begun_ms(self) -> int:
        """Return when this proof was begun, in wall milliseconds: what it says is as old as that."""
        (value,) = self._run("SELECT value FROM facts WHERE name = 'begun_ms'").fetchone()
        return int(value)

    def cursors(self, source: str, segments: int) -> list[Cursor]:
        """Return the cursors of a source's scan: those written down, else ``segments`` new ones."""
        rows = self._run(
            "SELECT segment, segments, start, done FROM cursors WHERE source = ? ORDER BY segment", (source,)
        ).fetchall()
        known = {row[0]: Cursor(source, row[0], row[1], _read(row[2]), bool(row[3])) for row in rows}
        count = rows[0][1] if rows else segments
        return [known.get(number, Cursor(source, number, count)) for number in range(count)]

    def census(self) -> dict[str, Any] | None:
        """Return the census as it was written last."""
        row = self._run("SELECT value FROM facts WHERE name = 'census'").fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def claim(self, claims: Sequence[Claim]) -> list[Claim]:
        """Write target keys down, from `save` on for good; return the claims to a key that another one holds."""
        self._begin()
        rows = [(_digest(claim.key.pk, claim.key.sk), _digest(claim.source_id)) for claim in claims]
        before = self._connection.total_changes
        try:
            self._connection.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error
        if self._connection.total_changes - before == len(rows):
            return []
        return [claim for claim, row in zip(claims, rows, strict=True) if not self._holds(*row)]

    def offend(self, kind: str, detail: str, item: str) -> None:
        """Keep who offended (masked), up to a number per kind."""
        if self._kept.get(kind, 0) < MOST_OFFENDERS:
            self._begin()
            self._kept[kind] = self._kept.get(kind, 0) + 1
            self._run("INSERT INTO offenders VALUES (?, ?, ?)", (kind, detail, item))

    def save(self, cursors: Iterable[Cursor], census: dict[str, Any]) -> None:
        """Write down at once: where these cursors stand, the census, and all since the last call."""
        self._begin()
        for each in cursors:
            start = None if each.start is None else json.dumps(each.start)
            place = (each.source, each.segment, each.segments, start, each.done)
            self._run("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)", place)
        self._run("INSERT OR REPLACE INTO facts VALUES ('census', ?)", (json.dumps(census),))
        self._run("COMMIT")

    def offenders(self) -> Iterator[dict[str, str]]:
        """Yield who offended, kind by kind."""
        rows = self._run("SELECT kind, detail, item FROM offenders ORDER BY kind, detail, item")
        for kind, detail, item in rows:
            yield {"kind": kind, "detail": detail, "item": item}

    def examples(self, kind: str, count: int) -> list[str]:
        """Return a few offenders of a kind, each with what is said of it."""
        rows = self._run(
            "SELECT DISTINCT item, detail FROM offenders WHERE kind = ? ORDER BY item, detail LIMIT ?", (kind, count)
        )
        return [f"{item}: {detail}" if detail else item for item, detail in rows]

    def close(self, *, remove: bool) -> None:
        """Close it; ``remove`` it when its work is done."""
        self._connection.close()
        if remove and self._path is not None:
            os.unlink(self._path)  # noqa: PTH108 - as it was opened

    def _run(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise _unusable(self._path, error) from error

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._run("BEGIN")

    def _holds(self, digest: bytes, owner: bytes) -> bool:
        row = self._run("SELECT owner FROM keys WHERE digest = ?", (digest,)).fetchone()
        return bool(row == (owner,))


def _unusable(path: Path | None, error: Exception) -> FatalError:
    message = f"the workbook {path or ''} cannot be used: {error}"
    return FatalError(message, hint="make room, name another --report, or wait for the other `tableturn plan`")


def _digest(*parts: str) -> bytes:
    hashed = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        hashed.update(len(encoded).to_bytes(4) + encoded)
    return hashed.digest()


def _read(written: str | None) -> Item | None:
    return None if written is None else dict(json.loads(written))
