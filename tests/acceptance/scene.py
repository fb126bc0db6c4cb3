"""One migration as its operator sees it: the legacy tables, the program, and the ledger read by other eyes."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from tests.acceptance.legacy import Item, Legacy, scan
from tests.acceptance.program import Done, Program, Worker, eventually

_PLAIN, _WIRE = TypeDeserializer(), TypeSerializer()
_COUNTED = ("ItemCount", "TableSizeBytes", "IndexSizeBytes")

Plain = dict[str, Any]


@dataclass
class Scene:
    """Legacy tables and program under one prefix."""

    legacy: Legacy
    program: Program

    @property
    def client(self) -> Any:
        return self.legacy.client

    @property
    def ledger(self) -> str:
        return f"{self.legacy.table('entities')}-tableturn"

    def set(self) -> "Scene":
        """Create the five tables with their streams awake."""
        self.legacy.create_all()
        self.legacy.wake()
        return self

    def initialised(self, *words: str) -> "Scene":
        """Begin a migration whose plan counts as proved; how it is proved, `test_life` shows, it takes its time."""
        self.program.good("init", "--create-targets", *words)
        self.put_row("evidence", "plan", verdict="pass", override="", proved_ms=_now_ms(), at_ms=_now_ms())
        return self

    def put_row(self, partition: str, name: str, **fields: Any) -> None:
        """Put a row of the ledger as the first of its name, whatever stands there."""
        whole = {"PK": partition, "SK": name, "revision": 1, "fence": 0, "nonce": "0" * 12, **fields}
        item = {field: _WIRE.serialize(value) for field, value in whole.items()}
        self.client.put_item(TableName=self.ledger, Item=item)

    def row(self, partition: str, name: str) -> Plain | None:
        key = {"PK": {"S": partition}, "SK": {"S": name}}
        item = self.client.get_item(TableName=self.ledger, Key=key, ConsistentRead=True).get("Item")
        return None if item is None else _plain(item)

    def rows(self, partition: str) -> list[Plain]:
        page = self.client.query(
            TableName=self.ledger,
            KeyConditionExpression="PK = :p",
            ExpressionAttributeValues={":p": {"S": partition}},
            ConsistentRead=True,
        )
        return [_plain(item) for item in page["Items"]]

    @property
    def phase(self) -> str:
        return str((self.row("migration", "state") or {"phase": "none"})["phase"])

    @property
    def flag(self) -> tuple[str, bool]:
        flag = self.row("migration", "flag") or {"serving": "source", "writable": True}
        return str(flag["serving"]), bool(flag["writable"])

    def copied(self, source: str) -> int:
        return sum(int(row["items"]) for row in self.rows(f"segments/{source}/1"))

    def reaches(self, phase: str, *, seconds: float = 40.0) -> None:
        """Wait for a phase, as long as one of our workers lives."""

        def look() -> bool:
            assert any(worker.process.poll() is None for worker in self.program.workers), self._ends()
            return self.phase == phase

        eventually(f"the phase is {phase}", look, seconds=seconds)

    def passes(self, *words: str, seconds: float = 40.0) -> Done:
        """Ask until the gates let a command through, first the worker's metrics, which is cheaper; refusals say so."""
        eventually("every gate passes", self.gates_pass, seconds=seconds, pause=0.4)

        def look() -> Done | None:
            done = self.program.run(*words)
            if done.code == 0:
                return done
            assert done.code == 3, done.said
            assert "--dry-run" in words or "refused by its gates, nothing was changed" in done.err, done.said
            return None

        return eventually(f"{words} passes its gates", look, seconds=seconds, pause=0.3)

    def gates_pass(self) -> bool:
        """Tell whether the worker's metrics say that every gate of the next step passes."""
        return not self.gates_shut()

    def gates_shut(self) -> frozenset[str]:
        """Return the gates of the next step that do not pass, as the worker's metrics say."""
        _, text = self.program.workers[-1].get("/metrics")
        self.program.pages.append(text)
        gates = dict(re.findall(r'^tableturn_gate{gate="([^"]+)"} (\S+)$', text, re.MULTILINE))
        shut = frozenset(name for name, value in gates.items() if float(value) != 1)
        return shut if gates else frozenset({"no gate is told"})

    def ready(self) -> Worker:
        """Start a worker and wait until the migration could be cut over."""
        worker = self.program.work()
        self.reaches("READY")
        return worker

    def snapshot(self, *, but: tuple[str, ...] = ()) -> Plain:
        """Return all that could change: every table of the database, and all items of ours.

        ``but`` names the ledger partitions that a living worker writes all the time.
        """
        tables = list(self._tables())
        ours = [name for name in tables if name.startswith(self.legacy.prefix)]
        return {
            "tables": tables,
            "described": {name: self._described(name) for name in ours},
            "items": {name: self._items(name, but) for name in ours},
        }

    def _tables(self) -> Iterator[str]:
        for page in self.client.get_paginator("list_tables").paginate():
            yield from page["TableNames"]

    def _described(self, table: str) -> Plain:
        described = self.client.describe_table(TableName=table)["Table"]
        lifetime = self.client.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
        return {"ttl": lifetime, **_without_counts(described)}

    def _items(self, table: str, but: tuple[str, ...]) -> list[str]:
        items = scan(self.client, table)
        return sorted(str(item) for item in items if not item.get("PK", {"S": ""})["S"].startswith(but or ("\0",)))

    def _ends(self) -> str:
        return "\n".join(worker.said for worker in self.program.workers)


LIVELY = ("leases", "shards/", "evidence")
"""What a worker writes without being asked to."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _without_counts(described: Plain) -> Plain:
    """Leave out what follows the number of items."""
    indexes = [_without_counts(index) for index in described.get("GlobalSecondaryIndexes", [])]
    kept = {name: value for name, value in described.items() if name not in _COUNTED}
    return {**kept, "GlobalSecondaryIndexes": sorted(indexes, key=str)}


def _plain(item: Item) -> Plain:
    return {name: _PLAIN.deserialize(value) for name, value in item.items()}
