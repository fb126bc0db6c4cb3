"""Empties tables of caches when another side begins to serve: what they hold was read from the side before (§8.5).

Nothing is lost with a cache. What DynamoDB Accelerator holds cannot be emptied by a call: that is a command's business.
"""

import asyncio
from collections.abc import Sequence

from cutover.actuators import Standing, Traceless
from domain.errors import RefusedError
from domain.items import Item
from domain.phases import Side
from domain.tables import TableDefinition
from dynamo.ports import Database, Delete, ScanRequest

_AT_ONCE = 32


class CachePurge(Traceless):
    """One table of the new application that holds nothing but a cache."""

    def __init__(self, database: Database, table: TableDefinition) -> None:
        """Nothing is read or deleted yet."""
        self._database = database
        self._table = table

    async def preview(self, _to: Side, /) -> str:
        """Say about how many items go. Raises RefusedError when there is no such table."""
        described = await self._database.describe_table(self._table.name)
        if described is None:
            message = f"there is no table {self._table.name} to be emptied"
            raise RefusedError(message, hint="strike it from the switch file, or create it")
        return f"delete all items of {self._table.name} (about {described.item_count})"

    async def do(self, _to: Side, _standing: Standing, /) -> None:
        """Delete every item that stands there."""
        start: Item | None = None
        while True:
            page = await self._database.scan_page(ScanRequest(self._table.name, start=start))
            for first in range(0, len(page.items), _AT_ONCE):
                await self._delete(page.items[first : first + _AT_ONCE])
            start = page.last_key
            if start is None:
                return

    async def _delete(self, items: Sequence[Item]) -> None:
        async with asyncio.TaskGroup() as group:
            for item in items:
                key = {part.name: item[part.name] for part in self._table.key}
                group.create_task(self._database.write(Delete(self._table.name, key)))
