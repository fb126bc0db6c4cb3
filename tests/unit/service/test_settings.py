"""Settings: from the environment, flags first, every wrong one named (layout: settings)."""

from pathlib import Path

import pytest

from domain.errors import FatalError, RefusedError
from ledger.lease import LeaseTimes
from service.settings import ENVIRONMENT, Settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*ENVIRONMENT.values(), "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "TABLETURN_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)


def test_the_defaults_stand_where_nothing_is_said() -> None:
    settings = Settings.from_environment()
    assert (settings.plan, settings.lease_seconds, settings.endpoint_url) == ("tyler-setup", 10.0, None)
    assert settings.plan_path().is_file()


def test_flags_win_over_the_environment_and_absent_flags_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLETURN_PORT", "1234")
    monkeypatch.setenv("TABLETURN_SEGMENTS", "7")
    settings = Settings.from_environment(port=0, segments=None)
    assert (settings.port, settings.segments) == (0, 7)


def test_an_empty_variable_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABLETURN_PORT", "")
    assert Settings.from_environment().port == 9464


WRONG = {
    "TABLETURN_PORT": "70000",
    "TABLETURN_SEGMENTS": "0",
    "TABLETURN_PAGE_ITEMS": "-1",
    "TABLETURN_MAX_BLOCKED_SECONDS": "soon",
    "TABLETURN_BAKE_SECONDS": "-1",
    "MIGRATION_LOG_LEVEL": "loud",
    "DRY_RUN": "perhaps",
}


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in WRONG.items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(FatalError) as refusal:
        Settings.from_environment()
    assert all(variable in refusal.value.message for variable in WRONG)
    assert refusal.value.hint


def test_settings_do_not_change_and_know_no_others() -> None:
    settings = Settings.from_environment()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
    with pytest.raises(FatalError, match="unheard_of"):
        Settings.from_environment(unheard_of=1)


def test_every_setting_says_what_it_is_for_and_where_it_comes_from() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert name in ENVIRONMENT or name == "endpoint_url"


def test_a_plan_of_ones_own_is_taken_by_its_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("plan: mine\n")
    assert Settings.from_environment(plan=str(own)).plan_path() == own
    assert Settings.from_environment(plan="order-desk").plan_path().name == "order-desk.yaml"


def test_a_lease_that_cannot_cover_a_request_is_refused() -> None:
    with pytest.raises(RefusedError, match="cannot cover"):
        LeaseTimes(lease=3, request=3)
    assert LeaseTimes(lease=10, request=3).settling == 23
