"""The applications: they obey the flag, and write in every manner that a stamp, a fold or a position could trip over.

The legacy application puts whole items; the new one puts without a stamp, updates what carries one, copies a stamp
along, undoes, deletes and creates again. Each request lands within `LONGEST_REQUEST` or never.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from domain.errors import DataError, TransientError
from domain.items import STAMP, Item, TargetKey, text
from domain.stamps import is_tombstone
from dynamo.ports import Put
from ledger.rows import Rows
from tests.simulation.actors import ACTOR, Actor, Kind
from tests.simulation.cast import Part
from tests.world import World

STALENESS, LONGEST_REQUEST = 1.0, 2.0
"""What the applications declare of themselves, in seconds (`cutover.sequence.SwitchSettings`)."""

_HOT, _COLD = 16, 80
"""Items per source that all writers fight over; and those that are rarely written twice, so that a loss stays seen."""


@dataclass(slots=True)
class Application:
    """One writer: legacy on the source, new on the target; which of the two it is, the flag says each time.

    One that never ``deletes`` leaves no tombstones that a switch would have to wait for: what waits for nothing else
    must wait for what may still land.
    """

    world: World
    parts: tuple[Part, ...]
    random: Random
    pace: float
    acknowledged: Counter[str] = field(default_factory=Counter)
    mischief: float = 0.0
    deletes: bool = True
    _flag: tuple[str, bool] = ("source", True)
    _read_at: float = float("-inf")
    _former: dict[str, Item] = field(default_factory=dict)

    async def run(self, enough: Callable[[], bool]) -> None:
        """Write until it is enough."""
        while not enough():
            await asyncio.sleep(self.random.expovariate(1 / self.pace))
            try:
                async with asyncio.timeout(LONGEST_REQUEST + STALENESS):
                    await self.once()
            except (TransientError, TimeoutError):
                self.acknowledged["given up"] += 1

    async def once(self) -> None:
        """Write once, on the side that the flag says, if it may be written."""
        serving, writable = await self._obey()
        if not writable:
            return
        kind = Kind.LEGACY if serving == "source" else Kind.NEW
        ACTOR.set(Actor(kind, kind.value, _now() + LONGEST_REQUEST))
        # The flag that was read may be used for so long, and no longer: what follows reads the database first.
        manner = await (self._legacy() if kind is Kind.LEGACY else self._new())
        self.acknowledged[manner] += 1

    async def _obey(self) -> tuple[str, bool]:
        """Read the flag, or believe the last reading while it is fresh."""
        if _now() - self._read_at >= STALENESS:
            ACTOR.set(Actor(Kind.LEGACY, "reader of the flag"))
            began = _now()
            row = await Rows(self.world.database, self.world.ledger_table).get("migration", "flag")
            if row is not None:
                self._flag = str(row.fields["serving"]), bool(row.fields["writable"])
            self._read_at = began
        if _now() - self._read_at >= STALENESS:
            return self._flag[0], False
        return self._flag

    def _number(self) -> int:
        return self.random.randrange(_HOT if self.random.random() < 0.6 else _COLD)

    # ---- on the source ----------------------------------------------------------------------------------------------

    async def _legacy(self) -> str:
        part = self.random.choice(self.parts)
        number = self._number()
        fresh = part.make(self.random, number)
        current = await self.world.get(part.source, fresh)
        if current is None or self.random.random() < 0.15:
            await self._put(part, fresh)
            return "create" if current is None else "put"
        return await self._change(part, current, mischief=self.mischief * (number < _HOT))

    async def _change(self, part: Part, current: Item, *, mischief: float) -> str:
        key = self.world.plan.source_id(part.source, current)
        former = self._former.get(key)
        self._former[key] = current
        match self.random.randrange(10):
            case 0 | 1 if self.deletes:
                await self.world.delete(part.source, current)
                return "delete"
            case 2 if former is not None:
                await self._put(part, former)
                return "undo"
            case 3:
                await self._put(part, current)
                return "touch"
            case 4 if self.random.random() < mischief:
                await self._put(part, {**current, "_legacy": deep(31)})
                return "untranslatable"
            case _:
                await self._put(part, part.change(self.random, without(current, "_legacy")))
                return "read-modify-write"

    async def _put(self, part: Part, item: Item) -> None:
        await self.world.database.write(Put(self.world.table(part.source), item))

    # ---- on the target ----------------------------------------------------------------------------------------------

    async def _new(self) -> str:
        part = self.random.choice(self.parts)
        number = self._number()
        fresh = part.make(self.random, number)
        translated = self.world.plan.translate(part.source, fresh)
        key = self.world.plan.key_item(translated.primary)
        current = await self.world.database.get_item(self.world.plan.target.name, key)
        if current is None or is_tombstone(current) or self.random.random() < 0.1:
            await self._put_target(
                *(translated.items[each] for each in self._some(translated.primary, translated.items))
            )
            return "put without stamp"
        return await self._change_target(part, current, mischief=self.mischief * (number < _HOT))

    def _some(self, primary: TargetKey, items: dict[TargetKey, Item]) -> list[TargetKey]:
        """The primary item, and beside it whatever this application cares to keep."""
        return [primary, *(key for key in items if key != primary and self.random.random() < 0.5)]

    async def _change_target(self, part: Part, current: Item, *, mischief: float) -> str:
        key = str(self.world.plan.target_key(current))
        former = self._former.get(key)
        self._former[key] = current
        match self.random.randrange(10):
            case 0 | 1 if self.deletes:
                await self.world.delete_target(current)
                return "delete"
            case 2 if former is not None:
                await self._put_target(former)
                return "undo, stamp and all"
            case 3:
                return await self._copy(part, current)
            case 4 | 5:
                await self._put_target(self._changed(part, current))
                return "read-modify-write without stamp"
            case 6 if self.random.random() < mischief:
                await self._put_target({**current, "nickname": deep(31)})
                return "irreversible"
            case _:
                changed = self._changed(part, current)
                await self._put_target({**changed, STAMP: current[STAMP]} if STAMP in current else changed)
                return "update that keeps the stamp"

    def _changed(self, part: Part, current: Item) -> Item:
        """Return what the new application makes of an item: translated, as if the legacy one had changed it."""
        try:
            back = self.world.plan.untranslate(without(current, "nickname"))
        except DataError:
            back = None
        if back is None:
            return {**without(current, "nickname", STAMP), "theme": text("dark")}
        translated = self.world.plan.translate(part.source, part.change(self.random, back.item))
        return translated.items[translated.primary]

    async def _copy(self, part: Part, current: Item) -> str:
        """Put one item's content, stamp included, at the key of another."""
        back = self.world.plan.untranslate(without(current, "nickname"))
        if back is None:
            return "nothing"
        other = part.make(self.random, self._number())
        definition = self.world.plan.sources[part.source].definition
        translated = self.world.plan.translate(part.source, {**back.item, **definition.key_of(other)})
        copy = translated.items[translated.primary]
        await self._put_target({**copy, STAMP: current[STAMP]} if STAMP in current else copy)
        return "copy that carries a stamp"

    async def _put_target(self, *items: Item) -> None:
        await self.world.put_target(*items)


def deep(levels: int) -> dict[str, object]:
    """Return a value nested so deep that no other name has room for it."""
    value: dict[str, object] = text("deep")
    for _ in range(levels):
        value = {"L": [value]}
    return value


def without(item: Item, *names: str) -> Item:
    """Return the item less some attributes."""
    return {name: value for name, value in item.items() if name not in names}


def _now() -> float:
    return asyncio.get_running_loop().time()
