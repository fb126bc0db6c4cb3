"""What the copy will take: units, bytes, dollars and time at a given pace, and whether DynamoDB allows it. Pure.

Sources: AWS, "Best practices for designing partition keys" (1,000 write units a second and partition), "Quotas",
"DynamoDB on-demand capacity mode" (what a new table takes at once), "DynamoDB Streams" (24 hours).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from proof.capacity import TABLE
from proof.census import Census
from proof.prices import Prices

PARTITION_UNITS = 1_000
"""Write units a second that one partition, hence one hash key, takes."""

UNWARMED_UNITS = 4_000
"""Write units a second that a new on-demand table takes at once, without warm throughput."""

TABLE_QUOTA_UNITS = 40_000
"""Write units a second that an account allows a table, unless raised."""

RETENTION_S = 24 * 3600
_READ_UNIT = 4 * 1024
_GB = 1024**3
_STORED_EXTRA = 100
"""Bytes of storage that DynamoDB counts on top of each item, and of each index entry."""

_MOMENT_S = 300
"""Seconds for which a partition's burst capacity lasts: a copy shorter than that has no hot key."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Units a second: what the copy may write, and read (None: no ceiling)."""

    write_units: int
    read_units: int | None = None


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds by what limits them, the hottest key (index, hash key, units), units, and dollars by purpose."""

    read_units: int
    write_units: int
    read_s: int
    write_s: int
    hottest: tuple[str, str, int]
    stored_bytes: int
    dollars: dict[str, Decimal]
    pace: Pace

    @property
    def floor_s(self) -> int:
        """Return the seconds that the hottest key takes, however fast all else goes."""
        return _ceil(self.hottest[2], PARTITION_UNITS)

    @property
    def seconds(self) -> int:
        """Return the seconds of the whole copy."""
        return max(self.read_s, self.write_s, self.floor_s)

    @property
    def is_hot(self) -> bool:
        """Tell whether the hottest key, and not the pace, decides how long the copy takes."""
        return self.floor_s > max(_MOMENT_S, self.write_s, self.read_s)

    def remarks(self) -> list[tuple[str, str]]:
        """Return what does not fit: a word for it, and the sentence."""
        found = []
        if self.seconds > RETENTION_S:
            what = f"the copy takes {self.seconds} s, longer than the {RETENTION_S} s that stream records are kept"
            found.append(("retention", f"{what}: a worker that stands still meanwhile loses changes; copy faster"))
        if self.pace.write_units > TABLE_QUOTA_UNITS:
            what = f"{self.pace.write_units} write units a second are over the quota of {TABLE_QUOTA_UNITS} a table"
            found.append(("table-quota", f"{what}; have it raised, or copy more slowly (--write-units)"))
        elif self.pace.write_units > UNWARMED_UNITS:
            what = f"a new table takes {UNWARMED_UNITS} write units a second at once"
            found.append(("warm-throughput", f"{what}; set its WarmThroughput to {self.pace.write_units} first"))
        return found

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "read_units": self.read_units,
            "write_units": self.write_units,
            "stored_bytes": self.stored_bytes,
            "pace": {"write_units": self.pace.write_units, "read_units": self.pace.read_units},
            "seconds": {"read": self.read_s, "write": self.write_s, "floor": self.floor_s, "copy": self.seconds},
            "dollars": {name: str(amount) for name, amount in self.dollars.items()},
            "remarks": [sentence for _, sentence in self.remarks()],
        }


def forecast(census: Census, pace: Pace, prices: Prices) -> Forecast:
    """Work out what copying all that was counted takes."""
    read = sum(_ceil(size, _READ_UNIT) for size in census.bytes.values())  # strongly consistent: 4 KB a unit
    write = sum(census.units.values())
    stored = sum(census.entry_bytes.values()) + _STORED_EXTRA * sum(census.entries.values())
    hottest = max(
        ((index, *keys[0]) for index, keys in census.heaviest().items() if keys),
        key=lambda each: each[2],
        default=(TABLE, "", 0),
    )
    return Forecast(
        read,
        write,
        0 if pace.read_units is None else _ceil(read, pace.read_units),
        _ceil(write, pace.write_units),
        hottest,
        stored,
        _dollars(read, write, stored, prices),
        pace,
    )


def _dollars(read: int, write: int, stored: int, prices: Prices) -> dict[str, Decimal]:
    million, gigabytes = Decimal(1_000_000), Decimal(stored) / _GB
    found = {
        "copy_reads": read / million * prices.read_million_units,
        "copy_writes": write / million * prices.write_million_units,
        "storage_a_month": gigabytes * prices.storage_gb_month,
        "recovery_a_month": gigabytes * prices.recovery_gb_month,
    }
    return {name: amount.quantize(Decimal("0.01")) for name, amount in found.items()}


def _ceil(amount: int, per: int) -> int:
    return -(-amount // per)
