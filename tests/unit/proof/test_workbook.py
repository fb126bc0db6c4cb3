"""The workbook: what was saved stands, what was not is as if it had never been; and it is one process's."""

from pathlib import Path

import pytest

from domain.errors import FatalError
from domain.items import TargetKey, text
from dynamo.scanfile import Cursor
from proof.census import Census
from proof.workbook import Claim, Workbook

NOW_MS = 1_795_440_000_000
ADA, BOB = Claim(TargetKey("USER#a", "METADATA"), "users/a"), Claim(TargetKey("USER#b", "METADATA"), "users/b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plan.workbook"


def test_a_proof_goes_on_where_its_last_save_was(path: Path) -> None:
    first = Workbook.open(path, about="p", now_ms=NOW_MS)
    assert first.claim([ADA]) == []
    moved = Cursor("users", 1, 4, start={"id": text("m")})
    first.save([moved, Cursor("users", 2, 4, done=True)], Census(items={"users": 7}).document())  # type: ignore[arg-type]
    first.claim([BOB])
    first.offend("too-large", "", "users/b")
    first.close(remove=False)  # as a kill does: nothing since the save counts
    second = Workbook.open(path, about="p", now_ms=NOW_MS)
    assert second.cursors("users", 9) == [
        Cursor("users", 0, 4),
        moved,
        Cursor("users", 2, 4, done=True),
        Cursor("users", 3, 4),
    ]
    assert Census.read(second.census() or {}).items["users"] == 7
    assert list(second.offenders()) == []
    assert second.claim([ADA, BOB]) == [], "the same id may claim its keys again"
    assert second.claim([Claim(ADA.key, "users/x"), Claim(BOB.key, "users/b")]) == [Claim(ADA.key, "users/x")]


def test_one_of_another_plan_or_scope_is_begun_anew(path: Path) -> None:
    first = Workbook.open(path, about="p", now_ms=NOW_MS)
    first.claim([ADA])
    first.save([Cursor("users", 0, 1, done=True)], Census().document())
    first.close(remove=False)
    second = Workbook.open(path, about="another", now_ms=NOW_MS)
    assert second.census() is None
    assert second.cursors("users", 2) == [Cursor("users", 0, 2), Cursor("users", 1, 2)]
    assert second.claim([Claim(ADA.key, "users/x")]) == []


@pytest.mark.parametrize("later_ms", [24 * 3600 * 1000, -1])
def test_one_that_was_begun_a_day_ago_or_in_the_future_is_begun_anew(path: Path, later_ms: int) -> None:
    first = Workbook.open(path, about="p", now_ms=NOW_MS)
    first.save([Cursor("users", 0, 1, done=True)], Census().document())
    first.close(remove=False)
    soon = Workbook.open(path, about="p", now_ms=NOW_MS + 24 * 3600 * 1000 - 1)
    assert (soon.begun_ms, soon.census() is None) == (NOW_MS, False)
    soon.close(remove=False)
    late = Workbook.open(path, about="p", now_ms=NOW_MS + later_ms)
    assert (late.begun_ms, late.census()) == (NOW_MS + later_ms, None)


def test_a_full_disk_is_told_as_one(path: Path) -> None:
    workbook = Workbook.open(path, about="p", now_ms=NOW_MS)
    workbook._file.connection.execute("PRAGMA max_page_count = 9")
    claims = [Claim(TargetKey(f"USER#{each}", "M"), "users/a") for each in range(9_999)]
    with pytest.raises(FatalError, match="full"):
        workbook.claim(claims)


def test_a_second_process_is_refused_and_the_first_goes_on(path: Path) -> None:
    first = Workbook.open(path, about="p", now_ms=NOW_MS)
    with pytest.raises(FatalError, match="cannot be used"):
        Workbook.open(path, about="p", now_ms=NOW_MS)
    assert first.claim([ADA]) == []


def test_nobody_else_may_read_it_and_it_goes_when_all_is_done(path: Path) -> None:
    path.touch(mode=0o666)
    workbook = Workbook.open(path, about="p", now_ms=NOW_MS)
    assert path.stat().st_mode & 0o077 == 0
    workbook.close(remove=True)
    assert not path.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="nowhere"):
        Workbook.open(tmp_path / "nowhere" / "plan.workbook", about="p", now_ms=NOW_MS)


def test_offenders_are_kept_up_to_a_number_and_given_back_in_order() -> None:
    workbook = Workbook.open(None, about="p", now_ms=NOW_MS)
    for number in range(10_050):
        workbook.offend("too-large", "", f"users/{number:05}")
    workbook.offend("collision", "USER#a", "users/z")
    kept = list(workbook.offenders())
    assert len(kept) == 10_001
    assert kept[0] == {"kind": "collision", "detail": "USER#a", "item": "users/z"}
    assert workbook.examples("too-large", 2) == ["users/00000", "users/00001"]
    assert workbook.examples("collision", 2) == ["users/z: USER#a"]


def test_no_key_stands_in_it_readably(path: Path) -> None:
    workbook = Workbook.open(path, about="p", now_ms=NOW_MS)
    workbook.claim([Claim(TargetKey("REFRESH_TOKEN#s3cr3t-t0ken", "METADATA"), "refresh-tokens/s3cr3t-t0ken")])
    workbook.save([], Census().document())
    workbook.close(remove=False)
    assert b"s3cr3t" not in path.read_bytes()
