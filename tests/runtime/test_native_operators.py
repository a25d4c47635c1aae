"""The layers of the native backend against float64 NumPy: sides, channels and windows that fill no
tile, every batch size from 1 to 17 that is run otherwise, every instruction set, fp32 and bf16.

The graphs are encoders: what a layer makes of random images comes out as it is, as floats. The last
layers of generators and translators are in test_native_ends.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from native_engines import encoder
from native_graphs import Network, Value
from native_runs import check, label, pairs

SIDES = (1, 2, 3, 5, 7, 8, 13, 17)
CHANNELS = (1, 3, 5, 15, 16, 17, 31, 33, 48)
SLOPES = (None, 0.0, 0.2, -1.0)
"""None: no rectifier; -1: a LeakyRelu of the default slope."""

Case = dict[str, Any]


def number(case: Case) -> int:
    """The seed of a case's weights and images."""
    return sum(label(case).encode())


def cases(*found: Case) -> Any:
    return pytest.mark.parametrize("case", found, ids=label)


def begin(case: Case) -> tuple[Network, Value]:
    """A map of the case's sides and channels, that is not read from the image as it comes."""
    graph = Network(number(case))
    shape = (case["height"], case["width"], case["channels"])
    return graph, graph.rectify(graph.images(shape, centred=True), 0.3)


def finish(graph: Network, value: Value, folder: Path) -> None:
    """The numbers of a map, in the order of ONNX, are those of the code."""
    check(encoder(graph, folder / "small.onnx", graph.flat(value) if value.sides else value))


def sided(seed: int, count: int, **options: Any) -> list[Case]:
    return list(pairs(seed, count, height=SIDES, width=SIDES, channels=CHANNELS, **options))


WINDOWS = [
    {"size": 1, "padding": 0},
    {"size": 2, "padding": 0},
    {"size": 2, "padding": 1},
    {"size": 3, "padding": 0},
    {"size": 3, "padding": 1},
    {"size": 3, "padding": 2},
    {"size": 4, "padding": 1},
    {"size": 4, "padding": 2},
    {"size": 5, "padding": 2},
    {"size": 5, "padding": 4},
    {"size": 7, "padding": 3},
    {"size": 7, "padding": 0},
]


def convolutions(seed: int, count: int) -> list[Case]:
    options = {"window": range(len(WINDOWS)), "stride": (1, 2), "slope": SLOPES}
    drawn = sided(seed, 3 * count, outputs=CHANNELS, bias=(True, False), **options)
    found = [case | WINDOWS[case.pop("window")] for case in drawn]
    fits = [
        case
        for case in found
        if min(case["height"], case["width"]) + 2 * case["padding"] >= case["size"]
    ]
    return fits[:count]


def convolved(graph: Network, x: Value, case: Case) -> Value:
    window = (case["size"], case["stride"], case["padding"])
    return graph.rectify(graph.convolve(x, case["outputs"], *window, case["bias"]), case["slope"])


@cases(*convolutions(1, 60))
def test_convolutions(case: Case, tmp_path: Path) -> None:
    graph, x = begin(case)
    finish(graph, convolved(graph, x, case), tmp_path)


@cases(*(convolutions(2, 40)))
def test_convolutions_of_the_image(case: Case, tmp_path: Path) -> None:
    """The first layer, which reads the image as it comes."""
    graph = Network(number(case))
    shape = (case["height"], case["width"], case["channels"])
    x = graph.images(shape, centred=case["stride"] == 2)
    finish(graph, convolved(graph, x, case), tmp_path)


TRANSPOSED = [
    (4, 2, 1),
    (2, 2, 0),
    (3, 1, 1),
    (1, 1, 0),
    (5, 1, 2),
    (6, 2, 2),
    (3, 3, 0),
    (8, 4, 2),
]


@cases(*sided(3, 50, outputs=CHANNELS, window=TRANSPOSED, slope=SLOPES, bias=(True, False)))
def test_transposed_convolutions(case: Case, tmp_path: Path) -> None:
    graph, x = begin(case)
    y = graph.transpose_convolve(x, case["outputs"], *case["window"], case["bias"])
    finish(graph, graph.rectify(y, case["slope"]), tmp_path)


@cases(*pairs(4, 16, channels=CHANNELS, outputs=CHANNELS, size=(1, 2, 3, 4, 5, 7), stride=(1, 2, 3),
              slope=SLOPES, bias=(True, False)))  # fmt: skip
def test_transposed_convolutions_of_one_pixel(case: Case, tmp_path: Path) -> None:
    """The first layer of DCGAN: a vector becomes a map, whatever the stride."""
    graph, x = begin(case | {"height": 1, "width": 1})
    y = graph.transpose_convolve(x, case["outputs"], case["size"], case["stride"], 0, case["bias"])
    finish(graph, graph.rectify(y, case["slope"]), tmp_path)


@cases(*sided(5, 30, outputs=CHANNELS, slope=SLOPES, bias=(True, False), again=(True, False)))
def test_dense_layers(case: Case, tmp_path: Path) -> None:
    """Of maps and, again, of vectors."""
    graph, x = begin(case)
    y = graph.rectify(graph.dense(graph.flat(x), case["outputs"], case["bias"]), case["slope"])
    if case["again"]:
        y = graph.dense(y, 17, not case["bias"])
    finish(graph, y, tmp_path)


@cases(*pairs(6, 16, channels=(1, 3, 17, 48), side=(1, 2, 5), outputs=(1, 5, 16, 33),
              height=(1, 2, 7), width=(1, 3, 4), slope=SLOPES, after=(True, False)))  # fmt: skip
def test_dense_layers_that_make_maps(case: Case, tmp_path: Path) -> None:
    """Of vectors and of maps; the rectifier before or after the map is seen as such."""
    graph, x = begin(
        {"height": case["side"], "width": case["side"]} | {"channels": case["channels"]}
    )
    shape = (case["outputs"], case["height"], case["width"])
    y = graph.dense(graph.flat(x), case["outputs"] * case["height"] * case["width"])
    if case["after"]:
        y = graph.rectify(graph.reshape(y, *shape), case["slope"])
    else:
        y = graph.reshape(graph.rectify(y, case["slope"]), *shape)
    finish(graph, graph.convolve(y, 5, 3, padding=1), tmp_path)


@cases(*sided(7, 20, slope=(0.0, 0.2, 1.0, -1.0), twice=(True, False)))
def test_rectifiers_by_themselves(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case))
    x = graph.images((case["height"], case["width"], case["channels"]), centred=True)
    y = graph.rectify(x, case["slope"])
    finish(graph, graph.rectify(y, 0.5) if case["twice"] else y, tmp_path)


@cases(*sided(8, 24, convolved=(True, False), epsilon=(1e-8, 1e-6, 1e-2)))
def test_pixel_norms(case: Case, tmp_path: Path) -> None:
    """Of maps; where a convolution follows, the map has columns of zeros, which must stay zeros."""
    graph, x = begin(case)
    y = graph.pixel_norm(x, case["epsilon"])
    finish(graph, graph.convolve(y, 4, 3, padding=1) if case["convolved"] else y, tmp_path)


@cases(*pairs(9, 8, channels=CHANNELS, epsilon=(1e-8, 1e-6, 1e-2)))
def test_pixel_norms_of_vectors(case: Case, tmp_path: Path) -> None:
    graph, x = begin(case | {"height": 3, "width": 2})
    y = graph.pixel_norm(graph.dense(graph.flat(x), case["channels"]), case["epsilon"])
    finish(graph, y, tmp_path)


@cases(*sided(10, 40, slope=SLOPES, epsilon=(None, 1e-6, 1e-3),
              before=("none", "Conv", "ConvTranspose"), affine=(True, False)))  # fmt: skip
def test_instance_norms(case: Case, tmp_path: Path) -> None:
    graph, x = begin(case)
    if case["before"] == "Conv":
        x = graph.convolve(x, case["channels"], 3, padding=1)
    elif case["before"] == "ConvTranspose":
        x = graph.transpose_convolve(x, case["channels"], 4, 2, 1)
    y = graph.rectify(graph.instance_norm(x, case["epsilon"], case["affine"]), case["slope"])
    finish(graph, y, tmp_path)


@cases(*pairs(16, 20, height=(1, 2, 5, 8), width=(1, 3, 7), channels=CHANNELS, outputs=CHANNELS,
              layer=("Conv", "ConvTranspose", "Gemm"), bias=(True, False), slope=SLOPES,
              epsilon=(1e-5, 1e-3)))  # fmt: skip
def test_batch_norms(case: Case, tmp_path: Path) -> None:
    """By constants, after each kind of layer."""
    graph, x = begin(case)
    if case["layer"] == "Conv":
        y = graph.convolve(x, case["outputs"], 3, padding=1, bias=case["bias"])
    elif case["layer"] == "ConvTranspose":
        y = graph.transpose_convolve(x, case["outputs"], 4, 2, 1, case["bias"])
    else:
        y = graph.dense(graph.flat(x), case["outputs"], case["bias"])
    y = graph.rectify(graph.batch_norm(y, case["epsilon"]), case["slope"])
    finish(graph, y, tmp_path)


@cases(*sided(11, 30, slope=SLOPES, kind=("before", "behind", "itself", "both", "norm")))
def test_sums(case: Case, tmp_path: Path) -> None:
    """Residual connections: what is added is read again by others, or by none."""
    graph, x = begin(case)
    y = graph.convolve(x, case["channels"], 3, padding=1)
    if case["kind"] == "before":
        y = graph.add_up(x, y)
    elif case["kind"] == "behind":
        y = graph.add_up(y, x)
    elif case["kind"] == "itself":
        y = graph.add_up(y, y)
    elif case["kind"] == "both":
        y = graph.add_up(graph.rectify(y, 0.0), graph.convolve(y, case["channels"], 1))
    else:
        y = graph.add_up(graph.instance_norm(y), graph.pixel_norm(x))
    y = graph.rectify(y, case["slope"])
    finish(graph, graph.add_up(y, x), tmp_path)


PARTS = [(3, 5), (16, 16), (17, 1), (5, 33, 2), (16, 31), (15, 16, 17), (1, 1, 1, 1), (48, 3)]


@cases(
    *pairs(
        12,
        40,
        height=SIDES,
        width=SIDES,
        parts=PARTS,
        slope=(None, 0.0, 0.2),
        after=("Conv", "ConvTranspose", "strided"),
        kind=("apart", "twice", "shared", "read"),
    )
)
def test_joined_maps(case: Case, tmp_path: Path) -> None:
    """Concatenated channels: parts that end within a block, occur twice, or are read elsewhere."""
    graph = Network(number(case))
    x = graph.images((case["height"], case["width"], 3), centred=True)
    parts = [graph.convolve(x, channels, 3, padding=1) for channels in case["parts"]]
    parts[0] = graph.instance_norm(parts[0])
    if case["kind"] == "twice":
        parts.append(parts[0])
    elif case["kind"] == "read":
        parts.insert(0, x)
    y = graph.rectify(graph.join(*parts), case["slope"])
    if case["after"] == "ConvTranspose":
        y = graph.transpose_convolve(y, 6, 4, 2, 1)
    else:
        stride = 2 if case["after"] == "strided" else 1
        y = graph.convolve(y, parts[0].channels, 3, stride, 1)
        if case["kind"] == "shared" and stride == 1:
            y = graph.add_up(y, parts[0])
    finish(graph, y, tmp_path)


@pytest.mark.parametrize("sides", [(1, 1), (5, 3)], ids=str)
def test_maps_that_a_flatten_makes_vectors(sides: tuple[int, int], tmp_path: Path) -> None:
    graph = Network(15)
    x = graph.rectify(graph.convolve(graph.images((*sides, 3)), 5, 1), 0.2)
    flat = x.numbers.each(lambda values: values.reshape(len(values), -1))
    finish(graph, graph.dense(graph.node("Flatten", [x.name], flat), 7), tmp_path)


@pytest.mark.parametrize("sides", [(9, 9), (2, 3), (1, 1)], ids=str)
def test_joined_maps_of_joined_maps(sides: tuple[int, int], tmp_path: Path) -> None:
    """A U-Net's way up: every join is convolved, and joined with what was kept."""
    graph = Network(13)
    x = graph.images((*sides, 3))
    a = graph.rectify(graph.convolve(x, 32, 3, padding=1), 0.0)
    b = graph.instance_norm(graph.convolve(a, 16, 3, padding=1))
    whole = graph.join(a, b)
    c = graph.rectify(graph.convolve(whole, 7, 1), 0.2)
    y = graph.convolve(graph.join(whole, c), 5, 3, padding=1)
    finish(graph, graph.add_up(y, graph.convolve(whole, 5, 1)), tmp_path)


@cases(*pairs(14, 6, side=(17, 24, 33), channels=(16, 33, 48), outputs=(17, 48), stride=(1, 2)))
def test_maps_that_do_not_fit_a_cache(case: Case, tmp_path: Path) -> None:
    """Images leave the group in which they are computed, and come back."""
    graph, x = begin({"height": case["side"], "width": case["side"] - 2, "channels": 5})
    x = graph.rectify(graph.convolve(x, case["channels"], 3, padding=1), 0.2)
    y = graph.pixel_norm(graph.convolve(x, case["outputs"], 4, 2, 1))
    y = graph.transpose_convolve(y, case["channels"], 2, 2, 0)
    if y.sides == x.sides:
        y = graph.join(graph.add_up(x, y), x)
    y = graph.convolve(y, 3, 5, case["stride"], 2)
    finish(graph, graph.dense(graph.flat(graph.instance_norm(y)), 20), tmp_path)
