"""Environment variables of a Lambda function: ours are merged into what stands, and what stood comes back exactly.

UpdateFunctionConfiguration replaces the whole environment, so all of it is sent back as it was read, under the
RevisionId of that reading: whatever changed in between refuses the update. It reaches $LATEST alone: published
versions, and aliases of them, keep theirs. Sources: AWS Lambda API reference, UpdateFunctionConfiguration and
GetFunctionConfiguration; developer guide, "Lambda function states" and "Working with Lambda environment variables".
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from aws.calls import Calls
from aws.waiting import Waits, awaited
from domain.errors import RefusedError
from domain.phases import Side

Variables: TypeAlias = Mapping[str, str]
Wanted: TypeAlias = Mapping[str, str | None]
"""Values by name; None: no such variable."""

_CHANGED: Final = frozenset({"PreconditionFailedException", "ResourceConflictException"})
"""Somebody changed the function since we read it, or is about to."""
_LIMIT: Final = 4096
"""Bytes of a whole environment, which Lambda measures as JSON."""
_WAITS: Final = Waits(120.0)
_ROUNDS: Final = 5
_FUNCTION: Final = re.compile(r"(arn:[^:]+:lambda:[^:]+:\d{12}:function:)?[A-Za-z0-9_-]{1,64}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]+")


@dataclass(frozen=True, slots=True)
class _Configuration:
    """A function as it stands."""

    revision: str
    variables: Variables = field(repr=False)
    failed: str | None
    """Reason code of the last update, when it failed."""


class LambdaEnvironment:
    """Some variables of one function: an actuator (`cutover.actuators`). Nobody else's variable is touched or shown."""

    def __init__(self, calls: Calls, function: str, *, target: Wanted, source: Wanted, waits: Waits = _WAITS) -> None:
        """Take what shall stand while a side serves; a variable that a mapping does not name is left alone then.

        ``function``: its name, or its ARN without version or alias. ``waits``: how long an update may take. Raises
        RefusedError for names that Lambda cannot have.
        """
        if not _FUNCTION.fullmatch(function):
            hint = "give its name, or its ARN without version or alias: only $LATEST can be changed"
            raise RefusedError(f"{function} is no function whose environment can be changed", hint=hint)
        if wrong := sorted(name for name in {*target, *source} if not _NAME.fullmatch(name)):
            hint = "letters, digits and underscores, two at least, a letter first"
            raise RefusedError(f"{', '.join(wrong)}: no names of environment variables", hint=hint)
        self._calls = calls
        self._function = function
        self._wanted: dict[Side, Wanted] = {Side.TARGET: dict(target), Side.SOURCE: dict(source)}
        self._waits = waits

    async def preview(self, to: Side) -> str:
        """Name what `do` would change: our new values, and nobody's prior ones. Raises RefusedError, TransientError."""
        variables = (await self._read()).variables
        self._check_size(_merged(variables, self._wanted[to]))
        changes = [
            f"set {name}={value}" if value is not None else f"remove {name}"
            for name, value in self._wanted[to].items()
            if variables.get(name) != value
        ]
        return f"function {self._function}: {', '.join(changes) or 'nothing to change'}"

    async def standing(self, to: Side) -> dict[str, Any]:
        """Return ``{"variables": {name: value, or None where there is none}}``, of those alone that `do` sets."""
        variables = (await self._read()).variables
        return {"variables": {name: variables.get(name) for name in self._wanted[to]}}

    async def do(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Merge, and return when the function runs with it. Raises RefusedError, TransientError."""
        del standing
        await self._write(lambda variables: _merged(variables, self._wanted[to]))

    async def verify(self, to: Side) -> None:
        """Return when the last update has succeeded and every variable stands. Raises RefusedError naming those not."""
        found = await self._settled()
        self._check_success(found)
        if wrong := [name for name, value in self._wanted[to].items() if found.variables.get(name) != value]:
            hint = "look who else deploys this function, then try again"
            raise RefusedError(f"function {self._function}: {', '.join(wrong)} not as set", hint=hint)

    async def undo(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Bring back the values that stood, and leave all others as they are by now. Raises as `do`."""
        await self._write(lambda variables: _restored(variables, self._wanted[to], standing["variables"]))

    async def _write(self, change: Callable[[Variables], Variables]) -> None:
        """Read, change, write under the revision that was read; from the start when somebody else was quicker."""
        for _ in range(_ROUNDS):
            found = await self._settled()
            variables = change(found.variables)
            if variables == found.variables:
                return
            self._check_size(variables)
            if await self._update(variables, found.revision):
                self._check_success(await self._settled())
                return
            await asyncio.sleep(self._waits.every)
        hint = "wait until nobody deploys it, then try again"
        raise RefusedError(f"function {self._function} was changed by others {_ROUNDS} times in a row", hint=hint)

    async def _update(self, variables: Variables, revision: str) -> bool:
        """Tell whether the function was still as it was read, and is now told."""
        answer = await self._calls.find(
            "lambda",
            "update_function_configuration",
            _CHANGED,
            FunctionName=self._function,
            Environment={"Variables": dict(variables)},
            RevisionId=revision,
        )
        return answer is not None

    async def _settled(self) -> _Configuration:
        """Return the function as it stands once no update is under way."""
        what = f"the update of function {self._function}"
        return await awaited(self._unless_busy, what, self._waits)

    async def _unless_busy(self) -> _Configuration | None:
        answer = await self._ask()
        busy = answer.get("LastUpdateStatus") == "InProgress" or answer.get("State") == "Pending"
        return None if busy else self._configuration(answer)

    async def _read(self) -> _Configuration:
        return self._configuration(await self._ask())

    async def _ask(self) -> dict[str, Any]:
        return await self._calls.ask("lambda", "get_function_configuration", FunctionName=self._function)

    def _configuration(self, answer: Mapping[str, Any]) -> _Configuration:
        """Raise RefusedError where Lambda cannot show the variables: sent back, they would be gone."""
        environment = answer.get("Environment") or {}
        if error := environment.get("Error"):
            message = f"the environment of function {self._function} cannot be read: {error.get('ErrorCode')}"
            raise RefusedError(message, hint="allow kms:Decrypt with the function's key, or leave this function out")
        failed = answer.get("LastUpdateStatus") == "Failed"
        reason = str(answer.get("LastUpdateStatusReasonCode") or "no reason") if failed else None
        return _Configuration(answer["RevisionId"], environment.get("Variables") or {}, reason)

    def _check_success(self, found: _Configuration) -> None:
        if found.failed is not None:
            message = f"the update of function {self._function} failed: {found.failed}"
            raise RefusedError(message, hint="look at its configuration in the Lambda console")

    def _check_size(self, variables: Variables) -> None:
        size = len(json.dumps(dict(variables), ensure_ascii=False, separators=(",", ":")).encode())
        if size > _LIMIT:
            message = (
                f"the environment of function {self._function} would be {size} bytes, of {_LIMIT} that Lambda allows"
            )
            raise RefusedError(message, hint="shorten or remove variables")


def _merged(variables: Variables, wanted: Wanted) -> Variables:
    kept = {name: value for name, value in variables.items() if name not in wanted}
    return kept | {name: value for name, value in wanted.items() if value is not None}


def _restored(variables: Variables, wanted: Wanted, prior: Wanted) -> Variables:
    """Return what stood of ours; nothing changes unless something stands as `do` set it, and did not before."""
    carried_out = any(variables.get(name) == value != prior.get(name) for name, value in wanted.items())
    return _merged(variables, prior) if carried_out else variables
