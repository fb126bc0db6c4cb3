"""What a scan has found so far, in one SQLite file beside the cursors of its segments: killed, it goes on where it was.

A page's cursor and what was found on it are written in one transaction. Cursors hold key values of items, so the file
is readable by its owner only, and whoever keeps it removes it when its work is done. SQLite rather than DuckDB: many
small transactions, and rows that come one page at a time (docs/adr/0010).
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from domain.errors import FatalError
from domain.items import Item

MOST_AGE_MS: Final = 24 * 3600 * 1000
"""A scan that was begun longer ago says little about tables that are being written."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cursors (
    scan TEXT, segment INTEGER, segments INTEGER NOT NULL, start TEXT, done INTEGER NOT NULL,
    PRIMARY KEY (scan, segment)
);
"""


class ScanFileError(FatalError):
    """The file cannot be used: the disk is full, or it is no such file. Tables and ledger are as they were."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far one segment of a scan has come; ``start`` None: at its beginning, unless it is done."""

    scan: str
    segment: int
    segments: int
    start: Item | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class FileKind:
    """What such a file is called, which tables of its own it has (SQL), and the way out when it cannot be used."""

    name: str
    tables: str
    hint: str


class ScanFile:
    """The file. Not for several processes at once: the second is refused."""

    def __init__(self, connection: sqlite3.Connection, kind: FileKind, path: Path | None) -> None:
        """See `open`."""
        self.connection = connection
        self._kind = kind
        self._path = path

    @classmethod
    def open(cls, path: Path | None, kind: FileKind, *, about: str, now_ms: int) -> Self:
        """Open or create it; ``about`` says of which scan it is: one of another scan, or of a day ago, is begun anew.

        ``path`` None keeps it in a file without a name, which goes with the process. Raises FatalError when the file
        cannot be written, or another process works on it; so does everything below.
        """
        try:
            if path is not None:
                path.touch(mode=0o600)
                path.chmod(0o600)
            connection = sqlite3.connect(
                "" if path is None else path, timeout=0, isolation_level=None, check_same_thread=False
            )
            if path is not None:  # room to sort in is looked for beside the file, where it was asked for
                folder = str(path.absolute().parent).replace("'", "''")
                connection.execute(f"PRAGMA temp_store_directory = '{folder}'")
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("COMMIT")
            connection.executescript(_TABLES + kind.tables)
            known = dict(connection.execute("SELECT name, value FROM facts WHERE name IN ('about', 'begun_ms')"))
            if known.get("about") != about or not 0 <= now_ms - int(known["begun_ms"]) < MOST_AGE_MS:
                _empty(connection)
                connection.execute("INSERT INTO facts VALUES ('about', ?), ('begun_ms', ?)", (about, str(now_ms)))
        except (OSError, sqlite3.Error) as error:
            raise _unusable(kind, path, error) from error
        return cls(connection, kind, path)

    @property
    def begun_ms(self) -> int:
        """Return when this scan was begun, in wall milliseconds: what it says is as old as that."""
        return int(self.fact("begun_ms") or 0)

    def fact(self, name: str) -> str | None:
        """Return what was noted under a name."""
        row = self.run("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def note(self, name: str, value: str) -> None:
        """Note something under a name, from `commit` on for good."""
        self.begin()
        self.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def cursors(self, scan: str, segments: int) -> list[Cursor]:
        """Return the cursors of a scan: those written down, else ``segments`` new ones."""
        rows = self.run(
            "SELECT segment, segments, start, done FROM cursors WHERE scan = ? ORDER BY segment", (scan,)
        ).fetchall()
        known = {row[0]: Cursor(scan, row[0], row[1], _read(row[2]), bool(row[3])) for row in rows}
        count = rows[0][1] if rows else segments
        return [known.get(number, Cursor(scan, number, count)) for number in range(count)]

    def move(self, cursor: Cursor) -> None:
        """Write down where a cursor stands, from `commit` on for good."""
        self.begin()
        start = None if cursor.start is None else json.dumps(cursor.start)
        place = (cursor.scan, cursor.segment, cursor.segments, start, cursor.done)
        self.run("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?, ?, ?)", place)

    def begin(self) -> None:
        """Begin a transaction unless one is under way."""
        if not self.connection.in_transaction:
            self.run("BEGIN")

    def commit(self) -> None:
        """Write down all since the last call at once."""
        self.begin()
        self.run("COMMIT")

    def run(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        try:
            return self.connection.execute(statement, values)
        except sqlite3.Error as error:
            raise _unusable(self._kind, self._path, error) from error

    def run_many(self, statement: str, rows: Iterable[Sequence[object]]) -> int:
        """Run a statement for each row within a transaction; return how many rows it changed."""
        self.begin()
        before = self.connection.total_changes
        try:
            self.connection.executemany(statement, rows)
        except sqlite3.Error as error:
            raise _unusable(self._kind, self._path, error) from error
        return self.connection.total_changes - before

    def close(self, *, remove: bool) -> None:
        """Close it; ``remove`` it when its work is done."""
        self.connection.close()
        if remove and self._path is not None:
            os.unlink(self._path)  # noqa: PTH108 - as it was opened


def _empty(connection: sqlite3.Connection) -> None:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (name,) in names:
        connection.execute(f'DELETE FROM "{name}"')  # noqa: S608 - a name that SQLite itself gave


def _unusable(kind: FileKind, path: Path | None, error: Exception) -> ScanFileError:
    return ScanFileError(f"the {kind.name} {path or ''} cannot be used: {error}", hint=kind.hint)


def _read(written: str | None) -> Item | None:
    return None if written is None else dict(json.loads(written))
