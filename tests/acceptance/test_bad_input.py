"""Bad input: exit code ≠ 0, an error that names the thing and the way out, no traceback, and nothing changed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import one_scene
from tests.acceptance.legacy import STREAM, user
from tests.acceptance.program import Done
from tests.acceptance.scene import Scene

ROOT = Path(__file__).resolve().parents[2]
FAILED, USAGE, REFUSED, WARNED = 1, 2, 3, 5


@dataclass(frozen=True)
class Case:
    """A command, what is wrong around it, and what it must say."""

    words: tuple[str, ...]
    says: tuple[str, ...]
    code: int = FAILED
    settings: dict[str, str | None] = field(default_factory=dict)


CASES = {
    "no prefix": Case(("plan",), ("SECRETS_PREFIX", "set"), settings={"SECRETS_PREFIX": None}),
    "unknown plan": Case(("plan", "--plan", "nosuch"), ("nosuch", "No such file", "name a")),
    "unknown type": Case(("init", "--plan", "unknown-type.yaml"), ("unknown-type.yaml", "sources.users.key.id", "'X'")),
    "malformed": Case(("init", "--plan", "malformed.yaml"), ("malformed.yaml", "line 3", "mend the YAML")),
    "not text": Case(("init", "--plan", "binary.yaml"), ("binary.yaml", "UTF-8")),
    "a folder": Case(("plan", "--plan", "folder.yaml"), ("folder.yaml", "directory")),
    "nothing in it": Case(("plan", "--plan", "empty.yaml"), ("empty.yaml", "see docs/reference/plan-file.md")),
    "run before init": Case(("run",), ("there is no ledger table", "entities-tableturn", "tableturn init")),
    "status before init": Case(("status", "--json"), ("there is no ledger table", "tableturn init")),
    "cutover before init": Case(("cutover",), ("there is no ledger table", "tableturn init")),
    "lease no number": Case(
        ("run",), ("TABLETURN_LEASE_SECONDS", "number"), settings={"TABLETURN_LEASE_SECONDS": "abc"}
    ),
    "port too high": Case(("run", "--port", "70000"), ("TABLETURN_PORT", "65535")),
    "log level": Case(("status",), ("MIGRATION_LOG_LEVEL", "debug"), settings={"MIGRATION_LOG_LEVEL": "loud"}),
    "no endpoint": Case(("init",), ("endpoint",), settings={"TABLETURN_ENDPOINT_URL": "nonsense"}),
    "nobody listens": Case(
        ("init",),
        ("http://127.0.0.1:1 did not answer", "check TABLETURN_ENDPOINT_URL"),
        settings={"TABLETURN_ENDPOINT_URL": "http://127.0.0.1:1"},
    ),
    "no targets": Case(("init",), ("entities", "events", "--create-targets", "nothing was changed")),
    "unknown command": Case(("turn",), ("No such command 'turn'",), USAGE),
    "unknown option": Case(("init", "--force"), ("No such option", "--force"), USAGE),
    "drop without reason": Case(("quarantine", "drop", "3f2a9c"), ("--reason",), USAGE),
}


@pytest.fixture(scope="module")
def untouched(client: Any, local_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Five good tables with a few items, and a folder of bad plans."""
    with one_scene(client, local_database, tmp_path_factory.mktemp("bad")) as scene:
        scene.set()
        scene.legacy.fill("users", [user(number) for number in range(3)])
        _bad_plans(scene.program.folder)
        yield scene


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_is_told_and_changes_nothing(untouched: Scene, case: Case) -> None:
    before = untouched.snapshot()
    done = untouched.program.run(*case.words, **case.settings)
    refused(done, *case.says, code=case.code)
    assert done.seconds < 20, "an error is told soon"
    assert untouched.snapshot() == before


def refused(done: Done, *says: str, code: int) -> None:
    """Hold one ended command against what it should have said."""
    assert done.code == code, done.said
    missing = [part for part in says if part not in done.err]
    assert not missing, f"{missing} not in: {done.err}"
    assert "Traceback" not in done.said
    assert not done.out, "an error belongs on standard error"


def _told_and_unchanged(scene: Scene, *words: str, says: tuple[str, ...], code: int = FAILED) -> None:
    before = scene.snapshot()
    refused(scene.program.run(*words), *says, code=code)
    assert scene.snapshot() == before


def test_a_missing_source_table(scene: Scene) -> None:
    for name in ("users", "contractors", "refresh-tokens", "audit"):
        scene.legacy.create(name)
    says = ("there is no table", scene.legacy.table("config"), "check prefix, region, account")
    _told_and_unchanged(scene, "init", "--create-targets", says=says)
    _told_and_unchanged(scene, "plan", says=says)


def test_every_problem_of_the_tables_is_told_at_once(scene: Scene) -> None:
    """Stream off, two wrong view types, a source and a target with a wrong key: one look shows all of them."""
    legacy = scene.legacy
    legacy.create("users", stream=None)
    legacy.create("contractors", stream={**STREAM, "StreamViewType": "KEYS_ONLY"})
    legacy.create("refresh-tokens", key={"token": "S", "userId": "S"})
    legacy.create("audit")
    legacy.create("config", stream={**STREAM, "StreamViewType": "NEW_IMAGE"})
    legacy.create("entities", key={"PK": "S"})
    says = (
        "streams are off", legacy.table("users"), "--enable-streams",
        f"the stream of {legacy.table('contractors')} has view type KEYS_ONLY", "NEW_AND_OLD_IMAGES is needed",
        f"the stream of {legacy.table('config')} has view type NEW_IMAGE",
        f"the key of {legacy.table('refresh-tokens')} is (token S, userId S), the plan says (token S)",
        f"the key of {legacy.table('entities')} is (PK S), the plan says (PK S, SK S)",
        "lacks index GSI1", "nothing was changed",
    )  # fmt: skip
    _told_and_unchanged(scene, "init", "--create-targets", says=says)


def test_a_stream_that_is_off_stays_off_unless_init_may_switch_it_on(scene: Scene) -> None:
    scene.legacy.create_all(stream=None)
    says = ("streams are off", scene.legacy.table("audit"), "--enable-streams", "nothing was changed")
    _told_and_unchanged(scene, "init", "--create-targets", says=says)


def test_a_wrong_view_type_is_no_business_of_enable_streams(scene: Scene) -> None:
    scene.legacy.create_all(stream={**STREAM, "StreamViewType": "OLD_IMAGE"})
    says = ("view type OLD_IMAGE", "NEW_AND_OLD_IMAGES is needed", "switch it off and on again")
    _told_and_unchanged(scene, "init", "--create-targets", "--enable-streams", says=says)


def test_a_dry_run_of_init_changes_nothing(scene: Scene) -> None:
    scene.set()
    before = scene.snapshot()
    done = scene.program.good("init", "--create-targets", "--dry-run")
    assert f"would create table {scene.legacy.table('entities')}" in done.out
    assert scene.program.good("init", "--create-targets", "--json", DRY_RUN="true").document["dry_run"]
    assert scene.snapshot() == before


def test_a_ledger_is_for_one_migration(scene: Scene, untouched: Scene) -> None:
    """Initialised twice, or named by another plan: refused, and neither migration is touched."""
    scene.set().initialised()
    _told_and_unchanged(scene, "init", "--create-targets", says=("initialised already", "tableturn run"), code=REFUSED)
    before, other = scene.snapshot(), untouched.snapshot()
    for words in (("init", "--create-targets"), ("run",), ("status",), ("abort",)):
        done = untouched.program.run(*words, "--ledger", scene.ledger)
        refused(done, scene.ledger, "belongs to plan tyler-setup", "another --ledger", code=FAILED)
    assert (scene.snapshot(), untouched.snapshot()) == (before, other)


def test_a_plan_that_translates_nothing_is_found_out(scene: Scene) -> None:
    """`plan` really reads and translates: an item that cannot be translated is reported, masked, and refused."""
    scene.set()
    large = {**user(2), "notes": {"S": "x" * 409_000}}  # fits the legacy table, and not with its index keys
    scene.legacy.fill("users", [user(1), large])
    before = scene.snapshot()
    done = scene.program.run("plan", "--json")
    assert done.code == REFUSED, done.said
    assert done.document["items"]["users"] == 2
    found = {fault["kind"]: fault for fault in done.document["faults"]}
    assert found["too-large"]["count"] == 1
    assert "users/user-000002: target item USER#user-000002 / METADATA would take" in found["too-large"]["examples"][0]
    assert scene.snapshot() == before
    scene.legacy.change("users", "user-000002", "notes", {"S": "short"})
    done = scene.program.run("plan", "--json")
    assert (done.code, done.document["verdict"]) == (WARNED, "warn"), "the plan does not know `notes`"


def _bad_plans(folder: Path) -> None:
    good = (ROOT / "plans" / "tyler-setup.yaml").read_text(encoding="utf-8")
    (folder / "unknown-type.yaml").write_text(good.replace("key: {id: S}", "key: {id: X}", 1), encoding="utf-8")
    (folder / "malformed.yaml").write_text("plan: tyler\nsources: {users: [\n", encoding="utf-8")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00plan")
    (folder / "empty.yaml").write_text("", encoding="utf-8")
    (folder / "folder.yaml").mkdir()
