"""Render conditions and key conditions as DynamoDB expressions: pure, with placeholders for every name and value.

Source: AWS, "Condition and filter expressions", "Expression attribute names". Next: `dynamo.aws_items`.
"""

from typing import Any

from domain.items import AttributeValue, text
from dynamo.conditions import Absent, AllOf, AnyOf, Condition, Equal, Less, Path, Present
from dynamo.ports import QueryRequest


def condition_parameters(condition: Condition | None, *, standing: bool = True) -> dict[str, Any]:
    """Return the request parameters that carry a condition; none for None.

    With ``standing`` the answer of a refused write brings the item that stands there.
    """
    if condition is None:
        return {}
    words = _Words()
    parameters = {"ConditionExpression": words.render(condition), **words.parameters()}
    return {**parameters, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if standing else parameters


def removal_parameters(attribute: str, condition: Condition) -> dict[str, Any]:
    """Return the request parameters that remove one attribute on a condition. Source: AWS, "Update expressions"."""
    words = _Words()
    written = words.render(condition)
    update = f"REMOVE {words.path((attribute,))}"
    return {
        "UpdateExpression": update,
        "ConditionExpression": written,
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        **words.parameters(),
    }


def key_condition_parameters(request: QueryRequest) -> dict[str, Any]:
    """Return the request parameters that carry a query's key condition."""
    words = _Words()
    name, value = request.hash_key
    expression = words.render(Equal((name,), text(value)))
    if request.sort_prefix is not None:
        sort_name, prefix = request.sort_prefix
        expression += f" AND begins_with({words.path((sort_name,))}, {words.value(text(prefix))})"
    return {"KeyConditionExpression": expression, **words.parameters()}


class _Words:
    """Collects names and values while an expression is rendered; equal names share a placeholder."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: dict[str, AttributeValue] = {}

    def parameters(self) -> dict[str, Any]:
        names = {placeholder: name for name, placeholder in self._names.items()}
        parameters: dict[str, Any] = {"ExpressionAttributeNames": names}
        if self._values:  # DynamoDB refuses an empty map
            parameters["ExpressionAttributeValues"] = self._values
        return parameters

    def path(self, path: Path) -> str:
        return ".".join(self._names.setdefault(name, f"#n{len(self._names)}") for name in path)

    def value(self, value: AttributeValue) -> str:
        placeholder = f":v{len(self._values)}"
        self._values[placeholder] = value
        return placeholder

    def render(self, condition: Condition) -> str:
        match condition:
            case Absent(path):
                return f"attribute_not_exists({self.path(path)})"
            case Present(path):
                return f"attribute_exists({self.path(path)})"
            case Equal(path, value):
                return f"{self.path(path)} = {self.value(value)}"
            case Less(path, value):
                return f"{self.path(path)} < {self.value(value)}"
            case AllOf(parts):
                return self._join(" AND ", parts)
            case AnyOf(parts):
                return self._join(" OR ", parts)

    def _join(self, word: str, parts: tuple[Condition, ...]) -> str:
        if not parts:
            raise ValueError("a condition of no parts says nothing")
        return f"({word.join(self.render(part) for part in parts)})"
