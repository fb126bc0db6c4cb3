"""`tableturn plan` looks at the account around the tables: who may what, who writes, who reads, who deploys."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.acceptance.account import NUMBER, ROOT, Cloud, Document, run_account
from tests.acceptance.conftest import one_scene
from tests.acceptance.legacy import user
from tests.acceptance.scene import Scene

PASSED, REFUSED, WARNED = 0, 3, 5

READS_NO_ARN = {"Effect": "Allow", "Action": "dynamodb:ListTagsOfResource", "Resource": "*"}
"""The emulator takes a request for one about no table when it names it by ARN, as this one must."""


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with run_account() as account:
        yield account


@dataclass
class Estate:
    """Legacy tables in an account, and an operator who may do what was printed for the plan, or less."""

    cloud: Cloud
    scene: Scene

    def policy(self) -> Document:
        return dict(self.scene.program.good("plan", "--policy", NUMBER).document)

    def operator(self, policy: Document) -> None:
        """Be somebody who may do what a policy says."""
        policy["Statement"].append(READS_NO_ARN)
        keys = self.cloud.user(f"operator-{self.scene.legacy.prefix}", policy)
        self.scene.program.environment |= keys

    def name(self, of: str) -> str:
        return f"{self.scene.legacy.prefix}-{of}"

    def proof(self, *words: str) -> Document:
        """Prove the plan; return the report."""
        done = self.scene.program.run("plan", "--json", *words)
        assert done.code in {PASSED, WARNED, REFUSED}, done.said
        return dict(done.document)


@pytest.fixture
def estate(cloud: Cloud, tmp_path: Path) -> Iterator[Estate]:
    client = cloud.client("dynamodb")
    with one_scene(client, cloud.url, tmp_path) as scene:
        scene.program.environment |= {"TABLETURN_ACCOUNT_ENDPOINT_URL": cloud.url, "AWS_REGION": "us-east-1"}
        scene.legacy.create_all()
        scene.legacy.fill("users", [user(number) for number in range(3)])
        yield Estate(cloud, scene)


def test_the_printed_policy_is_enough_for_a_whole_proof(estate: Estate) -> None:
    estate.operator(estate.policy())
    document = estate.proof()
    assert document["account"]["asked"] is True
    assert document["problems"] == []
    assert unseen(document) == []
    assert document["items"]["users"] == 3


@pytest.mark.parametrize(
    ("statement", "action", "below"),
    [
        ("RunWrite", "PutItem", ""),
        ("RunFollow", "GetRecords", "/stream/"),
        ("ProveRead", "Query", "/index/GSI2"),
        ("RunLedger", "DeleteItem", "-tableturn"),
    ],
)
def test_an_action_that_is_missing_is_named_with_its_table(
    estate: Estate, statement: str, action: str, below: str
) -> None:
    policy = estate.policy()
    for each in policy["Statement"]:
        each["Action"] = [name for name in each["Action"] if (each["Sid"], name) != (statement, f"dynamodb:{action}")]
    estate.operator(policy)
    document = estate.proof()
    assert document["verdict"] == "fail"
    named = [line for line in document["problems"] if f"dynamodb:{action}" in line and statement in line]
    assert any(f"{estate.name('entities')}{below}" in line for line in named), document["problems"]
    assert len(named) == len(document["problems"]), "and nothing else is missing"


def test_what_may_not_be_looked_at_is_said_and_the_proof_goes_on(estate: Estate) -> None:
    policy = estate.policy()
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != "ProveAccount"]
    estate.operator(policy)
    document = estate.proof()
    assert (document["verdict"], document["problems"], document["items"]["users"]) == ("warn", [], 3)
    assert "lambda:ListFunctions is not allowed" in "\n".join(unseen(document))
    assert "iam:SimulatePrincipalPolicy is not allowed" in "\n".join(unseen(document))


def test_permissions_of_another_principal_can_be_asked_for(estate: Estate) -> None:
    estate.operator(estate.policy())
    estate.cloud.function(name := estate.name("worker"), may=["dynamodb:GetItem"], on=estate.name("users"))
    document = estate.proof("--principal", f"arn:aws:iam::{NUMBER}:role/{name}-role")
    assert any(f"{name}-role may not" in line for line in document["problems"])


def test_every_function_that_may_write_a_source_is_found_and_asked_for_in_the_plan(estate: Estate) -> None:
    users, audit = estate.name("users"), estate.name("audit")
    cloud = estate.cloud
    cloud.function(login := estate.name("login"), may=["dynamodb:*"], on=users, variables={"USERS_TABLE": users})
    cloud.function(quiet := estate.name("quiet"), may=["dynamodb:UpdateItem"], on=audit)
    cloud.function(reader := estate.name("reader"), may=["dynamodb:GetItem"], on=users, variables={"PEOPLE": users})
    cloud.function(
        prefixed := estate.name("gateway"), may=[], variables={"PREFIX": estate.scene.legacy.prefix, "KEY": "hush-hush"}
    )
    cloud.function(stranger := estate.name("stranger"), may=["dynamodb:*"], on="others", variables={"T": "others"})
    estate.scene.legacy.secrets.add("hush-hush")
    estate.operator(estate.policy())
    document = estate.proof()
    found = {each["function"]: (each["variables"], each["may_write"]) for each in document["account"]["writers"]}
    assert {name: told for name, told in found.items() if name.startswith(estate.scene.legacy.prefix)} == {
        login: (["USERS_TABLE"], [users]),
        quiet: ([], [audit]),
        reader: (["PEOPLE"], []),
        prefixed: (["PREFIX"], []),
    }
    warned = [line for line in document["warnings"] if "`applications`" in line]
    assert {name for name in (*found, stranger) if any(name in line for line in warned)} >= {login, quiet}
    assert not any(name in line for line in warned for name in (reader, prefixed, stranger))


def test_applications_that_the_plan_names_are_known_and_missing_ones_are_told(estate: Estate) -> None:
    estate.cloud.function(login := estate.name("login"), may=["dynamodb:PutItem"], on=estate.name("users"))
    estate.operator(estate.policy())
    shipped = Path(__file__).parents[2] / "plans" / "tyler-setup.yaml"
    own = estate.scene.program.folder / "own.yaml"
    kept = shipped.read_text().partition("\napplications:")[0], shipped.read_text().partition("\nsources:")[2]
    own.write_text(f"{kept[0]}\napplications: [{login}, {login}-of-old]\nsources:{kept[1]}")
    document = estate.proof("--plan", str(own))
    assert not any("may write" in line and login in line for line in document["warnings"])
    assert f"applications: there is no function {login}-of-old in us-east-1" in document["warnings"]


def test_who_reads_a_stream_is_found_on_both_sides(estate: Estate) -> None:
    estate.scene.program.good("init", "--create-targets", **ROOT)
    for number, (table, enabled) in enumerate(
        [("users", True), ("users", True), ("audit", False), ("config", True), ("entities", True)]
    ):
        estate.cloud.function(name := estate.name(f"reader-{number}"), may=[])
        estate.cloud.fires(name, estate.name(table), enabled=enabled)
    gates = estate.scene.program.run("cutover", "--dry-run", "--json", **ROOT).document["gates"]
    (gate,) = [gate for gate in gates if gate["name"] == "triggers"]
    readers = [f"function {estate.name(f'reader-{number}')}" for number in (0, 1, 3, 4)]
    told = f"source fires {', '.join(readers[:3])}; target fires {readers[3]}"
    assert (gate["passes"], gate["value"]) == (False, told)
    estate.operator(estate.policy())
    warnings = estate.proof()["warnings"]
    fired = {
        table: [line for line in warnings if f"is fired by each write to {estate.name(table)}:" in line]
        for table in ("users", "contractors", "audit", "config", "entities")
    }
    assert {table: len(lines) for table, lines in fired.items()} == {
        "users": 2, "contractors": 0, "audit": 0, "config": 1, "entities": 1,
    }  # fmt: skip
    assert "the copy would fire it for every item" in fired["entities"][0]
    crowded = [line for line in warnings if "readers that a shard serves" in line]
    assert len(crowded) == 1
    assert f"{estate.name('reader-0')}, function {estate.name('reader-1')}" in crowded[0]


def test_a_stack_whose_next_deploy_would_undo_stream_or_ttl_is_told_with_the_change(estate: Estate) -> None:
    client, table = estate.scene.client, estate.name("contractors")
    client.delete_table(TableName=table)
    resource = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "TableName": table,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
        },
    }
    formation = estate.cloud.client("cloudformation")
    stack = f"legacy-{estate.scene.legacy.prefix}"
    formation.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": {"Guests": resource}}))
    formation.get_waiter("stack_create_complete").wait(StackName=stack)
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    client.update_table(TableName=table, StreamSpecification=stream)
    lifetime = {"Enabled": True, "AttributeName": "ttl"}
    client.update_time_to_live(TableName=table, TimeToLiveSpecification=lifetime)
    estate.operator(estate.policy())
    document = estate.proof()
    assert (
        f"the next deploy of Guests of stack {stack} may undo the stream and time to live of {table}: "
        "see the change below" in document["warnings"]
    )
    assert document["account"]["template_changes"] == [
        (
            f"# Guests of stack {stack}, table {table}\n"
            "Guests:\n"
            "  Properties:\n"
            "    StreamSpecification:\n"
            "      StreamViewType: NEW_AND_OLD_IMAGES\n"
            "    TimeToLiveSpecification:\n"
            "      AttributeName: ttl\n"
            "      Enabled: true\n"
        )
    ]


def test_tables_without_recovery_are_told(estate: Estate) -> None:
    specification = {"PointInTimeRecoveryEnabled": True}
    estate.scene.client.update_continuous_backups(
        TableName=estate.name("users"), PointInTimeRecoverySpecification=specification
    )
    estate.operator(estate.policy())
    without = [line for line in estate.proof()["warnings"] if "no point-in-time recovery" in line]
    assert len(without) == 4
    assert not any(estate.name("users") in line for line in without)


def unseen(document: Document) -> list[str]:
    return [line for line in document["warnings"] if "could not see" in line]
