"""Notices leave for a topic of the account, and what it cannot take is refused before."""

import json

import pytest

from aws.calls import Calls
from aws.topics import Topic
from domain.errors import RefusedError
from tests.acceptance.account import NUMBER, REGION, Cloud


async def test_a_subscriber_gets_subject_and_body(cloud: Cloud, calls: Calls) -> None:
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    arn = sns.create_topic(Name="notices")["TopicArn"]
    place = f"arn:aws:sqs:{REGION}:{NUMBER}:notices"
    lets_in = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [lets_in | {"Resource": place}]})
    queue = sqs.create_queue(QueueName="notices", Attributes={"Policy": policy})["QueueUrl"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=place)
    topic = Topic(calls, arn)
    await topic.check()
    sent = await topic.publish("Cut over:\nthe target serves — " + "x" * 200, "All went well — „fine“.\n")
    letter = json.loads(sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"][0]["Body"])
    assert letter["MessageId"] == sent
    assert letter["Message"] == "All went well — „fine“.\n"
    assert letter["Subject"].startswith("Cut over: the target serves — x")
    assert len(letter["Subject"]) == 99


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
