"""What a notice says of the migration: facts read from the ledger at one moment, nothing in them that is secret.

The document is what webhooks and commands get; docs/operating/notices.md lists its fields. Next: `service.wording`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from domain.clock import Clock
from domain.errors import FatalError
from domain.notices import NoticeKind
from dynamo.ports import Database
from ledger.book import Ledger
from mapping.masking import short_digest
from mapping.plan import Plan
from service import wording
from service.baseline import compare, read_baseline
from service.noticefile import NoticeFile
from service.postreport import short
from service.retelling import Told, retold
from service.settings import Settings
from service.status import status
from service.timetable import Due

SCHEMA: Final = 1
_EVENT: Final = ("came_from", "to", "why", "what", "gates", "step", "until_ms", "planned_ms")
_SECRETS: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # e-mail addresses
    r"|\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}"  # password hashes of bcrypt
    r"|\beyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?"  # JSON Web Tokens
    r"|\b(?=\w*\d)(?=\w*[A-Za-z])\w{32,}\b"  # keys and tokens: letters and figures without end
)


@dataclass(frozen=True, slots=True)
class Tidings:
    """What facts are made of."""

    ledger: Ledger
    database: Database
    plan: Plan
    clock: Clock
    settings: Settings
    file: NoticeFile

    async def document(self, due: Due) -> dict[str, Any]:
        """Return a notice as JSON-ready data, subject and text included."""
        facts = masked(await self._facts(due))
        facts |= {
            "contact": self.file.contact,
            "escalation": self.file.escalation,
            "improvements": list(self.file.improvements),
        }
        subject, text = wording.worded(due.kind, facts)
        return {**facts, "subject": subject, "text": text}

    async def _facts(self, due: Due) -> dict[str, Any]:
        settings, limits = self.settings, self.settings.limits()
        stands = await status(self.ledger, self.database, self.plan, self.clock, limits)
        outcome = due.outcome
        return {
            "schema": SCHEMA,
            "notice": due.notice_id,
            "kind": due.kind.value,
            "plan": self.plan.name,
            "written_ms": self.clock.wall_ms(),
            "due_ms": due.at_ms,
            "phase": stands["phase"],
            "serving": stands["serving"],
            "planned_ms": due.planned_ms,
            "window": {"opens_ms": limits.rules.opens_ms or None, "closes_ms": limits.rules.closes_ms or None},
            "postponed": stands["postponed"],
            "max_blocked_ms": int(settings.max_blocked_seconds * 1000),
            "prepare_ms": int(settings.prepare_seconds * 1000),
            "bake_ms": int(settings.bake_seconds * 1000),
            "sources": stands["sources"],
            "mismatches": (stands["reconciled"] or {}).get("mismatches"),
            "quarantined": sum(stands["quarantined"].values()),
            "gaps": stands["gaps"],
            "gates": [gate for gate in stands["gates"] if not gate["passes"]],
            "event": {name: due.event[name] for name in _EVENT if name in due.event}
            | {"at_ms": due.event.get("at_ms")},
            "switch": None if outcome is None else {"kind": outcome["event"], **_ended(outcome)},
            "report": await self._report() if due.kind is NoticeKind.REPORT else None,
        }

    async def _report(self) -> dict[str, Any]:
        """Return the report in short, and how the baselines compare that the file names."""
        compared, told = None, "no baselines are named: see `tableturn compare`"
        if self.file.baselines:
            try:
                compared = compare(*(read_baseline(Path(name)) for name in self.file.baselines))
                told = "no worse than before" if compared["passes"] else "worse than before: see `tableturn compare`"
            except FatalError as error:
                told = str(error)
        limits, now = self.settings.limits(), self.clock.wall_ms()
        document = await retold(self.ledger, list(self.plan.sources), limits, Told(compared=compared), now)
        return {"short": short(document), "performance": told}


def _ended(outcome: Mapping[str, Any]) -> dict[str, Any]:
    return {name: outcome[name] for name in ("switched", "why", "blocked_ms", "steps", "unsettled") if name in outcome}


def masked(value: Any) -> Any:  # noqa: ANN401 - JSON-ready data
    """Return data with what looks like a secret or an address replaced by a digest, at any depth."""
    if isinstance(value, str):
        return _SECRETS.sub(lambda found: short_digest(found[0]), value)
    if isinstance(value, Mapping):
        return {name: masked(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [masked(each) for each in value]
    return value
