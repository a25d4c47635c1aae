"""Conditions that go into an engine beside its latents or images, as the callers give them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime._arguments import array, floats, shown
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

    def numbers(self, labels: Labels | None) -> NDArray[np.int64] | None:
        """Class numbers int64[k] of labels as the methods of Generator take them.

        How many there may be, and whether there may be any, is checked where they are used.
        Raises ArgumentError naming a class that there is not, and those that there are.
        """
        if labels is None:
            return None
        if not self.count:
            raise ArgumentError("labels: expected none, for the engine knows no classes")
        # A plain list is looked into as it is: NumPy would make one type of names and numbers.
        flat = isinstance(labels, (list, tuple)) and not any(map(_is_sequence, labels))
        given = labels if flat or isinstance(labels, (int, str)) else array("labels", labels)
        if isinstance(given, np.ndarray):
            if given.ndim > 1:
                raise ArgumentError(f"labels: expected shape (n,), got {given.shape}")
            if given.dtype.kind in "iu":
                given = np.atleast_1d(given)
                for label in given[(given < 0) | (given >= self.count)][:1]:
                    self._number(label)
                return given.astype(np.int64)
            given = labels if given.ndim == 0 else list(given)
        each = given if isinstance(given, (list, tuple)) else [given]
        return np.array([self._number(label) for label in each], np.int64)

    def _number(self, label: Any) -> int:
        if isinstance(label, str):
            if label in self.names:
                return self.names.index(label)
        elif isinstance(label, (int, np.integer)) and not isinstance(label, bool):
            if 0 <= label < self.count:
                return int(label)
            label = int(label)
        else:
            raise ArgumentError(
                f"labels: expected integers or names of classes, got {shown(label)}"
            )
        raise ArgumentError(f"labels: expected a class from {self}, got {shown(label)}")

    def __str__(self) -> str:
        names = ", ".join(self.names[:_LISTED]) + (", …" if len(self.names) > _LISTED else "")
        return f"0 to {self.count - 1}" + (f" ({names})" if names else "")


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple, np.ndarray))


def rows(name: str, value: ArrayLike, n: int, width: int) -> NDArray[np.float32]:
    """`value` [width] as [1, width], or [n, width] as it is."""
    given = array(name, value)
    if given.ndim == 1:
        return floats(name, given[np.newaxis], (1, width))
    return floats(name, given, (n, width))
