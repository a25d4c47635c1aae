"""Shipped generators with the ranges of their layers' operands, as ONNX Runtime computes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from changed_engines import changed
from zoo.engines import WEIGHTS

PRODUCTS = {"Conv", "ConvTranspose", "Gemm"}
IMAGES = 64


def measure(name: str) -> dict[str, list[float]]:
    """Return the smallest and largest operand of each product layer, by the layer's result."""
    model = onnx.load(WEIGHTS / name)
    layers = [node for node in model.graph.node if node.op_type in PRODUCTS]
    values = sorted({node.input[0] for node in layers})
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(v) for v in values)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    feeds = {
        argument.name: np.zeros(
            [IMAGES if isinstance(side, str) else side for side in argument.shape],
            np.float32 if argument.type == "tensor(float)" else np.int64,
        )
        for argument in session.get_inputs()
    }
    results = dict(zip(values, session.run(values, feeds), strict=True))
    operands = {node.output[0]: results[node.input[0]] for node in layers}
    return {layer: [float(x.min()), float(x.max())] for layer, x in operands.items()}


def with_ranges(name: str, folder: Path) -> Path:
    """Return a copy of a shipped generator that has an int8 form."""
    ranges = measure(name)
    return changed(name, folder, lambda document: document.update(int8={"ranges": ranges}))
