"""The door to the target: one conditional put of one key (protocol §2).

Invariants:
    * an item of another source id, or one that somebody else wrote, is never overwritten before a rollback;
    * after one, such items are the new application's and are adopted: overwritten only if exactly as seen;
    * of two writes of one source id the one with the higher version stays, in whatever order they arrive.
"""

from apply.refusals import classify
from apply.stamping import Write
from domain.errors import ConditionFailed, TransientError
from domain.guards import WriteGuard
from domain.items import STAMP, Item
from domain.outcomes import Outcome
from domain.stamps import Stamp
from domain.tables import TableDefinition
from dynamo.conditions import Absent, AllOf, AnyOf, Condition, Equal, Less
from dynamo.ports import Delete, Items, Put, Strip

_ROUNDS = 10
"""Rounds of put and adoption before a key that keeps changing under us is reported."""

_ADOPTABLE_ATTRIBUTES = 100
"""An expression holds at most 300 operators; an item with more attributes cannot be compared whole."""


class Door:
    """Conditional puts and purges on one target table."""

    def __init__(self, items: Items, table: TableDefinition, *, guard: WriteGuard) -> None:
        """Wrap the table; the guard bounds every attempt to the lease."""
        self._items = items
        self._table = table.name
        self._key_names = tuple(attribute.name for attribute in table.key)
        self._guard = guard

    async def put(self, write: Write, *, adopts: bool = False) -> Outcome:
        """Put unless newer stands there; ``adopts`` also overwrites what the new application left (protocol §9).

        Raises DataError when DynamoDB refuses the item itself, FencedError, TransientError.
        """
        condition: Condition = self._newer(write.stamp)
        for _ in range(_ROUNDS):
            refusal = await self._attempt(write, condition)
            if refusal is None:
                return Outcome.APPLIED
            standing = refusal.standing
            if standing is None:
                condition = self._newer(write.stamp)
                continue
            outcome = classify(standing, write.stamp)
            if outcome is Outcome.SUPERSEDED and _is_older(standing, write.stamp):
                condition = self._newer(write.stamp)  # a repair of ours was quicker to adopt what stood there
                continue
            if not (adopts and outcome is Outcome.FOREIGN and _adoptable(standing, write.stamp)):
                return outcome
            condition = self.exactly(standing)
        message = f"a target item of {self._table} keeps changing while it is written"
        raise TransientError(message)

    async def put_over(self, write: Write, standing: Item | None) -> Outcome:
        """Put only if exactly ``standing`` is still there (None: nothing): a repair (protocol §7)."""
        condition = Absent((self._key_names[0],)) if standing is None else self.exactly(standing)
        refusal = await self._attempt(write, condition)
        return Outcome.APPLIED if refusal is None else Outcome.SUPERSEDED

    async def purge(self, key: Item, stamp: Stamp) -> bool:
        """Delete a tombstone, if that very one still stands there; tell whether it did (protocol §3)."""
        try:
            action = Delete(self._table, key, Equal((STAMP,), stamp.wire()))
            await self._items.write(action, guard=self._guard)
        except ConditionFailed:
            return False
        return True

    async def remove(self, standing: Item) -> bool:
        """Delete an item, if exactly that still stands there; tell whether it is gone: for what is left behind."""
        key = {name: standing[name] for name in self._key_names}
        try:
            await self._items.write(Delete(self._table, key, self.exactly(standing)), guard=self._guard)
        except ConditionFailed as refusal:
            return refusal.standing is None
        return True

    async def strip(self, standing: Item) -> bool:
        """Take the stamp off an item, if that very one is still on it; tell whether it is gone.

        The table may serve: whatever else the application made of the item meanwhile is not touched (ADR 12).
        """
        key = {name: standing[name] for name in self._key_names}
        action = Strip(self._table, key, STAMP, Equal((STAMP,), standing[STAMP]))
        try:
            await self._items.write(action, guard=self._guard)
        except ConditionFailed as refusal:
            return refusal.standing is None or STAMP not in refusal.standing
        return True

    def _newer(self, stamp: Stamp) -> Condition:
        same = Equal((STAMP, "src"), {"S": stamp.source})
        older = Less((STAMP, "ver"), {"S": stamp.version})
        return AnyOf((Absent((self._key_names[0],)), AllOf((same, older))))

    def exactly(self, standing: Item) -> Condition:
        """Return the condition that an item is still exactly as seen, its stamp (or the lack of one) included."""
        compared = sorted(standing) if len(standing) <= _ADOPTABLE_ATTRIBUTES else [self._key_names[0]]
        whole = [Equal((name,), standing[name]) for name in compared]
        unstamped = Equal((STAMP,), standing[STAMP]) if STAMP in standing else Absent((STAMP,))
        return AllOf((*whole, unstamped))

    async def _attempt(self, write: Write, condition: Condition) -> ConditionFailed | None:
        """Put once; return the refusal, or None when it took place."""
        try:
            await self._items.write(Put(self._table, write.item, condition), guard=self._guard)
        except ConditionFailed as refusal:
            return refusal
        return None


def _is_older(standing: Item, ours: Stamp) -> bool:
    """Tell whether an item of the same source id has an older version than ours."""
    stamp = Stamp.of(standing)
    return stamp is not None and stamp.version < ours.version


def _adoptable(standing: Item, ours: Stamp) -> bool:
    """Tell whether the new application left this item: no stamp of ours, or one it carried along from before.

    Our own stamp with a version at least as new, over other content, is a stray's work since then: not ours to bury.
    """
    stamp = Stamp.of(standing)
    return stamp is None or stamp.source != ours.source or stamp.version < ours.version
