"""Cuts and spans against a brute-force model of a stream: random lineages, marks by time (protocol §9)."""

from dataclasses import dataclass, field
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from domain.cuts import Cut, Span


@dataclass
class Model:
    """A stream told record by record; every record has a moment, so what is before a mark is known for certain."""

    random: Random
    parents: dict[str, str | None] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    records: list[tuple[str, int]] = field(default_factory=list)
    moment: int = 0

    def shard(self, parent: str | None) -> None:
        name = f"s{len(self.parents)}"
        self.parents[name] = parent
        self.open.append(name)

    def write(self) -> None:
        self.moment += 1
        self.records.append((self.random.choice(self.open), self.moment))

    def split(self, children: int) -> None:
        parent = self.open.pop(self.random.randrange(len(self.open)))
        for _ in range(children):
            self.shard(parent)

    def mark(self) -> tuple[Cut, int]:
        """Write a mark under a fence until every open shard shows it; shards may split meanwhile."""
        began, places = self.moment, dict[str, int]()
        while not Cut(places).covers(self.open, self.parents):
            if self.random.random() < 0.2:
                self.split(self.random.choice((1, 2)))
            self.moment += 1
            places.setdefault(self.random.choice(self.open), self.moment)
        return Cut(places), began


def played(seed: int, marks: int) -> tuple[Model, list[tuple[Cut, int]]]:
    model = Model(Random(seed))
    for _ in range(model.random.choice((1, 2, 3))):
        model.shard(None)
    cuts = []
    for turn in range(marks + 1):
        for _ in range(model.random.randrange(12)):
            model.write()
            if model.random.random() < 0.2:
                model.split(model.random.choice((1, 2)))
        if turn < marks:
            cuts.append(model.mark())
    return model, cuts


@given(st.integers(0, 10**6))
def test_a_cut_parts_records_by_when_they_were_written(seed: int) -> None:
    model, ((cut, moment),) = played(seed, 1)
    for shard, written in model.records:
        assert cut.before(shard, written, model.parents) == (written > moment)


@given(st.integers(0, 10**6))
def test_a_span_holds_what_was_written_between_its_cuts(seed: int) -> None:
    model, ((opened, begins), (closed, ends)) = played(seed, 2)
    for shard, written in model.records:
        assert Span(opened, closed).holds(shard, written, model.parents) == (begins < written <= ends)
        assert Span(opened).holds(shard, written, model.parents) == (begins < written)
        assert Span(closed=opened).holds(shard, written, model.parents) == (written <= begins)
        assert Span().holds(shard, written, model.parents)


@given(st.integers(0, 10**6))
def test_every_record_belongs_to_one_side_only(seed: int) -> None:
    model, cuts = played(seed, 4)
    spans = [Span(None, cuts[0][0]), Span(cuts[1][0], cuts[2][0]), Span(cuts[3][0])]
    for shard, written in model.records:
        assert sum(span.holds(shard, written, model.parents) for span in spans) <= 1


def test_a_cut_that_misses_an_open_shard_is_not_whole() -> None:
    parents = {"a": None, "b": None, "a1": "a", "a2": "a"}
    assert not Cut({"a": 1}).covers(["a1", "a2", "b"], parents)
    assert Cut({"a": 1, "b": 2}).covers(["a1", "a2", "b"], parents)
    assert not Cut({"a1": 1, "b": 2}).covers(["a1", "a2", "b"], parents)
    assert Cut().covers([], parents)
