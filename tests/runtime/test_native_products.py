"""Dense layers and convolutions of the native backend against float64 NumPy: sides, channels and
windows that fill no tile, every batch size from 1 to 17 that is run otherwise, every instruction
set, fp32 and bf16.

The graphs are encoders: what a layer makes of random images comes out as it is, as floats. The last
layers of generators and translators are in test_native_ends.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from native_cases import CHANNELS, SLOPES, Case, begin, cases, finish, number, sided
from native_graphs import Network, Value
from native_runs import pairs
from oracles.layers import Numbers

HALVES = (False, True)

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
    options = {"window": range(len(WINDOWS)), "stride": (1, 2), "slope": SLOPES, "halves": HALVES}
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
    graph = Network(number(case), case["halves"])
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


@cases(
    *sided(
        3, 50, outputs=CHANNELS, window=TRANSPOSED, slope=SLOPES, halves=HALVES, bias=(True, False)
    )
)
def test_transposed_convolutions(case: Case, tmp_path: Path) -> None:
    graph, x = begin(case)
    y = graph.transpose_convolve(x, case["outputs"], *case["window"], case["bias"])
    finish(graph, graph.rectify(y, case["slope"]), tmp_path)


@cases(*pairs(4, 16, channels=CHANNELS, outputs=CHANNELS, size=(1, 2, 3, 4, 5, 7), stride=(1, 2, 3),
              slope=SLOPES, halves=HALVES, bias=(True, False)))  # fmt: skip
def test_transposed_convolutions_of_one_pixel(case: Case, tmp_path: Path) -> None:
    """The first layer of DCGAN: a vector becomes a map, whatever the stride."""
    graph, x = begin(case | {"height": 1, "width": 1})
    y = graph.transpose_convolve(x, case["outputs"], case["size"], case["stride"], 0, case["bias"])
    finish(graph, graph.rectify(y, case["slope"]), tmp_path)


@cases(
    *sided(
        5,
        30,
        outputs=CHANNELS,
        slope=SLOPES,
        halves=HALVES,
        bias=(True, False),
        again=(True, False),
    )
)
def test_dense_layers(case: Case, tmp_path: Path) -> None:
    """The input is a map or, for the second layer, a vector."""
    graph, x = begin(case)
    y = graph.rectify(graph.dense(graph.flat(x), case["outputs"], case["bias"]), case["slope"])
    if case["again"]:
        y = graph.dense(y, 17, not case["bias"])
    finish(graph, y, tmp_path)


@cases(*pairs(6, 16, channels=(1, 3, 17, 48), side=(1, 2, 5), outputs=(1, 5, 16, 33),
              height=(1, 2, 7), width=(1, 3, 4), slope=SLOPES, halves=HALVES,
              after=(True, False)))  # fmt: skip
def test_dense_layers_that_make_maps(case: Case, tmp_path: Path) -> None:
    """The input is a vector or a map, the rectifier before or after the reshape to a map."""
    graph, x = begin(case | {"height": case["side"], "width": case["side"]})
    shape = (case["outputs"], case["height"], case["width"])
    y = graph.dense(graph.flat(x), case["outputs"] * case["height"] * case["width"])
    if case["after"]:
        y = graph.rectify(graph.reshape(y, *shape), case["slope"])
    else:
        y = graph.reshape(graph.rectify(y, case["slope"]), *shape)
    finish(graph, graph.convolve(y, 5, 3, padding=1), tmp_path)


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


@pytest.mark.parametrize("sides", [(1, 1), (5, 3)], ids=str)
def test_maps_that_a_flatten_makes_vectors(sides: tuple[int, int], tmp_path: Path) -> None:
    graph = Network(15)
    x = graph.rectify(graph.convolve(graph.images((*sides, 3)), 5, 1), 0.2)
    flat = x.numbers.each(lambda values: values.reshape(len(values), -1))
    finish(graph, graph.dense(graph.node("Flatten", [x.name], flat), 7), tmp_path)


TILED = [(3, 1, 1), (3, 1, 0), (3, 1, 2), (2, 1, 0), (2, 1, 1), (4, 2, 1), (4, 2, 0), (4, 2, 2)]


@cases(*pairs(17, 32, height=(4, 5, 7, 8, 9, 13), width=(4, 6, 8, 11, 17),
              channels=(16, 17, 31, 33, 48), outputs=CHANNELS, window=TILED,
              transposed=(False, False, True), slope=SLOPES, halves=HALVES,
              bias=(True, False)))  # fmt: skip
def test_convolutions_in_tiles(case: Case, tmp_path: Path) -> None:
    """Windows for which fewer multiplications do, of maps that end within a tile."""
    graph, x = begin(case)
    if case["transposed"]:
        y = graph.transpose_convolve(x, case["outputs"], 4, 2, 1, case["bias"])
    else:
        y = graph.convolve(x, case["outputs"], *case["window"], case["bias"])
    finish(graph, graph.rectify(y, case["slope"]), tmp_path)


@cases(*pairs(18, 6, window=TILED, channels=(16, 33), side=(8, 13), empty=(0.9, 0.99)))
def test_convolutions_of_nearly_black_images(case: Case, tmp_path: Path) -> None:
    """Pixels that are computed together are as exact as the largest of them, within the factors by
    which their transforms multiply it.
    """
    graph = Network(number(case))
    x = graph.images((case["side"], case["side"], case["channels"]), empty=case["empty"])
    y = graph.convolve(graph.rectify(x, 0.0), case["channels"], *case["window"], bias=False)
    y = replace(y, numbers=Numbers(y.numbers.exact, 4 * y.numbers.error))
    finish(graph, y, tmp_path)
