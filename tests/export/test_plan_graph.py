"""The graphs that TensorRT is given, in ONNX Runtime: the same numbers, and which are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto

import plan_cases
import small_inputs
from export import functions
from export.graph import opset
from export.plan import graph, precision
from export.plan.precision import HALVES, NO_BFLOAT16, PRODUCTS, SENSITIVE, Precision
from export.stock import Session
from plan_cases import CASES, lowered, operands, raised, rounded, run
from zoo.engines import WEIGHTS

LEVELS = {"fp16": (2, 0.1), "bf16": (12, 1.0)}
"""Of images, greatest and mean difference from fp32; measured: 1 and 0.03, 5 and 0.4."""

STYLES = {"fp16": (8, 0.2), "bf16": (120, 1.0)}
GROWN = {
    "progan.onnx": {"fp16": (4, 0.1), "bf16": (24, 1.0)},
    "stylegan.onnx": STYLES,
    "stylegan.synthesis.onnx": STYLES,
}
"""Of deep networks with sharp edges, where a pixel may land on the other side; measured: 3 and
0.03, 18 and 0.4 of the ProGAN; 5 and 0.1, 85 and 0.4 of the StyleGAN."""

SPREAD = {"fp16": 0.003, "bf16": 0.02}
"""Of other outputs, root mean square relative to their spread; measured: 0.001 and 0.009."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small engines with classes, styles, noise in the layers, attributes."""
    folder = tmp_path_factory.mktemp("small")
    small_inputs.write_all(folder)
    return folder


def assert_same(path: Path) -> None:
    """What the engine file computes of its own noise, the prepared graph computes of it as input.

    Bit for bit but for what ONNX Runtime does in another order.
    """
    model, document = plan_cases.load(path)
    made = graph.prepare(model, document)
    onnx.checker.check_model(made, full_check=True)
    assert not made.functions and {node.domain for node in made.graph.node} == {""}
    drawn = {
        node.output[0]: next((entry.i for entry in node.attribute if entry.name == "stream"), 0)
        for node in model.graph.node
        if node.domain
    }
    feed = plan_cases.inputs(model.graph.input)
    whole = ModelProto()
    whole.CopyFrom(model)
    if drawn and not whole.functions:
        whole.functions.append(functions.reparametrized_sample(opset(model)))
    got = Session(whole, extra=list(drawn)).run(**feed)
    names = {stream: f"noise.{stream}" if stream else "latent" for stream in drawn.values()}
    feed |= {names[stream]: got[name] for name, stream in drawn.items()}
    wanted = [entry.name for entry in made.graph.input]
    assert set(names.values()) <= set(wanted)
    assert {"mu", "logvar", "seed", "first"}.isdisjoint(wanted)
    result = run(made, {name: feed[name] for name in wanted})
    for name, value in result.items():
        assert value.dtype == got[name].dtype and value.std() > 0
        if value.dtype == np.uint8:
            assert np.abs(value.astype(int) - got[name]).max() <= 1
        else:
            np.testing.assert_allclose(value, got[name], rtol=1e-4, atol=1e-5)
    for node, types in operands(made):
        assert TensorProto.UINT8 not in types or node.op_type == "Cast", "TensorRT takes no other"


@pytest.mark.parametrize("name", CASES)
def test_prepared_graphs_compute_the_same(name: str) -> None:
    assert_same(WEIGHTS / name)


def test_prepared_graphs_of_all_kinds_of_inputs(small: Path) -> None:
    files = sorted(small.glob("*.onnx"))
    assert len(files) >= 5
    for path in files:
        assert_same(path)


@pytest.mark.parametrize("half", ["fp16", "bf16"])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_changes_little(name: str, half: Precision) -> None:
    """Ends keep their types; every operator has operands of one type, sums are in fp32."""
    whole, none = lowered(WEIGHTS / name, "fp32")
    model, kept = lowered(WEIGHTS / name, half)
    assert none == [] and set(kept) <= {node.name for node in whole.graph.node}
    assert model.graph.input == whole.graph.input and model.graph.output == whole.graph.output
    onnx.checker.check_model(raised(model), full_check=True)
    for node, types in operands(model):
        if node.op_type in SENSITIVE:
            assert set(types) <= {TensorProto.FLOAT, TensorProto.INT64}
        if node.op_type in PRODUCTS - (NO_BFLOAT16 if half == "bf16" else frozenset()):
            assert set(types) == {HALVES[half]} and node.name not in kept
    if any(node.op_type in PRODUCTS - NO_BFLOAT16 for node in model.graph.node):
        assert not precision.is_all_fp32(model, half)

    feed = plan_cases.inputs(whole.graph.input)
    expected = run(whole, feed)
    versions = [rounded(model, half)] + ([model] if half == "fp16" else [])
    for version in versions:
        assert_close(run(version, feed), expected, half, GROWN.get(name, LEVELS))


def assert_close(
    got: Any, expected: Any, half: str, levels: Mapping[str, tuple[int, float]] = LEVELS
) -> None:
    for name, value in expected.items():
        assert got[name].dtype == value.dtype
        difference = np.abs(got[name].astype(float) - value)
        if value.dtype == np.uint8:
            greatest, mean = levels[half]
            assert difference.max() <= greatest and difference.mean() <= mean
        else:
            assert np.sqrt((difference**2).mean()) <= SPREAD[half] * value.std()


@pytest.mark.parametrize("half", ["fp16", "bf16"])
def test_half_precision_of_all_kinds_of_inputs(small: Path, half: Precision) -> None:
    for path in sorted(small.glob("*.onnx")):
        whole, model = lowered(path, "fp32")[0], lowered(path, half)[0]
        onnx.checker.check_model(raised(model), full_check=True)
        feed = plan_cases.inputs(whole.graph.input)
        assert_close(run(rounded(model, half), feed), run(whole, feed), half)
