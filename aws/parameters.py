"""A parameter of Systems Manager's Parameter Store: one value while a side serves, and what stood comes back.

Every value that ever stood is kept as a version (100 of them), so what stood is a version's number: no secret leaves
Parameter Store. A write cannot be made conditional: the version that it got tells whether somebody wrote in between.
Sources: AWS Systems Manager API reference, PutParameter, GetParameterHistory; user guide, "Working with parameter
versions".
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from aws.calls import Calls
from domain.errors import RefusedError
from domain.phases import Side

_ABSENT: Final = frozenset({"ParameterNotFound"})
_KEPT: Final = ("Type", "Description", "KeyId", "AllowedPattern", "Tier", "DataType")
"""What PutParameter would else fill with its defaults; policies stay as long as none are given."""
_NAME: Final = re.compile(r"[A-Za-z0-9_./-]{1,1011}")
_HIDDEN: Final = "SecureString"


class StoreParameter:
    """One parameter: an actuator (`cutover.actuators`). A SecureString's value is never shown."""

    def __init__(
        self,
        calls: Calls,
        name: str,
        *,
        target: str,
        source: str,
        kind: Literal["String", "StringList", "SecureString"] = "String",
    ) -> None:
        """Take the value of either side; ``kind``: its type should there be none yet. RefusedError: no such name."""
        if not _NAME.fullmatch(name):
            raise RefusedError(f"{name} is no name of a parameter", hint="give it without version, label or ARN")
        self._calls = calls
        self._name = name
        self._wanted = {Side.TARGET: target, Side.SOURCE: source}
        self._kind = kind

    async def preview(self, to: Side) -> str:
        """Tell the new value, never a prior one. Raises RefusedError, TransientError."""
        found = await self._newest()
        if found is not None and found["Value"] == self._wanted[to]:
            return f"parameter {self._name}: nothing to change"
        kind = self._kind if found is None else found["Type"]
        value = "(not shown)" if _HIDDEN in {kind, self._kind} else self._wanted[to]
        return f"parameter {self._name}: {'make' if found is None else 'set'} {kind} {value}"

    async def standing(self, to: Side) -> dict[str, Any]:
        """Return ``{"version": number, or None where there is no parameter}``."""
        del to
        return {"version": _version(await self._newest())}

    async def do(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Set the value; type, key, tier, description and pattern stay.

        Raises RefusedError when somebody wrote since ``standing``, or just now: then their version stays in the
        parameter's history, and `undo` brings it back. Raises TransientError.
        """
        found = await self._newest()
        if found is not None and found["Value"] == self._wanted[to]:
            return
        if _version(found) != standing["version"]:
            raise self._overtaken()
        if found is None:
            await self._put(self._wanted[to], {"Type": self._kind}, overwrite=False)
        elif await self._put(self._wanted[to], await self._kept(found["Version"])) != found["Version"] + 1:
            raise self._overtaken()

    async def verify(self, to: Side) -> None:
        """Return when the value stands. Raises RefusedError, TransientError."""
        found = await self._newest()
        if found is None or found["Value"] != self._wanted[to]:
            message = f"parameter {self._name} is not as set"
            raise RefusedError(message, hint="look who else writes it, then try again")

    async def undo(self, to: Side, standing: Mapping[str, Any]) -> None:
        """Bring back what stood before our value, or that there was nothing; the value of somebody else stays.

        Raises RefusedError when Parameter Store has forgotten that version, TransientError.
        """
        found, ours = await self._newest(), self._wanted[to]
        if found is None or found["Value"] != ours or found["Version"] == standing["version"]:
            return
        before = [each for each in await self._history() if each["Value"] != ours]
        if before:
            last = max(before, key=lambda each: int(each["Version"]))
            await self._put(last["Value"], _kept_of(last))
        elif standing["version"] is None:
            await self._calls.find("ssm", "delete_parameter", _ABSENT, Name=self._name)
        else:
            message = f"version {standing['version']} of parameter {self._name} is no longer kept"
            raise RefusedError(message, hint="set its value by hand")

    async def _newest(self) -> dict[str, Any] | None:
        """Return value, type and version; None: there is no such parameter."""
        answer = await self._calls.find("ssm", "get_parameter", _ABSENT, Name=self._name, WithDecryption=True)
        return None if answer is None else dict(answer["Parameter"])

    async def _history(self) -> list[dict[str, Any]]:
        return await self._calls.pages(
            "ssm", "get_parameter_history", "Parameters", Name=self._name, WithDecryption=True
        )

    async def _kept(self, version: int) -> Mapping[str, Any]:
        return next((_kept_of(each) for each in await self._history() if each["Version"] == version), {})

    async def _put(self, value: str, kept: Mapping[str, Any], *, overwrite: bool = True) -> int:
        """Return the version that this became."""
        told = {"Name": self._name, "Value": value, "Overwrite": overwrite, **kept}
        answer = await self._calls.find("ssm", "put_parameter", {"ParameterAlreadyExists"}, **told)
        if answer is None:
            raise self._overtaken()
        return int(answer["Version"])

    def _overtaken(self) -> RefusedError:
        message = f"parameter {self._name} was changed by somebody else meanwhile"
        return RefusedError(message, hint="look who writes it, then try again")


def _version(found: Mapping[str, Any] | None) -> int | None:
    return None if found is None else int(found["Version"])


def _kept_of(version: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: version[name] for name in _KEPT if version.get(name)}
