"""Settings from any environment: a process that can be set up, or every wrong variable by name."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import FatalError, RefusedError
from dynamo.local import ENDPOINT_VARIABLES
from ledger.lease import LeaseTimes
from mapping.plan import load_plan
from service.settings import ENVIRONMENT, Settings
from service.web import listen
from tests.fuzz.effort import fuzzed

VARIABLES = [*ENVIRONMENT.values(), *ENDPOINT_VARIABLES]
VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
    st.integers(-(10**40), 10**40).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["inf", "nan", "1e308", "-0", "1_0", "٣", " 5 ", "9" * 5000, "x" * 5000, "\udcff", "true", "debug", "~"]
    ),
)
ENVIRONMENTS = st.dictionaries(st.sampled_from(VARIABLES), VALUES, max_size=4)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    return monkeypatch


def set_up(environment: dict[str, str]) -> Settings | None:
    """Read the settings of an environment; None when they are refused as they should be."""
    os.environ.update(environment)
    try:
        return Settings.from_environment()
    except FatalError as error:
        refusal = error
    finally:
        for variable in environment:
            del os.environ[variable]
    assert any(variable in refusal.message for variable in environment)
    assert refusal.hint
    return None


@fuzzed()
@given(environment=ENVIRONMENTS)
@example({"TABLETURN_MAX_BLOCKED_SECONDS": "inf"}).via("was an OverflowError, at the first gate")
@example({"TABLETURN_BAKE_SECONDS": "1e308"}).via("was an OverflowError, likewise")
@example({"TABLETURN_PLAN": "x" * 5000}).via("was an OSError")
@example({"TABLETURN_PORT": "9" * 5000})
def test_any_environment_gives_settings_that_work_or_names_the_variable(
    bare: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    settings = set_up(environment)
    if settings is None:
        return
    limits = settings.limits()
    assert min(limits.bake_ms, limits.verify_ms) >= 0
    assert isinstance(settings.plan_path(), Path)
    with suppress(RefusedError):
        assert LeaseTimes(settings.lease_seconds, settings.request_seconds).settling > 0
    assert 0 <= settings.port <= 65_535


@pytest.mark.parametrize("plan", ["x" * 5000, "a" * 300, "/", ".", "~", "\udcff", "/dev/null"])
def test_a_plan_that_no_file_can_have_is_refused_by_name(bare: pytest.MonkeyPatch, plan: str) -> None:
    settings = Settings.model_construct(plan=plan)
    with pytest.raises(FatalError, match="plan "):
        load_plan(settings.plan_path(), variables={})


@pytest.mark.parametrize("host", ["x" * 70, "a..b", "\udcff", "\0", "256.1.1.1", "::zz", "not a host"])
def test_an_address_that_cannot_be_one_is_refused_by_name(host: str) -> None:
    with pytest.raises(FatalError, match="cannot listen"):
        listen(host, 0)
