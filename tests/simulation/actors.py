"""Who asks: carried by the context of a task, so that the twin's server half knows whose request it serves."""

from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What somebody is to the migration."""

    LEGACY = "legacy application"
    NEW = "new application"
    WORKER = "worker"
    OPERATOR = "operator"
    INTRUDER = "intruder"
    NATURE = "nature"


@dataclass(frozen=True, slots=True)
class Actor:
    """One of them; ``lands_by`` bounds in time what an application has sent (its longest request)."""

    kind: Kind
    name: str = ""
    lands_by: float = float("inf")

    @property
    def is_application(self) -> bool:
        """Tell whether its writes are what must not be lost."""
        return self.kind in {Kind.LEGACY, Kind.NEW}


NATURE = Actor(Kind.NATURE)
ACTOR: ContextVar[Actor] = ContextVar("actor", default=NATURE)
