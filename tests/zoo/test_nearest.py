"""Nearest training images: against brute force, on deliberate copies, and bad input."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shell import refuses, succeeds
from zoo.data import DataSet
from zoo.errors import DataError
from zoo.evaluation.memorisation import Nearest, copied_share, nearest


def test_agrees_with_brute_force(fashion_mnist: DataSet) -> None:
    images, training = fashion_mnist.test.images[:40], fashion_mnist.train.images[:9000]
    found = nearest(images, training)
    for image, row, distance in zip(images, found.rows, found.distances, strict=True):
        away = np.square(training.astype(np.float64) - image).mean((1, 2, 3))
        assert distance == pytest.approx(np.sqrt(away.min()), rel=1e-12)
        assert away[row] == away.min()


def test_finds_every_copy(fashion_mnist: DataSet) -> None:
    """Copies with a little noise are reported as copies, held-out images are not."""
    training, test = fashion_mnist.train.images[:20000], fashion_mnist.test.images[:400]
    noise = np.random.default_rng(0).integers(0, 4, (400, 28, 28, 1))
    copies = np.minimum(training[1000:1400] + noise, 255).astype(np.uint8)
    found = nearest(copies, training)
    assert np.array_equal(found.rows, np.arange(1000, 1400))
    assert found.distances.max() < 3
    held_out = nearest(test, training)
    share, least = copied_share(found, held_out)
    assert share == 1.0 and least > 3
    assert copied_share(held_out, held_out)[0] == pytest.approx(0.01, abs=0.003)


def test_shapes_must_agree() -> None:
    with pytest.raises(DataError, match="images are 4×4×1, but training images 4×4×3"):
        nearest(np.zeros((1, 4, 4, 1), np.uint8), np.zeros((1, 4, 4, 3), np.uint8))


def test_share_counts_ties() -> None:
    flat = Nearest(np.zeros(4, np.int64), np.full(4, 2.0))
    assert copied_share(flat, flat) == (1.0, 2.0)


def test_command(tmp_path: Path) -> None:
    out = tmp_path / "near.png"
    args = ("--engine", "vae.onnx", "--data", "fashion-mnist", "-n", 50, "--out", out)
    said = succeeds("nearest", *args, cwd=tmp_path)
    assert "50 samples, 60,000 training images of fashion-mnist (" in said
    assert "5,000 of them for validation), 50 held out" in said
    with Image.open(out) as picture:
        assert picture.width > 16 * 28 * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--engine", "vae.onnx", "--data", "nowhere"), "nowhere"),
        (("--engine", "vae.onnx", "--data", "fashion-mnist", "--out", "a.gif"), ".png"),
        # Said before the data is looked for.
        (("--engine", "vae.onnx", "--data", "nowhere", "--out", "no/a.png"), "no folder"),
        (("--engine", "vae.onnx", "--data", "fashion-mnist", "-n", "0"), "at least 1"),
        (("--engine", "denoising-ae.onnx", "--data", "faces"), "role"),
        (("--engine", "vae.onnx"), "--data"),
    ],
)
def test_bad_input(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refuses("nearest", *arguments, cwd=tmp_path)
