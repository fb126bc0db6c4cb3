"""A topic of SNS that notices go to. Sources: Amazon SNS API reference, Publish and GetTopicAttributes."""

from typing import Final

from aws.calls import Calls
from domain.errors import RefusedError

_SUBJECT: Final = 99
"""Characters: Publish wants "less than 100", without line breaks or control characters."""
_BODY: Final = 262_144
"""Bytes of UTF-8 in a message."""
_PARTS: Final = 6


class Topic:
    """One topic. Delivery is SNS's business, at least once; FIFO topics are not for people, and refused."""

    def __init__(self, calls: Calls, arn: str) -> None:
        """``calls``: with a client of SNS. Raises RefusedError unless ``arn`` names a topic of the same Region."""
        parts = arn.split(":")
        if len(parts) != _PARTS or parts[2] != "sns" or arn.endswith(".fifo"):
            hint = "give its ARN, arn:aws:sns:REGION:ACCOUNT:NAME; FIFO topics are not supported"
            raise RefusedError(f"{arn} is no topic that notices can go to", hint=hint)
        if parts[3] != calls.region:
            raise RefusedError(f"topic {arn} is not in Region {calls.region}", hint="make one there: SNS wants it so")
        self._calls = calls
        self._arn = arn

    async def check(self) -> None:
        """Return when the topic is there. Raises RefusedError or TransientError."""
        await self._calls.ask("sns", "get_topic_attributes", TopicArn=self._arn)

    async def publish(self, subject: str, body: str) -> str:
        """Send to all who subscribed; return the message's id.

        A subject loses its line breaks and what is beyond 99 characters. Raises RefusedError for a body that is empty
        or above 256 KiB, TransientError when the outcome is unknown: sent again, it may arrive twice.
        """
        if not 0 < len(body.encode()) <= _BODY:
            raise RefusedError("a message needs a body, of 256 KiB at most", hint="shorten it")
        line = " ".join("".join(sign if sign.isprintable() else " " for sign in subject).split())[:_SUBJECT]
        named = {"Subject": line} if line else {}
        answer = await self._calls.ask("sns", "publish", TopicArn=self._arn, Message=body, **named)
        return str(answer["MessageId"])
