"""The worksheet: what was taken stands, a kill costs a page at most, and a flood of suspects comes in batches."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest

from domain.errors import FatalError
from domain.items import TargetKey, text, text_digest
from domain.phases import Side
from dynamo.scanfile import Cursor, FileKind, ScanFile
from reconcile.comparison import Seen
from reconcile.worksheet import Worksheet

NOW_MS = 1_795_440_000_000


def said(name: str, content: str, key: TargetKey | None = None) -> Seen:
    return Seen(text_digest("id", name), text_digest(content), name, key)


def taken(sheet: Worksheet, side: Side, seen: Sequence[Seen], start: str | None = None) -> None:
    cursor = Cursor(side, 0, 1, start=None if start is None else {"id": text(start)}, done=start is None)
    sheet.take(side, seen, cursor, {"compared": len(seen), "read_units": "0.5"})


def suspects(sheet: Worksheet, size: int = 100) -> dict[str, set[TargetKey]]:
    asyncio.run(sheet.find_suspects())
    return {name: keys for batch in sheet.batches(size) for name, keys in batch.items()}


def test_a_killed_comparison_goes_on_where_its_last_page_was(tmp_path: Path) -> None:
    path = tmp_path / "entities.worksheet"
    first = Worksheet.open(path, about="p", now_ms=NOW_MS)
    taken(first, Side.SOURCE, [said("users/a", "1"), said("users/b", "1")])
    taken(first, Side.TARGET, [said("users/a", "1")], start="a")
    first.close(remove=False)
    assert path.stat().st_mode & 0o777 == 0o600
    second = Worksheet.open(path, about="p", now_ms=NOW_MS + 5_000)
    assert second.begun_ms == NOW_MS, "it says nothing of what came after its first page"
    assert second.cursors(Side.SOURCE, 4) == [Cursor(Side.SOURCE, 0, 1, done=True)]
    assert second.cursors(Side.TARGET, 4) == [Cursor(Side.TARGET, 0, 1, start={"id": text("a")})]
    taken(second, Side.TARGET, [said("users/b", "another")])
    assert suspects(second).keys() == {"users/b"}
    assert (second.figure("compared"), second.figure("read_units")) == (Decimal(4), Decimal("1.5"))
    second.close(remove=True)
    assert not path.exists()


def test_the_room_to_sort_in_is_beside_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "worker's own"
    folder.mkdir()
    file = ScanFile.open(folder / "a", FileKind("file", "", ""), about="", now_ms=NOW_MS)
    assert file.run("PRAGMA temp_store_directory").fetchone() == (str(folder),)
    file.close(remove=True)


def test_one_of_another_plan_side_or_revision_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "entities.worksheet"
    first = Worksheet.open(path, about="p", now_ms=NOW_MS)
    taken(first, Side.SOURCE, [said("users/a", "1")])
    first.close(remove=False)
    second = Worksheet.open(path, about="another", now_ms=NOW_MS)
    assert (suspects(second), second.figure("compared")) == ({}, Decimal())
    with pytest.raises(FatalError, match="worksheet"):
        Worksheet.open(path, about="another", now_ms=NOW_MS)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ([said("a", "1")], []),
        ([], [said("a", "1")]),
        ([said("a", "1")], [said("a", "2")]),
        ([said("a", "1")], [said("a", "1"), said("a", "1")]),
        ([said("a", "1"), said("a", "1")], []),
        ([], [said("a", "1"), said("a", "1")]),
        ([said("a", "1"), said("a", "1")], [said("a", "1"), said("a", "1")]),
    ],
)
def test_only_what_each_side_says_once_and_alike_is_agreed_on(source: list[Seen], target: list[Seen]) -> None:
    sheet = Worksheet.open(None, about="", now_ms=NOW_MS)
    taken(sheet, Side.SOURCE, [*source, said("b", "1")])
    taken(sheet, Side.TARGET, [*target, said("b", "1")])
    assert suspects(sheet) == {"a": set()}


def test_a_flood_comes_in_batches_whoever_is_settled_meanwhile() -> None:
    sheet = Worksheet.open(None, about="", now_ms=NOW_MS)
    names = [f"users/{number}" for number in range(1_000)]
    taken(sheet, Side.SOURCE, [said(name, "1", TargetKey(name, part)) for name in names for part in ("A", "B")])
    assert asyncio.run(sheet.find_suspects()) == len(names)
    met: list[str] = []
    for batch in sheet.batches(64):
        assert len(batch) <= 64
        assert all(keys == {TargetKey(name, "A"), TargetKey(name, "B")} for name, keys in batch.items())
        met += batch
        sheet.settle(list(batch)[::2])
    assert sorted(met) == sorted(names)
    assert sheet.left() == sum(len(part) // 2 for part in _parts(met, 64))
    assert sorted(name for batch in sheet.batches(64) for name in batch) == sorted(
        name for part in _parts(met, 64) for name in part[1::2]
    )


def _parts(names: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def test_given_suspects_are_as_found_ones() -> None:
    key = TargetKey("USER#\ud800", "METADATA")
    given = {"users/\ud800": {key}, "users/b": set[TargetKey]()}
    sheet = Worksheet.of(given)
    assert {name: keys for batch in sheet.batches(1) for name, keys in batch.items()} == given


async def test_a_large_join_lets_others_run_and_can_be_called_off() -> None:
    sheet = Worksheet.open(None, about="", now_ms=NOW_MS)
    rng = Random(7)
    rows = [Seen(rng.randbytes(16), rng.randbytes(16), f"users/{number}") for number in range(60_000)]
    taken(sheet, Side.SOURCE, rows)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    beating = asyncio.create_task(beat())
    joining = asyncio.create_task(sheet.find_suspects())
    while beats < 3:
        await asyncio.sleep(0)
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    beating.cancel()
    sheet.close(remove=True)  # nobody works on it any more


@pytest.mark.parametrize("busy_s", [0.0, 0.3], ids=["while it runs", "before it runs"])
async def test_a_large_join_that_is_called_off_twice_leaves_no_thread_at_the_file(
    monkeypatch: pytest.MonkeyPatch, busy_s: float
) -> None:
    sheet = Worksheet.open(None, about="", now_ms=NOW_MS)
    rng = Random(7)
    for _ in range(4):
        rows = [Seen(rng.randbytes(16), rng.randbytes(16), f"users/{number}") for number in range(60_000)]
        taken(sheet, Side.SOURCE, rows)
    entered, left, joined = threading.Event(), threading.Event(), list[object]()
    run = ScanFile.run

    def watched(file: ScanFile, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        if threading.current_thread() is threading.main_thread():
            return run(file, statement, values)
        entered.set()
        threading.Event().wait(busy_s)
        try:
            cursor = run(file, statement, values)
            joined.append(cursor)
        finally:
            left.set()
        return cursor

    monkeypatch.setattr(ScanFile, "run", watched)
    joining = asyncio.create_task(sheet.find_suspects())
    while not entered.is_set():
        await asyncio.sleep(0)
    for _ in range(2):
        joining.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await joining
    assert left.is_set()
    assert not joined, "it was interrupted"
    sheet.close(remove=True)


async def test_a_large_join_finds_what_a_small_one_does() -> None:
    sheet = Worksheet.open(None, about="", now_ms=NOW_MS)
    same = [said(f"users/{number}", "1") for number in range(30_000)]
    taken(sheet, Side.SOURCE, same)
    taken(sheet, Side.TARGET, [*same[1:-1], said("users/29999", "2")])
    assert await sheet.find_suspects() == 2
    assert {name for batch in sheet.batches(5) for name in batch} == {"users/0", "users/29999"}
