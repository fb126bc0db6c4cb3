"""orjson in place of botocore's walk over shapes: items stay the JSON that DynamoDB sends and takes.

botocore signs, finds the endpoint and the credentials; this gives it the body to send and the body to hand back:
binary stays base64 text, numbers stay strings. DynamoDB's ``x-amz-crc32`` is checked here, since botocore checks it
only in its legacy retry handler, which is off. Sources: AWS, "DynamoDB low-level API"; botocore's json protocol.
"""

import re
import zlib
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final

import orjson
from aiobotocore.parsers import AioResponseParserFactory
from botocore.exceptions import ChecksumError
from botocore.parsers import ResponseParserError

_CRC32: Final = re.compile(r"[0-9]{1,10}")
_LARGE_BODY = 1024 * 1024  # bytes; above it aiohttp wants a file, so as to let others run while it sends
_MOST_QUOTED = 300  # characters of an answer that is not JSON, for the message


class RawSerializer:
    """Takes wire documents as they are. Stands in for ``botocore.serialize.JSONSerializer``."""

    def serialize_to_request(self, parameters: dict[str, Any], operation_model: Any) -> dict[str, Any]:
        """Return botocore's request document. Raises orjson.JSONEncodeError for what JSON cannot carry."""
        metadata = operation_model.metadata
        body = orjson.dumps(parameters)
        return {
            "url_path": "/",
            "query_string": "",
            "method": "POST",
            "headers": {
                "X-Amz-Target": f"{metadata['targetPrefix']}.{operation_model.name}",
                "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}",
            },
            "body": BytesIO(body) if len(body) > _LARGE_BODY else body,
        }


class RawParser:
    """Hands back wire documents as they are. Stands in for aiobotocore's JSON parser."""

    async def parse(self, response: dict[str, Any], shape: Any) -> dict[str, Any]:  # noqa: ARG002 - botocore's port
        """Return the answer, ``ResponseMetadata`` added; an error's code and message under ``Error``.

        Raises ChecksumError or ResponseParserError when the answer did not arrive as it was sent.
        """
        status, headers, body = response["status_code"], response["headers"], response["body"]
        _check_sum(headers.get("x-amz-crc32"), body)
        document = _document(body) if status < HTTPStatus.MULTIPLE_CHOICES else _error_document(status, body)
        document["ResponseMetadata"] = {
            "HTTPStatusCode": status,
            "HTTPHeaders": dict(headers),
            "RequestId": headers.get("x-amzn-requestid", ""),
        }
        return document


class RawParserFactory:
    """Gives `RawParser` to services of the json protocol, and aiobotocore's own to the rest (STS for credentials)."""

    def __init__(self) -> None:
        """Keep both kinds at hand."""
        self._raw: Final = RawParser()
        self._usual: Final = AioResponseParserFactory()

    def create_parser(self, protocol_name: str) -> Any:
        """Return a parser for the protocol."""
        return self._raw if protocol_name == "json" else self._usual.create_parser(protocol_name)


def _check_sum(expected: str | None, body: bytes) -> None:
    if expected is None or not _CRC32.fullmatch(expected):
        return
    actual = zlib.crc32(body)
    if actual != int(expected):
        raise ChecksumError(checksum_type="crc32", expected_checksum=expected, actual_checksum=actual)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise ResponseParserError(f"not JSON: {body[:_MOST_QUOTED]!r}") from error
    if not isinstance(document, dict):
        raise ResponseParserError(f"not a JSON object: {body[:_MOST_QUOTED]!r}")
    return document


def _error_document(status: int, body: bytes) -> dict[str, Any]:
    """Return the error's document; something in between may have answered in HTML: then the status is the code."""
    try:
        document = _document(body)
    except ResponseParserError:
        document = {"message": body[:_MOST_QUOTED].decode(errors="replace")}
    code = str(document.get("__type") or status).rsplit("#", 1)[-1].split(":", 1)[0]
    message = str(document.get("message") or document.get("Message") or "")
    return {**document, "Error": {"Code": code, "Message": message}}
