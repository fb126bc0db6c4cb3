"""What is told of a migration, and what became of the telling: kinds of notices, and their deliveries by route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class NoticeKind(StrEnum):
    """What a notice tells; the words are those of the notice file. The first four are the owner's plan's."""

    ANNOUNCEMENT = "announcement"
    """T−48 h: the planned switch."""
    FINAL = "final-notice"
    """T−2 h: it is about to begin."""
    CUT_OVER = "cut-over"
    """T+0: the target serves."""
    REPORT = "status-report"
    """T+24 h: how it went."""
    ROLLED_BACK = "rolled-back"
    POSTPONED = "postponed"
    PHASE = "phase"
    REFUSED = "refused"
    TAKEN_BACK = "taken-back"


class NoticeState(StrEnum):
    """How far a notice is; what became of it on each route stands in its deliveries."""

    BEGUN = "begun"
    OVER = "over"
    SKIPPED = "skipped"
    """Its time had passed before anybody could send it."""


class DeliveryState(StrEnum):
    """How far a notice is on one route."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notice on one route: how often it was tried, when the last time (ms), and why it failed."""

    state: DeliveryState = DeliveryState.WAITING
    tries: int = 0
    at_ms: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice: when it was due and when it was written (ms), its JSON document, and its deliveries by route."""

    notice_id: str
    kind: NoticeKind
    state: NoticeState
    due_ms: int
    at_ms: int
    document: str = field(default="", repr=False)
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)
    revision: int = 0
    """Of its row in the ledger; 0: it stands in none yet."""
    fence: int = 0

    @property
    def waiting(self) -> list[str]:
        """Return the routes on which it is still to be sent."""
        return [route for route, each in self.deliveries.items() if each.state is DeliveryState.WAITING]
