"""Bodies and headers of any kind: a document, an error of ours, or botocore's word for a body that broke on its way."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from aiohttp import web
from botocore.exceptions import ChecksumError
from botocore.parsers import ResponseParserError
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import ConditionFailed, FatalError, TableturnError
from domain.items import Item
from dynamo.aws import AwsDatabase, connect
from dynamo.codes import CODES, Failure, error_for
from dynamo.failures import is_answer
from dynamo.ports import Delete, Put, ScanRequest, ShardPlace
from dynamo.retries import RetryPolicy, Subject
from dynamo.wire_json import RawParser
from tests.fuzz.broken import BROKEN_VALUES, JSON, mutated
from tests.fuzz.effort import fuzzed
from tests.strategies import wire_values
from tests.unit.dynamo.stub import Stub, serving

KEY: Item = {"PK": {"S": "p"}}


def _sent(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:  # lone halves of surrogate pairs, whole numbers above 64 bits
        return b'{"n": 100000000000000000000000000000000000000000}'


BODIES = st.one_of(
    st.binary(max_size=64),
    JSON.map(_sent),
    st.sampled_from([b"", b"null", b"[" * 100_000, b'{"a":' * 2000, b"<html>", b'{"__type": 5}', b'{"__type": "#"}']),
)
STATUSES = st.one_of(st.sampled_from([200, 301, 400, 403, 413, 429, 500, 503]), st.integers(200, 599))
SUMS = st.one_of(st.none(), st.text(st.characters(max_codepoint=255), max_size=12), st.sampled_from(["²", "9" * 5000]))


@fuzzed()
@given(body=BODIES, status=STATUSES, checksum=SUMS)
@example(b"{}", 200, "²").via("was a ValueError: a digit to Python, and no number")
@example(b"{}", 200, "9" * 5000).via("was a ValueError: more figures than Python reads")
async def test_any_body_becomes_a_document_or_the_word_for_a_broken_one(
    body: bytes, status: int, checksum: str | None
) -> None:
    headers = {} if checksum is None else {"x-amz-crc32": checksum}
    try:
        document = await RawParser().parse({"status_code": status, "headers": headers, "body": body}, None)
    except (ChecksumError, ResponseParserError):
        return
    assert document["ResponseMetadata"]["HTTPStatusCode"] == status
    if status >= 300:
        assert isinstance(document["Error"]["Code"], str)
        assert isinstance(document["Error"]["Message"], str)


REASONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "Code": st.one_of(st.sampled_from(sorted(CODES)), st.just("None"), st.text(max_size=5)),
            "Message": st.text(max_size=20),
            "Item": st.dictionaries(st.text(max_size=3), wire_values(), min_size=1, max_size=2),
        },
    ),
    min_size=1,
    max_size=3,
)
FAILURES = st.fixed_dictionaries(
    {}, optional={"CancellationReasons": REASONS, "Item": st.just(KEY), "Other": JSON}
).flatmap(lambda body: st.one_of(st.just(body), mutated(body)))


@fuzzed()
@given(
    body=FAILURES,
    code=st.one_of(st.sampled_from(sorted(CODES)), st.text(max_size=5)),
    status=STATUSES,
    operation=st.sampled_from(["PutItem", "GetRecords", "TransactWriteItems", "Scan"]),
)
@example({"CancellationReasons": "x"}, "TransactionCanceledException", 400, "PutItem").via("was an AttributeError")
@example({"CancellationReasons": [1]}, "TransactionCanceledException", 400, "PutItem").via("was an AttributeError")
@example({"CancellationReasons": [{"Code": []}]}, "X", 400, "PutItem").via("was a TypeError")
@example({"CancellationReasons": [{"Code": "ValidationError", "Message": 5}]}, "X", 400, "PutItem").via("TypeError")
@example({"Item": "x"}, "ConditionalCheckFailedException", 400, "PutItem").via("gave a standing item that is none")
def test_any_failure_becomes_one_of_our_errors(body: Any, code: str, status: int, operation: str) -> None:
    if not isinstance(body, dict):
        return
    error: object
    try:
        error = error_for(Failure(Subject(operation, "users"), code, "no", status, body))
    except FatalError as strange:
        error = strange
    assert isinstance(error, TableturnError)
    assert isinstance(is_answer(error), bool)
    standing = error.standing if isinstance(error, ConditionFailed) else None
    assert all(type(value) is dict and len(value) == 1 for value in (standing or {}).values())


IMPATIENT = RetryPolicy(attempt_timeout_s=5, budget_s=0)
Call = Callable[[AwsDatabase], Awaitable[object]]
CALLS: dict[str, Call] = {
    "GetItem": lambda database: database.get_item("t", KEY),
    "BatchGetItem": lambda database: database.batch_get("t", [KEY]),
    "Scan": lambda database: database.scan_page(ScanRequest("t")),
    "PutItem": lambda database: database.write(Put("t", KEY)),
    "TransactWriteItems": lambda database: database.transact([Delete("t", KEY)]),
    "DescribeStream": lambda database: database.describe_stream("arn"),
    "GetShardIterator": lambda database: database.shard_iterator(ShardPlace("arn", "s")),
    "GetRecords": lambda database: database.get_records("i"),
}


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with serving() as stub:
        yield stub


@pytest.fixture
async def database(stub: Stub) -> AsyncIterator[AwsDatabase]:
    async with connect(endpoint_url=stub.url, retry=IMPATIENT) as database:
        yield database


MEMBERS = [
    *("Items", "Item", "Responses", "UnprocessedKeys", "ConsumedCapacity", "LastEvaluatedKey", "__type", "message"),
    *("StreamDescription", "ShardIterator", "Records", "NextShardIterator"),
]
DOCUMENTS = st.dictionaries(st.sampled_from(MEMBERS), BROKEN_VALUES, max_size=3).map(_sent)


@fuzzed(share=0.5)
@given(
    name=st.sampled_from(sorted(CALLS)),
    body=st.one_of(BODIES, DOCUMENTS),
    status=st.sampled_from([200, 200, 200, 400, 403, 413, 500, 503]),
)
@example("Scan", b'{"Items": [], "ConsumedCapacity": 5}', 200).via("was a TypeError")
@example("GetItem", b'{"Item": "x"}', 200).via("handed on a text for an item")
async def test_any_answer_over_http_is_understood_or_one_of_our_errors(
    stub: Stub, database: AwsDatabase, name: str, body: bytes, status: int
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, body=body)

    stub.script = [handle]
    with suppress(TableturnError):
        await CALLS[name](database)
    stub.script = []


async def test_a_list_of_shards_that_leads_back_to_itself_is_not_read_for_ever(
    stub: Stub, database: AwsDatabase
) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(body=orjson.dumps({"StreamDescription": {"Shards": [], "LastEvaluatedShardId": "s1"}}))

    stub.script = [handle] * 5
    with pytest.raises(FatalError, match="leads back"):
        await database.describe_stream("arn")
