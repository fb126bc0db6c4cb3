"""The notice file: what is wrong in it is told by its place, who is told what, and where secrets come from."""

from pathlib import Path

import pytest

from domain.errors import FatalError
from domain.notices import NoticeKind
from service.noticefile import NoticeFile, RouteEntry, read_notice_file
from service.postage import open_routes
from service.settings import Settings
from tests.strategies import PLANS
from tests.tidy.sources import ROOT

WHOLE = """
notices: tyler-setup
routes:
  chat: {kind: webhook, url: "https://chat.example/hooks/{HOOK}", secret_variable: CHAT_SECRET}
  log: {kind: command, words: [logger, -t, tableturn]}
audiences: {users: [chat], team: [chat, log]}
send: {phase: [users, team], refused: team}
"""


def read(tmp_path: Path, text: str, **variables: str) -> NoticeFile:
    path = tmp_path / "notices.yaml"
    path.write_text(text, encoding="utf-8")
    return read_notice_file(path, plan="tyler-setup", variables=variables)


def test_a_route_that_audiences_share_gets_a_notice_once(tmp_path: Path) -> None:
    file = read(tmp_path, WHOLE, HOOK="h")
    assert file.routes_of(NoticeKind.PHASE) == ["chat", "log"]
    assert file.routes_of(NoticeKind.REFUSED) == ["chat", "log"]
    assert file.routes_of(NoticeKind.CUT_OVER) == []


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("notices: tyler-setup", "notices: shop", "is for plan shop, this is tyler-setup"),
        ("kind: command", "kind: pigeon", "routes.log: Input tag 'pigeon'"),
        ("https://chat", "http://chat", "routes.chat.webhook.url"),
        ("secret_variable: CHAT_SECRET", "secret: hunter2", "routes.chat.webhook.secret: Extra inputs"),
        ("[chat, log]", "[chat, lag]", "audiences.team: there is no route lag"),
        ("refused: team", "refused: teem", "send.refused: there is no audience teem"),
        ("refused: team", "denied: team", "send.denied"),
        ("words: [logger, -t, tableturn]", "words: []", "routes.log.command.words"),
        ("send:", "baselines: [one.json]\nsend:", "baselines: one alone says nothing"),
        ("{HOOK}", "{NOBODY}", "not set: NOBODY"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    with pytest.raises(FatalError) as raised:
        read(tmp_path, WHOLE.replace(before, after), HOOK="h")
    assert told in str(raised.value)
    assert "notices.yaml" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("secret", ["", "too-short"])
async def test_a_webhook_without_a_secret_is_refused_by_the_name_of_its_variable(tmp_path: Path, secret: str) -> None:
    file = read(tmp_path, WHOLE, HOOK="h")
    with pytest.raises(FatalError, match="route chat signs with CHAT_SECRET") as raised:
        async with open_routes(file, Settings.model_validate({}), {"CHAT_SECRET": secret}, lambda: 0):
            pass
    assert "too-short" not in str(raised.value)


async def test_a_topic_needs_an_account() -> None:
    names = ("SECRETS_PREFIX", "AWS_REGION", "AWS_ACCOUNT_ID", "NOTICES_CONTACT", "ON_CALL_URL")
    variables = dict.fromkeys(names, "x") | {"ON_CALL_URL": "https://on-call.example/"}
    shipped = read_notice_file(PLANS / "notices" / "tyler-setup.yaml", plan="tyler-setup", variables=variables)
    local = Settings.model_validate({"endpoint_url": "http://127.0.0.1:9"})
    assert shipped.send.keys() == set(NoticeKind)
    with pytest.raises(FatalError, match="TABLETURN_ACCOUNT_ENDPOINT_URL"):
        async with open_routes(shipped, local, {"ON_CALL_SECRET": "x" * 16}, lambda: 0):
            pass


def test_every_route_field_and_kind_of_notice_is_documented() -> None:
    page = (ROOT / "docs" / "operating" / "notices.md").read_text()
    for entry in RouteEntry.__args__[0].__args__:
        name = entry.model_fields["kind"].annotation.__args__[0]
        row = next((line for line in page.splitlines() if line.startswith(f"| `{name}` |")), "")
        missing = [field for field in set(entry.model_fields) - {"kind"} if f"`{field}`" not in row]
        assert row, f"{name} has no row"
        assert not missing, f"{name}: {missing}"
    assert not [kind for kind in NoticeKind if f"\n| `{kind}` |" not in page]
    assert not [field for field in NoticeFile.model_fields if f"`{field}`" not in page]
