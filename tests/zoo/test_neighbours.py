"""The neighbourhood graph against brute force, walks against Floyd and Warshall, the command."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from pictures import row_tiles, save_pictures
from shell import ENGINE, refuses, succeeds, without
from zoo.applications import neighbours
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.inference.pairs import Pair

COUNT = 400
DATA = ("--engine", ENGINE, "--data", "fashion-mnist", "-n", COUNT)


@pytest.fixture(scope="module")
def latents(pair: Pair, fashion_mnist: DataSet) -> np.ndarray:
    return pair.encoder.encode(fashion_mnist.test.images[:COUNT])[0]


def distances(points: np.ndarray) -> np.ndarray:
    wide = points.astype(np.float64)
    return np.sqrt(np.square(wide[:, None] - wide[None]).sum(axis=2))


def shortest(joined: scipy.sparse.csr_array) -> np.ndarray:
    """Return the lengths of the shortest paths between all nodes (Floyd 1962, Warshall 1962)."""
    size = joined.shape[0]
    away = np.full((size, size), np.inf)
    edges = joined.tocoo()
    away[edges.row, edges.col] = edges.data
    np.fill_diagonal(away, 0)
    for middle in range(size):
        away = np.minimum(away, away[:, [middle]] + away[[middle]])
    return away


@pytest.mark.parametrize("k", [1, 4, 10])
def test_graph_joins_the_nearest(latents: np.ndarray, k: int) -> None:
    joined = neighbours.graph(latents, k)
    apart = distances(latents)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argsort(apart, axis=1)[:, :k]
    expected = np.zeros((COUNT, COUNT), bool)
    np.put_along_axis(expected, nearest, True, axis=1)
    expected |= expected.T
    edges = joined.tocoo()
    found = np.zeros((COUNT, COUNT), bool)
    found[edges.row, edges.col] = True
    np.testing.assert_array_equal(found, expected)
    assert joined.nnz == expected.sum()
    np.testing.assert_allclose(edges.data, apart[edges.row, edges.col], rtol=1e-12)
    assert (joined != joined.T).nnz == 0


def test_equal_images_are_joined_at_no_distance(latents: np.ndarray) -> None:
    points = np.concatenate([latents[:3], latents[:1], latents[3:4] + 50])
    joined = neighbours.graph(points, 1)
    assert joined[0, 3] == 0 and 3 in joined.indices[joined.indptr[0] : joined.indptr[1]]
    path = neighbours.walk(joined, 0, 3)
    assert path.nodes.tolist() == [0, 3] and path.distances.tolist() == [0, 0]


def test_components_are_numbered_by_size() -> None:
    random = np.random.default_rng(0)
    planted = np.repeat([2, 0, 1], [5, 20, 9])
    points = random.normal(size=(34, 3)) + 100 * planted[:, None]
    joined = neighbours.graph(points, 4)
    np.testing.assert_array_equal(neighbours.components(joined), planted)
    with pytest.raises(ConfigError, match="components of 5 and 20 of the 34 images") as caught:
        neighbours.walk(joined, 0, 10)
    assert "(3 components); a larger k joins them" in str(caught.value)
    assert neighbours.components(neighbours.graph(points, 33)).max() == 0


def test_graph_refuses(latents: np.ndarray) -> None:
    for k in (0, 5, 6):
        with pytest.raises(ConfigError, match=f"k: expected 1 to 4, .* got {k}"):
            neighbours.graph(latents[:5], k)
    with pytest.raises(ConfigError, match="expected shape"):
        neighbours.graph(latents[0], 1)


def test_walks_are_shortest(latents: np.ndarray) -> None:
    for count, k in ((40, 3), (60, 5), (25, 24)):
        joined = neighbours.graph(latents[:count], k)
        best, straight = shortest(joined), distances(latents[:count])
        for a in range(0, count, 3):
            for b in range(count):
                if not np.isfinite(best[a, b]):
                    with pytest.raises(ConfigError, match="no path leads"):
                        neighbours.walk(joined, a, b)
                    continue
                path = neighbours.walk(joined, a, b)
                assert (path.nodes[0], path.nodes[-1], path.distances[0]) == (a, b, 0)
                steps = [joined[i, j] for i, j in zip(path.nodes, path.nodes[1:], strict=False)]
                assert all(step > 0 for step in steps)
                np.testing.assert_allclose(np.diff(path.distances), steps)
                assert path.distances[-1] == pytest.approx(best[a, b])
                assert path.distances[-1] >= straight[a, b] - 1e-9


def test_walk_refuses(latents: np.ndarray) -> None:
    joined = neighbours.graph(latents[:9], 3)
    for ends, name in (((-1, 2), "a"), ((0, 9), "b")):
        with pytest.raises(ConfigError, match=f"{name}: expected a node, 0 to 8"):
            neighbours.walk(joined, *ends)


def test_evenly_is_even(latents: np.ndarray) -> None:
    corners = latents[[0, 7, 3, 11]].astype(np.float64)
    lengths = np.linalg.norm(np.diff(corners, axis=0), axis=1)
    points = neighbours.resample(corners, 1001)
    np.testing.assert_allclose(points[[0, -1]], corners[[0, -1]], rtol=1e-6)
    steps = np.linalg.norm(np.diff(points.astype(np.float64), axis=0), axis=1)
    # Only a step around a corner is shorter than the others.
    assert np.sum(np.abs(steps - lengths.sum() / 1000) > 1e-4) <= 2
    # A point at the distance of the second corner, walked by hand.
    at = round(1000 * lengths[0] / lengths.sum())
    assert np.linalg.norm(points[at] - corners[1]) <= lengths.sum() / 1000
    np.testing.assert_allclose(
        neighbours.resample(corners[:2], 5),
        corners[0] + np.linspace(0, 1, 5)[:, None] * (corners[1] - corners[0]),
        rtol=1e-5, atol=1e-6,
    )  # fmt: skip
    np.testing.assert_array_equal(
        neighbours.resample(corners[[0, 0]], 3), np.float32(corners[[0] * 3])
    )


def test_walk_of_fashion_mnist(
    tmp_path: Path, pair: Pair, latents: np.ndarray, fashion_mnist: DataSet
) -> None:
    said = succeeds(
        "neighbours", *DATA, "-k", 6, "--walk", 0, 2, "--out", "w.png", "--save", "g.npz",
        "--steps", 5, cwd=tmp_path,
    )  # fmt: skip
    joined = neighbours.graph(latents, 6)
    path = neighbours.walk(joined, 0, 2)
    steps, length = len(path.nodes) - 1, path.distances[-1]
    straight = distances(latents[[0, 2]])[0, 1]
    assert length == pytest.approx(shortest(joined)[0, 2])
    assert said.splitlines() == [
        f"400 images of fashion-mnist test, each with its 6 nearest: {joined.nnz // 2:,} edges of "
        f"mean length {joined.data.mean():.3f}, connected",
        f"0 to 2: {steps} steps, {length:.3f} in all; {straight:.3f} in a straight line, "
        f"{length / straight:.2f} times as far",
        "w.png, g.npz",
    ]
    loaded = scipy.sparse.load_npz(tmp_path / "g.npz")
    for part in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(loaded, part), getattr(joined, part))
    real, along, line = row_tiles(tmp_path / "w.png", [steps + 1, 6, 6])
    np.testing.assert_array_equal(real, np.repeat(fashion_mnist.test.images[path.nodes], 3, 3))
    decoded = pair.decoder().decode(neighbours.resample(latents[path.nodes], 6))
    np.testing.assert_array_equal(along, np.repeat(decoded, 3, axis=3))
    straight_line = pair.decoder().interpolate(latents[0], latents[2], 5)
    np.testing.assert_array_equal(line, np.repeat(straight_line, 3, axis=3))
    np.testing.assert_array_equal(along[[0, -1]], line[[0, -1]])


def test_walk_between_named_pictures_without_a_generator(
    tmp_path: Path, vae_encoder_engine: Path, fashion_mnist: DataSet
) -> None:
    (tmp_path / "my.encoder.onnx").write_bytes(vae_encoder_engine.read_bytes())
    save_pictures(tmp_path / "pictures", fashion_mnist.test.images[:12], names="g{:02}")
    args = ("neighbours", "pictures", "--engine", "my.encoder.onnx", "-k", 11, "--walk")
    said = succeeds(*args, "g03.png", "11", cwd=tmp_path)
    # Everything is joined with everything, so that the way is straight.
    assert re.search(r"g03\.png to 11: 1 step, (\d+\.\d{3}) in all; \1 in a straight line", said)
    assert said.endswith("\nwalk.png\n")
    (row,) = row_tiles(tmp_path / "walk.png", [2])
    np.testing.assert_array_equal(row, np.repeat(fashion_mnist.test.images[[3, 11]], 3, axis=3))
    assert "expected the name of an image, such as g00.png, or its index, 0 to 11" in refuses(
        *args, "g03", "11", cwd=tmp_path
    )


def test_graph_alone(tmp_path: Path) -> None:
    said = succeeds("neighbours", *DATA, "-k", 1, cwd=tmp_path)
    assert re.fullmatch(r"400 images .* \d+ components, the largest \d+\n", said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("-k", 400), "k: expected 1 to 399"),
        (("-k", 1, "--walk", 0, 2), "a larger k joins them"),
        (("--walk", 5, 5), "--walk: expected two images, got 5 and 5"),
        (("--walk", 5, 400), "--walk 400: expected the name of an image"),
        (("--walk", 5, -3), "--walk -3: expected the name of an image"),
        (("--walk", 1, 2, "--out", "a.gif"), "the picture of a walk must be a .png"),
        (("--out", "a.png"), "--out requires --walk"),
        (("--save", "a.npy"), "the graph must be written to an .npz"),
        (("--save", "nowhere/a.npz"), "there is no folder"),
        (("--walk", 1, 2, "--steps", 0), "expected 1 to 255 steps"),
    ],
)
def test_neighbours_refuses(tmp_path: Path, args: tuple[object, ...], problem: str) -> None:
    assert problem in refuses("neighbours", *DATA, *args, cwd=tmp_path)


def test_a_name_that_several_images_have(tmp_path: Path, fashion_mnist: DataSet) -> None:
    for folder in ("a", "b"):
        save_pictures(tmp_path / folder, fashion_mnist.test.images[:4], names="{}")
    args = ("neighbours", "a", "b", "--engine", ENGINE, "-k", 2, "--walk", "1.png")
    message = refuses(*args, "0", cwd=tmp_path)
    assert "--walk 1.png: 2 images have this name; give the index of one, such as 1" in message


def test_says_what_to_install(tmp_path: Path) -> None:
    said = without("sklearn", "neighbours", "-k", 2, *DATA, cwd=tmp_path)
    assert "needs sklearn" in said and "generator-zoo[apps]" in said
