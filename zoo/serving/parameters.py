"""Parameters of requests: one table for their checks and their documentation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.engines import parse_label, split_labels
from zoo.errors import ZooError

UINT64_MAX = 2**64 - 1

Values = dict[str, Any]
"""The values of all parameters of a request, by name."""


class RequestError(ZooError):
    """A request that cannot be answered; `status` is that of HTTP."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Parameter:
    """A parameter of a request.

    `parse` converts a value of JSON, or a text of a query, and raises ValueError with what was
    expected; `schema` describes it in OpenAPI, `query` its text in a query if that is another. A
    `binary` one holds pictures, which are in the body only.
    """

    name: str
    parse: Callable[[Any], Any]
    schema: Mapping[str, Any]
    description: str
    default: Any = None
    required: bool = False
    query: Mapping[str, Any] | None = None
    binary: bool = False

    def read(self, values: Mapping[str, Any]) -> Any:
        """Return the value of this parameter. Raises RequestError."""
        if self.name not in values or values[self.name] is None:
            if self.required:
                raise RequestError(f"{self.name}: expected a value, got none")
            return self.default
        try:
            return self.parse(values[self.name])
        except ValueError as error:
            raise RequestError(f"{self.name}: {error}") from None


def integer(
    name: str, low: int, high: int, description: str, default: int | None = None
) -> Parameter:
    """Return the parameter of an integer from `low` to `high`."""
    schema = {"type": "integer", "minimum": low, "maximum": high}

    def parse(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
            value = int(value)
        # JSON has one kind of number: 3.0 is an integer.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"expected an integer from {low} to {high}, got {show(value)}")
        return value

    return Parameter(name, parse, _with_default(schema, default), description, default)


def number(
    name: str, low: float, high: float, description: str, default: float | None = None
) -> Parameter:
    """Return the parameter of a number from `low` to `high`."""
    schema = {"type": "number", "minimum": low, "maximum": high}

    def parse(value: Any) -> float:
        try:
            real = math.nan if isinstance(value, (bool, type(None))) else float(value)
        except (TypeError, ValueError, OverflowError):
            real = math.nan
        if not low <= real <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}, got {show(value)}")
        return real

    return Parameter(name, parse, _with_default(schema, default), description, default)


def choice(
    name: str, names: tuple[str, ...], description: str, default: str | None = None
) -> Parameter:
    """Return the parameter of one of these names."""
    schema = {"type": "string", "enum": list(names)}

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"expected {', '.join(names)}, got {show(value)}")
        return str(value)

    return Parameter(name, parse, _with_default(schema, default), description, default)


def flag(name: str, description: str) -> Parameter:
    """Return the parameter of true or false, by default false."""

    def parse(value: Any) -> bool:
        if value not in (True, False, "true", "false"):
            raise ValueError(f"expected true or false, got {show(value)}")
        return value in (True, "true")

    return Parameter(name, parse, {"type": "boolean", "default": False}, description, False)


def words(name: str, description: str) -> Parameter:
    """Return the parameter of a list of texts, in a query with commas between them."""

    def parse(value: Any) -> list[str]:
        texts = value.split(",") if isinstance(value, str) else value
        if not isinstance(texts, list) or not texts or not all(map(_is_word, texts)):
            raise ValueError(f"expected names with commas between them, got {show(value)}")
        return [text.strip() for text in texts]

    word = {"type": "string", "minLength": 1}
    schema = {"oneOf": [word, {"type": "array", "minItems": 1, "items": word}]}
    return Parameter(name, parse, schema, description, query=word)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def classes(description: str) -> Parameter:
    """Return the parameter `labels` of classes, by number or name."""
    one = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    schema = {"oneOf": [*one["oneOf"], {"type": "array", "minItems": 1, "items": one}]}
    return Parameter("labels", _labels, schema, description, query={"type": "string"})


def _labels(value: Any) -> list[int | str]:
    if isinstance(value, str):
        return split_labels(value)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise ValueError(f"expected classes by number or name, got {show(value)}")
    return [label(each) for each in values]


def label(value: Any) -> int | str:
    """Parse a class, by number or name."""
    if isinstance(value, str):
        return parse_label(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"expected classes by number or name, got {show(value)}")


def _with_default(schema: dict[str, Any], default: Any) -> dict[str, Any]:
    return schema if default is None else {**schema, "default": default}


def show(value: Any) -> str:
    """Return a value for a message, on one line and not too long."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def read_all(parameters: tuple[Parameter, ...], values: Mapping[str, Any]) -> Values:
    """Return the values of all parameters. Raises RequestError, also for an unknown one."""
    known = {parameter.name for parameter in parameters}
    for name in values:
        if name not in known:
            raise RequestError(f"unknown parameter {show(name)}; known: {', '.join(sorted(known))}")
    return {parameter.name: parameter.read(values) for parameter in parameters}
