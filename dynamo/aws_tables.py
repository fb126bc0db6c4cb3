"""Control plane on AWS: describe, create, delete tables; streams on and off. Every change is waited for.

Sources: AWS API reference, DescribeTable, CreateTable, UpdateTable, DeleteTable, DescribeTimeToLive,
UpdateTimeToLive, UpdateContinuousBackups. Next: `dynamo.calls`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from domain.errors import FatalError, RefusedError
from domain.tables import IndexDefinition, KeyAttribute, TableDefinition, ViewType
from dynamo.calls import Calls, Document
from dynamo.failures import NotFound, NotOffered
from dynamo.ports import TableDescription

_log = logging.getLogger(__name__)

_POLL_S: Final = 0.25
_PATIENCE_S: Final = 600.0  # AWS takes 5 to 30 s for a table; deleting a large one takes longer
_TTL_ON: Final = frozenset({"ENABLED", "ENABLING"})


class AwsTables:
    """Keeps `dynamo.ports.Tables`."""

    def __init__(self, calls: Calls, *, emulator_allowed: bool) -> None:
        """``emulator_allowed``: an endpoint was named, so one that lacks point-in-time recovery is tolerated."""
        self._calls = calls
        self._emulator_allowed = emulator_allowed

    async def describe_table(self, table: str) -> TableDescription | None:
        """Describe a table; None when there is none of that name."""
        try:
            answer = await self._calls.call("DescribeTable", {"TableName": table})
            lifetime = await self._calls.call("DescribeTimeToLive", {"TableName": table})
        except NotFound:
            return None
        return _description(answer["Table"], lifetime.get("TimeToLiveDescription", {}))

    async def create_table(self, definition: TableDefinition) -> None:
        """Create a table and wait for it, its TTL and recovery. Raises RefusedError when it exists."""
        name = definition.name
        await self._calls.call("CreateTable", _creation(definition))
        await self._until(f"table {name} is active", lambda: self._is_active(name))
        if definition.ttl_attribute is not None:
            specification = {"Enabled": True, "AttributeName": definition.ttl_attribute}
            await self._calls.call("UpdateTimeToLive", {"TableName": name, "TimeToLiveSpecification": specification})
        if definition.point_in_time_recovery:
            await self._protect(name)

    async def enable_stream(self, table: str, view: ViewType) -> None:
        """Switch the stream on and wait until it is. Raises RefusedError when one of another view type is on."""
        found = await self._existing(table)
        if found.stream_arn is not None:
            if found.stream_view is view:
                return
            raise RefusedError(
                f"{table} has a stream of view type {found.stream_view}, not {view}",
                hint="switch it off first; who reads it loses it",
            )
        specification = {"StreamEnabled": True, "StreamViewType": str(view)}
        await self._calls.call("UpdateTable", {"TableName": table, "StreamSpecification": specification})
        await self._until(f"the stream of {table} is on", lambda: self._streams(table, wanted=True))

    async def disable_stream(self, table: str) -> None:
        """Switch the stream off and wait until it is; one that is off is fine."""
        if (await self._existing(table)).stream_arn is None:
            return
        specification = {"StreamEnabled": False}
        await self._calls.call("UpdateTable", {"TableName": table, "StreamSpecification": specification})
        await self._until(f"the stream of {table} is off", lambda: self._streams(table, wanted=False))

    async def delete_table(self, table: str) -> None:
        """Delete a table and wait; one that is not there is fine. Raises RefusedError when it is protected."""
        try:
            await self._calls.call("DeleteTable", {"TableName": table})
        except NotFound:
            return
        await self._until(f"table {table} is deleted", lambda: self._is_gone(table))

    async def _existing(self, table: str) -> TableDescription:
        found = await self.describe_table(table)
        if found is None:
            raise NotFound(f"no table {table}", hint="create it, or check its name, the region and the endpoint")
        return found

    async def _is_active(self, table: str) -> bool:
        found = await self.describe_table(table)  # absent for a moment after CreateTable: eventually consistent
        return found is not None and found.status == "ACTIVE"

    async def _is_gone(self, table: str) -> bool:
        return await self.describe_table(table) is None

    async def _streams(self, table: str, *, wanted: bool) -> bool:
        found = await self._existing(table)
        return found.status == "ACTIVE" and (found.stream_arn is not None) is wanted

    async def _until(self, what: str, holds: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                while not await holds():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise FatalError(
                f"waited {_PATIENCE_S:.0f} s in vain until {what}",
                hint="look at the table in the AWS console",
            ) from error

    async def _protect(self, table: str) -> None:
        specification = {"PointInTimeRecoveryEnabled": True}
        try:
            await self._calls.call(
                "UpdateContinuousBackups",
                {"TableName": table, "PointInTimeRecoverySpecification": specification},
            )
        except NotOffered:
            if not self._emulator_allowed:
                raise
            _log.warning("no point-in-time recovery for %s: the endpoint does not offer it", table)


def _creation(definition: TableDefinition) -> Document:
    parameters: Document = {
        "TableName": definition.name,
        "KeySchema": _key_schema(definition.key),
        "AttributeDefinitions": _attributes(definition),
        "BillingMode": "PAY_PER_REQUEST",
        "DeletionProtectionEnabled": definition.deletion_protection,
    }
    if definition.stream is not None:
        parameters["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": str(definition.stream)}
    for member, local in (("GlobalSecondaryIndexes", False), ("LocalSecondaryIndexes", True)):
        indexes = [_index_creation(index) for index in definition.indexes if index.local is local]
        if indexes:  # DynamoDB refuses an empty list
            parameters[member] = indexes
    return parameters


def _index_creation(index: IndexDefinition) -> Document:
    projection: Document = {"ProjectionType": "ALL"}
    if index.include is not None:
        projection = {"ProjectionType": "KEYS_ONLY"}
        if index.include:
            projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(index.include)}
    return {"IndexName": index.name, "KeySchema": _key_schema(index.key), "Projection": projection}


def _key_schema(key: tuple[KeyAttribute, ...]) -> list[Document]:
    return [{"AttributeName": part.name, "KeyType": kind} for part, kind in zip(key, ("HASH", "RANGE"), strict=False)]


def _attributes(definition: TableDefinition) -> list[Document]:
    types = {part.name: part.type for index in definition.indexes for part in index.key}
    types |= {part.name: part.type for part in definition.key}
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in sorted(types.items())]


def _description(table: Document, lifetime: Document) -> TableDescription:
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    stream = table.get("StreamSpecification", {})
    enabled = stream.get("StreamEnabled", False) and "LatestStreamArn" in table
    # One that is being deleted serves nobody, and its attributes may be gone from the definitions already.
    indexes = [each for each in table.get("GlobalSecondaryIndexes", ()) if each.get("IndexStatus") != "DELETING"]
    return TableDescription(
        name=table["TableName"],
        key=_key(table, types),
        indexes=(
            *(_index(each, types, local=False) for each in indexes),
            *(_index(each, types, local=True) for each in table.get("LocalSecondaryIndexes", ())),
        ),
        stream_arn=table["LatestStreamArn"] if enabled else None,
        stream_view=ViewType(stream["StreamViewType"]) if enabled else None,
        ttl_attribute=lifetime.get("AttributeName") if lifetime.get("TimeToLiveStatus") in _TTL_ON else None,
        status=table["TableStatus"],
        item_count=table.get("ItemCount", 0),
        size_bytes=table.get("TableSizeBytes", 0),
        deletion_protection=table.get("DeletionProtectionEnabled", False),
        replicas=tuple(each["RegionName"] for each in table.get("Replicas", ())),
        encryption_key=table.get("SSEDescription", {}).get("KMSMasterKeyArn"),
        identity=f"{table.get('TableArn', '')} {table.get('TableId', '')} {table.get('CreationDateTime', '')}",
        building=tuple(each["IndexName"] for each in indexes if each.get("IndexStatus", "ACTIVE") != "ACTIVE"),
        provisioned=_provisioned(table),
    )


def _provisioned(table: Document) -> tuple[int, int] | None:
    """Return the units a second; a table that was never on demand has no BillingModeSummary (DescribeTable)."""
    if table.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST":
        return None
    units = table.get("ProvisionedThroughput", {})
    return int(units.get("ReadCapacityUnits", 0)), int(units.get("WriteCapacityUnits", 0))


def _index(index: Document, types: dict[str, Any], *, local: bool) -> IndexDefinition:
    projection = index["Projection"]
    every = projection["ProjectionType"] == "ALL"
    include = None if every else tuple(projection.get("NonKeyAttributes", ()))
    return IndexDefinition(name=index["IndexName"], key=_key(index, types), include=include, local=local)


def _key(shape: Document, types: dict[str, Any]) -> tuple[KeyAttribute, ...]:
    parts = sorted(shape["KeySchema"], key=lambda part: str(part["KeyType"]))  # HASH before RANGE
    return tuple(KeyAttribute(part["AttributeName"], types[part["AttributeName"]]) for part in parts)
