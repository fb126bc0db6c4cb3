"""The switch file: what is wrong in it is told by place, and what it says becomes actuators."""

from pathlib import Path

import pytest

from aws.backups import Backups
from aws.calls import Calls
from cutover.actuators import Moment
from domain.errors import FatalError
from dynamo.memory import MemoryDatabase
from ledger.book import operator_ledger
from service.levers import LeverPorts, acts
from service.switchfile import Entry, SwitchFile, read_switch_file
from tests.strategies import PLANS
from tests.tidy.sources import ROOT
from tests.world import LoopClock, plan_named

WHOLE = """
switch: tyler-setup
actuators:
  cache: {kind: purge, tables: ["{SECRETS_PREFIX}-cache"]}
  health: {kind: health}
  queries: {kind: queries, samples: "2"}
"""

HOOK = "switch: tyler-setup\nactuators: {{x: {{kind: http, when: tidy, target: {{{}}}}}}}"


def read(tmp_path: Path, text: str, **variables: str) -> SwitchFile:
    path = tmp_path / "switch.yaml"
    path.write_text(text, encoding="utf-8")
    return read_switch_file(path, plan="tyler-setup", variables=variables)


def ports() -> LeverPorts:
    """What there is behind an endpoint of DynamoDB alone."""
    clock = LoopClock()
    twin = MemoryDatabase(clock)
    ledger = operator_ledger(twin, "ledger", clock, who="test")
    backups = Backups(Calls({}, "nowhere"))
    return LeverPorts(twin, plan_named("tyler-setup", "acme", ()), ledger, clock, backups, None)


def test_entries_become_actuators_by_name_in_their_order(tmp_path: Path) -> None:
    made = acts(read(tmp_path, WHOLE, SECRETS_PREFIX="acme"), ports())
    assert [(act.name, act.moment, act.lasting) for act in made] == [
        ("cache/acme-cache", Moment.SWITCH, True),
        ("health", Moment.SMOKE, True),
        ("queries", Moment.SMOKE, True),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("switch: shop", "is for plan shop, this is tyler-setup"),
        ("switch: tyler-setup\nactuators: {x: {kind: pray}}", "actuators.x: Input tag 'pray'"),
        ("switch: tyler-setup\nactuators: {x: {kind: health, when: tidy}}", "actuators.x.health.when"),
        ("switch: tyler-setup\nactuators: {X: {kind: health}}", "actuators.X"),
        ("switch: tyler-setup\nactuators: {x: {kind: command, target: a, source: b}}", "actuators.x.command.when"),
        ("switch: tyler-setup\nactuators: {x: {kind: purge, tables: []}}", "actuators.x.purge.tables"),
        ("switch: tyler-setup\nactuators: {x: {kind: purge, tables: '{NOBODY}-x'}}", "not set: NOBODY"),
        (HOOK.format("url: 'http://hunter2:99999/'"), "actuators.x.http.target.url: Value error, no address"),
        (HOOK.format("url: 'http://[hunter2/'"), "actuators.x.http.target.url: Value error, no address"),
        (HOOK.format("url: 'https:///hunter2'"), "actuators.x.http.target.url: Value error, no address"),
        (
            HOOK.format('url: "http://x/", headers: {k: "hunter2\\n"}'),
            "actuators.x.http.target.headers.k: Value error, a",
        ),
        ("switch: [", "is no YAML"),
        ("actuators: {}", "switch: Field required"),
    ],
)
def test_what_is_wrong_is_told_by_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FatalError) as raised:
        read(tmp_path, text)
    assert told in str(raised.value)
    assert "hunter2" not in str(raised.value)
    assert "switch.yaml" in str(raised.value)


def test_only_companions_may_be_emptied(tmp_path: Path) -> None:
    file = read(tmp_path, "switch: tyler-setup\nactuators: {x: {kind: purge, tables: acme-entities}}")
    with pytest.raises(FatalError, match="only companions"):
        acts(file, ports())


def test_what_needs_an_account_says_so_where_there_is_none() -> None:
    file = read_switch_file(
        PLANS / "switch" / "tyler-setup.yaml", plan="tyler-setup", variables={"SECRETS_PREFIX": "acme"}
    )
    with pytest.raises(FatalError, match="TABLETURN_ACCOUNT_ENDPOINT_URL"):
        acts(file, ports())


def test_every_kind_and_field_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "switch-file.md").read_text()
    kinds = Entry.__args__[0].__args__
    for kind in kinds:
        name = kind.model_fields["kind"].annotation.__args__[0]
        row = next((line for line in page.splitlines() if line.startswith(f"| `{name}` |")), "")
        missing = [field for field in set(kind.model_fields) - {"kind", "when", "lasting"} if f"`{field}`" not in row]
        assert row, f"{name} has no row"
        assert not missing, f"{name}: {missing}"
