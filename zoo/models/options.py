"""Checks of the fields of model configs."""

from __future__ import annotations

import math
from typing import Any

from zoo.errors import ConfigError


def is_count(value: object) -> bool:
    """Whether a value is an integer of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def check_counts(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless these fields are integers of at least 1."""
    for name in names:
        if not is_count(getattr(config, name)):
            raise ConfigError(f"{name} must be a positive integer, got {getattr(config, name)!r}")


def check_numbers(config: Any, *names: str, positive: bool = False) -> None:
    """Raise `ConfigError` unless these fields are finite numbers, of at least 0 or above it."""
    for name in names:
        value = getattr(config, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0 or (positive and value == 0):
            expected = "positive" if positive else "0 or more"
            raise ConfigError(f"{name} must be {expected}, got {value!r}")


def check_choice(config: Any, name: str, *allowed: str) -> None:
    """Raise `ConfigError` unless this field is one of the allowed words."""
    value = getattr(config, name)
    if value not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise ConfigError(f"{name} must be {expected}, got {value!r}")


def as_widths(config: Any, name: str, low: int = 0) -> None:
    """Make this field a tuple (JSON and TOML give lists) of `low` or more positive integers."""
    value = getattr(config, name)
    widths = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    object.__setattr__(config, name, widths)
    if len(widths) < low or not all(map(is_count, widths)):
        raise ConfigError(f"{name} must be {low} or more positive integers, got {list(widths)}")


__all__ = ["as_widths", "check_choice", "check_counts", "check_numbers", "is_count"]
