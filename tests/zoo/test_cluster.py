"""Clustering: k-means against its fixed point, scores against brute force, the command's files."""

from __future__ import annotations

import itertools
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import runtime
from pictures import row_tiles, save_pictures
from shell import ENGINE, refuses, run, succeeds
from zoo.applications import clustering
from zoo.data import DataSet
from zoo.errors import ConfigError, DataError
from zoo.evaluation import agreement
from zoo.images import rows
from zoo.images.gather import gather
from zoo.images.text import shorten
from zoo.inference.inputs import open_source
from zoo.inference.pairs import Pair

COUNT = 1500
SHAPE = (28, 28, 1)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run k-means in one thread: several wait for each other on a busy machine."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def latents(pair: Pair, fashion_mnist: DataSet) -> np.ndarray:
    """Encoder means [COUNT, 32] of the first test images."""
    return pair.encoder.encode(fashion_mnist.test.images[:COUNT])[0]


def test_kmeans_is_a_fixed_point(latents: np.ndarray) -> None:
    found = clustering.kmeans(latents, 10, seed=3, restarts=2)
    apart = np.linalg.norm(latents[:, None] - found.centres[None], axis=2)
    np.testing.assert_array_equal(found.assignment, apart.argmin(axis=1))
    for cluster in range(10):
        mean = latents[found.assignment == cluster].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(found.centres[cluster], mean, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.distances, apart.min(axis=1), rtol=1e-4)
    assert found.inertia == pytest.approx(np.square(apart.min(axis=1)).sum(), rel=1e-4)


def test_clusters_are_sorted_and_repeatable(latents: np.ndarray) -> None:
    found = clustering.kmeans(latents, 7, seed=1, restarts=2)
    sizes = np.bincount(found.assignment, minlength=7)
    assert (np.diff(sizes) <= 0).all() and sizes.all()
    again = clustering.kmeans(latents, 7, seed=1, restarts=2)
    np.testing.assert_array_equal(found.assignment, again.assignment)
    for cluster in range(7):
        members = found.members(cluster)
        assert sorted(members) == list(np.flatnonzero(found.assignment == cluster))
        assert (np.diff(found.distances[members]) >= 0).all()


def test_kmeans_finds_what_was_planted() -> None:
    random = np.random.default_rng(0)
    planted = np.repeat([0, 1, 2], [50, 30, 20])
    vectors = 10 * np.eye(3, 5)[planted] + random.normal(size=(100, 5))
    order = random.permutation(100)
    found = clustering.kmeans(vectors[order], 3)
    np.testing.assert_array_equal(found.assignment, planted[order])


def test_standardising_undoes_any_scale_and_shift(latents: np.ndarray) -> None:
    scale = np.geomspace(0.01, 100, latents.shape[1])
    plain = clustering.kmeans(latents, 5, restarts=2, standardise=True)
    scaled = clustering.kmeans(latents * scale + 3, 5, restarts=2, standardise=True)
    agree = agreement.scores(plain.assignment, scaled.assignment)
    assert agree.accuracy > 0.99
    # Centres are in the units of what was given.
    inside = (latents * scale + 3)[scaled.assignment == 0]
    np.testing.assert_allclose(scaled.centres[0], inside.mean(axis=0), rtol=1e-4, atol=1e-4)
    constant = np.concatenate([latents, np.ones((COUNT, 1))], axis=1)
    assert np.isfinite(clustering.kmeans(constant, 5, restarts=1, standardise=True).inertia)


def test_kmeans_refuses(latents: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="k: expected 1 to 4, the number of images, got 5"):
        clustering.kmeans(latents[:4], 5)
    with pytest.raises(ConfigError, match="at most 2, the number of different images, got 3"):
        clustering.kmeans(np.repeat(latents[:2], 10, axis=0), 3)
    with pytest.raises(ConfigError, match="expected shape"):
        clustering.kmeans(latents[0], 1)
    broken = latents[:9].copy()
    broken[4, 4] = np.nan
    with pytest.raises(ConfigError, match="NaN"):
        clustering.kmeans(broken, 2)


@pytest.mark.parametrize(("classes", "clusters"), [(2, 2), (4, 4), (5, 3), (3, 5), (1, 4)])
def test_accuracy_is_the_best_of_all_pairings(classes: int, clusters: int) -> None:
    random = np.random.default_rng(classes * 10 + clusters)
    for _ in range(20):
        labels = random.integers(0, classes, 40)
        assignment = random.integers(0, clusters, 40)
        size = max(classes, clusters)
        best = max(
            np.mean(np.array(order)[assignment] == labels)
            for order in itertools.permutations(range(size))
        )
        assert agreement.scores(labels, assignment).accuracy == pytest.approx(best)


def entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def test_nmi_and_ari_are_their_formulas() -> None:
    random = np.random.default_rng(7)
    for _ in range(20):
        labels = random.integers(0, 4, 60)
        assignment = np.where(random.random(60) < 0.5, labels, random.integers(0, 5, 60))
        found = agreement.scores(labels, assignment)
        table = np.array(
            [[((labels == i) & (assignment == j)).sum() for j in range(5)] for i in range(4)]
        )
        np.testing.assert_array_equal(agreement.contingency(labels, assignment), table)
        rows_, columns = table.sum(axis=1), table.sum(axis=0)
        mutual = entropy(rows_) + entropy(columns) - entropy(table.ravel())
        mean = (entropy(rows_) + entropy(columns)) / 2
        assert found.nmi == pytest.approx(mutual / mean)
        # Pairs of images that both agree on, less what chance would give.
        same = [[a[i] == a[j] for i, j in itertools.combinations(range(60), 2)]
                for a in (labels, assignment)]  # fmt: skip
        both = np.logical_and(*same).sum()
        chance = np.sum(same[0]) * np.sum(same[1]) / math.comb(60, 2)
        most = (np.sum(same[0]) + np.sum(same[1])) / 2
        assert found.ari == pytest.approx((both - chance) / (most - chance))


def test_names_of_clusters_do_not_matter(fashion_mnist: DataSet) -> None:
    assert fashion_mnist.test.labels is not None
    labels = fashion_mnist.test.labels[:COUNT]
    found = agreement.scores(labels, (labels * 7 + 3) % 10)
    assert (found.accuracy, found.nmi, found.ari) == pytest.approx((1, 1, 1))
    chance = agreement.scores(labels, np.random.default_rng(0).permutation(labels))
    assert chance.nmi < 0.05 and abs(chance.ari) < 0.01 and chance.accuracy < 0.2
    with pytest.raises(ConfigError, match="labels: expected the assignment's shape"):
        agreement.scores(labels, labels[1:])


def test_rows_that_are_long_go_on_below(tmp_path: Path, fashion_mnist: DataSet) -> None:
    images = fashion_mnist.test.images
    color = np.repeat(images[5:7], 3, axis=3) // np.array([1, 2, 3], np.uint8)
    drawn = rows.draw(
        [
            rows.Row("five", list(images[:5]), ["a"] * 5),
            rows.Row("two in colour", list(color), ["b"] * 2, np.zeros((9, 3), np.uint8)),
        ],
        "title",
        columns=2,
    )
    drawn.save(tmp_path / "a.png")
    first, second = row_tiles(tmp_path / "a.png", [5, 2], columns=2)
    np.testing.assert_array_equal(first, np.repeat(images[:5], 3, axis=3))
    np.testing.assert_array_equal(second, color)


def test_long_names_are_shortened_to_fit() -> None:
    assert shorten("garment-01.png") == "garment-01.png"
    assert shorten("garment-0123.png") == "garm..0123.png"


def test_gather_takes_images_in_the_order_asked_for(fashion_mnist: DataSet) -> None:
    source = open_source([], "fashion-mnist", "test", SHAPE)
    wanted = np.array([9999, 0, 1024, 1023, 0, 77])
    np.testing.assert_array_equal(gather(source, wanted), fashion_mnist.test.images[wanted])
    with pytest.raises(DataError, match="expected 10001, got 10000"):
        gather(source, np.array([3, 10_000]))


def test_pair_is_found_from_either_file(
    tmp_path: Path, vae_engine: Path, vae_encoder_engine: Path
) -> None:
    with Pair("vae.encoder.onnx") as pair:
        assert pair.title == "vae.onnx" and pair.decoder() is pair.generator
    alone = tmp_path / "vae.encoder.onnx"
    shutil.copy(vae_encoder_engine, alone)
    with Pair(str(alone)) as pair:
        assert pair.generator is None and pair.title == "vae.encoder.onnx"
        with pytest.raises(runtime.errors.EngineNotFoundError, match="needs its generator"):
            pair.decoder()
    with pytest.raises(runtime.errors.ClosedError):
        pair.encoder.encode(np.zeros((1, *SHAPE), np.uint8))


def test_clusters_of_fashion_mnist(
    tmp_path: Path, pair: Pair, latents: np.ndarray, fashion_mnist: DataSet
) -> None:
    said = succeeds(
        "cluster", "--engine", ENGINE, "--data", "fashion-mnist", "-n", COUNT, "--restarts", 2,
        "--seed", 5, "--assign", "a.npz", "--shown", 4, cwd=tmp_path,
    )  # fmt: skip
    images, labels = fashion_mnist.test.images[:COUNT], fashion_mnist.test.labels
    assert labels is not None
    found = clustering.kmeans(latents, 10, 5, 2)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as written:
        np.testing.assert_array_equal(written["assignment"], found.assignment)
        np.testing.assert_array_equal(written["centres"], found.centres)
        np.testing.assert_array_equal(written["names"], [str(i) for i in range(COUNT)])
        np.testing.assert_array_equal(written["labels"], labels[:COUNT])
    scores = {
        line.split()[0]: [float(number) for number in line.split()[1:]]
        for line in said.splitlines()[2:4]
    }
    flat = images.reshape(COUNT, -1) / np.float32(255)
    for kind, its in (("latents", found), ("pixels", clustering.kmeans(flat, 10, 5, 2))):
        expected = agreement.scores(labels[:COUNT], its.assignment)
        assert scores[kind] == pytest.approx(
            [expected.accuracy, expected.nmi, expected.ari], abs=6e-4
        )
    assert (np.array(scores["latents"]) > scores["pixels"]).all()
    assert said.startswith("1,500 images of fashion-mnist test in 10 clusters\n")
    assert said.endswith("clusters.png, a.npz\n")
    assert pair.generator is not None
    centres = pair.generator.decode(found.centres)
    for cluster, row in enumerate(row_tiles(tmp_path / "clusters.png", [5] * 10, columns=5)):
        expected = np.concatenate([centres[[cluster]], images[found.members(cluster)[:4]]])
        np.testing.assert_array_equal(row, np.repeat(expected, 3, axis=3))


def test_without_classes_and_without_a_generator(
    tmp_path: Path, latents: np.ndarray, vae_encoder_engine: Path, fashion_mnist: DataSet
) -> None:
    shutil.copy(vae_encoder_engine, tmp_path / "mine.encoder.onnx")
    folder = tmp_path / "pictures"
    save_pictures(folder, fashion_mnist.test.images[:9], names="{}")
    said = succeeds(
        "cluster", "pictures", "--engine", "mine.encoder.onnx", "-k", 2, "--assign", "a.npz",
        "--out", "c.png", "--standardise", cwd=tmp_path,
    )  # fmt: skip
    assert said == "9 images of pictures in 2 clusters\nc.png, a.npz\n"
    found = clustering.kmeans(latents[:9], 2, standardise=True)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as written:
        assert sorted(written.files) == ["assignment", "centres", "names"]
        np.testing.assert_array_equal(written["assignment"], found.assignment)
        assert list(written["names"]) == [f"{index}.png" for index in range(9)]
    sizes = np.bincount(found.assignment).tolist()
    for cluster, row in enumerate(row_tiles(tmp_path / "c.png", sizes)):
        expected = fashion_mnist.test.images[found.members(cluster)]
        np.testing.assert_array_equal(row, np.repeat(expected, 3, axis=3))
    (folder / "broken.png").write_bytes(b"not a picture")
    done = run("cluster", "pictures", "--engine", ENGINE, "-k", 2, cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.startswith("9 images")
    assert re.fullmatch(r"skipped pictures/broken\.png: .*\n", done.stderr)


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("-n", 5), "k: expected 1 to 5, the number of images, got 10"),
        (("-k", 0), "expected 1 to 256 clusters"),
        (("-k", 256, "--shown", 64), "too large a picture"),
        (("--seed", -1), "32 bits"),
        (("--out", "a.gif"), "must be a .png"),
        (("--out", "nowhere/a.png"), "there is no folder"),
        (("--assign", "a.csv"), "written to an .npz"),
        (("--split", "other"), "'other' is not one of"),
    ],
)
def test_cluster_refuses(tmp_path: Path, args: tuple[object, ...], problem: str) -> None:
    data = ("--data", "fashion-mnist")
    assert problem in refuses("cluster", "--engine", ENGINE, *data, *args, cwd=tmp_path)


def test_cluster_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    assert "IMAGES or --data" in refuses("cluster", "--engine", ENGINE, cwd=tmp_path)
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01")
    assert "a.npy" in refuses("cluster", "--engine", ENGINE, "a.npy", cwd=tmp_path)
