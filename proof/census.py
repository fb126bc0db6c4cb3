"""What all items together showed: counts, bytes, write units by table and index, faults, heaviest keys. Pure.

Grows item by item in bounded memory, and can be written down and read again, so that a proof goes on after a kill.
"""

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from domain.tables import TableDefinition
from proof.capacity import TABLE
from proof.examination import Examined, Written
from proof.faults import FAULTS, Fault
from proof.hitters import Hitters

COLLECTION_BYTES = 10 * 1024**3
"""An item collection (all items of one hash key, local indexes included) may not outgrow this (AWS: Local indexes)."""

_MOST_DETAILS = 100
"""Details told apart per source and kind of fault; the others count together."""

OTHERS = "… others"

_SHOWN = 5
"""Heaviest keys of the table and of each index that a report names."""


@dataclass(slots=True)
class Census:
    """Counts by source (``items``, ``bytes``), by entity (``written``, ``written_bytes``), by index (``units``, …).

    Keys in it are masked already (`proof.examination`). ``spent`` are read units.
    """

    items: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    written_bytes: Counter[str] = field(default_factory=Counter)
    entries: Counter[str] = field(default_factory=Counter)
    entry_bytes: Counter[str] = field(default_factory=Counter)
    units: Counter[str] = field(default_factory=Counter)
    faults: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    partitions: dict[str, Hitters] = field(default_factory=dict)
    collections: Hitters = field(default_factory=Hitters)
    spent: Fraction = Fraction(0)
    _details: Counter[tuple[str, str]] = field(default_factory=Counter, compare=False)

    def add(self, target: TableDefinition, found: Examined) -> None:
        """Take an item in."""
        self.items[found.source] += 1
        self.bytes[found.source] += found.size
        self.note(found.source, found.faults)
        local = {index.name for index in target.indexes if index.local}
        for each in found.written:
            self._write(each, local)

    def note(self, source: str, faults: tuple[Fault, ...]) -> None:
        """Count faults, by source, kind and detail."""
        for fault in faults:
            place = source, fault.kind, fault.detail
            if place not in self.faults:
                self._details[source, fault.kind] += 1
                if self._details[source, fault.kind] > _MOST_DETAILS:
                    place = source, fault.kind, OTHERS
            self.faults[place] += 1

    def _write(self, item: Written, local: set[str]) -> None:
        self.written[item.entity] += 1
        self.written_bytes[item.entity] += item.size
        for entry in item.entries:
            self.entries[entry.index] += 1
            self.entry_bytes[entry.index] += entry.size
            self.units[entry.index] += entry.units
            partition = TABLE if entry.index in local else entry.index  # a local index lies where its table's items do
            self.partitions.setdefault(partition, Hitters()).add(entry.hash_key, entry.units)
        if local:
            collected = sum(entry.size for entry in item.entries if entry.index in {TABLE, *local})
            self.collections.add(item.entries[0].hash_key, collected)

    def grown(self) -> list[tuple[str, str]]:
        """Return kinds of fault that only all items together have, with the hash key: collections too large."""
        found = []
        for key, size in self.collections.heaviest(len(self.collections.weights)):
            if size > COLLECTION_BYTES:
                found.append(("collection-too-large", key))
            elif size + self.collections.lost > COLLECTION_BYTES // 2:
                found.append(("collection-large", key))
        return found

    def heaviest(self) -> dict[str, list[tuple[str, int]]]:
        """Return the hash keys that take the most write units, by table or index."""
        return {index: hitters.heaviest(_SHOWN) for index, hitters in sorted(self.partitions.items())}

    def faults_by_kind(self) -> dict[str, Counter[str]]:
        """Return counts by kind, then by source and detail; kinds in the order of the list of faults."""
        found: dict[str, Counter[str]] = {}
        for (source, kind, detail), count in sorted(self.faults.items()):
            found.setdefault(kind, Counter())[f"{source} {detail}".strip()] += count
        return {kind: found[kind] for kind in FAULTS if kind in found}

    def document(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        counted = {name: dict(getattr(self, name)) for name in _COUNTERS}
        faults = [[*where, count] for where, count in self.faults.items()]
        partitions = {index: hitters.document() for index, hitters in self.partitions.items()}
        sums = {"collections": self.collections.document(), "spent": str(self.spent)}
        return {**counted, "faults": faults, "partitions": partitions, **sums}

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Census":
        """Invert `document`."""
        census = cls()
        for name in _COUNTERS:
            setattr(census, name, Counter(document[name]))
        census.faults = Counter({(source, kind, detail): count for source, kind, detail, count in document["faults"]})
        census.partitions = {index: Hitters.read(each) for index, each in document["partitions"].items()}
        census.collections = Hitters.read(document["collections"])
        census.spent = Fraction(document["spent"])
        census._details = Counter((source, kind) for source, kind, _ in census.faults)
        return census


_COUNTERS = ("items", "bytes", "written", "written_bytes", "entries", "entry_bytes", "units")
