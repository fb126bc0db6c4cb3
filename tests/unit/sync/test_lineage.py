"""Which shards may be read: parents before children, and what is lost is said (protocol §5)."""

from dynamo.ports import ShardDescription
from ledger.streams import ShardRow
from sync.lineage import lost, orphans, parents, ready


def rows(*shards: ShardRow) -> dict[str, ShardRow]:
    return {shard.shard_id: shard for shard in shards}


def row(name: str, parent: str | None = None, *, ended: bool = False) -> ShardRow:
    return ShardRow("users", name, parent, ended=ended)


def names(found: list[ShardRow]) -> list[str]:
    return [shard.shard_id for shard in found]


def test_a_child_waits_until_its_parent_has_ended() -> None:
    family = rows(row("a"), row("a1", "a"), row("a2", "a"), row("b"))
    assert names(ready(family, [])) == ["a", "b"]
    assert names(ready({**family, "a": row("a", ended=True)}, ["b"])) == ["a1", "a2"]


def test_a_grandchild_waits_for_its_own_parent_only() -> None:
    family = rows(row("a", ended=True), row("b", "a"), row("c", "b"))
    assert names(ready(family, [])) == ["b"]


def test_a_parent_nobody_could_write_down_counts_as_ended() -> None:
    assert names(ready(rows(row("b", "a")), [])) == ["b"]


def test_what_has_ended_or_runs_is_not_started() -> None:
    assert ready(rows(row("a", ended=True), row("b")), ["b"]) == []


def test_a_shard_that_vanished_before_its_end_is_lost() -> None:
    assert lost(rows(row("a"), row("b", ended=True), row("c")), ["c"]) == ["a"]


def test_a_new_shard_of_an_unknown_parent_is_an_orphan_but_not_at_first_sight() -> None:
    seen = [ShardDescription("c", "b"), ShardDescription("a", None)]
    assert orphans({}, seen) == []
    assert orphans(rows(row("a", ended=True)), seen) == ["c"]
    assert orphans(rows(row("a", ended=True), row("c", "b")), seen) == []
    assert orphans(rows(row("a", ended=True)), [*seen, ShardDescription("b", "a")]) == []


def test_parents_are_told_of_every_shard() -> None:
    assert parents(rows(row("a"), row("b", "a"))) == {"a": None, "b": "a"}
