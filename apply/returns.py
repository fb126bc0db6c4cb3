"""The door back to the legacy tables: item and version in one transaction (protocol §9).

A legacy item carries no stamp, so its version stands in the ledger; the condition on that row is what refuses an older
write, and the transaction makes item and version one.
"""

from domain.guards import WriteGuard
from domain.items import Item
from dynamo.ports import Action, Delete, Items, Put


class ReturnDoor:
    """Writes legacy items, each together with the ledger row that orders it."""

    def __init__(self, items: Items, *, guard: WriteGuard) -> None:
        """Wrap the database; the guard bounds every attempt to the lease."""
        self._items = items
        self._guard = guard

    async def write(self, table: str, key: Item, item: Item | None, *, version_row: Action) -> None:
        """Put the item (None: delete it) and its version row, both or neither.

        Raises ConditionFailed when the row moved on (somebody newer was here: read it again), DataError when the
        legacy table refuses the item.
        """
        change: Action = Delete(table, key) if item is None else Put(table, item)
        await self._items.transact([change, version_row], guard=self._guard)
