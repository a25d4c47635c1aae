"""What is said of int8 and fp8 plans, against what TensorRT-RTX says that it has built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from export.plan import quantization
from export.plan.builder import build
from export.plan.pipeline import Options
from export.plan.precision import PRODUCTS
from export.plan.quantization import EightBits
from plan_cases import ENGINES, case, has_eight_bits, lowered, quantized
from plan_layers import GENERATED, layers, products_in
from zoo.engines import WEIGHTS

pytest.importorskip("tensorrt_rtx_bindings")

TYPES = {"int8": "Int8", "fp8": "FP8"}
SOME = [case(name, kind) for name in ENGINES for kind in TYPES if has_eight_bits(name, kind)]


def products(model: ModelProto) -> set[str]:
    return {node.name for node in model.graph.node if node.op_type in PRODUCTS}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), SOME)
def test_products_run_in_the_type_that_the_report_says(name: str, kind: EightBits) -> None:
    """Those in eight bits read eight bits; those named as fp16 read half precision."""
    made = quantized(WEIGHTS / name, kind)
    found = layers(made.model)
    every = products(made.model)
    assert made.eight and products_in(TYPES[kind], found) & every == set(made.eight)
    others = {layer.reads for layer in found if layer.kind != GENERATED and layer.nodes & every}
    assert others <= {TYPES[kind], "Half", "Float"}
    assert {*made.fp16} <= every - set(made.eight)
    assert not products_in(TYPES[kind], found) & {*made.fp16, *made.fp32}


def test_transposed_convolutions_in_bf16() -> None:
    """Of the DCGAN's four products, all of them transposed, the first has no stride."""
    model, kept = lowered(WEIGHTS / "dcgan.onnx", "bf16")
    every = {node.name for node in model.graph.node if node.op_type in PRODUCTS}
    assert len(every) == 4 and every & {*kept} == {"node_convolution"}
    assert products_in("BFloat16", layers(model)) & every == every - {"node_convolution"}


def test_fp16_plans_have_none_in_eight_bits() -> None:
    found = layers(lowered(WEIGHTS / "vae.onnx", "fp16")[0])
    assert found and not any(products_in(kind, found) for kind in TYPES.values())


@pytest.mark.parametrize("kind", TYPES)
def test_why_transposed_convolutions_are_rewritten(
    kind: EightBits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they are, TensorRT-RTX rounds their numbers to eight bits and computes in fp16."""
    made = quantized(WEIGHTS / "vae.onnx", kind)
    assert made.eight == ["node_convolution", "node_convolution_1"]
    half = lowered(WEIGHTS / "vae.onnx", "fp16")[0]
    kinds = {node.name: node.op_type for node in half.graph.node}
    assert {kinds[name] for name in made.eight} == {"ConvTranspose"}
    found = layers(quantization.insert_quantization(half, kind, dict.fromkeys(made.eight, 4.0)))
    assert not products_in(TYPES[kind], found) & set(made.eight)


def test_why_matrix_products_have_one_scale() -> None:
    """The factors of a sum are fp16 where weights have several scales, and float32 where one."""
    made = quantized(WEIGHTS / "gan.onnx", "int8")
    assert made.eight == ["node_linear_1"]
    name, reads = "decoder.layers.2.weight.fp16", "relu.fp16"
    single = values(made.model)
    factor = single[f"{name}.scale"].astype(np.float32) * single[f"{reads}.scale"]
    assert np.float32(factor).tobytes() in plan_of(made.model)

    several = ModelProto()
    several.CopyFrom(made.model)
    matrix = single[f"{name}.int8"].astype(np.float64) * single[f"{name}.scale"]
    scales = (np.abs(matrix).max(1) / 127).astype(np.float16)
    stored = np.rint(matrix / scales.astype(np.float64)[:, None]).astype(np.int8)
    replace(several, f"{name}.scale", scales)
    replace(several, f"{name}.int8", stored)
    replace(several, f"{name}.zero", np.zeros(len(scales), np.int8))
    for entry in several.graph.node:
        if entry.op_type == "DequantizeLinear" and entry.input[1] == f"{name}.scale":
            entry.attribute.append(helper.make_attribute("axis", 0))
    data = np.frombuffer(plan_of(several), np.uint8)
    factors = scales.astype(np.float32) * single[f"{reads}.scale"].astype(np.float32)
    assert found_in(data, factors, np.float16) and not found_in(data, factors, np.float32)


def values(model: ModelProto) -> dict[str, NDArray[Any]]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def replace(model: ModelProto, name: str, value: NDArray[Any]) -> None:
    tensor = next(entry for entry in model.graph.initializer if entry.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))


def plan_of(model: ModelProto) -> bytes:
    options = Options("tensorrt-rtx", "int8", (8,))
    return build(model, "a.plan", {"plan": {}}, options, pytest.fail).data


def found_in(data: NDArray[np.uint8], numbers: NDArray[np.float32], kind: Any) -> bool:
    """Whether they stand there one behind the other, to the precision of fp16."""
    size = np.dtype(kind).itemsize
    for start in range(size):
        part = data[start:]
        row = part[: len(part) // size * size].view(kind).astype(np.float32)
        near = np.ones(len(row) - 8, bool)
        for index in range(8):
            shifted = row[index : index + len(near)]
            near &= np.isclose(shifted, numbers[index], rtol=2e-3, atol=0)
        if near.any():
            return True
    return False
