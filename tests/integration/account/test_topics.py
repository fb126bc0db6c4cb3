"""Notices leave for a topic of the account, and what it cannot take is refused before."""

import json

import pytest

from aws.calls import Calls
from aws.topics import Topic
from domain.errors import RefusedError
from service.noticefile import NoticeFile
from service.postage import open_routes
from service.settings import Settings
from tests.acceptance.account import NUMBER, REGION, Cloud


def subscribed(cloud: Cloud, name: str) -> tuple[str, str]:
    """Make a topic with a queue as its subscriber; return the topic's ARN and the queue's address."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    arn = sns.create_topic(Name=name)["TopicArn"]
    place = f"arn:aws:sqs:{REGION}:{NUMBER}:{name}"
    lets_in = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [lets_in | {"Resource": place}]})
    queue = sqs.create_queue(QueueName=name, Attributes={"Policy": policy})["QueueUrl"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=place)
    return arn, queue


def received(cloud: Cloud, queue: str) -> dict[str, str]:
    messages = cloud.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    return dict(json.loads(messages[0]["Body"]))


async def test_a_subscriber_gets_subject_and_body(cloud: Cloud, calls: Calls) -> None:
    arn, queue = subscribed(cloud, "notices")
    topic = Topic(calls, arn)
    await topic.check()
    sent = await topic.publish("Cut over:\nthe target serves — " + "x" * 200, "All went well — „fine“.\n")
    letter = received(cloud, queue)
    assert letter["MessageId"] == sent
    assert letter["Message"] == "All went well — „fine“.\n"
    assert letter["Subject"].startswith("Cut over: the target serves — x")
    assert len(letter["Subject"]) == 99


async def test_a_route_of_the_notice_file_leads_to_its_topic(cloud: Cloud, calls: Calls) -> None:
    arn, queue = subscribed(cloud, "team")
    given = {"notices": "x", "routes": {"team": {"kind": "topic", "topic": arn}}, "audiences": {}, "send": {}}
    settings = Settings.model_validate({"account_endpoint_url": cloud.url, "region": REGION})
    async with open_routes(NoticeFile.model_validate(given), settings, {}, lambda: 0) as routes:
        await routes["team"].send({"subject": "[x] phase READY", "text": "VERIFY → READY"})
    letter = received(cloud, queue)
    assert (letter["Subject"], letter["Message"]) == ("[x] phase READY", "VERIFY → READY")


async def test_a_topic_that_is_not_there_is_named_by_the_call_that_found_out(calls: Calls) -> None:
    topic = Topic(calls, f"arn:aws:sns:{REGION}:{NUMBER}:nobody")
    with pytest.raises(RefusedError, match=r"sns:GetTopicAttributes failed with NotFound"):
        await topic.check()


@pytest.mark.parametrize(
    "arn",
    ["notices", f"arn:aws:sns:eu-west-1:{NUMBER}:notices", f"arn:aws:sns:{REGION}:{NUMBER}:notices.fifo"],
)
async def test_what_is_no_topic_of_this_region_is_refused(calls: Calls, arn: str) -> None:
    with pytest.raises(RefusedError, match="notices"):
        Topic(calls, arn)


@pytest.mark.parametrize("body", ["", "ü" * 131_073])
async def test_a_body_that_sns_would_not_take_is_refused(calls: Calls, body: str) -> None:
    with pytest.raises(RefusedError, match="256 KiB"):
        await Topic(calls, f"arn:aws:sns:{REGION}:{NUMBER}:notices").publish("subject", body)
