"""What is asked of the leader: by an operator (cut over, roll back …) or by one engine of another (verify).

A request is written once, taken by the leader, and answered in the same row; the asker watches it.
"""

import secrets
from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.clock import Clock
from ledger.rows import Fields, Row, Rows


class RequestKind(StrEnum):
    """What can be asked."""

    CUTOVER = "cutover"
    ROLLBACK = "rollback"
    COMPLETE = "complete"
    ABORT = "abort"
    RECAPTURE = "recapture"
    VERIFY = "verify"
    RETRY = "retry"


class RequestState(StrEnum):
    """How far a request is."""

    OPEN = "open"
    TAKEN = "taken"
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Request:
    """One request: ``facts`` hold its options, ``answer`` what came of it, ``steps`` how far it is."""

    kind: RequestKind
    request_id: str
    state: RequestState = RequestState.OPEN
    facts: Fields = field(default_factory=dict)
    answer: Fields = field(default_factory=dict)
    revision: int = 0

    @property
    def over(self) -> bool:
        """Tell whether it is answered."""
        return self.state in {RequestState.DONE, RequestState.REFUSED}


class Requests:
    """The partitions ``requests/<kind>``."""

    def __init__(self, rows: Rows, clock: Clock) -> None:
        """Wrap the rows."""
        self._rows = rows
        self._clock = clock

    async def ask(self, kind: RequestKind, **facts: object) -> Request:
        """Write a request; ids sort by time."""
        request_id = f"{self._clock.wall_ms():015}-{secrets.token_hex(4)}"
        return await self._save(Request(kind, request_id, facts=facts))

    async def get(self, request: Request) -> Request:
        """Read a request again."""
        row = await self._rows.get(f"requests/{request.kind}", request.request_id)
        return request if row is None else _request(request.kind, row)

    async def waiting(self, kind: RequestKind) -> list[Request]:
        """Return the requests of a kind that nobody has answered, oldest first."""
        found = [_request(kind, row) for row in await self._rows.all(f"requests/{kind}")]
        return [request for request in found if not request.over]

    async def take(self, request: Request) -> Request:
        """Mark a request as being worked on."""
        return await self._save(replace(request, state=RequestState.TAKEN))

    async def tell(self, request: Request, **answer: object) -> Request:
        """Add to the answer while the work goes on."""
        return await self._save(replace(request, answer={**request.answer, **answer}))

    async def answer(self, request: Request, *, done: bool, **answer: object) -> Request:
        """Close a request."""
        state = RequestState.DONE if done else RequestState.REFUSED
        return await self._save(replace(request, state=state, answer={**request.answer, **answer}))

    async def _save(self, request: Request) -> Request:
        fields = {"state": request.state.value, "facts": request.facts, "answer": request.answer}
        row = await self._rows.put(f"requests/{request.kind}", request.request_id, fields, revision=request.revision)
        return replace(request, revision=row.revision)


def _request(kind: RequestKind, row: Row) -> Request:
    fields = row.fields
    return Request(kind, row.name, RequestState(fields["state"]), fields["facts"], fields["answer"], row.revision)
