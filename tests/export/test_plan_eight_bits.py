"""Graphs of int8 and fp8 plans in ONNX Runtime: rounding, scales, and loss of quality."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

import plan_cases
from export.errors import ExportError
from export.plan import graph, precision, quantization, sensitivity
from export.plan.calibration_set import Calibration
from export.plan.quantization import ELEMENTS, LARGEST, EightBits
from export.plan.samples import Samples
from export.stock import Session
from plan_cases import CASES, build_model, has_eight_bits, make_node, operands, quantize, run
from small_engines import manifest
from zoo.engines import WEIGHTS

KINDS: tuple[EightBits, ...] = get_args(EightBits)

LEVELS, SPREAD = 2.3, 0.06
"""Limits on other inputs than the calibration set, for which the export has 2 levels and 0.05."""


def inner_products(model: ModelProto) -> set[str]:
    """Return the products with another one before and after, by walks from each product."""
    readers: dict[str, list[NodeProto]] = {}
    for entry in model.graph.node:
        for name in entry.input:
            readers.setdefault(name, []).append(entry)

    def successors(entry: NodeProto) -> set[str]:
        names, pending = set(), [entry]
        while pending:
            for name in pending.pop().output:
                for reader in readers.get(name, []):
                    if reader.name not in names:
                        names.add(reader.name)
                        pending.append(reader)
        return names

    later = {
        entry.name: successors(entry)
        for entry in model.graph.node
        if entry.op_type in precision.PRODUCTS
    }
    followed = {name for name, names in later.items() if names & later.keys()}
    return followed & set().union(*later.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_eight_bits_change_little(name: str, kind: EightBits) -> None:
    """The types of all products are reported, the graph has TensorRT's form, images stay near."""
    path = WEIGHTS / name
    whole = plan_cases.lower(path, "fp32")[0]
    quantized = quantize(path, kind)
    model, fp32, fp16, eight = quantized.model, quantized.fp32, quantized.fp16, quantized.eight
    assert model.graph.input == whole.graph.input
    assert {*fp32, *fp16, *eight} <= {entry.name for entry in whole.graph.node}
    assert model.graph.output == whole.graph.output
    onnx.checker.check_model(model, full_check=True)

    every = [entry.name for entry in whole.graph.node if entry.op_type in precision.PRODUCTS]
    assert sorted([*eight, *fp16, *(set(every) & {*fp32})]) == sorted(every)
    assert set(eight) <= inner_products(whole)
    assert bool(eight) == has_eight_bits(name, kind)
    assert (quantized.calibration is not None) == bool(eight)
    assert_quantized(model, set(eight), kind)

    feed = plan_cases.held_out_inputs(path)
    got = run(model, feed)
    for output, value in run(whole, feed).items():
        difference = np.abs(got[output].astype(float) - value)
        if value.dtype == np.uint8:
            print(f"{name} {kind}: mean {difference.mean():.2f}, greatest {difference.max():.0f}")
            assert difference.mean() <= LEVELS
        else:
            rms = np.sqrt(np.square(difference).mean()) / value.std()
            print(f"{name} {kind} {output}: {rms:.4f}")
            assert rms <= SPREAD


def assert_quantized(model: ModelProto, names: set[str], kind: EightBits) -> None:
    """Require the form in TensorRT's documentation: symmetric, scales of the activations' type."""
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {output: entry for entry in model.graph.node for output in entry.output}
    count = 0
    for entry, types in operands(model):
        if entry.op_type == "QuantizeLinear":
            assert types == [TensorProto.FLOAT16, TensorProto.FLOAT16, ELEMENTS[kind]]
        if entry.op_type == "DequantizeLinear":
            assert types == [ELEMENTS[kind], TensorProto.FLOAT16, ELEMENTS[kind]]
            assert not numpy_helper.to_array(values[entry.input[2]]).astype(float).any()
        sources = [producers.get(name) for name in entry.input]
        quantized = [source and source.op_type == "DequantizeLinear" for source in sources]
        if entry.name not in names:
            assert not any(quantized)
            continue
        count += 1
        assert quantized[:2] == [True, True] and not any(quantized[2:]), "no bias in eight bits"
        activation, weight = sources[:2]
        assert activation is not None and weight is not None
        quantizer = producers[activation.input[0]]
        assert quantizer.op_type == "QuantizeLinear"
        assert quantizer.input[1:] == activation.input[1:]
        assert list(values[activation.input[1]].dims) == []
        stored = values[weight.input[0]]
        rows = [stored.dims[0]] if (kind, entry.op_type) == ("int8", "Conv") else []
        assert list(values[weight.input[1]].dims) == rows
        magnitudes = np.abs(numpy_helper.to_array(stored).astype(np.float32))
        assert magnitudes.max() == LARGEST[kind]
    assert count == len(names)


def chain(weights: list[NDArray[Any]]) -> ModelProto:
    """Build `x` [n, D] times one matrix after another, transposed like in PyTorch."""
    names = ["x", *(f"h{index}" for index in range(1, len(weights))), "y"]
    nodes = [
        make_node("Gemm", f"{names[i]} w{i}", names[i + 1], transB=1) for i in range(len(weights))
    ]
    matrices = {f"w{index}": weight for index, weight in enumerate(weights)}
    return build_model(nodes, matrices, ["n", weights[0].shape[1]])


def test_scales_of_a_small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """max |w| / 127 for each row of a convolution, the percentile of |x| / 127; rounded once."""
    random = np.random.default_rng(3)
    w1, w2, w3 = (random.normal(size=(4, 4, 3, 3)).astype(np.float32) for _ in range(3))
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    model = build_model(
        [
            make_node("Conv", "x w1", "a", **same),
            make_node("Relu", "a", "b"),
            make_node("Conv", "b w2", "c", **same),
            make_node("Conv", "c w3", "y", **same),
        ],
        {"w1": w1, "w2": w2, "w3": w3},
        ["n", 4, 5, 5],
    )
    x = random.normal(size=(64, 4, 5, 5)).astype(np.float32)
    monkeypatch.setattr(quantization, "gather", lambda *_: Samples({"x": x}, "numbers", len(x)))
    monkeypatch.setattr(sensitivity, "LEVELS", 1e9)
    quantized = quantization.lower(model, {}, Path("a.onnx"), "int8", Calibration())
    assert (quantized.eight, quantized.fp16, quantized.fp32) == (["c"], ["a", "y"], [])
    assert quantized.calibration == {
        "method": "percentile 99.999",
        "source": "numbers",
        "samples": 64,
    }
    stored = graph.weights(quantized.model)
    scale = stored["w2.fp16.scale"]
    half = w2.astype(np.float16).astype(np.float64)
    expected = np.abs(half).max((1, 2, 3)) / 127
    np.testing.assert_array_equal(scale, expected.astype(np.float16))
    np.testing.assert_array_equal(
        stored["w2.fp16.int8"],
        np.rint(half / scale.astype(np.float64)[:, None, None, None]).clip(-127, 127),
    )
    activations = Session(model, extra=["b"]).run(x=x)["b"]
    # None of 6,400 numbers exceeds the percentile.
    assert stored["b.fp16.scale"] == np.float16(np.float64(activations.max()) / 127)


@pytest.mark.parametrize("kind", KINDS)
def test_rounding(kind: EightBits) -> None:
    """To nearest even, clipped to the largest; compared with ml_dtypes of TensorFlow and JAX."""
    random = np.random.default_rng(5)
    matrix = (random.normal(size=(16, 16)) * np.exp(random.normal(size=(16, 1)))).astype(np.float16)
    eye = np.eye(16, dtype=np.float32)
    model = chain([eye, matrix.astype(np.float32), eye])
    low = precision.lower(model, "fp16")[0]
    quantized = quantization.insert_quantization(low, kind, {"h2": 1.5})
    tensors = {tensor.name: tensor for tensor in quantized.graph.initializer}
    dtype = np.int8 if kind == "int8" else ml_dtypes.float8_e4m3fn

    def rounded(values: NDArray[Any], limit: float) -> NDArray[np.float32]:
        scale = np.float64(np.float16(limit / LARGEST[kind]))
        cut = np.clip(values.astype(np.float64) / scale, -LARGEST[kind], LARGEST[kind])
        return (np.rint(cut) if kind == "int8" else cut).astype(dtype).astype(np.float32)

    limit = float(np.abs(matrix).max())
    stored = numpy_helper.to_array(tensors["w1.fp16." + kind]).astype(np.float32)
    np.testing.assert_array_equal(stored, rounded(matrix, limit))

    # In ONNX Runtime: a row that the scale of 1.5 clips, and one within its range.
    x = np.stack([np.linspace(-3, 3, 16), np.linspace(-1.4, 1.5, 16)]).astype(np.float32)
    half = x.astype(np.float16)
    activation = np.float16(1.5 / LARGEST[kind]).astype(np.float64)
    weight = np.float16(limit / LARGEST[kind]).astype(np.float64)
    expected = (rounded(half, 1.5) * activation) @ (stored * weight).T
    got = run(quantized, {"x": x})["y"]
    largest = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, atol=largest * 4e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_all_zeros_have_a_scale(kind: EightBits) -> None:
    """Dead channels after training cause no division by zero and no NaN."""
    dead = np.zeros((4, 4), np.float32)
    low = precision.lower(chain([dead, dead, dead]), "fp16")[0]
    quantized = quantization.insert_quantization(low, kind, {"h2": 0.0})
    assert not run(quantized, {"x": np.ones((3, 4), np.float32)})["y"].any()


def test_products_left_in_half_precision() -> None:
    """Groups, products of two activations, and the first and last ones."""
    w = np.ones((4, 4, 1, 1), np.float32)
    model = build_model(
        [
            make_node("Conv", "x w", "first"),
            make_node("Conv", "first g", "grouped", group=2),
            make_node("Conv", "grouped w", "middle"),
            make_node("MatMul", "middle first", "both"),
            make_node("Conv", "both w", "y"),
        ],
        {"w": w, "g": w[:, :2]},
        ["n", 4, 3, 3],
    )
    assert quantization.quantizable_products(model) == ["middle"]
    every = quantization.quantizable_products(model, inner=False)
    assert every == ["first", "middle", "y"]


def test_the_worst_product_is_left_in_half_precision() -> None:
    """A product whose input is clipped at a hundredth of its range; the others have eight bits."""
    random = np.random.default_rng(1)
    turns = [np.linalg.qr(random.normal(size=(8, 8)))[0].astype(np.float32) for _ in range(5)]
    model = chain(turns)
    low = precision.lower(model, "fp16")[0]
    x = random.normal(size=(40, 8)).astype(np.float32)
    names = ["h2", "h3", "h4"]
    limits = {"h2": 4.0, "h3": 0.04, "h4": 4.0}

    def quantize_some(some: Collection[str]) -> ModelProto:
        return quantization.insert_quantization(low, "int8", {name: limits[name] for name in some})

    samples = Samples({"x": x}, "numbers", len(x))
    run = sensitivity.run_graphs(model, quantize_some, samples)
    assert sensitivity.select_products(names, run) == ["h2", "h4"]
    assert sensitivity.select_products(["h2", "h4"], run) == ["h2", "h4"]
    expected = {"y": np.float32([0, 2]), "image": np.uint8([3, 4])}
    got = {"y": np.float32([0, 2.05]), "image": np.uint8([3, 7])}
    rms = np.sqrt(0.05**2 / 2) / 1 / sensitivity.SPREAD
    assert sensitivity.relative_loss(expected, {**expected, "y": got["y"]}) == pytest.approx(
        rms, rel=1e-5
    )
    assert sensitivity.relative_loss(expected, got) == pytest.approx(
        max(rms, 1.5 / sensitivity.LEVELS)
    )
    assert sensitivity.relative_loss(expected, {**got, "y": np.float32([0, np.nan])}) == np.inf


def test_calibration_is_deterministic() -> None:
    """The same engine gives the same bytes; more samples give other scales."""
    path = WEIGHTS / "vae.onnx"
    first = quantize.__wrapped__(path, "int8")
    again = quantize.__wrapped__(path, "int8")
    assert first.model.SerializeToString() == again.model.SerializeToString()
    assert first.eight == ["node_convolution", "node_convolution_1"]
    other = quantize.__wrapped__(path, "int8", 64)
    assert other.model.SerializeToString() != first.model.SerializeToString()
    assert (other.calibration or {})["samples"] == 64


def test_an_old_opset_is_refused() -> None:
    model = chain([np.eye(4, dtype=np.float32)] * 3)
    model.opset_import[0].version = 18
    document = manifest("generator", (4, 4, 1))
    with pytest.raises(ExportError, match="opset 18; fp8 needs 19"):
        quantization.lower(model, document, Path("a.onnx"), "fp8", Calibration())
