"""What is said of int8 and fp8 plans, against what TensorRT-RTX says that it has built."""

from __future__ import annotations

import pytest
from onnx import ModelProto
from plan_cases import ENGINES, lowered, quantized
from plan_layers import GENERATED, layers, products_in
from test_plan_eight_bits import has_eight_bits

from export.plan import quantization
from export.plan.precision import PRODUCTS
from export.plan.quantization import EightBits
from zoo.engines import WEIGHTS

pytest.importorskip("tensorrt_rtx_bindings")

TYPES = {"int8": "Int8", "fp8": "FP8"}
SOME = [(name, kind) for name in ENGINES for kind in TYPES if has_eight_bits(name, kind)]


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
    found = layers(quantization.insert(half, kind, dict.fromkeys(made.eight, 4.0)))
    assert not products_in(TYPES[kind], found) & set(made.eight)
