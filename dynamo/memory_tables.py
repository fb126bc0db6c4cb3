"""Control plane of the twin. Next: `dynamo.memory_server`."""

from dataclasses import replace
from datetime import UTC, datetime

from domain.errors import FatalError, RefusedError
from domain.tables import TableDefinition, ViewType
from dynamo.failures import AlreadyThere
from dynamo.memory_log import StreamLog
from dynamo.memory_server import MemoryServer
from dynamo.memory_store import StoredTable
from dynamo.ports import TableDescription
from dynamo.retries import Subject


class MemoryTables:
    """Keeps `dynamo.ports.Tables`."""

    def __init__(self, server: MemoryServer) -> None:
        """Work on this server."""
        self._server = server

    async def describe_table(self, table: str) -> TableDescription | None:
        """Describe a table; None when there is none of that name."""
        return await self._server.ask(Subject("DescribeTable", table), lambda: self._described(table))

    async def create_table(self, definition: TableDefinition) -> None:
        """Create a table, ACTIVE at once. Raises RefusedError when it exists."""
        await self._server.ask(Subject("CreateTable", definition.name), lambda: self._create(definition))

    async def enable_stream(self, table: str, view: ViewType) -> None:
        """Switch the stream on: a new ARN. Raises RefusedError when one of another view type is on."""
        await self._server.ask(Subject("UpdateTable", table), lambda: self._switch_on(table, view))

    async def disable_stream(self, table: str) -> None:
        """Switch the stream off: its shards close, its records stay readable under its ARN."""
        await self._server.ask(Subject("UpdateTable", table), lambda: self._switch_off(table))

    async def delete_table(self, table: str) -> None:
        """Delete a table; one that is not there is fine. Raises RefusedError when it is protected."""
        await self._server.ask(Subject("DeleteTable", table), lambda: self._delete(table))

    def _described(self, name: str) -> TableDescription | None:
        table = self._server.tables.get(name)
        if table is None:
            return None
        return TableDescription(
            name=name,
            key=table.definition.key,
            indexes=tuple(sorted(table.definition.indexes, key=lambda index: index.local)),
            stream_arn=table.log.arn if table.log else None,
            stream_view=table.log.view if table.log else None,
            ttl_attribute=table.ttl_attribute,
            status="ACTIVE",
            item_count=len(table),
            size_bytes=table.size_bytes,
            deletion_protection=table.definition.deletion_protection,
            identity=table.identity,
        )

    def _create(self, definition: TableDefinition) -> None:
        if definition.name in self._server.tables:
            raise AlreadyThere(f"table {definition.name} exists")
        if any(not index.key for index in definition.indexes) or not definition.key:
            raise FatalError(f"table {definition.name}: a key schema is empty")
        self._server.tables[definition.name] = StoredTable(replace(definition, stream=None), self._server.saw)
        if definition.stream is not None:
            self._switch_on(definition.name, definition.stream)

    def _switch_on(self, name: str, view: ViewType) -> None:
        table = self._server.table(name)
        if table.log is not None:
            if table.log.view is not view:
                raise RefusedError(f"{name} has a stream of view type {table.log.view}, not {view}")
            return
        server = self._server
        moment = datetime.fromtimestamp(server.ticker.clock.wall_ms() / 1000, UTC).replace(tzinfo=None)
        number = len(server.streams) + 1  # two streams may be switched on within one millisecond
        arn = (
            f"arn:aws:dynamodb:memory:000000000000:table/{name}/stream/{moment.isoformat('T', 'milliseconds')}.{number}"
        )
        table.log = StreamLog(arn, name, view, ticker=server.ticker, shards=server.shards)
        server.streams[arn] = table.log

    def _switch_off(self, name: str) -> None:
        table = self._server.table(name)
        if table.log is not None:
            table.log.close()
            table.log = None

    def _delete(self, name: str) -> None:
        table = self._server.tables.get(name)
        if table is None:
            return
        if table.definition.deletion_protection:
            raise RefusedError(f"{name} is protected against deletion", hint="disable deletion protection first")
        self._switch_off(name)
        del self._server.tables[name]
