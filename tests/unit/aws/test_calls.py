"""What AWS refuses becomes one of our errors, by code and status; what it says on top is shown to nobody."""

import traceback
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from aws.calls import Calls
from domain.errors import RefusedError, TableturnError, TransientError

SECRET = "String measured: TOKEN=s3cret"


class Refusing:
    """A client of Lambda that answers every question with one failure."""

    def __init__(self, failure: Exception) -> None:
        self._failure = failure

    async def update_function_configuration(self, **parameters: object) -> dict[str, Any]:
        raise self._failure


def answered(code: str, status: int = 400) -> ClientError:
    said = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(said, "UpdateFunctionConfiguration")


async def raised(failure: Exception) -> TableturnError:
    with pytest.raises(TableturnError) as caught:
        await Calls({"lambda": Refusing(failure)}, "us-east-1").ask("lambda", "update_function_configuration")
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert str(caught.value).startswith("lambda:UpdateFunctionConfiguration")
    return caught.value


@pytest.mark.parametrize(
    "failure",
    [
        answered("ResourceConflictException", 409),
        answered("TooManyUpdates"),
        answered("ThrottlingException"),
        answered("ServiceException", 500),
        EndpointConnectionError(endpoint_url="http://nowhere"),
    ],
)
async def test_what_may_pass_is_transient(failure: Exception) -> None:
    assert isinstance(await raised(failure), TransientError)


@pytest.mark.parametrize(
    "failure",
    [
        answered("AccessDeniedException", 403),
        answered("InvalidParameterValueException"),
        answered("ResourceNotFoundException", 404),
        ParamValidationError(report=SECRET),
    ],
)
async def test_what_will_not_pass_is_refused_and_names_a_way_out(failure: Exception) -> None:
    error = await raised(failure)
    assert isinstance(error, RefusedError)
    assert error.hint


async def test_an_awaited_failure_is_an_answer() -> None:
    calls = Calls({"lambda": Refusing(answered("PreconditionFailedException", 412))}, "us-east-1")
    assert await calls.find("lambda", "update_function_configuration", {"PreconditionFailedException"}) is None
