"""What is sent is what was given; what is handed back is what came."""

import zlib
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from botocore.exceptions import ChecksumError
from botocore.parsers import ResponseParserError

from dynamo.wire_json import RawParser, RawParserFactory, RawSerializer

PUT = SimpleNamespace(name="PutItem", metadata={"targetPrefix": "DynamoDB_20120810", "jsonVersion": "1.0"})
ITEM = {
    "PK": {"S": "ünï"},
    "b": {"B": "AAEC"},
    "n": {"N": "12345678901234567890123456789012345678"},
    "m": {"M": {"l": {"L": [{"NULL": True}, {"NS": ["1", "2.5"]}]}}},
}


async def parsed(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> dict[str, Any]:
    response = {"status_code": status, "headers": headers or {}, "body": body}
    return await RawParser().parse(response, None)


def test_a_request_is_the_document_itself() -> None:
    request = RawSerializer().serialize_to_request({"TableName": "t", "Item": ITEM}, PUT)
    assert request["headers"] == {
        "X-Amz-Target": "DynamoDB_20120810.PutItem",
        "Content-Type": "application/x-amz-json-1.0",
    }
    assert (request["method"], request["url_path"]) == ("POST", "/")
    assert orjson.loads(request["body"]) == {"TableName": "t", "Item": ITEM}


def test_a_body_above_1_mb_is_handed_over_as_a_file() -> None:
    body = RawSerializer().serialize_to_request({"x": "y" * 1_100_000}, PUT)["body"]
    assert isinstance(body, BytesIO)
    assert orjson.loads(body.read()) == {"x": "y" * 1_100_000}


async def test_an_answer_is_the_document_itself() -> None:
    answer = await parsed(orjson.dumps({"Item": ITEM}), headers={"x-amzn-requestid": "R1"})
    assert answer["Item"] == ITEM
    assert answer["ResponseMetadata"]["RequestId"] == "R1"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200


async def test_an_empty_answer_is_an_empty_document() -> None:
    assert set(await parsed(b"")) == {"ResponseMetadata"}


async def test_an_error_keeps_code_message_and_everything_else() -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "no", "Item": ITEM}]
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": "cancelled",
        "CancellationReasons": reasons,
    }
    answer = await parsed(orjson.dumps(body), status=400)
    assert answer["Error"] == {"Code": "TransactionCanceledException", "Message": "cancelled"}
    assert answer["CancellationReasons"] == reasons


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("com.amazon.coral.service#SerializationException", "SerializationException"),
        ("ValidationException:http://internal.amazon.com/", "ValidationException"),
        ("ResourceNotFoundException", "ResourceNotFoundException"),
    ],
)
async def test_the_code_is_found_in_every_form_of_type(written: str, code: str) -> None:
    answer = await parsed(orjson.dumps({"__type": written, "message": "m"}), status=400)
    assert answer["Error"] == {"Code": code, "Message": "m"}


async def test_an_error_in_html_has_its_status_for_a_code() -> None:
    answer = await parsed(b"<html>Service Unavailable</html>", status=503)
    assert answer["Error"] == {"Code": "503", "Message": "<html>Service Unavailable</html>"}


@pytest.mark.parametrize("body", [b'{"Item": {"PK"', b"[]", b"<html>", b"\xff"])
async def test_an_answer_cut_short_or_of_another_kind_is_refused(body: bytes) -> None:
    with pytest.raises(ResponseParserError):
        await parsed(body)


async def test_a_checksum_that_fits_passes_and_one_that_does_not_is_refused() -> None:
    body = orjson.dumps({"Item": ITEM})
    assert (await parsed(body, headers={"x-amz-crc32": str(zlib.crc32(body))}))["Item"] == ITEM
    with pytest.raises(ChecksumError):
        await parsed(body.replace(b"AAEC", b"AAED"), headers={"x-amz-crc32": str(zlib.crc32(body))})


def test_other_protocols_keep_the_sdks_own_parser() -> None:
    factory = RawParserFactory()
    assert isinstance(factory.create_parser("json"), RawParser)
    assert not isinstance(factory.create_parser("query"), RawParser)
