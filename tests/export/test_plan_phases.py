"""Rewriting of transposed convolutions to convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import numpy_helper

from export.plan import phases
from plan_cases import build_model, make_node, run


@pytest.mark.parametrize(
    ("kernel", "stride", "pads", "size"),
    [
        (4, 2, [1, 1, 1, 1], (5, 7)),
        (4, 2, [0, 0, 0, 0], (1, 1)),
        (4, 4, [0, 0, 0, 0], (3, 2)),
        (6, 3, [2, 1, 0, 2], (4, 3)),
        (6, 2, [2, 2, 2, 2], (4, 4)),
        (2, 2, [0, 1, 1, 0], (3, 3)),
    ],
)
@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolutions_as_convolutions(
    kernel: int, stride: int, pads: list[int], size: tuple[int, int], bias: bool
) -> None:
    """The same numbers as ONNX Runtime's ConvTranspose."""
    random = np.random.default_rng(kernel)
    weights = {"w": random.normal(size=(3, 5, kernel, kernel)).astype(np.float32)}
    if bias:
        weights["b"] = random.normal(size=5).astype(np.float32)
    attributes = {"strides": [stride] * 2, "pads": pads, "kernel_shape": [kernel] * 2}
    model = build_model(
        [make_node("ConvTranspose", "x w b" if bias else "x w", "y", **attributes)],
        weights,
        ["n", 3, *size],
    )
    rewritten = phases.rewrite(model, {"y"})
    kinds = [entry.op_type for entry in rewritten.graph.node]
    assert kinds == ["Conv", "DepthToSpace", "Slice"] and rewritten.graph.node[0].name == "y"
    x = random.normal(size=(2, 3, *size)).astype(np.float32)
    expected = run(model, {"x": x})["y"]
    np.testing.assert_allclose(run(rewritten, {"x": x})["y"], expected, rtol=1e-4, atol=1e-5)
    assert run(phases.rewrite(model, set()), {"x": x})["y"].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "attributes",
    [
        {"strides": [1, 1]},
        {"strides": [2, 1]},
        {"strides": [3, 3]},
        {"strides": [2, 2], "group": 2},
        {"strides": [2, 2], "dilations": [2, 2]},
        {"strides": [2, 2], "output_padding": [1, 1]},
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        {"strides": [2, 2], "output_shape": [7, 7]},
        {},
    ],
)
def test_other_transposed_convolutions_stay(attributes: dict[str, Any]) -> None:
    entry = make_node("ConvTranspose", "x w", "y", **attributes)
    weight = numpy_helper.from_array(np.ones((4, 4, 4, 4), np.float32), "w")
    assert not phases.is_supported(entry, {"w": weight})
    entry = make_node("ConvTranspose", "x w", "y", strides=[2, 2])
    assert phases.is_supported(entry, {"w": weight}) and not phases.is_supported(entry, {})
