"""What really happened, as the twin's witness saw it: the one source that checkers believe.

Built from effects alone, never from what an engine says: who wrote what on which side, the records of every shard in
order, the ledger's flag, phase and journal, and what each source item should be by now (`wanted`), whichever side it
was written on.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from domain.errors import DataError
from domain.items import Item, TargetKey, digest, mark_id
from domain.stamps import is_tombstone
from dynamo.witness import Effect
from mapping.plan import Plan
from tests.simulation.actors import ACTOR, Actor, Kind

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Deed:
    """An effect with who did it, when (virtual seconds), and which side served then (written or not)."""

    effect: Effect
    actor: Actor
    at: float
    served: str
    writable: bool
    phase: str

    @property
    def is_mark(self) -> bool:
        """Tell whether it is about a mark and not an item."""
        return mark_id(self.effect.key) is not None

    @property
    def is_stray(self) -> bool:
        """Tell whether an application wrote the side that does not serve."""
        return self.actor.is_application and self.served != _side_of(self.actor)


class Memo(Generic[Found]):
    """What was once found out about items, by identity: effects carry the store's own, which never change."""

    def __init__(self) -> None:
        """Start with nothing known."""
        self._known: dict[int, tuple[Item, Found]] = {}

    def of(self, item: Item, find: Callable[[], Found]) -> Found:
        """Return what is known of an item, or find it out; the item is kept, so that its identity stays its own."""
        known = self._known.get(id(item))
        if known is None:
            known = self._known[id(item)] = item, find()
        return known[1]


@dataclass(slots=True)
class LedgerRow:
    """A ledger row as plain data."""

    partition: str
    name: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Truth:
    """Grows with every effect. ``wanted`` goes by source id; ``records`` by table and number; ``gaps`` by stream.

    ``arns``: the stream that is followed, by table. ``captured``: when the epoch in force of a stream began; and
    ``epochs``: which one that is.
    """

    plan: Plan
    ledger: str
    now: Callable[[], float]
    served: str = "source"
    writable: bool = True
    phase: str = ""
    step: str = ""
    switching_to: str = ""
    wanted: dict[str, Item] = field(default_factory=dict)
    history: dict[str, list[tuple[float, Item | None]]] = field(default_factory=dict)
    strays: set[str] = field(default_factory=set)
    records: dict[tuple[str, int], Deed] = field(default_factory=dict)
    shards: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    quarantined: dict[str, set[str]] = field(
        default_factory=lambda: {"forward": set(), "reverse": set(), "stray": set()}
    )
    reasons: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    gaps: set[str] = field(default_factory=set)
    captured: dict[str, float] = field(default_factory=dict)
    arns: dict[str, str] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    _translations: Memo[dict[TargetKey, Item]] = field(default_factory=Memo)
    _digests: Memo[str] = field(default_factory=Memo)

    def __post_init__(self) -> None:
        """Know the tables by name."""
        self.sources = {source.definition.name: name for name, source in self.plan.sources.items()}

    @property
    def where(self) -> str:
        """Phase, and the step of the switch under way: what faults are counted by."""
        if not self.step:
            return self.phase
        return f"{'cutover' if self.switching_to == 'target' else 'rollback'}:{self.step}"

    def side(self, table: str) -> str:
        """Return which side a table belongs to; nothing for the ledger."""
        return "source" if table in self.sources else "target" if table == self.plan.target.name else ""

    def take(self, effect: Effect) -> Deed:
        """Note an effect."""
        actor = ACTOR.get()
        deed = Deed(effect, actor, self.now(), self.served, self.writable, self.phase)
        if effect.place is not None and self.side(effect.table):
            shard, sequence = effect.place
            self.records[effect.table, sequence] = deed
            self.shards.setdefault((effect.table, shard), []).append(sequence)
        if effect.table == self.ledger:
            if effect.new is not None:
                self._ledger(row(effect.new))
            elif effect.old is not None and effect.old["PK"]["S"].startswith("quarantine/"):
                gone = row(effect.old)
                self.quarantined[gone.partition.partition("/")[2]].discard(gone.fields["source_id"])
        elif not deed.is_mark and (actor.is_application or effect.by_ttl):
            self._item(deed)
        return deed

    def _item(self, deed: Deed) -> None:
        side, effect = self.side(deed.effect.table), deed.effect
        self.writes += deed.actor.is_application
        source_id = self.id_of(effect.table, effect.key)
        if source_id is None:
            return
        if side != self.served:
            if not effect.by_ttl:
                self.strays.add(source_id)
            return
        if side == "source":
            self._want(source_id, effect.new)
        elif self._is_primary(effect.key):
            self._want(source_id, self._returned(source_id, effect.new))

    def _want(self, source_id: str, image: Item | None) -> None:
        self.history.setdefault(source_id, []).append((self.now(), image))
        if image is None:
            self.wanted.pop(source_id, None)
        else:
            self.wanted[source_id] = image

    def _returned(self, source_id: str, item: Item | None) -> Item | None:
        """Return the source item that a target item stands for; what cannot go back leaves the one before."""
        if item is None or is_tombstone(item):
            return None
        try:
            back = self.plan.untranslate(item)
        except DataError:
            return self.wanted.get(source_id)
        return None if back is None else back.item

    def id_of(self, table: str, key: Item) -> str | None:
        """Return the source id that a key of either side belongs to."""
        if table in self.sources:
            return self.plan.source_id(self.sources[table], key)
        owner = self.plan.owner(self.plan.target_key(key)) if self.side(table) else None
        return owner.source_id if owner is not None else None

    def _is_primary(self, key: Item) -> bool:
        owner = self.plan.owner(self.plan.target_key(key))
        return owner is not None and owner.primary

    def _ledger(self, standing: LedgerRow) -> None:
        fields = standing.fields
        match standing.partition, standing.name:
            case "migration", "flag":
                self.served, self.writable = fields["serving"], fields["writable"]
            case "migration", "state":
                self.phase = fields["phase"]
            case partition, _ if partition.startswith("quarantine/"):
                self.quarantined[partition.partition("/")[2]].add(fields["source_id"])
                self.reasons[fields["reason"]] += 1
            case "streams", stream:
                (self.gaps.add if fields["gap"] else self.gaps.discard)(stream)
                self.arns[fields["table"]] = fields["arn"]
                if self.epochs.get(stream) != fields["epoch"]:
                    self.epochs[stream], self.captured[stream] = fields["epoch"], self.now()
            case "switch", "current":
                self.step = fields["step"] if fields["open"] else ""
                self.switching_to = fields["to"]

    def images_since(self, source_id: str, moment: float) -> list[Item | None]:
        """Return what a source item was at some time since a moment; None: not there."""
        past = [(float("-inf"), None), *self.history.get(source_id, [])]
        ends = [*(at for at, _ in past[1:]), float("inf")]
        return [image for (_, image), end in zip(past, ends, strict=True) if end >= moment]

    def translated(self, source_id: str, image: Item | None) -> dict[TargetKey, Item]:
        """Return what an image is in the target; nothing when it cannot be translated."""
        if image is None:
            return {}
        source = source_id.partition("/")[0]
        return self._translations.of(image, lambda: self._translated(source, image))

    def digest(self, item: Item) -> str:
        """Return the digest of an item that nobody changes any more."""
        return self._digests.of(item, lambda: digest(item))

    def _translated(self, source: str, image: Item) -> dict[TargetKey, Item]:
        try:
            return self.plan.translate(source, image).items
        except DataError:
            return {}


def row(item: Item) -> LedgerRow:
    """Read a ledger item without the ledger's own code."""
    fields = {name: _plain(value) for name, value in item.items() if name not in {"PK", "SK"}}
    return LedgerRow(item["PK"]["S"], item["SK"]["S"], fields)


def _plain(value: dict[str, Any]) -> Any:
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(content)
        case "M":
            return {name: _plain(each) for name, each in content.items()}
        case "L":
            return [_plain(each) for each in content]
        case "NULL":
            return None
        case _:
            return content


def _side_of(actor: Actor) -> str:
    return "source" if actor.kind is Kind.LEGACY else "target"
