"""``tableturn postpone``: hold a cutover back until a moment, or no longer; gate ``not-postponed`` heeds it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from domain.errors import RefusedError
from service.console import OUT, Exit, as_json, operator
from service.session import session
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Postponement:
    """What the operator says: ``until`` a moment with its zone, or ``seconds`` from now; neither: no longer."""

    until: str | None = None
    seconds: float | None = None
    reason: str = ""

    def moment_ms(self, now_ms: int) -> int:
        """Return until when, in ms; 0: no longer. Raises RefusedError for a moment without zone or one in the past."""
        if self.until is None and self.seconds is None:
            return 0
        until_ms = now_ms + int((self.seconds or 0) * 1000) if self.until is None else moment_of(self.until)
        if until_ms <= now_ms:
            raise RefusedError("that moment is over", hint="name one that is to come, or --clear")
        if not self.reason.strip():
            raise RefusedError("postponing needs a reason", hint="add --reason, for those who wait")
        return until_ms


async def postpone(settings: Settings, wish: Postponement, *, json: bool) -> Exit:
    """Write it down, for every worker and operator."""
    async with session(settings) as opened:
        await opened.check_ledger()
        until_ms = wish.moment_ms(opened.clock.wall_ms())
        await opened.ledger.controls.postpone(until_ms, reason=wish.reason, by=operator())
    if json:
        as_json({"postponed_until_ms": until_ms or None, "reason": wish.reason})
    else:
        told = (
            f"until {datetime.fromtimestamp(until_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC" if until_ms else "no longer"
        )
        OUT.print(f"✓ the cutover is postponed {told}")
    return Exit.DONE


def moment_of(text: str) -> int:
    """Return a moment that an operator wrote, in ms since 1970. Raises RefusedError for one without a zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise RefusedError(f"{text} is no moment with a zone", hint="write it like 2026-12-01T21:00+01:00")
    return int(moment.timestamp() * 1000)
