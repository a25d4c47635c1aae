"""Corruptions: statistics, independence of batch and order, specifications."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats

from runtime import noise
from runtime.errors import ArgumentError
from zoo import corruption
from zoo.corruption.holes import LEAST, MOST, holes
from zoo.corruption.uniform import philox_words, uniforms
from zoo.data import DataSet
from zoo.errors import ConfigError

SPECS = ["gaussian:0.2", "gaussian:0.1-0.5", "salt-pepper:0.1-0.3", "masking:0.3", "holes"]


def flat(level: int, n: int = 64, size: int = 32, channels: int = 3) -> np.ndarray:
    return np.full((n, size, size, channels), level, np.uint8)


def photographs(n: int, channels: int = 3, size: int = 28) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (n, size, size, channels), dtype=np.uint8)


def within(count: float, trials: int, share: float) -> bool:
    """Return True if a binomial count is within five standard deviations of its mean."""
    return bool(abs(count - trials * share) < 5 * np.sqrt(trials * share * (1 - share)))


@pytest.mark.parametrize(
    ("seed", "first", "stream"), [(0, 0, 0), (2**64 - 1, 2**32 - 2, 7), (5, 2**64 - 4, 2**32 - 1)]
)
def test_words_are_those_of_the_noise_contract(seed: int, first: int, stream: int) -> None:
    found = philox_words(seed, first, 4, 10, stream)
    for row, sample in enumerate(range(first, first + 4)):
        expected = [
            noise.philox(
                [block, stream, sample & 0xFFFFFFFF, sample >> 32], [seed & 0xFFFFFFFF, seed >> 32]
            )
            for block in range(3)
        ]
        assert found[row].tolist() == np.concatenate(expected)[:10].tolist()


def test_uniforms() -> None:
    found = uniforms(3, 0, 5000, 7, 1)
    assert 0 < found.min() and found.max() < 1
    for column in found.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4


@pytest.mark.parametrize(("seed", "first"), [(-1, 0), (2**64, 0), (0, -1), (0, 2**64 - 1)])
@pytest.mark.parametrize("spec", ["gaussian:0.2", "masking:0.1-0.3", "holes"])
def test_seeds_and_indices_have_64_bits(spec: str, seed: int, first: int) -> None:
    with pytest.raises(ArgumentError, match="64 bits"):
        corruption.parse(spec).apply(photographs(2), seed, first)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_damaged_alike_in_any_batch_and_order(spec: str, channels: int) -> None:
    images, damage = photographs(40, channels), corruption.parse(spec)
    before = images.copy()
    whole = damage.apply(images, seed=9, first=2**33)
    assert np.array_equal(images, before), "what is given is not changed"
    assert whole.dtype == np.uint8 and whole.shape[:3] == images.shape[:3]
    for start, stop in ((30, 40), (7, 8), (0, 30)):
        part = damage.apply(images[start:stop], seed=9, first=2**33 + start)
        assert np.array_equal(part, whole[start:stop])
    assert not np.array_equal(damage.apply(images, seed=10, first=2**33), whole)


def test_bytes_are_the_same_everywhere() -> None:
    """Only exactly rounded operations are used, so the checksums hold on any machine."""
    sums = {
        spec: zlib.crc32(corruption.parse(spec).apply(flat(90, 16), seed=2024, first=7).tobytes())
        for spec in SPECS
    }
    assert sums == {
        "gaussian:0.2": 2485499291,
        "gaussian:0.1-0.5": 1173281995,
        "salt-pepper:0.1-0.3": 27454879,
        "masking:0.3": 4140831951,
        "holes": 779973403,
    }


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.15])
def test_gaussian(sigma: float) -> None:
    """Mean, deviation and distribution of the noise on grey that is not clipped."""
    added = corruption.parse(f"gaussian:{sigma}").apply(flat(128), 1).astype(float) - 128
    n, expected = added.size, np.hypot(255 * sigma, np.sqrt(1 / 12))
    assert abs(added.mean()) < 5 * expected / np.sqrt(n)
    assert abs(added.std() / expected - 1) < 5 / np.sqrt(2 * n)
    rng = np.random.default_rng(0)
    smooth = added.ravel()[:50_000] + rng.uniform(-0.5, 0.5, 50_000)
    assert stats.kstest(smooth / smooth.std(), "norm").pvalue > 1e-4


def test_gaussian_against_float64() -> None:
    images = photographs(30)
    found = corruption.parse("gaussian:0.3").apply(images, seed=4, first=11)
    epsilon = noise.normals(4, 11, 30, images[0].size, 65).reshape(images.shape).astype(float)
    expected = np.clip(np.floor(images + 255 * 0.3 * epsilon + 0.5), 0, 255)
    assert np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 1e-4


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_salt_and_pepper(share: float) -> None:
    images = np.clip(photographs(64), 1, 254)
    noisy = corruption.parse(f"salt-pepper:{share}").apply(images, 2)
    pixels = noisy[..., 0].size
    for value in (0, 255):
        assert within((noisy[..., 0] == value).sum(), pixels, share / 2)
        assert np.array_equal((noisy == value).all(axis=3), (noisy == value).any(axis=3))
    assert np.array_equal(noisy, np.where((noisy == 0) | (noisy == 255), noisy, images))


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_masking(share: float) -> None:
    images = np.clip(photographs(64), 1, 255)
    masked = corruption.parse(f"masking:{share}").apply(images, 2)
    assert within((masked[..., 0] == 0).sum(), masked[..., 0].size, share)
    assert np.array_equal((masked == 0).all(axis=3), (masked == 0).any(axis=3))
    assert np.array_equal(masked, np.where(masked == 0, 0, images))


@pytest.mark.parametrize("kind", ["gaussian", "salt-pepper", "masking"])
def test_ends_of_the_levels(kind: str, fashion_mnist: DataSet) -> None:
    images = fashion_mnist.test.images[:50]
    assert np.array_equal(corruption.parse(f"{kind}:0").apply(images, 3), images)
    all_of_it = corruption.parse(f"{kind}:1").apply(images, 3)
    if kind == "masking":
        assert not all_of_it.any()
    if kind == "salt-pepper":
        assert set(np.unique(all_of_it)) == {0, 255}
        assert within((all_of_it == 255).sum(), all_of_it.size, 0.5)


def test_a_range_draws_a_level_for_each_image() -> None:
    damage = corruption.parse("masking:0.2-0.6")
    levels = damage.levels(2000, seed=6)
    assert 0.2 < levels.min() and levels.max() < 0.6
    assert stats.kstest((levels - 0.2) / 0.4, "uniform").pvalue > 1e-4
    assert np.array_equal(damage.levels(10, seed=6, first=50), levels[50:60])
    found = (damage.apply(flat(9, n=200, size=64, channels=1), seed=6) == 0).mean((1, 2, 3))
    assert np.abs(found - levels[:200]).max() < 5 * 0.5 / 64
    assert damage.levels(3, seed=7).tolist() != levels[:3].tolist()
    assert corruption.parse("masking:0.25").levels(3, seed=6).tolist() == [0.25] * 3


@pytest.mark.parametrize("size", [(28, 28), (64, 64), (32, 48), (100, 9), (8, 8)])
def test_holes_cover_their_share(size: tuple[int, int]) -> None:
    masks = holes(1500, *size, seed=1)
    assert masks.shape == (1500, *size, 1) and masks.dtype == np.uint8
    assert set(np.unique(masks)) == {0, 255}
    hidden = (masks == 0).mean((1, 2, 3))
    assert LEAST <= hidden.min() and hidden.max() <= MOST


def test_areas_of_holes_are_uniform() -> None:
    hidden = (holes(2000, 64, 64, seed=3) == 0).mean((1, 2, 3))
    # A whole edge of a rectangle at once moves an area by up to 0.01.
    assert stats.kstest((hidden - LEAST) / (MOST - LEAST), "uniform").statistic < 0.05


def test_holes_are_a_few_shapes_anywhere() -> None:
    masks = holes(1000, 48, 48, seed=5)[..., 0] == 0
    pieces = [ndimage.label(mask, np.ones((3, 3)))[1] for mask in masks]
    # A stroke that is thinner than a pixel may fall to pieces.
    assert 1 <= min(pieces) and np.mean(np.array(pieces) <= 5) > 0.99 and len(set(pieces)) >= 4
    often = masks.mean(axis=0)
    assert 0.08 < often.min() and often.max() < 0.5


def test_holes_of_a_size_do_not_depend_on_the_batch_of_others() -> None:
    small, large = holes(5, 28, 28, seed=8, first=3), holes(5, 56, 56, seed=8, first=3)
    # The same shapes, drawn finer.
    agree = (small == large[:, ::2, ::2]) & (small == large[:, 1::2, 1::2])
    assert agree.mean() > 0.9


def test_holes_need_some_pixels() -> None:
    with pytest.raises(ConfigError, match=r"holes: expected at least 8×8 pixels, got 7×28"):
        holes(1, 7, 28, seed=0)


def test_with_alpha(fashion_mnist: DataSet) -> None:
    for images in (fashion_mnist.test.images[:20], photographs(20)):
        masks = holes(20, 28, 28, seed=2)
        joined = corruption.with_alpha(images, masks)
        assert np.array_equal(joined[..., -1:], masks)
        assert np.array_equal(joined[..., :-1], np.where(masks == 255, images, 0))
        assert np.array_equal(corruption.parse("holes").apply(images, 2), joined)


def test_grey_is_that_of_pillow() -> None:
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, len(steps), 3)
    for images in (cube, photographs(3)):
        expected = [np.asarray(Image.fromarray(image).convert("L")) for image in images]
        assert np.array_equal(corruption.grey(images)[..., 0], np.stack(expected))


@pytest.mark.parametrize(
    ("spec", "kind", "low", "high"),
    [
        ("gaussian:0.3", "gaussian", 0.3, 0.3),
        ("gaussian:.1-.4", "gaussian", 0.1, 0.4),
        ("gaussian:2", "gaussian", 2, 2),
        ("gaussian:1e-3-2.5e-1", "gaussian", 0.001, 0.25),
        ("salt-pepper:0.05-0.3", "salt-pepper", 0.05, 0.3),
        ("masking:1", "masking", 1, 1),
        ("holes", "holes", 0, 0),
    ],
)
def test_specs(spec: str, kind: str, low: float, high: float) -> None:
    parsed = corruption.parse(spec)
    assert (parsed.kind, parsed.low, parsed.high) == (kind, low, high)
    assert parsed.alpha == (kind == "holes")
    assert corruption.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "spec",
    ["", "gaussian", "gaussian:", "gaussian:x", "gaussian:-0.1", "gaussian:0.1-", "blur:1",
     "gaussian:0.1-0.2-0.3", "gaussian: 0.1", "holes:0.1", "holes:", "Gaussian:0.1",
     "gaussian:nan", "gaussian:inf", "salt-pepper:0,1", "masking=0.1"],
)  # fmt: skip
def test_bad_specs_are_told_what_there_is(spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        corruption.parse(spec)
    message = str(caught.value)
    assert message.startswith(f"corruption {spec!r}: expected ") and "\n" not in message
    assert all(kind in message for kind in corruption.KINDS)


@pytest.mark.parametrize(
    "spec", ["gaussian:0.4-0.1", "gaussian:11", "gaussian:1e999", "salt-pepper:1.1", "masking:0-2"]
)
def test_levels_out_of_bounds(spec: str) -> None:
    with pytest.raises(ConfigError, match=f"corruption '{spec}': expected levels from 0 to 1"):
        corruption.parse(spec)
