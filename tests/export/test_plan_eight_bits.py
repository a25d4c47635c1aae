"""The graphs of int8 and fp8 plans in ONNX Runtime: how they are rounded, and what that costs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

import ml_dtypes
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import plan_cases
from export.errors import ExportError
from export.plan import precision, quantization, sensitivity
from export.plan.calibration_set import Calibration
from export.plan.quantization import ELEMENTS, LARGEST, EightBits
from export.plan.samples import Samples
from plan_cases import CASES, has_eight_bits, made_of, node, operands, quantized, run
from small_engines import manifest
from zoo.engines import WEIGHTS

KINDS: tuple[EightBits, ...] = get_args(EightBits)

LEVELS, SPREAD = 2.2, 0.06
"""Of inputs that it was not calibrated with; the export holds to 2 levels and 0.05 of its own."""


def products_by_hand(model: ModelProto) -> set[str]:
    """Names of the products with another one before and behind, by walks from each of them."""
    readers: dict[str, list[NodeProto]] = {}
    for entry in model.graph.node:
        for name in entry.input:
            readers.setdefault(name, []).append(entry)

    def behind(entry: NodeProto) -> set[str]:
        found, left = set(), [entry]
        while left:
            for name in left.pop().output:
                for reader in readers.get(name, []):
                    if reader.name not in found:
                        found.add(reader.name)
                        left.append(reader)
        return found

    every = {
        entry.name: behind(entry)
        for entry in model.graph.node
        if entry.op_type in precision.PRODUCTS
    }
    followed = {name for name, later in every.items() if later & every.keys()}
    return followed & set().union(*every.values())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CASES)
def test_eight_bits_change_little(name: str, kind: EightBits) -> None:
    """Every product is named where it is; the graph is what TensorRT takes; images stay near."""
    path = WEIGHTS / name
    whole = plan_cases.lowered(path, "fp32")[0]
    made = quantized(path, kind)
    assert made.model.graph.input == whole.graph.input
    assert {*made.fp32, *made.fp16, *made.eight} <= {entry.name for entry in whole.graph.node}
    assert made.model.graph.output == whole.graph.output
    onnx.checker.check_model(made.model, full_check=True)

    every = [entry.name for entry in whole.graph.node if entry.op_type in precision.PRODUCTS]
    assert sorted([*made.eight, *made.fp16, *(set(every) & {*made.fp32})]) == sorted(every)
    assert set(made.eight) <= products_by_hand(whole)
    assert bool(made.eight) == has_eight_bits(name, kind)
    assert (made.calibration is not None) == bool(made.eight)
    assert_quantised(made.model, set(made.eight), kind)

    feed = plan_cases.held_out(path)
    got = run(made.model, feed)
    for output, value in run(whole, feed).items():
        difference = np.abs(got[output].astype(float) - value)
        if value.dtype == np.uint8:
            print(f"{name} {kind}: mean {difference.mean():.2f}, greatest {difference.max():.0f}")
            assert difference.mean() <= LEVELS
        else:
            rms = np.sqrt(np.square(difference).mean()) / value.std()
            print(f"{name} {kind} {output}: {rms:.4f}")
            assert rms <= SPREAD


def assert_quantised(model: ModelProto, names: set[str], kind: EightBits) -> None:
    """As TensorRT's documentation wants it: symmetric, scales of the activations' type."""
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    maker = {output: entry for entry in model.graph.node for output in entry.output}
    read = 0
    for entry, types in operands(model):
        if entry.op_type == "QuantizeLinear":
            assert types == [TensorProto.FLOAT16, TensorProto.FLOAT16, ELEMENTS[kind]]
        if entry.op_type == "DequantizeLinear":
            assert types == [ELEMENTS[kind], TensorProto.FLOAT16, ELEMENTS[kind]]
            assert not numpy_helper.to_array(values[entry.input[2]]).astype(float).any()
        sources = [maker.get(name) for name in entry.input]
        quantised = [source and source.op_type == "DequantizeLinear" for source in sources]
        if entry.name not in names:
            assert not any(quantised)
            continue
        read += 1
        assert quantised[:2] == [True, True] and not any(quantised[2:]), "no bias in eight bits"
        activation, weight = sources[:2]
        assert activation is not None and weight is not None
        made_by = maker[activation.input[0]]
        assert made_by.op_type == "QuantizeLinear" and list(made_by.input)[1:] == list(
            activation.input[1:]
        )
        assert list(values[activation.input[1]].dims) == []
        stored = values[weight.input[0]]
        rows = [stored.dims[0]] if (kind, entry.op_type) == ("int8", "Conv") else []
        assert list(values[weight.input[1]].dims) == rows
        magnitudes = np.abs(numpy_helper.to_array(stored).astype(np.float32))
        assert magnitudes.max() == LARGEST[kind]
    assert read == len(names)


def chain(weights: list[NDArray[Any]]) -> ModelProto:
    """`x` [n, D] times one matrix after another, transposed as PyTorch keeps them."""
    names = ["x", *(f"h{index}" for index in range(1, len(weights))), "y"]
    nodes = [node("Gemm", f"{names[i]} w{i}", names[i + 1], transB=1) for i in range(len(weights))]
    given = {f"w{index}": weight for index, weight in enumerate(weights)}
    return made_of(nodes, given, ["n", weights[0].shape[1]])


def test_scales_of_a_small_network_are_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    """max |w| / 127 for each row of a convolution, the percentile of |x| / 127; rounded once."""
    random = np.random.default_rng(3)
    w1, w2, w3 = (random.normal(size=(4, 4, 3, 3)).astype(np.float32) for _ in range(3))
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    model = made_of(
        [
            node("Conv", "x w1", "a", **same),
            node("Relu", "a", "b"),
            node("Conv", "b w2", "c", **same),
            node("Conv", "c w3", "y", **same),
        ],
        {"w1": w1, "w2": w2, "w3": w3},
        ["n", 4, 5, 5],
    )
    x = random.normal(size=(64, 4, 5, 5)).astype(np.float32)
    monkeypatch.setattr(quantization, "gather", lambda *_: Samples({"x": x}, "numbers", len(x)))
    monkeypatch.setattr(sensitivity, "LEVELS", 1e9)
    made = quantization.lower(model, {}, Path("a.onnx"), "int8", Calibration())
    assert (made.eight, made.fp16, made.fp32) == (["c"], ["a", "y"], [])
    assert made.calibration == {
        "method": "percentile 99.999",
        "source": "numbers",
        "samples": 64,
    }
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in made.model.graph.initializer}
    scale = found["w2.fp16.scale"]
    half = w2.astype(np.float16).astype(np.float64)
    expected = np.abs(half).max((1, 2, 3)) / 127
    np.testing.assert_array_equal(scale, expected.astype(np.float16))
    np.testing.assert_array_equal(
        found["w2.fp16.int8"],
        np.rint(half / scale.astype(np.float64)[:, None, None, None]).clip(-127, 127),
    )
    activations = run(made_with_output(model, "b"), {"x": x})["b"]
    # Of 6,400 numbers none is beyond the percentile.
    assert found["b.fp16.scale"] == np.float16(np.float64(activations.max()) / 127)


def made_with_output(model: ModelProto, name: str) -> ModelProto:
    made = ModelProto()
    made.CopyFrom(model)
    made.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_that_of_the_types(kind: EightBits) -> None:
    """To nearest even, cut at the largest; by ml_dtypes, which TensorFlow and JAX round with."""
    random = np.random.default_rng(5)
    matrix = (random.normal(size=(16, 16)) * np.exp(random.normal(size=(16, 1)))).astype(np.float16)
    eye = np.eye(16, dtype=np.float32)
    model = chain([eye, matrix.astype(np.float32), eye])
    low = precision.lower(model, "fp16")[0]
    made = quantization.insert_quantization(low, kind, {"h2": 1.5})
    found = {tensor.name: tensor for tensor in made.graph.initializer}
    dtype = np.int8 if kind == "int8" else ml_dtypes.float8_e4m3fn

    def rounded(values: NDArray[Any], limit: float) -> NDArray[np.float32]:
        scale = np.float64(np.float16(limit / LARGEST[kind]))
        cut = np.clip(values.astype(np.float64) / scale, -LARGEST[kind], LARGEST[kind])
        return (np.rint(cut) if kind == "int8" else cut).astype(dtype).astype(np.float32)

    limit = float(np.abs(matrix).max())
    stored = numpy_helper.to_array(found["w1.fp16." + kind]).astype(np.float32)
    np.testing.assert_array_equal(stored, rounded(matrix, limit))

    # Through ONNX Runtime: a row of numbers that the scale of 1.5 cuts, and one that it holds.
    x = np.stack([np.linspace(-3, 3, 16), np.linspace(-1.4, 1.5, 16)]).astype(np.float32)
    half = x.astype(np.float16)
    activation = np.float16(1.5 / LARGEST[kind]).astype(np.float64)
    weight = np.float16(limit / LARGEST[kind]).astype(np.float64)
    expected = (rounded(half, 1.5) * activation) @ (stored * weight).T
    got = run(made, {"x": x})["y"]
    largest = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, atol=largest * 4e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_all_zeros_have_a_scale(kind: EightBits) -> None:
    """Channels that training has killed: no division by zero, no numbers that are none."""
    dead = np.zeros((4, 4), np.float32)
    low = precision.lower(chain([dead, dead, dead]), "fp16")[0]
    made = quantization.insert_quantization(low, kind, {"h2": 0.0})
    assert not run(made, {"x": np.ones((3, 4), np.float32)})["y"].any()


def test_what_is_left_in_half_precision() -> None:
    """Groups, products of two activations, and those at the ends; all are named."""
    w = np.ones((4, 4, 1, 1), np.float32)
    model = made_of(
        [
            node("Conv", "x w", "first"),
            node("Conv", "first g", "grouped", group=2),
            node("Conv", "grouped w", "middle"),
            node("MatMul", "middle first", "both"),
            node("Conv", "both w", "y"),
        ],
        {"w": w, "g": w[:, :2]},
        ["n", 4, 3, 3],
    )
    assert quantization.quantizable_products(model) == ["middle"]


def test_the_worst_product_is_left_in_half_precision() -> None:
    """One whose input is cut at a hundredth of its range; the rest keeps eight bits."""
    random = np.random.default_rng(1)
    turns = [np.linalg.qr(random.normal(size=(8, 8)))[0].astype(np.float32) for _ in range(5)]
    model = chain(turns)
    low = precision.lower(model, "fp16")[0]
    x = random.normal(size=(40, 8)).astype(np.float32)
    names = ["h2", "h3", "h4"]
    limits = {"h2": 4.0, "h3": 0.04, "h4": 4.0}

    def quantised(some: Collection[str]) -> ModelProto:
        return quantization.insert_quantization(low, "int8", {name: limits[name] for name in some})

    given = Samples({"x": x}, "numbers", len(x))
    assert sensitivity.select_products(model, quantised, names, given) == ["h2", "h4"]
    assert sensitivity.select_products(model, quantised, ["h2", "h4"], given) == ["h2", "h4"]
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
    """The same file gives the same bytes; more samples give other scales."""
    path = WEIGHTS / "vae.onnx"
    first = quantized.__wrapped__(path, "int8")
    again = quantized.__wrapped__(path, "int8")
    assert first.model.SerializeToString() == again.model.SerializeToString()
    assert first.eight == ["node_convolution", "node_convolution_1"]
    other = quantized.__wrapped__(path, "int8", 64)
    assert other.model.SerializeToString() != first.model.SerializeToString()
    assert (other.calibration or {})["samples"] == 64


def test_an_old_opset_is_refused() -> None:
    model = chain([np.eye(4, dtype=np.float32)] * 3)
    model.opset_import[0].version = 18
    document = manifest("generator", (4, 4, 1))
    with pytest.raises(ExportError, match="opset 18; fp8 needs 19"):
        quantization.lower(model, document, Path("a.onnx"), "fp8", Calibration())
