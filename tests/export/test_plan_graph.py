"""Graphs prepared for TensorRT, run in ONNX Runtime: the same results, and half precision."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

import plan_cases
from export import functions
from export.graph import opset, read_attribute
from export.plan import graph, precision
from export.plan.precision import HALVES, NO_BFLOAT16, PRODUCTS, SENSITIVE, Precision
from export.stock import Session
from plan_cases import CASES, lower, operands, raise_opset, round_to_half, run
from plan_runs import assert_near
from zoo.engines import WEIGHTS

LEVELS = {"fp16": (2, 0.1), "bf16": (12, 1.0)}
"""Greatest and mean difference of images from fp32; measured: 1 and 0.03, 5 and 0.4."""

STYLES = {"fp16": (8, 0.2), "bf16": (120, 1.0)}
GROWN = {
    "progan.onnx": {"fp16": (4, 0.1), "bf16": (24, 1.0)},
    "stylegan.onnx": STYLES,
    "stylegan.synthesis.onnx": STYLES,
}
"""Limits for deep networks with sharp edges, where a pixel may fall on the other side. Measured:
ProGAN 3 and 0.03, 18 and 0.4; StyleGAN 5 and 0.1, 85 and 0.4."""

SPREAD = {"fp16": 0.003, "bf16": 0.02}
"""RMS difference of other outputs, relative to their deviation; measured: 0.001 and 0.009."""


def assert_same(path: Path) -> None:
    """Require equal results of an engine, which draws its noise, and of the prepared graph.

    The noise is an input of the prepared graph. Results differ only by the order of sums.
    """
    model, document = plan_cases.load(path)
    prepared = graph.prepare(model, document)
    onnx.checker.check_model(prepared, full_check=True)
    assert not prepared.functions and {node.domain for node in prepared.graph.node} == {""}
    # Plans leave the learned prior to the runtime.
    mixture = document.get("latent", {}).get("mixture", {}).get("stream")
    streams = {
        node.output[0]: stream
        for node in model.graph.node
        if node.domain and (stream := read_attribute(node, "stream", 0)) != mixture
    }
    feed = plan_cases.random_inputs(model.graph.input)
    if "mixture" in feed:
        feed["mixture"] = np.zeros(1, np.float32)
    model = copy.deepcopy(model)
    if streams and not model.functions:
        model.functions.append(functions.reparametrized_sample(opset(model)))
    got = Session(model, extra=list(streams)).run(**feed)
    names = {stream: f"noise.{stream}" if stream else "latent" for stream in streams.values()}
    feed |= {names[stream]: got[name] for name, stream in streams.items()}
    inputs = [entry.name for entry in prepared.graph.input]
    assert set(names.values()) <= set(inputs)
    assert {"mu", "logvar", "seed", "first", "mixture"}.isdisjoint(inputs)
    result = run(prepared, {name: feed[name] for name in inputs})
    for name, value in result.items():
        assert value.dtype == got[name].dtype and value.std() > 0
        if value.dtype == np.uint8:
            assert np.abs(value.astype(int) - got[name]).max() <= 1
        else:
            np.testing.assert_allclose(value, got[name], rtol=1e-4, atol=1e-5)
    for node, types in operands(prepared):
        assert TensorProto.UINT8 not in types or node.op_type == "Cast", "TensorRT allows no other"


@pytest.mark.parametrize("name", CASES)
def test_prepared_graphs_compute_the_same(name: str) -> None:
    assert_same(WEIGHTS / name)


@pytest.mark.parametrize("half", ["fp16", "bf16"])
@pytest.mark.parametrize("name", CASES)
def test_half_precision_changes_little(name: str, half: Precision) -> None:
    """Inputs and outputs keep their types, operands of an operator have one, sums are in fp32."""
    whole, none = lower(WEIGHTS / name, "fp32")
    model, in_fp32 = lower(WEIGHTS / name, half)
    assert none == [] and set(in_fp32) <= {node.name for node in whole.graph.node}
    assert model.graph.input == whole.graph.input and model.graph.output == whole.graph.output
    onnx.checker.check_model(raise_opset(model), full_check=True)
    for node, types in operands(model):
        if node.op_type in SENSITIVE:
            assert set(types) <= {TensorProto.FLOAT, TensorProto.INT64}
        if node.op_type in PRODUCTS - (NO_BFLOAT16 if half == "bf16" else frozenset()):
            assert set(types) == {HALVES[half]} and node.name not in in_fp32
    if any(node.op_type in PRODUCTS - NO_BFLOAT16 for node in model.graph.node):
        assert not precision.is_all_fp32(model, half)

    feed = plan_cases.random_inputs(whole.graph.input)
    expected = run(whole, feed)
    versions = [round_to_half(model, half)] + ([model] if half == "fp16" else [])
    for version in versions:
        got = run(version, feed)
        for output, value in expected.items():
            assert_near(got[output], value, GROWN.get(name, LEVELS)[half], SPREAD[half])
