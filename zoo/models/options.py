"""Validation of model config fields."""

from __future__ import annotations

import math
from typing import Any

from zoo.errors import ConfigError

DEEPEST = 1000
"""Largest number of layers of one kind."""

LARGEST = 2**31 - 1
"""Largest allowed count."""


def is_count(value: object) -> bool:
    """Return True if a value is an integer from 1 to `LARGEST`."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST


def is_number(value: object) -> bool:
    """Return True if a value is a finite number in PyTorch's range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) < 2**63 if isinstance(value, int) else math.isfinite(value)


def check_counts(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless these fields are integers from 1 to `LARGEST`."""
    for name in names:
        value = getattr(config, name)
        if not is_count(value):
            most = f" up to {LARGEST:,}" if isinstance(value, int) and value > LARGEST else ""
            raise ConfigError(f"{name} must be a positive integer{most}, got {value!r}")


def check_depths(config: Any, *names: str, low: int = 0) -> None:
    """Raise `ConfigError` unless these fields are integers from `low` to `DEEPEST`."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= DEEPEST:
            what = "0 or more" if low == 0 else f"{low} or more"
            raise ConfigError(f"{name} must be {what}, up to {DEEPEST}, got {value!r}")


def check_numbers(config: Any, *names: str, positive: bool = False) -> None:
    """Raise `ConfigError` unless these fields are finite numbers, at least 0 (or above 0)."""
    for name in names:
        value = getattr(config, name)
        if not is_number(value) or value < 0 or (positive and value == 0):
            expected = "positive" if positive else "0 or more"
            raise ConfigError(f"{name} must be {expected}, got {value!r}")


def check_halvings(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless `image_size` can be halved once for each of these widths."""
    for name in names:
        steps = len(getattr(config, name))
        if config.image_size % 2**steps:
            raise ConfigError(
                f"image_size must be a multiple of {2**steps} for {steps} {name}, "
                f"got {config.image_size}"
            )


def check_choice(config: Any, name: str, *allowed: str) -> None:
    """Raise `ConfigError` unless this field is one of the allowed values."""
    value = getattr(config, name)
    if value not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise ConfigError(f"{name} must be {expected}, got {value!r}")


def as_widths(config: Any, name: str, low: int = 0) -> None:
    """Convert this field, a list in JSON, to a tuple of at least `low` positive integers."""
    value = getattr(config, name)
    widths = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    object.__setattr__(config, name, widths)
    if not low <= len(widths) <= DEEPEST or not all(map(is_count, widths)):
        raise ConfigError(f"{name} must be {low} or more positive integers, got {list(widths)}")
