"""Norms, sums, rectifiers and joins of the native backend against float64 NumPy, as the layers of
test_native_products.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from native_cases import CHANNELS, SIDES, SLOPES, Case, begin, cases, finish, number, sided
from native_graphs import Network
from native_runs import pairs


@cases(*sided(7, 20, slope=(0.0, 0.2, 1.0, -1.0), twice=(True, False)))
def test_rectifiers_by_themselves(case: Case, tmp_path: Path) -> None:
    graph = Network(number(case))
    x = graph.images((case["height"], case["width"], case["channels"]), centred=True)
    y = graph.rectify(x, case["slope"])
    finish(graph, graph.rectify(y, 0.5) if case["twice"] else y, tmp_path)


@cases(*sided(8, 24, convolved=(True, False), epsilon=(1e-8, 1e-6, 1e-2)))
def test_pixel_norms(case: Case, tmp_path: Path) -> None:
    """Before a convolution, the map has columns of zeros, which must stay zeros."""
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
