"""From the writes of an item to what a side must hold of it now: `demand`; and `compare`, which holds it against that.

Pure. `expectations` knows the forms, this module the order of events: which application wrote last, on which side, and
whether a switch lay in between. Next: `checker`, which reads the sides and asks.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from domain.items import Item, mark_id
from domain.phases import Side
from service.demo import expectations as forms
from service.demo.journal import Entry, expires_s

_GRACE_S = 2
"""Seconds by which the database's clock may be ahead of ours."""


class Kind(StrEnum):
    """What is wrong. Lost: an acknowledged write, or the effect of the last one; wrong: never written like that."""

    LOST = "lost"
    RESURRECTED = "resurrected"
    WRONG = "wrong"
    EXTRA = "extra"
    TOMBSTONE = "tombstone"
    MARK = "mark"


@dataclass(frozen=True, slots=True)
class View:
    """From where one looks: at which side, in which span between switches, when (seconds since 1970).

    On a side that does not serve, tombstones may stand for a while (protocol §3): they count as nothing there.
    """

    side: Side
    span: int
    now_s: int
    serving: bool = True


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands on a side for one name: its item and, on the target, the items beside it."""

    item: Item | None = None
    beside: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Demand:
    """What must stand there: the item, what must be found in its `_target`, the items beside; or may all be gone.

    ``returned`` None: no `_target` but the one that ``item`` has.
    """

    item: Item | None
    returned: Item | None = None
    beside: dict[tuple[str, str], Item] = field(default_factory=dict)
    may_be_gone: bool = False


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one item, and in which attributes."""

    kind: Kind
    attributes: tuple[str, ...] = ()


Spans = Callable[[int], int]
"""Flag epoch → number of the span between switches."""


def demand(history: Sequence[Entry], view: View, spans: Spans) -> Demand:
    """Return what a side must hold after these writes, oldest first; there must be one at least."""
    last = history[-1]
    if last.after is None:
        return Demand(None)
    expires = expires_s(last.side, last.name.table, last.after)
    gone = expires is not None and expires < view.now_s + _GRACE_S
    beside = forms.beside(last.after) if view.side is Side.TARGET and last.name.table == "audit" else {}
    if view.side is Side.SOURCE:
        item, returned = _on_source(history)
        return Demand(item, returned, may_be_gone=gone)
    return Demand(forms.without_notes(_on_target(history, view, spans)), None, beside, gone)


def compare(history: Sequence[Entry], view: View, spans: Spans, standing: Standing) -> list[Fault]:
    """Return what is wrong with what stands there; the same item as after an earlier write means a lost write."""
    if not view.serving:
        standing = _without_tombstones(standing)
    if not history:
        return _unknown(standing)
    faults = _faults(demand(history, view, spans), standing, view.side)
    if [fault.kind for fault in faults] != [Kind.WRONG]:
        return faults
    earlier = (history[:count] for count in range(1, len(history)))
    stale = any(not _faults(demand(each, view, spans), standing, view.side) for each in earlier)
    return [Fault(Kind.LOST, faults[0].attributes)] if stale else faults


def figures(table: str, demanded: Demand, standing: Standing) -> Counter[str]:
    """Count what a comparison that found nothing has compared."""
    counted = Counter({"beside": len(demanded.beside)})
    if demanded.item is None or standing.item is None:
        return counted + Counter({"absent" if demanded.item is None else "expired": 1})
    item = demanded.item
    counted["items"] = 1
    counted["index_keys"] = sum(name.startswith("GSI") for name in item)
    counted["numbers"] = sum("N" in value for value in item.values())
    counted["own_attributes"] = len(item.keys() - forms.KNOWN.get(table, item.keys()) - forms.reserved(table))
    counted["returned_attributes"] = len(demanded.returned or ())
    counted["password_hashes"] = int(table == "users" and "passwordHash" in item)
    counted["token_hashes"] = int(table == "contractors" and "tokenHash" in item)
    counted["tokens"] = int(table == "refresh-tokens")
    return counted


def is_tombstone(item: Item) -> bool:
    """Tell whether nothing but a key and our stamp is there."""
    return forms.STAMPED in item and item.keys() <= {"PK", "SK", forms.STAMPED}


def _without_tombstones(standing: Standing) -> Standing:
    item = None if standing.item is None or is_tombstone(standing.item) else standing.item
    return Standing(item, tuple(each for each in standing.beside if not is_tombstone(each)))


def _unknown(standing: Standing) -> list[Fault]:
    """Judge what no write in the journal explains: marks and tombstones have names of their own."""
    items = [*standing.beside, *([standing.item] if standing.item is not None else [])]
    marks = [item for item in items if mark_id({name: item[name] for name in item if "S" in item[name]}) is not None]
    tombs = [item for item in items if item not in marks and is_tombstone(item)]
    kinds = [Kind.MARK] * len(marks) + [Kind.TOMBSTONE] * len(tombs)
    return [Fault(kind) for kind in kinds + [Kind.EXTRA] * (len(items) - len(kinds))]


def _on_source(history: Sequence[Entry]) -> tuple[Item, Item | None]:
    """Return the legacy item, and what only `_target` can hold of what the new application wrote."""
    last = history[-1]
    written = last.after or {}
    if last.side is Side.SOURCE:
        return written, None
    table = last.name.table
    item = forms.homeward(table, written, _former(history))
    made = forms.primary(table, item)
    returned = {
        name: value
        for name, value in forms.without_notes(written).items()
        if name != forms.CARRIED and not forms.equal(made.get(name), value) and not forms.equal(item.get(name), value)
    }
    inverted = {"users": {"isActive", "name"}, "contractors": {"ttl"}, "refresh-tokens": {"ttl"}}
    return item, {name: value for name, value in returned.items() if name not in inverted.get(table, ())}


def _on_target(history: Sequence[Entry], view: View, spans: Spans) -> Item:
    """Return the target item, whoever wrote last."""
    last = history[-1]
    table, written = last.name.table, last.after or {}
    if last.side is Side.TARGET:
        if spans(last.epoch) == view.span:
            return written
        return forms.evolved(table, forms.homeward(table, written, _former(history)), _lefts(history, spans))
    lefts = _lefts(history, spans)
    return (
        forms.evolved(table, written, lefts) if lefts and forms.RETURNED in written else forms.primary(table, written)
    )


def _lefts(history: Sequence[Entry], spans: Spans) -> list[forms.Left]:
    """Return what the new application left each time it served, the latest first, as far back as it can matter."""
    lefts: list[forms.Left] = []
    span: int | None = None
    for at in range(len(history) - 1, -1, -1):
        entry = history[at]
        if entry.side is Side.SOURCE:
            if entry.after is not None and forms.RETURNED not in entry.after:
                break  # written without what it had left: forgotten
            continue
        if entry.after is None:
            break
        if spans(entry.epoch) != span:
            span = spans(entry.epoch)
            lefts.append((entry.after, _former(history[: at + 1])))
    return lefts


def _former(history: Sequence[Entry]) -> Item | None:
    """Return the last legacy image before the new application wrote."""
    images = [entry.after for entry in history if entry.side is Side.SOURCE and entry.after is not None]
    return images[-1] if images else None


def _faults(demanded: Demand, standing: Standing, side: Side) -> list[Fault]:
    faults = _besides(demanded, standing)
    item = standing.item
    if item is None:
        missing = demanded.item is not None and not demanded.may_be_gone
        return [*faults, Fault(Kind.LOST)] if missing else faults
    if is_tombstone(item):
        return [*faults, Fault(Kind.TOMBSTONE)]
    if demanded.item is None:
        return [*faults, Fault(Kind.RESURRECTED)]
    wrong = _differing(forms.without_notes(item), demanded) if side is Side.TARGET else _differing(item, demanded)
    return [*faults, Fault(Kind.WRONG, wrong)] if wrong else faults


def _differing(item: Item, demanded: Demand) -> tuple[str, ...]:
    wanted = demanded.item or {}
    names = (wanted.keys() | item.keys()) - (set() if demanded.returned is None else {forms.RETURNED})
    wrong = {name for name in names if not forms.equal(item.get(name), wanted.get(name))}
    box, returned = item.get(forms.RETURNED), demanded.returned or {}
    wrong |= {name for name, value in returned.items() if not forms.holds(box, name, value)}
    return tuple(sorted(wrong))


def _besides(demanded: Demand, standing: Standing) -> list[Fault]:
    found = {(item["PK"]["S"], item["SK"]["S"]): item for item in standing.beside}
    faults = [Fault(Kind.LOST, ("beside",)) for key in demanded.beside if key not in found]
    for key, item in found.items():
        wanted = demanded.beside.get(key)
        if is_tombstone(item):
            faults.append(Fault(Kind.TOMBSTONE, ("beside",)))
        elif wanted is None:
            faults.append(Fault(Kind.RESURRECTED if demanded.item is None else Kind.EXTRA, ("beside",)))
        elif not forms.equal({"M": wanted}, {"M": {n: v for n, v in item.items() if n != forms.STAMPED}}):
            faults.append(Fault(Kind.WRONG, ("beside",)))
    return faults
