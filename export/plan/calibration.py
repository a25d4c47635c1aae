"""How far the numbers inside a network reach, seen on real inputs."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from onnx import ModelProto

from export.errors import ExportError
from export.plan.samples import Samples
from export.stock import Session

PERCENTILE = 99.999
"""Of the absolute values that eight bits hold; what is above is cut. ONNX Runtime's default."""

METHOD = f"percentile {PERCENTILE}"
BINS = 2048
ROWS = 32


def limits(model: ModelProto, tensors: Sequence[str], samples: Samples) -> dict[str, float]:
    """For each tensor the absolute value that all but a few of its numbers stay below.

    By the histograms of ONNX Runtime's quantizer; the same samples give the same bits.

    Args:
        model: of `graph.prepare`: float32.
        tensors: names of float tensors of it.
        samples: rows for each of its inputs.

    Raises:
        ExportError: a tensor is not finite for them, or ONNX Runtime refuses the model.
    """
    from onnxruntime.quantization.calibrate import HistogramCollector

    given = {output.name for output in model.graph.output}
    session = Session(model, [name for name in tensors if name not in given])
    collector = HistogramCollector("percentile", True, BINS, BINS, PERCENTILE, "same")
    # The collector prints what it does.
    with contextlib.redirect_stdout(io.StringIO()):
        for block in samples.blocks(ROWS):
            found = session.run(**block)
            for name in tensors:
                if not np.isfinite(found[name]).all():
                    raise ExportError(
                        f"calibration with {samples.source}: the tensor {name} is not finite"
                    )
            collector.collect({name: found[name] for name in tensors})
        results = collector.compute_collection_result() if tensors else {}
    return {name: max(abs(float(low)), float(high)) for name, (low, high, *_) in results.items()}


__all__ = ["METHOD", "limits"]
