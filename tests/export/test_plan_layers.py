"""Layers of int8 and fp8 plans, compared with TensorRT-RTX's description of its engines.

Its engine inspector needs a GPU, but its log of a build has the same description of each layer.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, helper, numpy_helper

from export.plan import quantization, targets
from export.plan.builder import build, make_profile
from export.plan.graph import weights
from export.plan.pipeline import Options
from export.plan.precision import PRODUCTS
from export.plan.quantization import EightBits
from plan_cases import ENGINES, case, has_eight_bits, lower, quantize
from zoo.engines import WEIGHTS

pytest.importorskip("tensorrt_rtx_bindings")

TYPES = {"int8": "Int8", "fp8": "FP8"}
SOME = [case(name, kind) for name in ENGINES for kind in TYPES if has_eight_bits(name, kind)]
GENERATED = "kgen"
"""Type of the layers without matrix products, which round, scale, add and move."""


@dataclass(frozen=True)
class Layer:
    """A layer of an engine: its type, the type of its first input, and its nodes in the graph."""

    kind: str
    reads: str
    nodes: frozenset[str]


def build_layers(model: ModelProto, rows: int = 8) -> list[Layer]:
    """Build a plan for one number of rows and return its layers."""
    trt = targets.choose("tensorrt-rtx").module
    lines: list[str] = []

    class Logger(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()

        def log(self, level: object, text: str) -> None:
            lines.extend(text.splitlines())

    logger = Logger()
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse(model.SerializeToString()), lines[-3:]
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.add_optimization_profile(make_profile(builder, network, rows, rows))
    assert builder.build_serialized_network(network, config) is not None, lines[-3:]
    return [layer for line in lines if (layer := _parse(line))]


def _parse(line: str) -> Layer | None:
    match = re.match(r"Name: .*?, LayerType: (\w+), Inputs: \[(.*?)(Constants|Outputs): ", line)
    if match is None:
        return None
    reads = re.search(r"Datatype: (\w+)", match[2])
    nodes = re.findall(r"\[ONNX Layer: ([^\]]+)\]", line)
    return Layer(match[1], reads[1] if reads else "", frozenset(nodes))


def products_of_type(kind: str, layers: list[Layer]) -> set[str]:
    """Return the nodes of the layers that multiply numbers of that type."""
    matches = [layer for layer in layers if layer.kind != GENERATED and layer.reads == kind]
    return {node for layer in matches for node in layer.nodes}


def products(model: ModelProto) -> set[str]:
    return {node.name for node in model.graph.node if node.op_type in PRODUCTS}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), SOME)
def test_products_run_in_the_reported_type(name: str, kind: EightBits) -> None:
    """Products reported in eight bits read eight bits, and no others do."""
    quantized = quantize(WEIGHTS / name, kind)
    layers = build_layers(quantized.model)
    every = products(quantized.model)
    in_eight_bits = products_of_type(TYPES[kind], layers)
    assert quantized.eight and in_eight_bits & every == set(quantized.eight)
    others = {layer.reads for layer in layers if layer.kind != GENERATED and layer.nodes & every}
    assert others <= {TYPES[kind], "Half", "Float"}
    assert {*quantized.fp16} <= every - set(quantized.eight)
    assert not in_eight_bits & {*quantized.fp16, *quantized.fp32}


def test_transposed_convolutions_in_bf16() -> None:
    """All four products of the DCGAN are transposed; only the first cannot be rewritten."""
    model, in_fp32 = lower(WEIGHTS / "dcgan.onnx", "bf16")
    every = products(model)
    assert len(every) == 4 and every & {*in_fp32} == {"node_convolution"}
    assert products_of_type("BFloat16", build_layers(model)) & every == every - {"node_convolution"}


def test_fp16_plans_have_no_eight_bits() -> None:
    layers = build_layers(lower(WEIGHTS / "vae.onnx", "fp16")[0])
    assert layers and not any(products_of_type(kind, layers) for kind in TYPES.values())


@pytest.mark.parametrize("kind", TYPES)
def test_transposed_convolutions_must_be_rewritten(kind: EightBits) -> None:
    """TensorRT-RTX rounds their numbers to eight bits but computes in fp16."""
    quantized = quantize(WEIGHTS / "vae.onnx", kind)
    assert quantized.eight == ["node_convolution", "node_convolution_1"]
    half = lower(WEIGHTS / "vae.onnx", "fp16")[0]
    kinds = {node.name: node.op_type for node in half.graph.node}
    assert {kinds[name] for name in quantized.eight} == {"ConvTranspose"}
    limits = dict.fromkeys(quantized.eight, 4.0)
    layers = build_layers(quantization.insert_quantization(half, kind, limits))
    assert not products_of_type(TYPES[kind], layers) & set(quantized.eight)


def test_matrix_products_must_have_one_scale() -> None:
    """The factors of sums are fp16 if weights have several scales, and float32 if they have one."""
    quantized = quantize(WEIGHTS / "gan.onnx", "int8")
    assert quantized.eight == ["node_linear_1"]
    name, reads = "decoder.layers.2.weight.fp16", "relu.fp16"
    single = weights(quantized.model)
    factor = single[f"{name}.scale"].astype(np.float32) * single[f"{reads}.scale"]
    assert np.float32(factor).tobytes() in build_plan(quantized.model)

    several = copy.deepcopy(quantized.model)
    matrix = single[f"{name}.int8"].astype(np.float64) * single[f"{name}.scale"]
    scales = (np.abs(matrix).max(1) / 127).astype(np.float16)
    stored = np.rint(matrix / scales.astype(np.float64)[:, None]).astype(np.int8)
    replace(several, f"{name}.scale", scales)
    replace(several, f"{name}.int8", stored)
    replace(several, f"{name}.zero", np.zeros(len(scales), np.int8))
    for entry in several.graph.node:
        if entry.op_type == "DequantizeLinear" and entry.input[1] == f"{name}.scale":
            entry.attribute.append(helper.make_attribute("axis", 0))
    data = np.frombuffer(build_plan(several), np.uint8)
    factors = scales.astype(np.float32) * single[f"{reads}.scale"].astype(np.float32)
    assert contains(data, factors, np.float16) and not contains(data, factors, np.float32)


def replace(model: ModelProto, name: str, value: NDArray[Any]) -> None:
    tensor = next(entry for entry in model.graph.initializer if entry.name == name)
    tensor.CopyFrom(numpy_helper.from_array(value, name))


def build_plan(model: ModelProto) -> bytes:
    options = Options("tensorrt-rtx", "int8", (8,))
    return build(model, "a.plan", {"plan": {}}, options, pytest.fail).data


def contains(data: NDArray[np.uint8], numbers: NDArray[np.float32], kind: Any) -> bool:
    """Return True if the data contains the first eight numbers in a row, within fp16 precision."""
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
