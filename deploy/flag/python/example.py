"""An application that obeys the flag, as a Lambda function behind a URL: GET /health, PUT and GET /users/{id}.

Which tables it works on, the flag decides anew for each request; while writes are blocked they wait. Flag and clients
live as long as the sandbox: later invocations share the view. The same in Node, with more: ../node/example.
"""

import json
import os
import time
from typing import Any

import boto3
from botocore.config import Config
from tableturn_flag import Blocked, Flag, Times, Unreachable

_PREFIX = os.environ["TABLE_PREFIX"]
_TABLES = {"source": f"{_PREFIX}-users", "target": f"{_PREFIX}-entities"}

READER = boto3.client("dynamodb", config=Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 2}))
FLAG = Flag(READER, f"{_TABLES['target']}-tableturn", Times(float(os.environ.get("STALENESS", "1"))))
WRITER = boto3.client("dynamodb", config=Config(**FLAG.write_options()))


def key(side: str, user_id: str) -> dict[str, Any]:
    """Return the key of a user in either schema."""
    if side == "target":
        return {"PK": {"S": f"USER#{user_id}"}, "SK": {"S": "METADATA"}}
    return {"id": {"S": user_id}}


def item(side: str, user_id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return a user in either schema."""
    name, email, now = {"S": body["name"]}, {"S": body["email"]}, {"N": str(int(time.time() * 1000))}
    common = {**key(side, user_id), "id": {"S": user_id}, "name": name, "email": email, "createdAt": now}
    if side == "source":
        return {**common, "isActive": {"BOOL": True}}
    found = {"entityType": {"S": "USER"}, "fullName": name, "status": {"S": "ACTIVE"}, "version": {"N": "1"}}
    return {**common, **found, "GSI2PK": email, "GSI2SK": {"S": "USER"}}


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer one request."""
    method, path = event["requestContext"]["http"]["method"], event["rawPath"]
    if path == "/health":
        return _answer(200, FLAG.health())
    user_id = path.removeprefix("/users/")
    try:
        if method == "PUT":
            permission = FLAG.permission()
            written = item(permission.side, user_id, json.loads(event["body"]))
            WRITER.put_item(TableName=_TABLES[permission.side], Item=written)
            return _answer(200, {"serving": permission.side})
        side = FLAG.serving()
        found = READER.get_item(TableName=_TABLES[side], Key=key(side, user_id), ConsistentRead=True).get("Item")
    except (Blocked, Unreachable):
        return _answer(503, {"message": "try again"})
    return (
        _answer(200, {"id": user_id, "name": found["name"]["S"]})
        if found
        else _answer(404, {"message": "no such user"})
    )


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
