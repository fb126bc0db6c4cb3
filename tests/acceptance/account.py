"""An AWS account on this machine: MiniStack, which refuses whom no policy allows, and a hand that sets the scene."""

import io
import json
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.acceptance.program import eventually

EMULATOR = Path(sys.prefix) / "emulator" / "bin" / "ministack"
NUMBER = "000000000000"
REGION = "us-east-1"
ROOT = {"AWS_ACCESS_KEY_ID": "rootkey", "AWS_SECRET_ACCESS_KEY": "rootsecret"}
"""Whom the emulator takes for the account's root: who it was started by."""

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cloud:
    """The account, as its root sees it."""

    url: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ROOT["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ROOT["AWS_SECRET_ACCESS_KEY"],
        )

    def user(self, name: str, policy: Document) -> dict[str, str]:
        """Make a user that may do what a policy says; return its keys as a process is told them."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    def function(self, name: str, *, may: list[str], on: str = "none", variables: dict[str, str] | None = None) -> None:
        """Make a function whose role may do some actions on one table."""
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        role = iam.create_role(RoleName=f"{name}-role", AssumeRolePolicyDocument=json.dumps(_policy(trust)))["Role"]
        if may:
            own = {"Effect": "Allow", "Action": may, "Resource": arn_of(on)}
            iam.put_role_policy(RoleName=f"{name}-role", PolicyName="own", PolicyDocument=json.dumps(_policy(own)))
        self.client("lambda").create_function(
            FunctionName=name,
            Role=role["Arn"],
            Runtime="python3.12",
            Handler="nothing.handle",
            Code={"ZipFile": _nothing()},
            Environment={"Variables": variables or {}},
        )

    def fires(self, function: str, table: str, *, enabled: bool = True) -> None:
        """Let each change of a table fire a function."""
        stream = self.client("dynamodb").describe_table(TableName=table)["Table"]["LatestStreamArn"]
        self.client("lambda").create_event_source_mapping(
            FunctionName=function, EventSourceArn=stream, StartingPosition="LATEST", Enabled=enabled
        )


def arn_of(table: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{NUMBER}:table/{table}"


@contextmanager
def run_account() -> Iterator[Cloud]:
    """Run an account for the length of the block."""
    assert EMULATOR.exists(), f"there is no {EMULATOR}: run `make setup`"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    told = {"AUTH": "true", "BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "LOG_LEVEL": "WARNING"}
    process = subprocess.Popen(
        [EMULATOR],
        env={"PATH": os.environ["PATH"], **ROOT, **told},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually("the account answers", lambda: process.poll() is not None or _answers(port), seconds=60)
        assert process.poll() is None, "the emulator ended at once"
        yield Cloud(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _policy(statement: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": [statement]}


def _nothing() -> bytes:
    """Return the code of a function that does nothing."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("nothing.py", "def handle(event, context): pass\n")
    return packed.getvalue()
