"""Parameters of requests: one table for their checks and their documentation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from zoo.errors import ZooError

UINT64_MAX = 2**64 - 1


class RequestError(ZooError):
    """A request that cannot be answered; `status` is that of HTTP."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Parameter:
    """A parameter of a request.

    `parse` converts a value of JSON, or a text of a query, and raises ValueError with what was
    expected; `schema` describes it in OpenAPI.
    """

    name: str
    parse: Callable[[Any], Any]
    schema: Mapping[str, Any]
    description: str
    default: Any = None

    def read(self, values: Mapping[str, Any]) -> Any:
        """Return the value of this parameter. Raises RequestError."""
        if self.name not in values or values[self.name] is None:
            return self.default
        try:
            return self.parse(values[self.name])
        except ValueError as error:
            raise RequestError(f"{self.name}: {error}") from None


def integer(low: int, high: int) -> Callable[[Any], int]:
    """Return the parser of integers from `low` to `high`."""

    def parse(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
            value = int(value)
        # JSON has one kind of number: 3.0 is an integer.
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"expected an integer from {low} to {high}, got {show(value)}")
        return value

    return parse


def number(low: float, high: float) -> Callable[[Any], float]:
    """Return the parser of numbers from `low` to `high`."""

    def parse(value: Any) -> float:
        try:
            real = math.nan if isinstance(value, (bool, type(None))) else float(value)
        except (TypeError, ValueError, OverflowError):
            real = math.nan
        if not low <= real <= high:
            raise ValueError(f"expected a number from {low:g} to {high:g}, got {show(value)}")
        return real

    return parse


def choice(*names: str) -> Callable[[Any], str]:
    """Return the parser of one of these names."""

    def parse(value: Any) -> str:
        if value not in names:
            raise ValueError(f"expected {', '.join(names)}, got {show(value)}")
        return str(value)

    return parse


def labels(value: Any) -> list[int | str]:
    """Parse classes, by number or name: a list, or a text with commas between them."""
    values = value.split(",") if isinstance(value, str) else value
    if isinstance(values, int) and not isinstance(values, bool):
        values = [values]
    if not isinstance(values, list) or not values:
        raise ValueError(f"expected classes by number or name, got {show(value)}")
    return [_label(each) for each in values]


def _label(value: Any) -> int | str:
    if isinstance(value, str):
        return int(value) if re.fullmatch("[0-9]{1,9}", value) else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"expected classes by number or name, got {show(value)}")


def show(value: Any) -> str:
    """Return a value as a short text of JSON, for a message."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def read_all(parameters: tuple[Parameter, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all parameters. Raises RequestError, also for an unknown one."""
    known = {parameter.name for parameter in parameters}
    for name in values:
        if name not in known:
            raise RequestError(f"unknown parameter {show(name)}; known: {', '.join(sorted(known))}")
    return {parameter.name: parameter.read(values) for parameter in parameters}
