"""The adapter against a server that misbehaves: what is retried, what the guard is told, what is raised."""

import socket
from collections.abc import AsyncIterator
from random import Random

import pytest

from domain.errors import ConditionFailed, FatalError, TransientError
from domain.guards import Attempt
from domain.items import Item, text
from domain.tables import KeyAttribute, TableDefinition
from dynamo.aws import AwsDatabase, connect
from dynamo.conditions import Absent
from dynamo.observer import Kind
from dynamo.ports import Put, QueryRequest, ScanRequest
from dynamo.retries import RetryPolicy
from tests.unit.dynamo import stub as stubs
from tests.unit.dynamo.stub import Stub, answer, failure

QUICK = RetryPolicy(
    attempt_timeout_s=1, budget_s=20, base_delay_s=0.001, throttled_base_delay_s=0.001, max_delay_s=0.01
)
KEY: Item = {"PK": text("p")}
PUT = Put("users", {**KEY, "b": {"B": "AAEC"}}, Absent(("PK",)))


class Ears:
    """Guard and observer that write down what they hear."""

    def __init__(self) -> None:
        self.answers: list[bool] = []
        self.throttled: list[str] = []
        self.consumed: list[tuple[str, str, float]] = []
        self.attempts: list[str] = []

    def begin(self) -> Attempt:
        return Attempt(len(self.answers), 60)

    def end(self, attempt: Attempt, *, answered: bool) -> None:
        assert attempt.number == len(self.answers)
        self.answers.append(answered)

    def on_attempt(self, operation: str, seconds: float) -> None:
        assert seconds >= 0
        self.attempts.append(operation)

    def on_throttled(self, table: str, operation: str) -> None:
        self.throttled.append(f"{operation} on {table}")

    def on_consumed(self, table: str, kind: Kind, units: float) -> None:
        self.consumed.append((table, kind, units))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """No credentials, no region, no profile, no metadata service."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", f"{tmp_path}/config")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", f"{tmp_path}/credentials")


@pytest.fixture
async def stub() -> AsyncIterator[Stub]:
    async with stubs.serving() as server:
        yield server


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
async def database(stub: Stub, ears: Ears) -> AsyncIterator[AwsDatabase]:
    async with connect(endpoint_url=stub.url, retry=QUICK, observer=ears, random=Random(1)) as opened:
        yield opened


async def test_a_request_is_signed_and_its_item_goes_raw(database: AwsDatabase, stub: Stub) -> None:
    await database.write(PUT)
    assert stub.operations == ["DynamoDB_20120810.PutItem"]
    assert stub.bodies[0]["Item"] == PUT.item
    assert stub.bodies[0]["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"
    assert stub.headers[0]["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=tableturn/")
    assert stub.headers[0]["Content-Type"] == "application/x-amz-json-1.0"


@pytest.mark.parametrize(
    "trouble",
    [
        failure("InternalServerError", status=500),
        failure("SomethingNew", status=502),
        stubs.unavailable,
        stubs.reset,
        stubs.half,
        stubs.never,
        answer({"Attributes": {}}, spoilt=True),
    ],
    ids=["500", "unknown 502", "html 503", "reset", "half an answer", "no answer", "spoilt answer"],
)
async def test_trouble_that_may_hide_a_success_is_retried_and_told_as_unanswered(
    database: AwsDatabase, stub: Stub, ears: Ears, trouble: stubs.Handler
) -> None:
    stub.script = [trouble]
    await database.write(PUT, guard=ears)
    assert len(stub.operations) == 2
    assert ears.answers == [False, True]
    assert ears.throttled == []


async def test_a_put_that_failed_after_its_effect_meets_itself_on_retry(
    database: AwsDatabase, stub: Stub, ears: Ears
) -> None:
    stub.script = [
        failure("InternalServerError", status=500),
        failure("ConditionalCheckFailedException", Item=PUT.item),
    ]
    with pytest.raises(ConditionFailed) as refusal:
        await database.write(PUT, guard=ears)
    assert refusal.value.standing == PUT.item
    assert ears.answers == [False, True]


@pytest.mark.parametrize("code", ["ThrottlingException", "ProvisionedThroughputExceededException"])
async def test_throttling_is_retried_told_and_definitely_unwritten(
    database: AwsDatabase, stub: Stub, ears: Ears, code: str
) -> None:
    stub.script = [failure(code), failure(code)]
    await database.write(PUT, guard=ears)
    assert ears.answers == [True, True, True]
    assert ears.throttled == ["PutItem on users"] * 2
    assert ears.attempts == ["PutItem"] * 3


async def test_a_conflict_is_retried_without_counting_as_throttling(
    database: AwsDatabase, stub: Stub, ears: Ears
) -> None:
    stub.script = [failure("TransactionConflictException")]
    await database.write(PUT, guard=ears)
    assert ears.answers == [True, True]
    assert ears.throttled == []


async def test_a_refused_connection_wrote_nothing_and_is_raised_when_the_budget_is_spent(ears: Ears) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    policy = RetryPolicy(budget_s=1, base_delay_s=0.05, max_delay_s=0.2)
    async with connect(endpoint_url=url, retry=policy) as database:
        with pytest.raises(TransientError, match="gave up after"):
            await database.write(PUT, guard=ears)
    assert set(ears.answers) == {True}
    assert len(ears.answers) > 1


@pytest.mark.parametrize("code", ["ExpiredTokenException", "AccessDeniedException", "UnrecognizedClientException"])
async def test_credentials_and_permissions_are_not_retried(
    database: AwsDatabase, stub: Stub, ears: Ears, code: str
) -> None:
    stub.script = [failure(code)]
    with pytest.raises(FatalError, match=code) as refusal:
        await database.write(PUT, guard=ears)
    assert refusal.value.hint
    assert ears.answers == [True]


async def test_every_attempt_of_a_transaction_has_its_token_and_every_transaction_its_own(
    database: AwsDatabase, stub: Stub, ears: Ears
) -> None:
    stub.script = [stubs.reset, failure("TransactionInProgressException")]
    await database.transact([PUT], guard=ears)
    await database.transact([PUT])
    tokens = [body["ClientRequestToken"] for body in stub.bodies]
    assert tokens[0] == tokens[1] == tokens[2] != tokens[3]
    assert ears.answers == [False, False, True]


async def test_a_cancelled_transaction_brings_index_and_item_over_the_wire(database: AwsDatabase, stub: Stub) -> None:
    reasons = [{"Code": "None"}, {"Code": "ConditionalCheckFailed", "Message": "no", "Item": PUT.item}]
    stub.script = [failure("TransactionCanceledException", CancellationReasons=reasons)]
    with pytest.raises(ConditionFailed) as refusal:
        await database.transact([Put("users", KEY), PUT])
    assert (refusal.value.index, refusal.value.standing) == (1, PUT.item)


async def test_unprocessed_keys_are_asked_for_again_until_none_is_left(
    database: AwsDatabase, stub: Stub, ears: Ears
) -> None:
    keys = [{"PK": text(str(each))} for each in range(3)]

    def left(*unprocessed: Item) -> dict[str, object]:
        return {"UnprocessedKeys": {"users": {"Keys": list(unprocessed), "ConsistentRead": True}}}

    def cost(units: float) -> dict[str, object]:
        return {"ConsumedCapacity": [{"TableName": "users", "CapacityUnits": units}]}

    stub.script = [
        answer({"Responses": {"users": [keys[0]]}, **left(*keys[1:]), **cost(1.0)}),
        answer({"Responses": {"users": []}, **left(*keys[1:])}),
        answer({"Responses": {"users": [keys[1]]}, **left(keys[2]), **cost(2.0)}),
        stubs.reset,
        answer({"Responses": {"users": [keys[2]]}, "UnprocessedKeys": {}, **cost(0.5)}),
    ]
    found = await database.batch_get("users", keys)
    assert list(found.items) == keys
    assert found.units == "3.5", "all attempts that were answered"
    assert [len(body["RequestItems"]["users"]["Keys"]) for body in stub.bodies] == [3, 2, 2, 1, 1]
    assert ears.throttled == ["BatchGetItem on users"]


async def test_more_than_100_keys_go_in_batches_of_100(database: AwsDatabase, stub: Stub) -> None:
    await database.batch_get("users", [{"PK": text(str(each))} for each in range(250)])
    assert [len(body["RequestItems"]["users"]["Keys"]) for body in stub.bodies] == [100, 100, 50]


async def test_consumed_units_are_told_by_table_and_kind(database: AwsDatabase, stub: Stub, ears: Ears) -> None:
    def consumed(units: float) -> dict[str, object]:
        return {"ConsumedCapacity": {"TableName": "users", "CapacityUnits": units}}

    several = {"ConsumedCapacity": [{"TableName": "a", "CapacityUnits": 2.0}, {"TableName": "b", "CapacityUnits": 4.0}]}
    stub.script = [answer(consumed(3.0)), answer({"Items": [], **consumed(128.5)}), answer(several)]
    await database.write(PUT)
    page = await database.scan_page(ScanRequest("users"))
    await database.transact([Put("a", KEY), Put("b", KEY)])
    assert page.units == "128.5"
    assert ears.consumed == [
        ("users", "write", 3.0),
        ("users", "read", 128.5),
        ("a", "write", 2.0),
        ("b", "write", 4.0),
    ]


async def test_a_ttl_deletion_is_known_by_its_user(database: AwsDatabase, stub: Stub) -> None:
    def record(**more: object) -> dict[str, object]:
        data = {
            "Keys": KEY,
            "OldImage": KEY,
            "SequenceNumber": "000000000000000000123",
            "ApproximateCreationDateTime": 1795442580.0,
        }
        return {"eventName": "REMOVE", "dynamodb": data, **more}

    identity = {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"}
    someone = {"PrincipalId": "AIDA", "Type": "IAMUser"}
    records = [record(userIdentity=identity), record(), record(userIdentity=someone)]
    stub.script = [answer({"Records": records, "NextShardIterator": "next"})]
    page = await database.get_records("iterator")
    assert [change.by_ttl for change in page.changes] == [True, False, False]
    assert [change.sequence for change in page.changes] == [123] * 3
    assert [change.created_ms for change in page.changes] == [1795442580000] * 3
    assert stub.operations == ["DynamoDBStreams_20120810.GetRecords"]
    assert page.next_iterator == "next"


async def test_a_stream_of_many_shards_is_described_page_by_page(database: AwsDatabase, stub: Stub) -> None:
    def page(shard: str, last: str | None) -> stubs.Handler:
        described = {"Shards": [{"ShardId": shard, "SequenceNumberRange": {"StartingSequenceNumber": "1"}}]}
        more = {} if last is None else {"LastEvaluatedShardId": last}
        return answer({"StreamDescription": {**described, **more}})

    stub.script = [page("a", "a"), page("b", None)]
    assert [shard.shard_id for shard in await database.describe_stream("arn")] == ["a", "b"]
    assert stub.bodies[1]["ExclusiveStartShardId"] == "a"


async def test_a_query_asks_for_index_order_limit_and_start(database: AwsDatabase, stub: Stub) -> None:
    stub.script = [answer({"Items": []})]
    await database.query_page(QueryRequest("t", ("g", "1"), index="by-g", forward=False, limit=7, start=KEY))
    body = stub.bodies[0]
    assert (body["IndexName"], body["ScanIndexForward"], body["Limit"]) == ("by-g", False, 7)
    assert body["ExclusiveStartKey"] == KEY


async def test_any_operation_may_be_called_by_name_with_raw_parameters(database: AwsDatabase, stub: Stub) -> None:
    stub.script = [failure("InternalServerError", status=500), answer({"Attributes": PUT.item})]
    update = {"TableName": "users", "Key": KEY, "UpdateExpression": "SET b = :b"}
    assert await database.call("UpdateItem", update) == {"Attributes": PUT.item}
    assert stub.bodies[1] == update


async def test_an_emulator_may_lack_recovery_when_an_endpoint_was_named(
    database: AwsDatabase, stub: Stub, caplog: pytest.LogCaptureFixture
) -> None:
    key = [{"AttributeName": "PK", "KeyType": "HASH"}]
    types = [{"AttributeName": "PK", "AttributeType": "S"}]
    table = {"TableName": "t", "TableStatus": "ACTIVE", "KeySchema": key, "AttributeDefinitions": types}
    stub.script = [answer({}), answer({"Table": table}), answer({}), failure("UnknownOperationException")]
    definition = TableDefinition("t", (KeyAttribute("PK", "S"),), point_in_time_recovery=True)
    await database.create_table(definition)
    assert "no point-in-time recovery for t" in caplog.text
    assert stub.operations[-1] == "DynamoDB_20120810.UpdateContinuousBackups"


async def test_indexes_that_are_built_or_deleted_and_capacity_are_described(database: AwsDatabase, stub: Stub) -> None:
    """Of an index that is being deleted, DynamoDB Local has no attributes any more; it serves nobody anyhow."""
    key = [{"AttributeName": "PK", "KeyType": "HASH"}]
    types = [{"AttributeName": "PK", "AttributeType": "S"}]
    indexes = [
        {"IndexName": "new", "KeySchema": key, "Projection": {"ProjectionType": "ALL"}, "IndexStatus": "CREATING"},
        {"IndexName": "old", "KeySchema": [{"AttributeName": "gone"}], "IndexStatus": "DELETING"},
    ]
    table = {"TableName": "t", "TableStatus": "ACTIVE", "KeySchema": key, "AttributeDefinitions": types}
    units = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 6}
    told = {**table, "GlobalSecondaryIndexes": indexes, "ProvisionedThroughput": units}
    stub.script = [answer({"Table": told}), answer({})]
    found = await database.describe_table("t")
    assert found is not None
    assert ([index.name for index in found.indexes], found.building, found.provisioned) == (["new"], ("new",), (5, 6))


async def test_no_region_is_fatal_with_a_hint() -> None:
    with pytest.raises(FatalError, match="region") as refusal:
        async with connect(endpoint_url="http://dynamodb.example"):
            pass
    assert "region" in refusal.value.hint


async def test_no_credentials_are_fatal_with_a_hint() -> None:
    async with connect(endpoint_url="http://dynamodb.example", region="eu-central-1") as database:
        with pytest.raises(FatalError, match="credentials") as refusal:
            await database.get_item("users", KEY)
    assert "credentials" in refusal.value.hint


async def test_a_malformed_endpoint_is_fatal() -> None:
    with pytest.raises(FatalError, match="cannot connect"):
        async with connect(endpoint_url="not a url", region="eu-central-1"):
            pass
