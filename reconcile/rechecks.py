"""Looks at suspects again with consistent reads of both sides; a change in flight is not a mismatch (protocol §7)."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from domain.clock import Clock
from domain.errors import DataError
from domain.items import Item, TargetKey
from domain.phases import Side
from domain.stamps import is_tombstone
from dynamo.budget import ReadBudget
from dynamo.ports import Items
from mapping.plan import Plan
from reconcile.comparison import Kind, Mismatch, is_expired, judge
from reconcile.worksheet import Worksheet

READ_AT_ONCE = 100
"""Suspects read together: a flood of them stays a stream of batches."""

MOST_KEPT = 10_000
"""Mismatches kept in memory to be shown; the counts are exact, and all are mended."""


_NO_KEY = TargetKey("", "")
"""Stands for the key of an item that can have none."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often suspects are looked at again before they count, and the seconds between the looks."""

    rounds: int = 12
    pause: float = 0.5


@dataclass(slots=True)
class Verdict:
    """What the rechecks left: exact counts by source and kind and of source ids, and so many mismatches as may be kept.

    ``expired``: suspects that time to live explains; ``rechecked``: pairs read; ``repaired``: puts of whoever mended;
    ``read_units``: what the rechecks consumed.
    """

    kinds: Counter[tuple[str, Kind]] = field(default_factory=Counter)
    source_ids: int = 0
    kept: list[Mismatch] = field(default_factory=list)
    expired: int = 0
    rechecked: int = 0
    repaired: int = 0
    read_units: Decimal = Decimal()

    @property
    def by_kind(self) -> Counter[Kind]:
        """Return the counts by kind alone."""
        found: Counter[Kind] = Counter()
        for (_, kind), count in self.kinds.items():
            found[kind] += count
        return found

    @property
    def is_whole(self) -> bool:
        """Tell whether every mismatch is kept."""
        return len({each.source_id for each in self.kept}) == self.source_ids

    def add(self, found: Mapping[str, Sequence[Mismatch]]) -> None:
        """Count what stayed of a batch, and keep it while there is room."""
        self.source_ids += len(found)
        for mismatches in found.values():
            self.kinds.update((each.source, each.kind) for each in mismatches)
            self.kept += mismatches[: max(0, MOST_KEPT - len(self.kept))]

    def is_explained_by(self, source_ids: Collection[str]) -> bool:
        """Tell whether every mismatch is of one of these ids."""
        return self.is_whole and {each.source_id for each in self.kept} <= set(source_ids)


Mend = Callable[[dict[str, list[Mismatch]]], Awaitable[int]]
"""What may be done about the mismatches of a batch; returns how many puts took place."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides of one source id, read consistently: the target's items by key, then the source item."""

    source_id: str
    source: str
    image: Item | None
    standing: dict[TargetKey, Item | None]
    expected: dict[TargetKey, Item]
    uncompared: frozenset[str] = frozenset()


@dataclass(slots=True)
class Reading:
    """Pairs that were read, and the read units that this consumed."""

    pairs: list[Pair] = field(default_factory=list)
    units: Decimal = Decimal()


class Rechecker:
    """Reads pairs and judges them."""

    def __init__(self, items: Items, plan: Plan, clock: Clock) -> None:
        """The clock only tells expired items from missing ones."""
        self._items = items
        self._plan = plan
        self._clock = clock

    async def settle(
        self,
        sheet: Worksheet,
        serving: Side,
        patience: Patience,
        *,
        mend: Mend | None = None,
        budget: ReadBudget | None = None,
    ) -> Verdict:
        """Recheck until every suspect agrees or patience is over; what stays is mended if asked, batch by batch.

        A flood of suspects takes longer to read once than patience lasts, and is then looked at twice. Who has a
        ``budget`` reads no faster than it allows.
        """
        verdict, until = Verdict(), self._clock.monotonic() + patience.rounds * patience.pause
        for attempt in range(patience.rounds):
            is_last = attempt == patience.rounds - 1 or (attempt > 0 and self._clock.monotonic() >= until)
            for batch in sheet.batches(READ_AT_ONCE):
                spent, wrong = verdict.read_units, await self._look(batch, serving, verdict)
                if budget is not None:
                    await budget.spend(str(verdict.read_units - spent))
                sheet.settle(batch.keys() - wrong.keys())
                if is_last and wrong:
                    verdict.add(wrong)
                    verdict.repaired += await mend(wrong) if mend is not None else 0
            if is_last or not sheet.left():
                break
            await asyncio.sleep(patience.pause)
        return verdict

    async def _look(
        self, batch: Mapping[str, Collection[TargetKey]], serving: Side, verdict: Verdict
    ) -> dict[str, list[Mismatch]]:
        """Read a batch once; return what does not agree and has not merely expired."""
        wrong: dict[str, list[Mismatch]] = {}
        reading = await self.read(batch)
        verdict.read_units += reading.units
        for pair in reading.pairs:
            verdict.rechecked += 1
            judged = self._judged(pair, serving)
            if self._is_expired(pair, judged, serving):
                verdict.expired += 1
            elif judged:
                wrong[pair.source_id] = judged
        return wrong

    async def read(self, suspects: Mapping[str, Collection[TargetKey]]) -> Reading:
        """Read the target's items of some ids first and their source items second, all consistently (§7: repair).

        The target is read at the keys suspected, the primary ones, and all that the source items call for.
        """
        keys = {source_id: {*suspected, *self._primary_of(source_id)} for source_id, suspected in suspects.items()}
        reading = Reading()
        while keys:
            standing = await self._standing({key for own in keys.values() for key in own}, reading)
            images = await self._images(keys, reading)
            for source_id, own in list(keys.items()):
                source, image = self._plan.source_key(source_id)[0], images.get(source_id)
                expected = self._expected(source, image)
                if own.issuperset(expected):
                    stands = {key: standing.get(key) for key in sorted(own)}
                    uncompared = self._plan.sources[source].uncompared
                    reading.pairs.append(Pair(source_id, source, image, stands, expected, uncompared))
                    del keys[source_id]
                else:  # it calls for keys not read yet: those must be read before the source as well
                    own.update(expected)
        return reading

    def _judged(self, pair: Pair, serving: Side) -> list[Mismatch]:
        if serving is Side.TARGET:
            return self._judged_back(pair)
        if pair.image is not None and not pair.expected:
            return [Mismatch(Kind.MISSING, pair.source_id, _NO_KEY, ("untranslatable",))]
        found = []
        for key, standing in pair.standing.items():
            judged = judge(pair.expected.get(key), standing, pair.uncompared)
            if judged is not None:
                found.append(Mismatch(judged[0], pair.source_id, key, judged[1]))
        # Both agree by translate; a lossy rule is found only by the way back (protocol §7).
        return found or (self._judged_back(pair) if pair.image is not None else [])

    def _judged_back(self, pair: Pair) -> list[Mismatch]:
        """Hold what the primary item untranslates to against the source item."""
        key = self._primary(pair.source, self._plan.source_key(pair.source_id)[1]) or _NO_KEY
        try:
            returned = self.returned(pair)
        except DataError:
            return [Mismatch(Kind.DIFFERENT, pair.source_id, key, ("irreversible",))]
        judged = judge(returned, pair.image, pair.uncompared)
        return [] if judged is None else [Mismatch(judged[0], pair.source_id, key, judged[1])]

    def returned(self, pair: Pair) -> Item | None:
        """Return the legacy item that a pair's target side stands for; raises DataError when it has no way back."""
        key = self._primary(pair.source, self._plan.source_key(pair.source_id)[1]) or _NO_KEY
        return self._returned(pair.standing.get(key))

    def _returned(self, item: Item | None) -> Item | None:
        returned = self._plan.untranslate(item) if item is not None and not is_tombstone(item) else None
        return None if returned is None else returned.item

    def _primary(self, source: str, key: Item) -> TargetKey | None:
        try:
            return self._plan.primary_key(source, key)
        except DataError:
            return None

    def _expected(self, source: str, image: Item | None) -> dict[TargetKey, Item]:
        try:
            return {} if image is None else self._plan.translate(source, image).items
        except DataError:
            return {}

    def _is_expired(self, pair: Pair, mismatches: list[Mismatch], serving: Side) -> bool:
        """Tell whether time to live explains all that is missing or extra; it never explains a difference."""
        now_s = self._clock.wall_ms() // 1000
        if not mismatches or any(each.kind is Kind.DIFFERENT for each in mismatches):
            return False
        if serving is Side.TARGET:
            attribute = self._plan.sources[pair.source].definition.ttl_attribute
            back = [self._returned(pair.standing.get(each.key)) for each in mismatches]
            items = [item or pair.image for item in back]
        else:
            attribute = self._plan.target.ttl_attribute
            items = [pair.expected.get(each.key) or pair.standing.get(each.key) for each in mismatches]
        return all(is_expired(item, attribute, now_s) for item in items)

    async def _standing(self, keys: Collection[TargetKey], reading: Reading) -> dict[TargetKey, Item]:
        """Read what stands in the target at some keys."""
        wanted = [self._plan.key_item(key) for key in sorted(keys)]
        items = await self._got(self._plan.target.name, wanted, reading)
        return {self._plan.target_key(item): item for item in items}

    async def _images(self, source_ids: Collection[str], reading: Reading) -> dict[str, Item]:
        """Read the source items of some ids, table by table."""
        wanted: dict[str, list[Item]] = {}
        for source_id in source_ids:
            source, key = self._plan.source_key(source_id)
            wanted.setdefault(source, []).append(key)
        found: dict[str, Item] = {}
        for source, keys in wanted.items():
            items = await self._got(self._plan.sources[source].definition.name, keys, reading)
            found |= {self._plan.source_id(source, item): item for item in items}
        return found

    async def _got(self, table: str, keys: Sequence[Item], reading: Reading) -> tuple[Item, ...]:
        found = await self._items.batch_get(table, keys)
        reading.units += Decimal(found.units)
        return found.items

    def _primary_of(self, source_id: str) -> list[TargetKey]:
        primary = self._primary(*self._plan.source_key(source_id))
        return [] if primary is None else [primary]
