"""Parameters of the plans of the tests on emulated CUDA devices, and a comparison of images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BUCKETS = (1, 4, 16)
"""Batch sizes of every plan."""
DEVICE_BYTES = 2**30
"""Memory of each device."""
Plan = Callable[[str], Path]
"""Builds the plan of a shipped engine, by its name."""


def same_images(expected: NDArray[Any], got: NDArray[Any]) -> None:
    """Compare images; with sums in another order, a few may round to the next level."""
    assert got.dtype == np.uint8 and got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3
