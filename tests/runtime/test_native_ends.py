"""Inputs and outputs of graphs in the native backend, against float64 NumPy.

Latents, classes, attributes and noise; images as bytes and as floats, scores and codes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from native_cases import SIDES, Case, cases, number
from native_engines import classifier, encoder, generator, translator
from native_graphs import ROWS, Network, Value
from native_runs import check, pairs
from oracles import layers

CHANNELS = (1, 3, 5, 15, 16, 17, 33, 48)
ENDS = (
    "sigmoid",
    "scaled sigmoid",
    "clip",
    "sigmoid, clip",
    "floats",
    "tanh",
    "clipped floats",
    "tanh unit",
)


def latent_map(case: Case) -> tuple[Network, Value]:
    """A latent that is seen as a map."""
    graph = Network(number(case))
    shape = (case["channels"], case["height"], case["width"])
    return graph, graph.reshape(graph.latents(int(np.prod(shape))), *shape)


def ended(graph: Network, x: Value, end: str) -> Value:
    """Append the nodes that bring the last layer's numbers into the image's range."""
    if end == "scaled sigmoid":
        x = graph.scaled(x, "Mul", 2.0)
    if "sigmoid" in end:
        x = graph.squash(x, "Sigmoid")
    if end.startswith("tanh"):
        x = graph.squash(graph.scaled(x, "Mul", 0.7), "Tanh")
    if end == "tanh unit" and x.channels == 1:
        x = graph.scaled(graph.scaled(x, "Add", 1.0), "Div", 2.0)
    elif end == "tanh unit":
        x = graph.scaled(graph.scaled(x, "Mul", 0.5), "Add", 0.5)
    if end == "clipped floats":
        x = graph.clip(x, -0.8, 0.9)
    elif "clip" in end:
        x = graph.clip(x, 0.25 if "sigmoid" in end else 0.0, 1.0)
    return x


def finish(graph: Network, x: Value, case: Case, folder: Path) -> None:
    end = case["end"]
    levels = end not in ("floats", "tanh", "clipped floats", "tanh unit")
    check(generator(graph, folder / "small.onnx", ended(graph, x, end), levels))


@cases(*pairs(1, 50, height=SIDES, width=SIDES, channels=CHANNELS, outputs=(1, 2, 3, 4), end=ENDS,
              window=[(1, 0), (3, 1), (5, 2), (7, 3), (3, 0), (2, 0), (4, 1), (3, 2)],
              bias=(True, False)))  # fmt: skip
def test_last_convolutions(case: Case, tmp_path: Path) -> None:
    size, padding = case["window"]
    if min(case["height"], case["width"]) + 2 * padding < size:
        case = case | {"height": size, "width": size + 1}
    graph, x = latent_map(case)
    y = graph.convolve(x, case["outputs"], size, 1, padding, case["bias"])
    finish(graph, y, case, tmp_path)


@cases(*pairs(2, 50, height=SIDES, width=SIDES, channels=CHANNELS, outputs=(1, 2, 3), end=ENDS,
              window=[(4, 2, 1), (2, 2, 0), (3, 1, 1), (6, 2, 2), (3, 2, 0), (4, 1, 0), (5, 1, 2),
                      (3, 3, 0), (8, 4, 2), (4, 2, 0), (1, 1, 0), (5, 2, 1)],
              bias=(True, False)))  # fmt: skip
def test_last_transposed_convolutions(case: Case, tmp_path: Path) -> None:
    graph, x = latent_map(case)
    y = graph.transpose_convolve(x, case["outputs"], *case["window"], case["bias"])
    finish(graph, y, case, tmp_path)


@cases(*pairs(3, 24, height=SIDES, width=SIDES, latent=(1, 6, 17, 48), outputs=(1, 2, 3), end=ENDS,
              bias=(True, False), hidden=(0, 20),
              halves=(False, True)))  # fmt: skip
def test_dense_layers_that_make_images(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case), case["halves"])
    x = graph.latents(case["latent"])
    if case["hidden"]:
        x = graph.rectify(graph.dense(x, case["hidden"]), 0.0)
    shape = (case["outputs"], case["height"], case["width"])
    y = graph.dense(x, int(np.prod(shape)), case["bias"])
    finish(graph, graph.reshape(y, *shape), case, tmp_path)


def with_attributes(graph: Network, x: Value, count: int) -> Value:
    """An image, and random attributes at every pixel behind its channels."""
    wanted = graph.random.random((ROWS, count)).astype(np.float32)
    graph.inputs["attributes"] = (TensorProto.FLOAT, ["n", count])
    graph.data["attributes"] = wanted
    axes, shape = graph.number([2, 3], np.int64), graph.number([1, 1, *x.sides], np.int64)
    view = graph.add("Unsqueeze", ["attributes", axes], "view")
    everywhere = np.broadcast_to(wanted[:, :, None, None], (*wanted.shape, *x.sides))
    spread = graph.node("Expand", [view, shape], layers.given(everywhere))
    return graph.join(x, spread)


@cases(*pairs(4, 24, height=(2, 3, 5, 8, 13), width=(1, 3, 7, 8, 17), given=(1, 3, 4),
              count=(1, 5, 15, 33), outputs=(1, 5, 16, 33), slope=(None, 0.0, 0.2),
              window=[(3, 1, 1), (4, 2, 1), (7, 1, 3), (1, 1, 0), (5, 2, 2)]))  # fmt: skip
def test_attributes_at_every_pixel(case: Case, tmp_path: Path) -> None:
    """Beside the image, as channels of the first layer; around the picture all are zero."""
    graph = Network(number(case))
    size, _, padding = case["window"]
    sides = tuple(max(case[side], size - 2 * padding) for side in ("height", "width"))
    x = graph.images((*sides, case["given"]), "input", centred=True)
    y = graph.convolve(with_attributes(graph, x, case["count"]), case["outputs"], *case["window"])
    y = graph.convolve(graph.rectify(y, case["slope"]), 3, 1)
    check(translator(graph, tmp_path / "small.onnx", graph.squash(y, "Sigmoid")))


def test_images_that_are_read_with_attributes_and_without(tmp_path: Path) -> None:
    graph = Network(4)
    x = graph.images((4, 5, 3), "input")
    y = graph.convolve(with_attributes(graph, x, 2), 8, 3, padding=1)
    y = graph.convolve(graph.join(y, x), 3, 3, padding=1)
    check(translator(graph, tmp_path / "small.onnx", graph.squash(y, "Sigmoid")))


def test_latents_that_are_seen_as_two_maps(tmp_path: Path) -> None:
    graph = Network(5)
    x = graph.latents(32)
    high, wide = graph.reshape(x, 4, 4, 2), graph.reshape(x, 4, 2, 4)
    ends = [graph.flat(graph.instance_norm(each)) for each in (high, wide)]
    y = graph.add_up(*(graph.dense(each, 12) for each in ends))
    y = graph.reshape(graph.dense(graph.add_up(y, graph.dense(x, 12)), 48), 3, 4, 4)
    check(generator(graph, tmp_path / "small.onnx", graph.squash(y, "Sigmoid")))


@cases(*pairs(5, 12, latent=(1, 6, 16, 31), classes=(2, 10, 17), kind=("dense", "ConvTranspose")))
def test_classes(case: Case, tmp_path: Path) -> None:
    """As numbers of 0 and 1 behind the latent."""
    graph = Network(number(case))
    x, count = graph.latents(case["latent"]), case["classes"]
    labels = graph.random.integers(0, count, ROWS)
    graph.inputs["label"] = (TensorProto.INT64, ["n"])
    graph.data["label"] = labels
    view = graph.add("Unsqueeze", ["label", graph.number([-1], np.int64)], "view")
    same = graph.add("Equal", [view, graph.number(np.arange(count), np.int64)], "same")
    own = graph.node("Cast", [same], layers.given(np.eye(count)[labels]), to=TensorProto.FLOAT)
    y = graph.join(x, own)
    if case["kind"] == "dense":
        y = graph.rectify(graph.dense(y, 5 * 3 * 3), 0.0)
        y = graph.reshape(y, 5, 3, 3)
    else:
        y = graph.transpose_convolve(graph.reshape(y, y.channels, 1, 1), 5, 3, 1, 0)
    y = graph.squash(graph.convolve(y, 1, 3, 1, 1), "Sigmoid")
    condition = {"kind": "classes", "count": count}
    check(generator(graph, tmp_path / "small.onnx", y, condition=condition))


@cases(*pairs(6, 16, height=SIDES, width=SIDES, channels=CHANNELS, factor=(2.0, 1.25),
              threshold=(0.0, -0.84), joined=(True, False)))  # fmt: skip
def test_dropout_by_noise(case: Case, tmp_path: Path) -> None:
    """The noise of a picture is that of its index; a U-Net joins what is left of two layers."""
    graph = Network(number(case))
    x = graph.images((case["height"], case["width"], 3), "input", centred=True)
    x = graph.convolve(x, case["channels"], 3, padding=1)
    y = graph.dropout(graph.instance_norm(x), 1, case["threshold"], case["factor"])
    if case["joined"]:
        z = graph.convolve(graph.rectify(y, 0.0), 5, 1)
        y = graph.join(graph.dropout(z, 2, case["threshold"], case["factor"]), y)
    y = graph.squash(graph.convolve(graph.rectify(y, 0.0), 3, 3, 1, 1), "Sigmoid")
    check(translator(graph, tmp_path / "small.onnx", y))


@cases(*pairs(7, 20, height=SIDES, width=SIDES, channels=(1, 16, 33), colours=(1, 3),
              last=("Conv", "ConvTranspose"), squash=("Tanh", "Sigmoid", "none")))  # fmt: skip
def test_images_that_are_added_to(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case))
    x = graph.images((case["height"], case["width"], case["colours"]), "input")
    y = graph.rectify(graph.convolve(x, case["channels"], 3, padding=1), 0.0)
    if case["last"] == "Conv":
        y = graph.convolve(y, case["colours"], 3, padding=1)
    else:
        y = graph.transpose_convolve(y, case["colours"], 3, 1, 1)
    y = graph.squash(y, "Identity" if case["squash"] == "none" else case["squash"])
    y = graph.clip(graph.add_up(x, y), 0.0, 1.0)
    check(translator(graph, tmp_path / "small.onnx", y))


@cases(*pairs(8, 12, height=SIDES, width=SIDES, channels=(1, 16, 33), colours=(1, 3)))
def test_images_that_are_completed(case: Case, tmp_path: Path) -> None:
    """mask · image + (1 - mask) · made, the mask being the last channel."""
    graph = Network(number(case))
    colours = case["colours"]
    x = graph.images((case["height"], case["width"], colours + 1), "input")
    y = graph.rectify(graph.convolve(x, case["channels"], 3, padding=1), 0.0)
    y = graph.squash(graph.convolve(y, colours, 3, padding=1), "Sigmoid")

    def channels(begin: int, end: int) -> Value:
        bounds = [graph.number([at], np.int64) for at in (begin, end, 1, 1)]
        cut = slice(begin, end if end < colours + 1 else None)
        return graph.node("Slice", [x.name, *bounds], x.numbers.each(lambda all_: all_[:, cut]))

    known, mask = channels(0, -1), channels(-1, 2**63 - 1)
    kept = graph.node("Mul", [mask.name, known.name], layers.multiply(mask.numbers, known.numbers))
    rest = layers.scale(mask.numbers, -1.0, 1.0)
    left = graph.node("Sub", [graph.number(1.0), mask.name], rest)
    made = graph.node("Mul", [left.name, y.name], layers.multiply(left.numbers, y.numbers))
    check(translator(graph, tmp_path / "small.onnx", graph.add_up(kept, made)))


@pytest.mark.parametrize("height,width", [(8, 8), (13, 24)])
def test_a_small_unet(height: int, width: int, tmp_path: Path) -> None:
    """Down, up, joins of ragged parts, and the difference to the picture."""
    graph = Network(9)
    x = graph.images((height // 8 * 8, width, 3), "input")
    a = graph.rectify(graph.convolve(x, 17, 4, 2, 1), 0.2)
    b = graph.rectify(graph.instance_norm(graph.convolve(a, 33, 4, 2, 1)), 0.2)
    c = graph.rectify(graph.convolve(b, 40, 4, 2, 1), 0.0)
    y = graph.dropout(graph.instance_norm(graph.transpose_convolve(c, 33, 4, 2, 1)), 1)
    y = graph.rectify(graph.join(y, b), 0.0)
    y = graph.instance_norm(graph.transpose_convolve(y, 17, 4, 2, 1))
    y = graph.transpose_convolve(graph.rectify(graph.join(y, a), 0.0), 3, 4, 2, 1)
    y = graph.clip(graph.add_up(x, graph.squash(y, "Tanh")), 0.0, 1.0)
    check(translator(graph, tmp_path / "small.onnx", y))


@cases(*pairs(10, 12, width=(1, 3, 15, 16, 17), kind=("Softmax", "Sigmoid"), side=(1, 5, 8)))
def test_scores(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case))
    x = graph.flat(graph.images((case["side"], case["side"], 3)))
    y = graph.squash(graph.dense(x, case["width"]), case["kind"])
    check(classifier(graph, tmp_path / "small.onnx", y))


@cases(*pairs(11, 12, width=(1, 3, 15, 16, 33), kind=("apart", "equal", "lengths"), side=(1, 5, 8)))
def test_mean_and_variance(case: Case, tmp_path: Path) -> None:
    """They come from two layers, or from one that is split."""
    graph = Network(number(case))
    width = case["width"]
    x = graph.flat(graph.images((case["side"], case["side"], 3)))
    if case["kind"] == "apart":
        x = graph.rectify(x, 0.0)
        mu, logvar = graph.dense(x, width), graph.dense(x, width)
    else:
        y = graph.dense(x, 2 * width)
        equal = case["kind"] == "equal"
        inputs = [y.name] if equal else [y.name, graph.number([width, width], np.int64)]
        options = {"num_outputs": 2} if equal else {}
        graph.node("Split", inputs, y.numbers, output="mu", axis=1, **options)
        graph.nodes[-1].output.append("logvar")
        halves = (slice(0, width), slice(width, None))
        mu, logvar = (
            Value(name, y.numbers.each(lambda values, half=half: values[:, half]))
            for name, half in zip(("mu", "logvar"), halves, strict=True)
        )
    check(encoder(graph, tmp_path / "small.onnx", mu, logvar))
