"""The report of a proof: one document for machines, from which every page is drawn. Pure.

Everything in it may be shown: items and keys are masked by the plan. Its fingerprint goes into the ledger at `init`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mapping.plan import Plan
from proof.census import Census
from proof.faults import FAULTS, VERDICTS, Grade
from proof.forecast import Forecast
from proof.neighbours import Neighbours
from proof.prices import Prices
from proof.tables import Preflight

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Scope:
    """What was read: ``sample`` items of each table (None: every one), between two moments in wall milliseconds."""

    sample: int | None
    begun_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A kind of fault as the report shows it: how often, where, and a few who have it (masked)."""

    kind: str
    count: int
    where: dict[str, int]
    examples: Sequence[str]

    def document(self) -> dict[str, Any]:
        """Return it as plain data."""
        known = FAULTS[self.kind]
        return {
            "kind": self.kind,
            "grade": known.grade.name.lower(),
            "count": self.count,
            "where": self.where,
            "meaning": known.meaning,
            "way_out": known.way_out,
            "examples": list(self.examples),
        }


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was seen before the first item was read: the tables themselves, and who else works with them."""

    tables: Preflight
    neighbours: Neighbours

    @property
    def problems(self) -> list[str]:
        """Return what stands in the way."""
        return [*self.tables.problems, *self.neighbours.problems]


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a proof has found."""

    plan: Plan
    scope: Scope
    seen: Surroundings
    census: Census
    findings: Sequence[Finding]
    forecast: Forecast | None
    prices: Prices
    samples: Sequence[dict[str, Any]]
    queries: dict[str, dict[str, Any]]

    @property
    def warnings(self) -> list[str]:
        """Return what is to be known of tables and neighbours; that all tables are empty as well."""
        empty = [] if self.census.items.total() else ["no legacy table holds an item: check prefix, region and account"]
        return [*self.seen.tables.warnings, *self.seen.neighbours.warnings, *empty]

    @property
    def grade(self) -> Grade:
        """Return the gravest of everything."""
        grades = [FAULTS[finding.kind].grade for finding in self.findings]
        grades += [Grade.FAIL] * bool(self.seen.problems)
        grades += [Grade.WARN] * bool(self.warnings or (self.forecast and self.forecast.remarks()))
        return max(grades, default=Grade.NOTE)


def report(evidence: Evidence) -> dict[str, Any]:
    """Return the document."""
    plan, census = evidence.plan, evidence.census
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "plan": plan.name,
        "plan_hash": plan.hash,
        "begun_ms": evidence.scope.begun_ms,
        "at_ms": evidence.scope.at_ms,
        "scope": "every item" if evidence.scope.sample is None else f"about {evidence.scope.sample} items a table",
        "tables": dict(evidence.seen.tables.identities),
        "verdict": VERDICTS[evidence.grade],
        "problems": evidence.seen.problems,
        "warnings": evidence.warnings,
        "account": evidence.seen.neighbours.document(),
        "streams_off": list(evidence.seen.tables.streams_off),
        "targets_missing": [definition.name for definition in evidence.seen.tables.targets_missing],
        "items": {name: census.items[name] for name in plan.sources},
        "bytes": {name: census.bytes[name] for name in plan.sources},
        "target_items": dict(census.written),
        "target_bytes": dict(census.written_bytes),
        "write_units": dict(census.units),
        "queries": evidence.queries,
        "faults": [finding.document() for finding in evidence.findings],
        "heaviest_keys": _heaviest(census),
        "forecast": None if evidence.forecast is None else evidence.forecast.document(),
        "prices": {"as_of": evidence.prices.as_of, "region": evidence.prices.region},
        "read_units_spent": str(Decimal(census.spent.numerator) / Decimal(census.spent.denominator)),
        "samples": list(evidence.samples),
    }
    return {**document, "fingerprint": fingerprint(document)}


def fingerprint(document: dict[str, Any]) -> str:
    """Return the digest of a report without the fingerprint that it carries itself."""
    content = {name: value for name, value in document.items() if name != "fingerprint"}
    encoded = json.dumps(content, sort_keys=True).encode()
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


def _heaviest(census: Census) -> list[dict[str, Any]]:
    """Return the keys that take the most write units, with their share in per mille, the heaviest first."""
    found = []
    for index, keys in census.heaviest().items():
        total = census.partitions[index].total
        found += [
            {"index": index, "key": key, "units": units, "per_mille": units * 1000 // total} for key, units in keys
        ]
    return sorted(found, key=lambda each: -each["units"])
