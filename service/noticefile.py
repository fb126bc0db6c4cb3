"""The notice file: who is told what, over which routes, and what only the operator can say.

One reviewable YAML file, named by TABLETURN_NOTICES_FILE; docs/operating/notices.md lists what may stand there.
`routes` deliver, `audiences` are lists of them, `send` says which audiences each kind of notice goes to. No secret
stands in it: a webhook is signed with what an environment variable holds. Next: `service.postage` makes routes of it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.errors import FatalError
from domain.notices import NoticeKind
from service.filledfiles import Names, read_filled

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Seconds = Annotated[float, Field(gt=0, le=600, allow_inf_nan=False)]
Line = Annotated[str, Field(max_length=1_000)]
_HINT: Final = "mend the notice file (docs/operating/notices.md lists what may stand there) and try again"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TopicEntry(_Strict):
    """A topic of SNS, by its ARN."""

    kind: Literal["topic"]
    topic: str


class WebhookEntry(_Strict):
    """A signed POST. Plain http is for this very machine: who is told of a migration is nobody else's business."""

    kind: Literal["webhook"]
    url: Annotated[str, Field(pattern=r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])(:[0-9]+)?/)")]
    secret_variable: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
    seconds: Seconds = 10.0


class CommandEntry(_Strict):
    """A program of the operator's: words, not a shell's line; the notice is its input."""

    kind: Literal["command"]
    words: Names
    seconds: Seconds = 30.0


RouteEntry = Annotated[TopicEntry | WebhookEntry | CommandEntry, Field(discriminator="kind")]


class NoticeFile(_Strict):
    """The whole file: of which plan, who to ask, what gets better, and who is told."""

    notices: str
    contact: Line = ""
    escalation: Line = ""
    improvements: list[Line] = []
    baselines: list[str] = []
    routes: dict[Name, RouteEntry]
    audiences: dict[Name, Names]
    send: dict[NoticeKind, Names]

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        """Raise ValueError, which pydantic tells with its place, for a route or audience that there is not."""
        for audience, routes in self.audiences.items():
            for route in routes:
                if route not in self.routes:
                    message = f"audiences.{audience}: there is no route {route}"
                    raise ValueError(message)
        for kind, audiences in self.send.items():
            for audience in audiences:
                if audience not in self.audiences:
                    message = f"send.{kind}: there is no audience {audience}"
                    raise ValueError(message)
        if len(self.baselines) == 1:
            message = "baselines: one alone says nothing, name two or more"
            raise ValueError(message)
        return self

    def routes_of(self, kind: NoticeKind) -> list[str]:
        """Return the routes that a kind of notice goes to, each once, though several audiences may share it."""
        routes = [route for audience in self.send.get(kind, ()) for route in self.audiences[audience]]
        return list(dict.fromkeys(routes))


def read_notice_file(path: Path, *, plan: str, variables: Mapping[str, str]) -> NoticeFile:
    """Read the file. Raises FatalError naming it and everything that is wrong in it, or that it is another plan's."""
    file = read_filled(path, "notice file", NoticeFile, variables, hint=_HINT)
    if file.notices != plan:
        message = f"notice file {path} is for plan {file.notices}, this is {plan}"
        raise FatalError(message, hint="name the plan in its line `notices:`, or another file")
    return file
