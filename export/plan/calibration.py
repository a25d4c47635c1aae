"""Ranges of the tensors inside a network, measured on real inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from export.errors import ExportError
from export.plan.samples import Samples
from export.stock import Session

PERCENTILE = 99.999
"""Percentile of the absolute values that eight bits represent; larger ones are clipped."""

METHOD = f"percentile {PERCENTILE}"
ROWS = 32


def measure_limits(model: ModelProto, tensors: Sequence[str], samples: Samples) -> dict[str, float]:
    """Measure the percentile of the absolute values of each tensor.

    The percentile is exact, over all samples, and deterministic. (The histograms of ONNX Runtime's
    quantizer, 1.32, lose values when a block exceeds the range of those before it.)

    Args:
        model: float32, from `graph.prepare`.
        tensors: names of its float tensors to measure.
        samples: rows for each of its inputs.

    Raises:
        ExportError: a tensor is not finite, or ONNX Runtime refuses the model.
    """
    return _measure_percentiles(model, tensors, samples, {"": np.abs})[""]


def measure_ranges(
    model: ModelProto, tensors: Sequence[str], samples: Samples
) -> dict[str, tuple[float, float]]:
    """Measure the percentiles at both ends of each tensor's values; ranges include 0.

    Arguments and errors are those of `measure_limits`.
    """
    ends = _measure_percentiles(model, tensors, samples, {"low": np.negative, "high": np.positive})
    return {
        name: (0.0 - max(0.0, ends["low"][name]), max(0.0, ends["high"][name])) for name in tensors
    }


def _measure_percentiles(
    model: ModelProto,
    tensors: Sequence[str],
    samples: Samples,
    functions: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]],
) -> dict[str, dict[str, float]]:
    """Measure the percentile of some functions of the values of each tensor."""
    outputs = {output.name for output in model.graph.output}
    session = Session(model, [name for name in tensors if name not in outputs])
    greatest: dict[tuple[str, str], NDArray[np.float32]] = {}
    for block in samples.blocks(ROWS):
        computed = session.run(**block)
        rows = min(ROWS, samples.count)
        for name in tensors:
            values = computed[name].ravel()
            if not np.isfinite(values).all():
                raise ExportError(
                    f"calibration with {samples.source}: the tensor {name} is not finite"
                )
            kept = np.full(
                _count_kept(values.size * samples.count // rows), -np.inf, dtype=np.float32
            )
            for title, function in functions.items():
                key = (title, name)
                greatest[key] = _keep_greatest(greatest.get(key, kept), function(values))
    return {
        title: {name: float(greatest[title, name].min()) for name in tensors} for title in functions
    }


def _count_kept(count: int) -> int:
    """Return how many of the greatest values to keep; the least of them is the percentile."""
    return int(count * (100 - PERCENTILE) / 100) + 1


def _keep_greatest(greatest: NDArray[np.float32], values: NDArray[Any]) -> NDArray[np.float32]:
    """Return the greatest values of both arrays, as many as before."""
    both = np.concatenate([greatest, values[values > greatest.min()]])
    return np.partition(both, len(both) - len(greatest))[-len(greatest) :]
