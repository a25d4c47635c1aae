"""Conditions of an engine beside its latents or images: class labels and attribute values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import as_array, as_floats, describe
from runtime.errors import ArgumentError

Labels = int | str | Sequence[int | str] | NDArray[np.integer[Any]]
"""A class for all images, or one for each: its number, or its name."""

_LISTED = 20


class Classes:
    """The classes of a conditional generator; `count` is 0 where there are none."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        condition = manifest.get("condition") or {}
        self.count: int = condition.get("count", 0)
        self.names: list[str] = manifest.get("classes") or [] if self.count else []

    def parse(self, labels: Labels | None) -> NDArray[np.int64] | None:
        """Return the class numbers int64[k] of the labels passed to a method of Generator.

        Their count is checked where they are used. Raises ArgumentError naming an unknown class
        and the known ones.
        """
        if labels is None:
            return None
        if not self.count:
            raise ArgumentError("labels: expected none, for the engine knows no classes")
        # Do not convert a plain list: NumPy would give names and numbers one type.
        flat = isinstance(labels, (list, tuple)) and not any(map(_is_sequence, labels))
        values = labels if flat or isinstance(labels, (int, str)) else as_array("labels", labels)
        if isinstance(values, np.ndarray):
            if values.ndim > 1:
                raise ArgumentError(f"labels: expected shape (n,), got {values.shape}")
            if values.dtype.kind in "iu":
                values = np.atleast_1d(values)
                for label in values[(values < 0) | (values >= self.count)][:1]:
                    self._parse_label(label)
                return values.astype(np.int64)
            values = labels if values.ndim == 0 else list(values)
        each = values if isinstance(values, (list, tuple)) else [values]
        return np.array([self._parse_label(label) for label in each], np.int64)

    def _parse_label(self, label: Any) -> int:
        if isinstance(label, str):
            if label in self.names:
                return self.names.index(label)
        elif isinstance(label, (int, np.integer)) and not isinstance(label, bool):
            if 0 <= label < self.count:
                return int(label)
            label = int(label)
        else:
            raise ArgumentError(
                f"labels: expected integers or names of classes, got {describe(label)}"
            )
        raise ArgumentError(f"labels: expected a class from {self}, got {describe(label)}")

    def __str__(self) -> str:
        names = ", ".join(self.names[:_LISTED]) + (", …" if len(self.names) > _LISTED else "")
        return f"0 to {self.count - 1}" + (f" ({names})" if names else "")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def as_rows(name: str, value: ArrayLike, n: int, width: int) -> NDArray[np.float32]:
    """Return `value` [width] as [1, width], or `value` [n, width] unchanged."""
    rows = as_array(name, value)
    if rows.ndim == 1:
        return as_floats(name, rows[np.newaxis], (1, width))
    return as_floats(name, rows, (n, width))
