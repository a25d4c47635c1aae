"""Anomaly detection: scores, thresholds and curves against their definitions; planted anomalies."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

import runtime
from pictures import row_tiles, save_pictures
from shell import ENGINE, refuses, succeeds
from zoo.applications import anomaly, anomaly_pictures
from zoo.data import DataSet
from zoo.errors import ConfigError
from zoo.evaluation import detection
from zoo.inference.pairs import Pair

DATA = ("--engine", ENGINE, "--data", "fashion-mnist")
COUNT = 600


@pytest.fixture(scope="module")
def images(fashion_mnist: DataSet) -> np.ndarray:
    return fashion_mnist.test.images[:COUNT]


@pytest.fixture(scope="module")
def scores(pair: Pair, images: np.ndarray) -> np.ndarray:
    return anomaly.scores(pair.encoder, pair.decoder(), images)


# Scores


def test_score_is_the_mean_squared_error(
    pair: Pair, images: np.ndarray, scores: np.ndarray
) -> None:
    made = pair.decoder().decode(pair.encoder.encode(images)[0])
    np.testing.assert_array_equal(anomaly.reconstruct(pair.encoder, pair.decoder(), images), made)
    expected = np.square(images / 255 - made / 255).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(scores, expected, rtol=1e-12)
    assert scores.dtype == np.float64 and (scores >= 0).all() and (scores <= 1).all()
    one_by_one = [anomaly.scores(pair.encoder, pair.decoder(), images[[i]])[0] for i in (0, 300)]
    assert one_by_one == [scores[0], scores[300]]
    with pytest.raises(runtime.errors.ArgumentError):
        anomaly.scores(pair.encoder, pair.decoder(), images[:, :20])


# Thresholds and curves


@pytest.mark.parametrize("fpr", [0, 0.001, 0.05, 0.07, 0.1, 0.29, 0.5, 0.99])
def test_threshold_is_the_smallest_that_keeps_the_promise(fpr: float, scores: np.ndarray) -> None:
    random = np.random.default_rng(1)
    sets = [scores, scores[:100], scores[:1], random.integers(0, 5, 200) / 4, np.ones(7)]
    sets += [random.random(count) for count in (2, 10, 20, 29, 100, 1000)]
    for normal in sets:
        limit = detection.threshold(normal, fpr)
        assert np.mean(normal > limit) <= fpr
        assert np.mean(normal > np.nextafter(limit, -np.inf)) > fpr


def test_threshold_refuses() -> None:
    for fpr in (-0.1, 1, float("nan")):
        with pytest.raises(ConfigError, match="fpr: expected at least 0 and less than 1"):
            detection.threshold(np.arange(4.0), fpr)
    for normal in ([], [1, np.nan]):
        with pytest.raises(ConfigError, match="normal_scores"):
            detection.threshold(np.array(normal), 0.1)


def test_roc_auc_counts_pairs(scores: np.ndarray, fashion_mnist: DataSet) -> None:
    assert fashion_mnist.test.labels is not None
    random = np.random.default_rng(2)
    cases = [(scores, fashion_mnist.test.labels[:COUNT] == label) for label in (1, 5, 8)]
    cases += [(random.integers(0, 6, 80) / 5, random.random(80) < 0.3) for _ in range(10)]
    for values, anomalous in cases:
        above = np.sign(values[anomalous][:, None] - values[~anomalous][None])
        expected = ((above + 1) / 2).mean()
        assert detection.roc_auc(values, anomalous) == pytest.approx(expected, abs=1e-12)
    for anomalous in (np.zeros(COUNT, bool), np.ones(COUNT, bool), np.ones(3, bool)):
        with pytest.raises(ConfigError, match="some true and some false"):
            detection.roc_auc(scores, anomalous)


def test_true_positive_rate_counts_what_is_above() -> None:
    assert detection.true_positive_rate(np.array([0.1, 0.2, 0.3, 0.4]), 0.2) == 0.5


# Heat maps


def test_heat_map_is_the_smoothed_squared_error() -> None:
    image, other = np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)
    image[4, 4] = (255, 0, 51)
    weights = np.array([1, 4, 6, 4, 1]) / 16
    expected = np.zeros((9, 9))
    expected[2:7, 2:7] = np.outer(weights, weights) * (1 + 0.2**2) / 3
    np.testing.assert_allclose(anomaly_pictures.heat_map(image, other), expected, atol=1e-12)
    np.testing.assert_allclose(anomaly_pictures.heat_map(other, image), expected, atol=1e-12)
    lit = np.full((7, 5, 1), 255, np.uint8)
    np.testing.assert_allclose(anomaly_pictures.heat_map(lit, lit - lit), np.ones((7, 5)))


def test_hotter_is_brighter() -> None:
    colors = anomaly_pictures.heat_colors(np.linspace(0, 2, 101), 2)
    assert colors.shape == (101, 3) and colors.dtype == np.uint8
    assert (np.diff(colors @ [0.299, 0.587, 0.114]) >= 0).all()
    np.testing.assert_array_equal(anomaly_pictures.heat_colors(np.array([9.0]), 2)[0], colors[-1])
    np.testing.assert_array_equal(anomaly_pictures.heat_colors(np.zeros(1), 0)[0], colors[0])


def test_highest_is_the_head_of_the_sorted_list(images: np.ndarray) -> None:
    random = np.random.default_rng(4)
    values = random.integers(0, 40, COUNT) / 7
    names = [str(i) for i in range(COUNT)]
    for count in (1, 10, COUNT + 5):
        highest = anomaly_pictures.HighestScores(count)
        for start in range(0, COUNT, 77):
            part = slice(start, start + 77)
            highest.offer(values[part], names[part], images[part], 255 - images[part])
        order = np.argsort(-values, kind="stable")[:count]
        found = highest.sorted()
        assert [one.name for one in found] == [names[i] for i in order]
        assert [one.score for one in found] == values[order].tolist()
        np.testing.assert_array_equal(np.stack([one.image for one in found]), images[order])
        np.testing.assert_array_equal(found[0].reconstruction, 255 - found[0].image)


# The command


def table(path: Path) -> tuple[list[str], list[list[str]]]:
    with path.open(newline="", encoding="utf-8") as file:
        head, *lines = csv.reader(file)
    return head, lines


def test_planted_anomalies_are_named_and_shown(
    tmp_path: Path, pair: Pair, images: np.ndarray, scores: np.ndarray
) -> None:
    random = np.random.default_rng(5)
    planted = random.integers(0, 256, (3, 28, 28, 1)).astype(np.uint8)
    save_pictures(tmp_path / "pictures", images[:37], names="garment, {:02}")
    save_pictures(tmp_path / "pictures", planted, names="x{}")
    np.save(tmp_path / "normal.npy", images[100:])
    said = succeeds(
        "anomaly", "pictures", "--engine", ENGINE, "--normal", "normal.npy", "--fpr", 0.02,
        "--top", 18, "--scores", "s.csv", cwd=tmp_path,
    )  # fmt: skip
    limit = detection.threshold(scores[100:], 0.02)
    its = np.concatenate([scores[:37], anomaly.scores(pair.encoder, pair.decoder(), planted)])
    together = np.concatenate([images[:37], planted])
    names = [f"garment, {i:02}.png" for i in range(37)] + [f"x{i}.png" for i in range(3)]
    lines = said.splitlines()
    assert lines[:3] == [
        "40 images of pictures",
        f"threshold {limit:.5f}, above which are 2.00% of 500 normal images (normal.npy)",
        f"{(its > limit).sum()} of the images are above it ({(its > limit).mean():.1%})",
    ]
    order = np.argsort(-its, kind="stable")[:18]
    assert lines[4:-1] == [f"  {its[i]:.5f}  {names[i]}" for i in order]
    assert {line[-6:] for line in lines[4:7]} == {"x0.png", "x1.png", "x2.png"}
    assert lines[-1] == "anomalies.png, s.csv"
    head, written = table(tmp_path / "s.csv")
    assert head == ["name", "score", "anomalous"]
    assert written == [
        [name, repr(score), str(int(score > limit))]
        for name, score in zip(names, its.tolist(), strict=True)
    ]
    # Two bands of three rows: the images, their reconstructions, where they differ.
    bands = row_tiles(tmp_path / "anomalies.png", [16, 16, 16, 2, 2, 2])
    made = anomaly.reconstruct(pair.encoder, pair.decoder(), together[order])
    shown = [np.concatenate([bands[row], bands[row + 3]]) for row in range(3)]
    np.testing.assert_array_equal(shown[0], np.repeat(together[order], 3, axis=3))
    np.testing.assert_array_equal(shown[1], np.repeat(made, 3, axis=3))
    heats = np.stack(
        [anomaly_pictures.heat_map(a, b) for a, b in zip(together[order], made, strict=True)]
    )
    np.testing.assert_array_equal(shown[2], anomaly_pictures.heat_colors(heats, heats.max()))


def test_normal_is_what_the_engine_was_trained_on(tmp_path: Path, fashion_mnist: DataSet) -> None:
    np.save(tmp_path / "a.npy", fashion_mnist.test.images[:50])
    said = succeeds("anomaly", "a.npy", "--engine", ENGINE, "--top", 1, cwd=tmp_path)
    share = "5.00% of 10,000 normal images (fashion-mnist test)"
    assert re.match(
        rf"50 images of a\.npy\nthreshold 0\.\d{{5}}, above which are {re.escape(share)}", said
    )  # noqa: E501 fmt: skip


def test_held_out_class(tmp_path: Path, scores: np.ndarray, fashion_mnist: DataSet) -> None:
    assert fashion_mnist.test.labels is not None
    said = succeeds(
        "anomaly", *DATA, "-n", COUNT, "--held-out", "Bag", "--fpr", 0.1, "--scores", "s.csv",
        cwd=tmp_path,
    )  # fmt: skip
    anomalous = fashion_mnist.test.labels[:COUNT] == 8
    limit = np.sort(scores[~anomalous])[::-1][int(0.1 * (~anomalous).sum())]
    above = np.sign(scores[anomalous][:, None] - scores[~anomalous][None])
    auc, rate = ((above + 1) / 2).mean(), np.mean(scores[anomalous] > limit)
    assert said.splitlines()[1:4] == [
        "vae.onnx does not say that it was trained without Bag",
        "class  images  ROC-AUC  threshold  found at 10% false alarms",
        f"Bag    {anomalous.sum():6}   {auc:.4f}    {limit:.5f}  {rate:.1%}",
    ]
    head, written = table(tmp_path / "s.csv")
    assert head == ["name", "score", "class"]
    assert [line[2] == "Bag" for line in written] == anomalous.tolist()
    assert [float(line[1]) for line in written] == scores.tolist()


def test_per_class(tmp_path: Path, scores: np.ndarray, fashion_mnist: DataSet) -> None:
    labels = fashion_mnist.test.labels
    assert labels is not None
    np.save(tmp_path / "normal.npy", fashion_mnist.test.images[:COUNT])
    said = succeeds(
        "anomaly", *DATA, "-n", COUNT, "--per-class", "--normal", "normal.npy", cwd=tmp_path
    )
    limit = detection.threshold(scores, 0.05)
    lines = said.splitlines()
    assert "vae.onnx does not say that it was trained without each class" in lines
    start = next(i for i, line in enumerate(lines) if line.startswith("class")) + 1
    for label, line in enumerate(lines[start : start + 10]):
        inside = labels[:COUNT] == label
        auc = detection.roc_auc(scores, inside)
        found = np.mean(scores[inside] > limit)
        assert line.startswith(fashion_mnist.classes[label])
        assert line.split()[-4:] == [
            str(inside.sum()),
            f"{auc:.4f}",
            f"{limit:.5f}",
            f"{found:.1%}",
        ]


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("--fpr", 1), "--fpr: expected at least 0 and less than 1, got 1"),
        (("--fpr", "x"), "'x' is not a valid float"),
        (("--held-out", "Hat"), "--held-out Hat: expected one of T-shirt/top, Trouser"),
        (("--held-out", "Bag", "--per-class"), "expected one of them, got both"),
        (("--held-out", "Bag", "-n", 3), "has no image of it among these"),
        (("--normal", "nowhere"), "nowhere"),
        (("--normal", "empty"), "empty holds no pictures"),
        (("--out", "a.npy"), "the picture of anomalies must be a .png"),
        (("--scores", "a.txt"), "scores must be written to a .csv"),
        (("--scores", "nowhere/a.csv"), "there is no folder"),
        (("--top", 0), "expected 1 to 256 images"),
    ],
)
def test_anomaly_refuses(tmp_path: Path, args: tuple[object, ...], problem: str) -> None:
    (tmp_path / "empty").mkdir()
    assert problem in refuses("anomaly", *DATA, *args, cwd=tmp_path)


def test_anomaly_refuses_files(
    tmp_path: Path, vae_encoder_engine: Path, images: np.ndarray
) -> None:
    np.save(tmp_path / "a.npy", images[:20])
    message = refuses("anomaly", "a.npy", "--engine", ENGINE, "--per-class", cwd=tmp_path)
    assert "--per-class: expected --data with classes, got a.npy" in message
    np.save(tmp_path / "wide.npy", np.zeros((5, 28, 30, 1), np.uint8))
    for args in (("wide.npy",), ("a.npy", "--normal", "wide.npy")):
        assert "wide.npy: expected" in refuses("anomaly", *args, "--engine", ENGINE, cwd=tmp_path)
    (tmp_path / "b.encoder.onnx").write_bytes(vae_encoder_engine.read_bytes())
    message = refuses("anomaly", "a.npy", "--engine", "b.encoder.onnx", cwd=tmp_path)
    assert "needs its generator to make images, but b.onnx does not exist" in message


def test_classes_without_names(tmp_path: Path, fashion_mnist: DataSet) -> None:
    images, labels = fashion_mnist.test.images[:200], fashion_mnist.test.labels
    assert labels is not None
    np.savez(tmp_path / "a.npz", images=images, labels=labels[:200])
    np.savez(tmp_path / "one.npz", images=images, labels=np.zeros(200, np.int64))
    args = ("anomaly", "--engine", ENGINE, "--data", "a.npz", "--scores", "s.csv")
    said = succeeds(*args, "--per-class", cwd=tmp_path)
    with (tmp_path / "s.csv").open() as file:
        present = sorted({row["class"] for row in csv.DictReader(file)})
    assert present and all(re.search(rf"^{name} ", said, re.MULTILINE) for name in present)
    assert succeeds(*args, "--held-out", present[0], cwd=tmp_path)
    message = refuses(*args, "--held-out", "Bag", cwd=tmp_path)
    assert "--held-out Bag: expected one of class 0, class 1" in message
    message = refuses(*args[:4], "one.npz", "--per-class", cwd=tmp_path)
    assert "--per-class: expected images of at least two classes, got class 0 only" in message
