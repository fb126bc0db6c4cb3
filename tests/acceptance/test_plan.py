"""`tableturn plan` and `init --report`: files, verdicts, exit codes, and what a doctored or stale report gets."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.legacy import user
from tests.acceptance.scene import Scene

PASSED, FAILED, REFUSED, WARNED = 0, 1, 3, 5


def report_of(scene: Scene, *words: str, code: int = PASSED) -> Path:
    """Prove the plan; return the report."""
    path = scene.program.folder / "plan.json"
    done = scene.program.run("plan", "--report", str(path), *words)
    assert done.code == code, done.said
    return path


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def test_a_proof_leaves_its_report_a_page_and_who_offended(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill("users", [user(1), {**user(2), "shoeSize": {"N": "42"}}])
    path = report_of(scene, code=WARNED)
    left = {each.name: each for each in path.parent.iterdir() if each.stem.startswith("plan")}
    assert left.keys() == {"plan.json", "plan.html", "plan.offenders.jsonl"}, "no workbook is left"
    document = read(path)
    assert (document["verdict"], document["items"]["users"]) == ("warn", 2)
    offender = json.loads(left["plan.offenders.jsonl"].read_text())
    assert offender == {"kind": "unknown-attribute", "detail": "shoeSize", "item": "users/user-000002"}
    assert "shoeSize" in left["plan.html"].read_text()
    scene.program.pages += [each.read_text() for each in left.values()]  # searched for secrets at the end


def test_the_page_shows_items_before_and_after_side_by_side(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill("users", [user(1)])
    done = scene.program.good("plan", "--dry-run", COLUMNS="200")
    assert "before: users" in done.out
    assert 'PK: {"S": "USER#user-000001"}' in done.out
    assert "forecast" in done.out


def test_the_queries_of_the_plan_are_asked_before_there_is_a_target(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill_sample()
    document = read(report_of(scene))
    assert len(document["queries"]) == 12
    for query in document["queries"].values():
        assert (query["verdict"], query["differing"], query["items"]) == ("pass", 0, query["read"])
        assert query["cases"] >= 1
    assert scene.program.done[-1].out.count(" ✓ ") == 12


def test_a_plan_whose_index_sorts_by_something_else_fails_and_names_the_query(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill_sample()
    written = (Path("plans") / "tyler-setup.yaml").read_text()
    wrong = scene.program.folder / "wrong.yaml"
    wrong.write_text(written.replace('GSI1: [USER, "{createdAt|iso8601}"]', 'GSI1: [USER, "{name}"]'))
    document = read(report_of(scene, "--plan", str(wrong), code=REFUSED))
    (fault,) = (fault for fault in document["faults"] if fault["grade"] != "note")
    assert (fault["kind"], fault["where"]) == ("query-disordered", {"users-by-creation": 1})
    assert f"→ {fault['way_out']}" in scene.program.done[-1].out


def test_init_takes_a_report_as_evidence(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill("users", [user(1)])
    path = report_of(scene)
    scene.program.good("init", "--create-targets", "--report", str(path))
    evidence = scene.row("evidence", "plan") or {}
    assert (evidence["fingerprint"], evidence["verdict"]) == (read(path)["fingerprint"], "pass")
    assert evidence["override"] == ""
    assert "proved" in {each["event"] for each in scene.rows("history")}


def test_init_refuses_a_report_that_failed_until_somebody_says_why(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill("users", [{**user(1), "lastLoginIP": {"S": "x" * 409_300}}])
    path = report_of(scene, code=REFUSED)
    before = scene.snapshot()
    done = scene.program.run("init", "--create-targets", "--report", str(path))
    assert (done.code, "its verdict is fail" in done.err) == (REFUSED, True), done.said
    assert scene.snapshot() == before
    scene.program.good("init", "--create-targets", "--report", str(path), "--override", "it will be deleted")
    assert (scene.row("evidence", "plan") or {})["override"] == "it will be deleted"


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"verdict": "pass ", "items": {}}, REFUSED, "altered"),
        ({"schema": 99}, FAILED, "another version"),
        ({"begun_ms": "yesterday"}, FAILED, "no report of a proof"),
        (None, FAILED, "cannot be read as a report"),
    ],
)
def test_init_refuses_a_file_that_is_not_what_was_written(
    scene: Scene, change: dict[str, Any] | None, code: int, says: str
) -> None:
    scene.set()
    scene.legacy.fill("users", [user(1)])
    path = report_of(scene)
    path.write_text("no JSON" if change is None else json.dumps({**read(path), **change}))
    before = scene.snapshot()
    done = scene.program.run("init", "--create-targets", "--report", str(path), "--override", "I know better")
    assert (done.code, says in done.err) == (code, True), done.said
    assert scene.snapshot() == before


def test_init_refuses_a_sample_and_a_report_of_another_plan(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill("users", [user(1)])
    path = report_of(scene, "--sample", "5")
    done = scene.program.run("init", "--create-targets", "--report", str(path))
    assert (done.code, "only about 5 items a table were read" in done.err) == (REFUSED, True), done.said
    other = path.parent / "other.yaml"
    other.write_text((Path("plans") / "tyler-setup.yaml").read_text().replace("iso8601", "month", 1))
    done = scene.program.run("init", "--plan", str(other), "--report", str(path), "--override", "why not")
    assert (done.code, "another plan" in done.err) == (REFUSED, True), done.said


def test_init_refuses_a_report_of_other_tables_and_a_reason_without_one(scene: Scene) -> None:
    scene.set()
    scene.legacy.fill("users", [user(1)])
    path = report_of(scene)
    scene.client.delete_table(TableName=scene.legacy.table("users"))
    scene.legacy.create("users")
    done = scene.program.run("init", "--create-targets", "--report", str(path))
    assert (done.code, "other tables than these: users" in done.err) == (REFUSED, True), done.said
    done = scene.program.run("init", "--create-targets", "--override", "because")
    assert (done.code, "add --report" in done.err) == (REFUSED, True), done.said


def test_a_report_is_json_by_name(scene: Scene) -> None:
    scene.set()
    done = scene.program.run("plan", "--report", "plan.workbook")
    assert (done.code, "does not end with .json" in done.err) == (FAILED, True), done.said


def test_a_report_that_cannot_be_written_is_named_and_the_exit_code_says_so(scene: Scene) -> None:
    scene.set()
    done = scene.program.run("plan", "--report", str(scene.program.folder / "nowhere" / "plan.json"))
    assert (done.code, "nowhere" in done.err) == (FAILED, True), done.said


def test_the_policy_of_the_plan_is_printed_without_a_database(scene: Scene) -> None:
    done = scene.program.good("plan", "--policy", "123456789012", TABLETURN_ENDPOINT_URL="http://127.0.0.1:1")
    statements = {each["Sid"]: each for each in done.document["Statement"]}
    arn = f"arn:aws:dynamodb:us-east-1:123456789012:table/{scene.ledger}"
    assert statements["RunLedger"]["Resource"] == [arn]


def test_wrong_prices_are_named(scene: Scene) -> None:
    scene.set()
    own = scene.program.folder / "prices.yaml"
    own.write_text("as_of: yesterday\n")
    done = scene.program.run("plan", "--prices", str(own))
    assert (done.code, "write_million_units" in done.err) == (FAILED, True), done.said
