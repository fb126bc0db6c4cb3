"""``tableturn announce`` on the twin: plans, shows, prints a notice without a trace, and sends one by hand."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from domain.errors import FatalError, RefusedError
from domain.notices import Delivery, DeliveryState, NoticeState
from service.announcing import Wish, announced
from service.console import Exit
from service.session import Session
from service.settings import Settings
from tests.world import Venue, World

AT = "2026-12-01T21:00+01:00"
AT_MS = 1_796_155_200_000
FILE = """
notices: tyler-setup
contact: the desk
routes: {{box: {{kind: command, words: [sh, -c, "{words}"]}}}}
audiences: {{all: box}}
send: {{announcement: all, phase: all}}
"""


def notice_file(folder: Path, words: str = "cat >> told") -> Path:
    path = folder / "notices.yaml"
    path.write_text(FILE.format(words=words))
    return path


def opened(world: World, **settings: Any) -> Session:
    return Session(Settings.model_validate(settings), world.plan, world.database, world.ledger, world.venue.clock)


async def asked(
    capsys: pytest.CaptureFixture[str], session: Session, *, code: Exit = Exit.DONE, **wish: Any
) -> dict[str, Any]:
    """Ask for something and return the document that was printed."""
    capsys.readouterr()
    assert await announced(session, Wish(**wish), json=True) is code
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.looptime
async def test_a_planned_moment_is_shown_with_what_is_to_come_and_can_be_called_off(
    twin: Venue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await twin.world("tyler-setup", "users")
    session = opened(world, notices_file=notice_file(tmp_path))
    found = await asked(capsys, session, at=AT)
    assert found["planned_ms"] == AT_MS
    coming = {each["notice"]: each["due_ms"] for each in found["to_come"]}
    assert coming[f"announcement-{AT_MS}"] == AT_MS - 48 * 3_600_000
    assert (await asked(capsys, session, clear=True, reason="a holiday"))["planned_ms"] is None
    assert {"planned", "called-off"} <= {str(event["event"]) for event in await world.ledger.history.all()}
    with pytest.raises(RefusedError, match="no switch is planned"):
        await announced(session, Wish(clear=True), json=True)


@pytest.mark.looptime
async def test_a_dry_run_prints_the_notice_and_leaves_no_trace(
    twin: Venue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = await twin.world("tyler-setup", "users")
    before = await world.ledger_rows()
    session = opened(world, notices_file=notice_file(tmp_path, f"touch {tmp_path}/told"), dry_run=True)
    found = await asked(capsys, session, at=AT, now="T-48h")
    assert found["routes"] == ["box"]
    assert "planned for 2026-12-01 20:00 UTC" in found["document"]["text"]
    assert await world.ledger_rows() == before
    assert not (tmp_path / "told").exists()


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("wish", "told"),
    [
        ({"at": "2026-12-01T21:00"}, "no moment with a zone"),
        ({"at": "soon"}, "no moment with a zone"),
        ({"at": "2020-01-01T00:00Z"}, "is over"),
        ({"at": AT, "clear": True}, "contradict"),
        ({"now": "T-3h"}, "is no kind of notice"),
        ({"now": "T-2h"}, "nothing that a notice final-notice could tell"),
        ({"at": AT, "now": "T-2h"}, "nobody is told final-notice"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_reason(
    twin: Venue, tmp_path: Path, wish: dict[str, Any], told: str
) -> None:
    world = await twin.world("tyler-setup", "users")
    with pytest.raises(RefusedError, match=told):
        await announced(opened(world, notices_file=notice_file(tmp_path)), Wish(**wish), json=True)
    assert await world.ledger.notices.all() == []


@pytest.mark.looptime
async def test_without_a_notice_file_there_is_nobody_to_tell(twin: Venue) -> None:
    world = await twin.world("tyler-setup", "users")
    with pytest.raises(FatalError, match="no notice file"):
        await announced(opened(world), Wish(at=AT, now="T-48h"), json=True)
    assert await world.ledger.notices.planned() is None


async def test_one_sent_by_hand_is_sent_once_unless_it_failed_or_is_wanted_again(
    twin: Venue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In real time: programs that are really run know no other."""
    world = await twin.world("tyler-setup", "users")
    session = opened(world, notices_file=notice_file(tmp_path, f"cat >> {tmp_path}/told"))
    at = datetime.fromtimestamp(session.clock.wall_ms() / 1000 + 100_000, UTC)
    assert (await asked(capsys, session, at=at.isoformat(), now="T-48h"))["state"] == NoticeState.OVER
    with pytest.raises(RefusedError, match=r"was sent since .*--again"):
        await announced(session, Wish(now="T-48h"), json=True)
    ((notice),) = await world.ledger.notices.all()
    await world.ledger.notices.delivered(notice.notice_id, "box", Delivery(DeliveryState.FAILED, 8, 5, "down"))
    await world.ledger.notices.delivered(notice.notice_id, "chat", Delivery(DeliveryState.SENT, 1, 5))
    found = await asked(capsys, session, now="T-48h")
    assert {route: each["tries"] for route, each in found["deliveries"].items()} == {"box": 1, "chat": 1}
    assert found["document"] == json.loads(notice.document)
    await asked(capsys, session, now="T-48h", again=True)
    letters = (tmp_path / "told").read_text().count(f'"notice": "{notice.notice_id}"')
    assert (letters, len(await world.ledger.notices.all())) == (3, 1)
