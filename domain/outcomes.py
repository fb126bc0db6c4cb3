"""What becomes of a put, and why something ends in quarantine (protocol §2)."""

from enum import StrEnum


class Reason(StrEnum):
    """Why something is in quarantine. Every one blocks the cutover; a stray also `complete` and `rollback`."""

    UNTRANSLATABLE = "untranslatable"
    REFUSED = "refused"
    COLLISION = "collision"
    FOREIGN = "foreign"
    IRREVERSIBLE = "irreversible"
    STRAY = "stray"


class Outcome(StrEnum):
    """What became of a put."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"
    COLLISION = "collision"
    FOREIGN = "foreign"

    @property
    def fault(self) -> Reason | None:
        """Return the reason to quarantine the source id, or None when all is well."""
        return {Outcome.COLLISION: Reason.COLLISION, Outcome.FOREIGN: Reason.FOREIGN}.get(self)
