"""Folding: any borders of the batches lead to the same target as change by change, against a model of the door (§5)."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from apply.stamping import Write, stamped
from domain.changes import Change
from domain.items import Item, TargetKey, digest, text
from domain.positions import Version
from domain.stamps import Stamp, is_tombstone
from sync.fold import by_source_id, fold
from tests.examples import order
from tests.strategies import DESK

STATES: list[Item | None] = [
    None,
    order(1, status="o"),
    order(1, status="p"),
    order(1, status="s"),
    order(1, status=None),
    order(1, status="p", notes=text("x" * 409_300)),
]
"""Absent, at each of the places that move, at none of them, and one that cannot be translated."""

KEYS: Item = {name: order(1)[name] for name in ("customerId", "orderNo")}


class Target:
    """The door as the protocol says it: nothing there, or older of the same id. With the quarantine beside it."""

    def __init__(self) -> None:
        self.items: dict[TargetKey, Write] = {}
        self.quarantined: frozenset[TargetKey] | None = None

    def put(self, write: Write) -> None:
        standing = self.items.get(write.key)
        if standing is None or standing.stamp.version < write.stamp.version:
            self.items[write.key] = write

    def deliver(self, batch: list[Change]) -> None:
        folded = fold(DESK, "orders", batch, epoch=1, quarantined=self.quarantined or ())
        if folded.fault:
            self.quarantined = frozenset(folded.standing_keys) | (self.quarantined or frozenset())
            return
        for write in (*folded.puts, *folded.tombstones):
            self.put(write)
        self.quarantined = None

    def live(self) -> dict[TargetKey, str]:
        return {key: digest(write.item) for key, write in self.items.items() if not is_tombstone(write.item)}


def history(states: list[int]) -> list[Change]:
    images = [STATES[state] for state in states]
    return [Change(KEYS, old, new, sequence, 0) for sequence, (old, new) in enumerate(pairwise(images), start=1)]


def expected(image: Item | None) -> dict[TargetKey, str]:
    items = {} if image is None else DESK.translate("orders", image).items
    return {key: digest(item) for key, item in items.items()}


LIVES = st.lists(st.integers(0, len(STATES) - 1), min_size=2, max_size=9)
BORDERS = st.lists(st.integers(1, 4), min_size=9, max_size=9)


def cut(changes: list[Change], borders: list[int]) -> list[list[Change]]:
    batches, rest = [], changes
    for size in borders:
        if rest:
            batches.append(rest[:size])
            rest = rest[size:]
    return batches


@given(LIVES, st.integers(0, 3), BORDERS, BORDERS, st.integers(0, 8), st.integers(0, 8))
def test_any_borders_and_any_delivery_again_end_with_the_last_image(
    states: list[int], last: int, first: list[int], second: list[int], crash: int, back: int
) -> None:
    """The copy may come first or in between; a crash delivers again from an older checkpoint, with other borders."""
    changes = history([*states, last])
    target = Target()
    scanned = STATES[states[0]]
    if scanned is not None and states[0] < 5:
        for key, item in DESK.translate("orders", scanned).items.items():
            target.put(stamped(key, item, "orders/c1/1", Version(1)))
    done = 0
    for batch in cut(changes[:crash], first):
        target.deliver(batch)
        done += len(batch)
    for batch in cut(changes[max(0, done - back) :], [*second, 99]):
        target.deliver(batch)
    assert target.live() == expected(STATES[last])
    assert target.quarantined is None


@given(LIVES)
def test_folded_at_once_or_one_by_one_is_the_same(states: list[int]) -> None:
    changes = history(states)
    at_once, single = Target(), Target()
    for target in (at_once, single):
        target.deliver([Change(KEYS, None, STATES[states[0]], 0, 0)])
    at_once.deliver(changes)
    for change in changes:
        single.deliver([change])
    if STATES[states[-1]] is None or states[-1] < 5:
        assert at_once.live() == single.live()
    assert (at_once.quarantined is None) == (single.quarantined is None)


def test_a_tombstone_holds_key_and_stamp_and_nothing_else() -> None:
    folded = fold(DESK, "orders", [Change(KEYS, STATES[1], None, 7, 0)], epoch=2)
    assert folded.puts == ()
    assert {write.key for write in folded.tombstones} == set(DESK.translate("orders", order(1)).items)
    for write in folded.tombstones:
        assert set(write.item) == {"pk", "sk", "_stamp"}
        assert write.stamp == Stamp.of(write.item)
        assert write.stamp.version == str(Version(2, 7))


def test_changes_are_grouped_by_item_in_their_order() -> None:
    other = {name: order(2)[name] for name in KEYS}
    changes = [Change(key, None, order(1), sequence, 0) for sequence, key in enumerate([KEYS, other, KEYS])]
    grouped = by_source_id(DESK, "orders", changes)
    assert {name: [each.sequence for each in own] for name, own in grouped.items()} == {
        "orders/c1/1": [0, 2],
        "orders/c1/2": [1],
    }
