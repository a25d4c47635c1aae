"""How far the numbers inside a network reach, seen on real inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from export.errors import ExportError
from export.plan.samples import Samples
from export.stock import Session

PERCENTILE = 99.999
"""Percentile of the absolute values that eight bits represent; larger values are clipped."""

METHOD = f"percentile {PERCENTILE}"
ROWS = 32


def limits(model: ModelProto, tensors: Sequence[str], samples: Samples) -> dict[str, float]:
    """For each tensor the absolute value that all but one in 100,000 of its numbers stay within.

    Exact, over all samples; the same samples give the same bits. (The histograms of ONNX Runtime's
    quantizer, 1.32, lose numbers where a block goes beyond those before it.)

    Args:
        model: of `graph.prepare`: float32.
        tensors: names of float tensors of it.
        samples: rows for each of its inputs.

    Raises:
        ExportError: a tensor is not finite for them, or ONNX Runtime refuses the model.
    """
    given = {output.name for output in model.graph.output}
    session = Session(model, [name for name in tensors if name not in given])
    greatest: dict[str, NDArray[np.float32]] = {}
    for block in samples.blocks(ROWS):
        found = session.run(**block)
        rows = min(ROWS, samples.count)
        for name in tensors:
            values = np.abs(found[name]).ravel()
            if not np.isfinite(values).all():
                raise ExportError(
                    f"calibration with {samples.source}: the tensor {name} is not finite"
                )
            if name not in greatest:
                greatest[name] = np.zeros(_beyond(values.size * samples.count // rows), np.float32)
            greatest[name] = _merged(greatest[name], values)
    return {name: float(values.min()) for name, values in greatest.items()}


def _beyond(count: int) -> int:
    """How many of the greatest are to be known, the last of which is the limit."""
    return int(count * (100 - PERCENTILE) / 100) + 1


def _merged(greatest: NDArray[np.float32], values: NDArray[Any]) -> NDArray[np.float32]:
    """The greatest of both, as many as there were."""
    both = np.concatenate([greatest, values[values > greatest.min()]])
    return np.partition(both, len(both) - len(greatest))[-len(greatest) :]
