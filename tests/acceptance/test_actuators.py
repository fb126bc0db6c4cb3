"""Lambda environments, a parameter, a cache and the operator's own test follow a switch of the real program."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.acceptance.account import REGION, ROOT, Cloud, run_account
from tests.acceptance.conftest import one_scene
from tests.acceptance.legacy import user
from tests.acceptance.program import eventually
from tests.acceptance.scene import Scene

pytestmark = pytest.mark.timeout(240)

GATEWAY = "shop-gateway"
FOREIGN = {"GREETING": 'Grüß Gott, "Ümit"', "EMPTY": "", "TOKEN": "nobody-may-see-this", "MAINTENANCE_MODE": "false"}
SWITCH_FILE = f"""
switch: tyler-setup
actuators:
  new-tables:
    kind: lambda-variables
    when: prepare
    functions: {GATEWAY}
    target: {{ENTITY_TABLE: "{{SECRETS_PREFIX}}-entities", MAINTENANCE_MODE: "maybe"}}
  serving: {{kind: ssm-parameter, parameter: /shop/serving, target: entities, source: users}}
  cache: {{kind: purge, tables: "{{SECRETS_PREFIX}}-cache"}}
  health: {{kind: health}}
  queries: {{kind: queries}}
  suite: {{kind: command, when: smoke, target: [{sys.executable}, suite.py], source: [{sys.executable}, suite.py]}}
  new-schema:
    kind: lambda-variables
    functions: {GATEWAY}
    target: {{USE_NEW_SCHEMA: "true"}}
    source: {{USE_NEW_SCHEMA: ~, ENTITY_TABLE: ~, MAINTENANCE_MODE: "false"}}
"""


class Estate:
    """A migration with an account around it."""

    def __init__(self, cloud: Cloud, scene: Scene) -> None:
        self.cloud = cloud
        self.scene = scene
        self.suite = scene.program.folder / "suite.py"

    @property
    def variables(self) -> Any:
        found = self.cloud.client("lambda").get_function_configuration(FunctionName=GATEWAY)
        return found["Environment"]["Variables"]

    @property
    def serving(self) -> Any:
        return self.cloud.client("ssm").get_parameter(Name="/shop/serving")["Parameter"]["Value"]

    def suite_ends(self, code: int) -> None:
        self.suite.write_text(f"raise SystemExit({code})\n", encoding="utf-8")


@pytest.fixture
def estate(local_database: str, tmp_path: Path) -> Iterator[Estate]:
    root = {"aws_access_key_id": ROOT["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": ROOT["AWS_SECRET_ACCESS_KEY"]}
    client = boto3.client("dynamodb", endpoint_url=local_database, region_name=REGION, **root)
    with run_account() as cloud, one_scene(client, local_database, tmp_path) as scene:
        cloud.function(GATEWAY, may=[], variables=FOREIGN)
        cloud.client("ssm").put_parameter(Name="/shop/serving", Value="users", Type="String")
        told = {"TABLETURN_ACCOUNT_ENDPOINT_URL": cloud.url, "AWS_REGION": REGION, **ROOT}
        told["TABLETURN_REQUIRE_BACKUPS"] = "false"  # DynamoDB Local has none
        (scene.program.folder / "switch.yaml").write_text(SWITCH_FILE, encoding="utf-8")
        scene.program.environment |= {**told, "TABLETURN_SWITCH_FILE": "switch.yaml"}
        yield Estate(cloud, scene)


def test_all_follow_the_switch_or_none(estate: Estate) -> None:
    scene = estate.scene.set()
    scene.legacy.fill("users", [user(number) for number in range(30)])
    scene.initialised()
    cache = scene.legacy.table("cache")
    scene.client.put_item(TableName=cache, Item={"PK": {"S": "hot"}, "SK": {"S": "item"}})
    scene.ready()
    estate.suite_ends(1)
    eventually("the gates pass", lambda: scene.program.run("cutover", "--dry-run").code == 0)
    refused = scene.program.run("cutover")
    assert (refused.code, "ended with code 1" in refused.err) == (3, True), refused.said
    assert (estate.variables, estate.serving, scene.flag) == (FOREIGN, "users", ("source", True))
    estate.suite_ends(0)
    scene.passes("cutover")
    assert scene.client.scan(TableName=cache)["Count"] == 0
    ours = {"ENTITY_TABLE": scene.legacy.table("entities"), "MAINTENANCE_MODE": "maybe", "USE_NEW_SCHEMA": "true"}
    eventually("all is tidied up", lambda: estate.variables == FOREIGN | ours)
    assert estate.serving == "entities"
    scene.passes("rollback")
    eventually("all is as it was", lambda: estate.variables == FOREIGN)
    assert (estate.serving, scene.flag) == ("users", ("source", True))
    assert FOREIGN["TOKEN"] not in "".join(scene.program.said())
