"""The journal: one order per item, and nothing to draw that is taken or about to vanish."""

import json
from pathlib import Path
from random import Random

from domain.items import Item, number, text
from domain.phases import Side
from service.demo.journal import Entry, Journal, Name, wall_ms
from service.demo.proof import Outcome, Switched, silences
from tests.unit.demo.test_expectations import CONTRACTOR, USER

PEOPLE = Name("users", "u1")


def entry(name: Name, after: Item | None, *, side: Side = Side.SOURCE, epoch: int = 0, at_ms: int = 0) -> Entry:
    return Entry(name, side, epoch, "write", None, after, seen=False, at_ms=at_ms)


def test_what_is_gone_taken_or_about_to_expire_is_not_drawn() -> None:
    journal, random, now_s = Journal(), Random(1), wall_ms() // 1000
    names = [Name("contractors", f"c{each}") for each in range(4)]
    for name, ttl in zip(names, (now_s + 999, now_s + 999, now_s + 999, now_s + 5), strict=True):
        journal.acknowledge(entry(name, {**CONTRACTOR, "ttl": number(ttl)}))
    journal.acknowledge(entry(names[0], None))
    assert journal.claim(names[1])
    assert not journal.claim(names[1])
    assert {journal.choose("contractors", random) for _ in range(50)} == {names[2]}
    journal.release(names[1])
    assert {journal.choose("contractors", random) for _ in range(50)} == {names[1], names[2]}
    assert journal.choose("users", random) is None


def test_only_the_target_knows_a_users_time_to_live() -> None:
    """A legacy user may have an attribute of that name; it means nothing there."""
    journal = Journal()
    journal.acknowledge(entry(PEOPLE, {**USER, "ttl": number(1), "expireAt": number(1)}))
    assert journal.choose("users", Random(1)) == PEOPLE


def test_spans_count_the_changes_of_side() -> None:
    """A switch that was taken back changes the flag's epoch, not the side."""
    journal = Journal()
    for epoch, side in ((0, Side.SOURCE), (2, Side.SOURCE), (5, Side.TARGET), (8, Side.SOURCE)):
        journal.acknowledge(entry(PEOPLE, USER, side=side, epoch=epoch))
    spans = journal.spans()
    assert [spans(epoch) for epoch in (0, 2, 5, 6, 8, 9)] == [0, 0, 1, 1, 2, 2]


def test_every_line_of_the_file_is_one_write(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.acknowledge(entry(PEOPLE, USER))
    journal.acknowledge(entry(PEOPLE, None))
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(line["name"], line["after"]) for line in lines] == [(["users", "u1"], USER), (["users", "u1"], None)]


def test_silence_is_measured_from_the_last_write_of_one_side_to_the_first_of_the_other() -> None:
    entries = [
        entry(PEOPLE, USER, at_ms=1_000),
        entry(PEOPLE, USER, at_ms=2_000, epoch=2),
        entry(PEOPLE, USER, at_ms=4_500, side=Side.TARGET, epoch=5),
        entry(PEOPLE, USER, at_ms=9_000, side=Side.TARGET, epoch=5),
        entry(PEOPLE, USER, at_ms=9_700, epoch=8),
    ]
    assert silences(entries) == [2_500, 700]


def test_the_proof_fails_when_anything_is_amiss() -> None:
    good = Outcome(seed=1, rate=40, worker_exit=0, switches=[Switched("cutover", 4_999, {}, "everything")])
    assert good.passed
    assert not Outcome(seed=1, rate=40, worker_exit=1).passed
    assert not Outcome(seed=1, rate=40, worker_exit=0, failure="the worker died").passed
    assert not Outcome(seed=1, rate=40, worker_exit=0, unexplained=1).passed
    assert not Outcome(seed=1, rate=40, worker_exit=0, switches=[Switched("cutover", 5_000, {}, "everything")]).passed


def test_a_name_that_is_deleted_and_made_again_can_be_drawn_again() -> None:
    journal = Journal()
    for after in (USER, None, {**USER, "name": text("again")}):
        journal.acknowledge(entry(PEOPLE, after))
    assert journal.choose("users", Random(1)) == PEOPLE
    assert journal.latest(PEOPLE) == {**USER, "name": text("again")}
