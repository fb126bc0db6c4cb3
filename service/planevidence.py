"""``tableturn init --report``: a proof of this very plan, whole, fresh, unaltered, becomes evidence in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutover.facts import PROOF
from domain.errors import FatalError, RefusedError
from dynamo.scanfile import MOST_AGE_MS
from mapping.plan import Plan
from proof.report import SCHEMA, fingerprint
from service.documents import read_document

EVIDENCE = PROOF
_READ = {
    "schema": int, "fingerprint": str, "plan_hash": str, "verdict": str, "begun_ms": int, "scope": str, "tables": dict,
}  # fmt: skip
_HINT = "name a file that `tableturn plan --report` wrote"


@dataclass(frozen=True, slots=True)
class ProvenPlan:
    """A report that was accepted, with the tables it is of; ``override`` is why faults in it were accepted."""

    fingerprint: str
    verdict: str
    proved_ms: int
    tables: Mapping[str, str]
    override: str = ""

    def check(self, identities: Mapping[str, str]) -> None:
        """Raise RefusedError unless these are the very legacy tables that were read."""
        others = [name for name, identity in identities.items() if self.tables.get(name) != identity]
        if others:
            what = f"the report is of other tables than these: {', '.join(others)} (another account, or made anew)"
            raise RefusedError(what, hint="run `tableturn plan --report` again, on these tables")

    def facts(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {
            "fingerprint": self.fingerprint,
            "verdict": self.verdict,
            "proved_ms": self.proved_ms,
            "override": self.override,
        }


def accept(path: Path, plan: Plan, *, now_ms: int, override: str = "") -> ProvenPlan:
    """Read a report and hold it against the plan; its fingerprint shows accidents, not forgery.

    Raises FatalError for a file that is no report, RefusedError for one that failed, is of another plan, too old, of a
    sample or altered; ``override``, a reason, accepts a failed, stale or sampled one, never one of another plan.
    """
    document = _read(path)
    if document["fingerprint"] != fingerprint(document):
        raise RefusedError(f"{path} was altered after it was written", hint="run `tableturn plan --report` again")
    if document["plan_hash"] != plan.hash:
        what = f"{path} is of another plan, or of this one before it was changed"
        raise RefusedError(what, hint="run `tableturn plan --report` again, with the same variables")
    override = override.strip()
    wrong = _weaknesses(document, now_ms)
    if wrong and not override:
        raise RefusedError(f"{path}: {'; '.join(wrong)}", hint="mend that and prove it again, or --override REASON")
    why = override if wrong else ""
    return ProvenPlan(document["fingerprint"], document["verdict"], document["begun_ms"], document["tables"], why)


def _weaknesses(document: dict[str, Any], now_ms: int) -> list[str]:
    age_h = (now_ms - document["begun_ms"]) // 3_600_000
    found = ["its verdict is fail"] if document["verdict"] == "fail" else []
    if document["scope"] != "every item":
        found.append(f"only {document['scope']} were read")
    if document["begun_ms"] > now_ms:
        found.append("it is dated in the future")
    elif now_ms - document["begun_ms"] > MOST_AGE_MS:
        found.append(f"it is {age_h} hours old, {MOST_AGE_MS // 3_600_000} are allowed")
    return found


def _read(path: Path) -> dict[str, Any]:
    document = read_document(path, "a report", hint=_HINT)
    if any(not isinstance(document.get(name), kind) for name, kind in _READ.items()):
        raise FatalError(f"{path} is no report of a proof", hint=_HINT)
    if document["schema"] != SCHEMA:
        raise FatalError(f"{path} was written by another version of tableturn", hint="prove the plan again")
    return document
