"""Passes over the graphs of plans, on small graphs."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from export.errors import ExportError
from export.plan import graph, precision
from plan_cases import build_model, make_node, operands, round_to_half, run
from small_engines import manifest

EYE: NDArray[np.float32] = np.eye(8, dtype=np.float32)


def test_a_pixel_norm_does_not_overflow() -> None:
    """Squares of 600 and the reciprocal of a tiny root exceed half precision."""
    model = build_model(
        [
            make_node("MatMul", "x a", "first"),
            make_node("Mul", "first first", "square"),
            make_node("ReduceMean", "square axis", "mean"),
            make_node("Add", "mean tiny", "above"),
            make_node("Sqrt", "above", "root"),
            make_node("Reciprocal", "root", "factor"),
            make_node("Mul", "first factor", "normal"),
            make_node("Relu", "normal", "active"),
            make_node("MatMul", "active a", "y"),
        ],
        {"a": EYE, "axis": np.array([1]), "tiny": np.float32(1e-12)},
        ["N", 8],
    )
    low, in_fp32 = precision.lower(model, "fp16")
    assert in_fp32 == ["square", "mean", "above", "root", "factor", "normal"]
    x = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)
    x *= np.float32([600, 1, 1e-3, 1e-4, 0, 3000])[:, None]
    expected = run(model, {"x": x})["y"]
    for version in (low, round_to_half(low, "fp16")):
        np.testing.assert_allclose(run(version, {"x": x})["y"], expected, rtol=2e-3, atol=2e-3)


def test_constants_that_half_precision_cannot_hold_keep_their_node_in_fp32() -> None:
    model = build_model(
        [
            make_node("MatMul", "x a", "first"),
            make_node("Add", "first large", "beyond"),
            make_node("Mul", "first tiny", "vanishing"),
            make_node("Relu", "beyond", "active"),
            make_node("Concat", "active vanishing", "both", axis=1),
            make_node("MatMul", "both b", "y"),
        ],
        {
            "a": EYE,
            "large": np.float32(1e5),
            "tiny": np.float32(1e-9),
            "b": np.concatenate([EYE, EYE]),
        },
        ["N", 8],
    )
    assert precision.lower(model, "fp16")[1] == ["beyond", "vanishing"]
    assert precision.lower(model, "bf16")[1] == []


def test_sizes_stay_as_they_are() -> None:
    """The scales of a Resize are float32, whatever the type of the image."""
    model = build_model(
        [
            make_node("Conv", "x w", "first"),
            helper.make_node("Resize", ["first", "", "scales"], ["large"], name="large"),
            make_node("Conv", "large w", "y"),
        ],
        {"w": np.ones((2, 2, 1, 1), np.float32), "scales": np.float32([1, 1, 2, 2])},
        ["N", 2, 3, 3],
    )
    low, in_fp32 = precision.lower(model, "fp16")
    types = {entry.name: kinds for entry, kinds in operands(low)}
    assert in_fp32 == [] and types["large"] == [TensorProto.FLOAT16, TensorProto.FLOAT]


def test_moves_after_a_product_are_in_half_precision() -> None:
    """The cast follows them, even before an output, unless another reader needs float32."""
    model = build_model(
        [
            make_node("Conv", "x w", "first"),
            make_node("DepthToSpace", "first", "whole", blocksize=2),
            make_node("Slice", "whole from to", "part"),
            make_node("Softmax", "part", "scores"),
            make_node("Conv", "x w", "second"),
            make_node("Transpose", "second", "turned", perm=[0, 2, 3, 1]),
            make_node("ReduceSum", "second", "sum"),
            make_node("ReduceSum", "turned", "other"),
            make_node("Add", "scores sum", "both"),
            make_node("Add", "both other", "y"),
        ],
        {
            "w": np.ones((4, 2, 1, 1), np.float32),
            "from": np.array([0, 0, 1, 1]),
            "to": np.array([9, 9, 9, 9]),
        },
        ["N", 2, 3, 3],
    )
    low, in_fp32 = precision.lower(model, "fp16")
    assert in_fp32 == ["scores", "turned", "sum", "other", "both", "y"]
    types = {entry.name: kinds[0] for entry, kinds in operands(low)}
    assert types["whole"] == types["part"] == TensorProto.FLOAT16
    assert types["scores"] == types["turned"] == TensorProto.FLOAT
    last = build_model(
        [
            make_node("MatMul", "x w", "product"),
            make_node("Transpose", "product", "y", perm=[1, 0]),
        ],
        {"w": EYE},
        ["N", 8],
    )
    low, in_fp32 = precision.lower(last, "bf16")
    assert in_fp32 == [] and low.graph.output == last.graph.output
    assert [entry.op_type for entry in low.graph.node] == ["Cast", "MatMul", "Transpose", "Cast"]


def test_bytes_are_moved_as_floats() -> None:
    model = build_model(
        [
            make_node("Slice", "x from to axis", "part"),
            make_node("Concat", "part x", "both", axis=1),
            make_node("Transpose", "both", "turned", perm=[1, 0]),
            make_node("Cast", "turned", "floats", to=TensorProto.FLOAT),
            make_node("Cast", "turned", "whole", to=TensorProto.INT64),
            make_node("Cast", "whole", "again", to=TensorProto.FLOAT),
            make_node("Add", "floats again", "y"),
        ],
        {"from": np.array([1]), "to": np.array([3]), "axis": np.array([1])},
        ["N", 4],
        TensorProto.UINT8,
    )
    x = np.arange(248, 256, dtype=np.uint8).reshape(2, 4)
    expected = 2.0 * np.concatenate([x[:, 1:3], x], 1).T
    assert np.array_equal(run(model, {"x": x})["y"], expected)
    first = model.graph.node[0]
    assert (first.op_type, list(first.input)) == ("Cast", ["x"])
    assert sum("x" in entry.input for entry in model.graph.node) == 1


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (
            [
                make_node("BitwiseNot", "x", "flipped"),
                make_node("Cast", "flipped", "y", to=TensorProto.FLOAT),
            ],
            r"flipped \(BitwiseNot\) computes on the bytes of x",
        ),
        ([make_node("BatchedInterpolate", "x x x", "y", domain="zoo")], "zoo::BatchedInterpolate"),
        ([make_node("ReparametrizedSample", "x x x x", "y", domain="zoo")], "noise stream 0"),
    ],
)
def test_graphs_without_plans_are_refused(nodes: list[Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        build_model(nodes, {}, ["N", 4], TensorProto.UINT8)


def test_rounding_to_bfloat16_is_to_nearest_even() -> None:
    random = np.random.default_rng(0)
    bits = random.integers(0, 2**32, 100_000, np.uint32)
    # Make every second value a tie.
    bits[::2] = bits[::2] & np.uint32(0xFFFF0000) | np.uint32(0x8000)
    values = bits.view(np.float32)
    values = values[np.isfinite(values)]
    tensor = precision.half_tensor(values, "w", TensorProto.BFLOAT16)
    with np.errstate(over="ignore"):
        expected = values.astype(ml_dtypes.bfloat16)
    got = np.frombuffer(tensor.raw_data, np.uint16)
    assert np.array_equal(got, expected.view(np.uint16))


def test_noise_is_as_wide_as_the_manifest_says() -> None:
    document = manifest("generator", (4, 4, 1), latent={"width": 7, "prior": "normal"})
    layer = {"streams": {"latent": 0, "layers": [{"stream": 3, "width": 5}]}}
    inputs = [("mu", 1, ["rows", 7]), ("logvar", 1, ["rows", 7]), ("seed", 7, [1])]
    nodes = [
        make_node("ReparametrizedSample", "mu logvar seed seed", "h", domain="zoo", stream=0),
        make_node("ReparametrizedSample", "h h seed seed", "e", domain="zoo", stream=3),
        make_node("Concat", "h e", "y", axis=1),
    ]
    whole = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info("y", 1, None)],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("zoo", 1)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=10)
    got = graph.prepare(model, document | {"noise": layer}).graph.input
    shapes = {
        entry.name: [d.dim_param or d.dim_value for d in entry.type.tensor_type.shape.dim]
        for entry in got
    }
    assert shapes == {"latent": ["rows", 7], "noise.3": ["rows", 5]}
