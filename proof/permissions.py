"""The IAM policy that this very plan needs, and no more: by what it is for. Pure.

Source: AWS, "Actions, resources, and condition keys for Amazon DynamoDB". A transaction needs those of its parts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from mapping.plan import Plan

_DESCRIBE = ("DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "ListTagsOfResource")
_READ = ("BatchGetItem", "GetItem", "Query", "Scan")
_WRITE = ("ConditionCheckItem", "DeleteItem", "PutItem")
_FOLLOW = ("DescribeStream", "GetRecords", "GetShardIterator")
_CREATE = ("CreateTable", "UpdateContinuousBackups", "UpdateTimeToLive")
_SWITCH_ON = ("UpdateTable",)

_ACCOUNT = (
    "cloudformation:GetTemplate", "iam:GetRole", "iam:SimulatePrincipalPolicy", "lambda:ListEventSourceMappings",
    "lambda:ListFunctions", "pipes:ListPipes", "sts:GetCallerIdentity",
)  # fmt: skip
LOOK_AROUND = "ProveAccount"
"""The statement without which a proof says less, and everything else works."""

TRANSACTION = "TransactWriteItems"
"""No action of its own: it is allowed where its parts are."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tables are: partition, Region and account as ARNs write them; ``*`` for any."""

    region: str = "*"
    account: str = "*"
    partition: str = "aws"

    def table(self, name: str, below: str = "") -> str:
        """Return the ARN of a table, or of what is below it: ``/index/*``, ``/stream/*``."""
        return f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{name}{below}"


def policy(plan: Plan, ledger: str, place: Place) -> dict[str, Any]:
    """Return the policy document: to prove the plan, to initialise, to run."""
    sources = sorted(source.definition.name for source in plan.sources.values())
    made = sorted(definition.name for definition in (plan.target, *plan.companions))
    both = [*sources, plan.target.name]
    indexed = [place.table(name, "/index/*") for name in both]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _statement("ProveDescribe", _DESCRIBE, [place.table(name) for name in (*sources, *made, ledger)]),
            _statement("ProveRead", _READ, [*(place.table(name) for name in both), *indexed]),
            {"Sid": LOOK_AROUND, "Effect": "Allow", "Action": list(_ACCOUNT), "Resource": ["*"]},
            _statement("InitCreate", _CREATE, [place.table(name) for name in (*made, ledger)]),
            _statement("InitStreams", _SWITCH_ON, [place.table(name) for name in both]),
            _statement("RunWrite", _WRITE, [place.table(name) for name in both]),
            _statement("RunFollow", _FOLLOW, [place.table(name, "/stream/*") for name in both]),
            _statement("RunLedger", ("GetItem", "Query", *_WRITE), [place.table(ledger)]),
        ],
    }


def _statement(sid: str, actions: Iterable[str], resources: Iterable[str]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"dynamodb:{action}" for action in sorted(actions)],
        "Resource": list(resources),
    }
