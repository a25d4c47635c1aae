"""PSNR, SSIM and ΔE against their formulas in NumPy float64."""

from __future__ import annotations

import math
import subprocess
import sys

import cv2
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from skimage import color, metrics

from zoo import corruption
from zoo.data import DataSet
from zoo.errors import ConfigError, DataError
from zoo.evaluation import quality
from zoo.evaluation.pixels import Mean


@pytest.fixture(scope="module")
def clothes(fashion_mnist: DataSet) -> np.ndarray:
    return fashion_mnist.test.images[:30]


@pytest.fixture(scope="module")
def colours() -> np.ndarray:
    """Smooth images in all colours, [6, 40, 50, 3]."""
    y, x = np.mgrid[0:40, 0:50] / 50
    waves = [np.sin(2 * np.pi * (k * x + (6 - k) * y)[..., None] + [0, 2, 4]) for k in range(6)]
    return np.round(127.5 + 127.5 * np.stack(waves)).astype(np.uint8)


def add_noise(images: np.ndarray, sigma: float = 0.1) -> np.ndarray:
    return corruption.parse(f"gaussian:{sigma}").apply(images, seed=3)


@pytest.mark.parametrize("kind", ["clothes", "colours"])
def test_psnr(kind: str, request: pytest.FixtureRequest) -> None:
    truth: np.ndarray = request.getfixturevalue(kind)
    images = add_noise(truth)
    found = quality.psnr(images, truth)
    for image, true, score in zip(images, truth, found, strict=True):
        mse = np.mean((image.astype(np.float64) - true.astype(np.float64)) ** 2)
        assert score == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-12)
        assert score == pytest.approx(metrics.peak_signal_noise_ratio(true, image), rel=1e-12)
    assert found.shape == (len(truth),) and found.dtype == np.float64


def test_psnr_at_its_ends(clothes: np.ndarray) -> None:
    assert np.isposinf(quality.psnr(clothes, clothes)).all()
    black, white = np.zeros((1, 4, 4, 1), np.uint8), np.full((1, 4, 4, 1), 255, np.uint8)
    assert quality.psnr(black, white).tolist() == [0.0]
    assert quality.psnr(white, black).tolist() == [0.0]
    assert quality.decibels(1.0) == pytest.approx(48.1308036)


def test_psnr_inside(colours: np.ndarray) -> None:
    images = add_noise(colours)
    hidden = corruption.holes(len(images), 40, 50, seed=1)[..., 0] == 0
    hidden[0] = True
    hidden[1] = False
    found = quality.psnr_inside(images, colours, hidden)
    assert found[0] == quality.psnr(images, colours)[0]
    assert np.isnan(found[1])
    for i in range(2, len(images)):
        mse = np.mean((images[i][hidden[i]].astype(float) - colours[i][hidden[i]]) ** 2)
        assert found[i] == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-12)
    outside = np.where(hidden[..., None], colours, images)
    assert np.isposinf(quality.psnr_inside(outside, colours, hidden)[2:]).all()


def ssim_of_wang(a: np.ndarray, b: np.ndarray) -> float:
    """Eq. (13) of the paper with its 11×11 window, on one channel [H, W]."""
    offsets = np.arange(-5, 6)
    one = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(one, one) / np.outer(one, one).sum()

    def mean(values: np.ndarray) -> np.ndarray:
        return (sliding_window_view(values, (11, 11)) * window).sum((2, 3))

    x, y = a.astype(np.float64), b.astype(np.float64)
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mx * my + c1) * (2 * cov + c2)
    return float(np.mean(similarity / ((mx**2 + my**2 + c1) * (vx + vy + c2))))


@pytest.mark.parametrize("kind", ["clothes", "colours"])
def test_ssim(kind: str, request: pytest.FixtureRequest) -> None:
    truth: np.ndarray = request.getfixturevalue(kind)
    images = add_noise(truth)
    found = quality.ssim(images, truth)
    for image, true, score in zip(images, truth, found, strict=True):
        channels = [ssim_of_wang(image[..., c], true[..., c]) for c in range(true.shape[2])]
        assert score == pytest.approx(np.mean(channels), abs=1e-9)


def lab(images: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65, 2°) of sRGB, from the definitions of IEC 61966-2-1 and CIE 15."""
    value = images / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    to_xyz = [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
    xyz = linear @ np.array(to_xyz).T / [0.95047, 1.0, 1.08883]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_delta_e_1976(colours: np.ndarray) -> None:
    images = add_noise(colours)
    found = quality.delta_e(images, colours, "cie76")
    distance = np.linalg.norm(lab(images) - lab(colours), axis=-1).mean((1, 2))
    np.testing.assert_allclose(found, distance, rtol=1e-3)
    other = [cv2.cvtColor(np.float32(x / 255), cv2.COLOR_RGB2LAB) for x in (images[0], colours[0])]
    expected = np.linalg.norm(other[0].astype(float) - other[1], axis=-1).mean()
    assert found[0] == pytest.approx(expected, rel=1e-2)


def test_delta_e_2000(colours: np.ndarray) -> None:
    images = add_noise(colours)
    found = quality.delta_e(images, colours)
    for image, true, score in zip(images, colours, found, strict=True):
        per_pixel = color.deltaE_ciede2000(lab(true), lab(image))
        assert score == pytest.approx(per_pixel.mean(), rel=2e-3)
    assert (found < quality.delta_e(images, colours, "cie76")).all()


@pytest.mark.parametrize("formula", ["cie76", "ciede2000"])
def test_delta_e_at_its_ends(formula: str, colours: np.ndarray) -> None:
    assert quality.delta_e(colours, colours, formula).tolist() == [0.0] * len(colours)
    black, white = np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 255, np.uint8)
    assert quality.delta_e(black, white, formula)[0] == pytest.approx(100, abs=0.01)


def test_mean_counts_images_whose_both_scores_are_finite() -> None:
    mean = Mean()
    mean.add(np.array([1.0, np.inf, 3.0]), np.array([2.0, 5.0, np.inf]))
    mean.add(np.array([3.0, np.nan]), np.array([6.0, np.nan]))
    assert (mean.before, mean.after, mean.count, mean.left_out) == (2.0, 4.0, 2, 3)
    exact = Mean()
    exact.add(np.array([20.0, 22.0]), np.array([np.inf, np.inf]))
    assert (exact.before, exact.after, exact.count) == (21.0, np.inf, 0)


@pytest.mark.parametrize("measure", [quality.psnr, quality.ssim, quality.delta_e])
def test_bad_arrays(measure, colours: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"expected two arrays \[n, H, W, C\], got"):
        measure(colours, colours[:, :-1])
    with pytest.raises(DataError, match=r"expected two arrays \[n, H, W, C\], got"):
        measure(colours[0], colours[0])
    with pytest.raises(DataError, match="expected uint8 images, got float32 and uint8"):
        measure(colours.astype(np.float32), colours)


def test_what_a_measure_does_not_take(colours: np.ndarray) -> None:
    small = colours[:, :10]
    with pytest.raises(DataError, match="SSIM: expected images of at least 11×11 pixels, got 10×"):
        quality.ssim(small, small)
    with pytest.raises(DataError, match="ΔE: expected images of 3 channels, got 1"):
        quality.delta_e(colours[..., :1], colours[..., :1])
    with pytest.raises(ConfigError, match="formula: expected ciede2000 or cie76, got 'cmc'"):
        quality.delta_e(colours, colours, "cmc")
    with pytest.raises(DataError, match=r"hidden: expected shape \(6, 40, 50\), got"):
        quality.psnr_inside(colours, colours, np.ones((6, 40, 50, 1), bool))


def test_psnr_needs_no_scikit_image() -> None:
    code = (
        "import sys; sys.modules['skimage'] = None; import numpy as np;"
        "from zoo.evaluation import quality; from zoo.errors import ConfigError;"
        "x = np.zeros((1, 16, 16, 3), np.uint8); quality.psnr(x, x)\n"
        "for f in (quality.ssim, quality.delta_e):\n"
        "    try: f(x, x)\n"
        "    except ConfigError as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "this needs skimage: pip install 'generator-zoo[apps]'\n" * 2
