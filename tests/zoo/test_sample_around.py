"""Sampling around an image, `zoo.sample --from --spread`, and engines without a prior."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import runtime
import zoo
from changed_engines import changed
from pictures import picture, save_pictures
from shell import ENGINE, refuses, succeeds
from zoo.data import DataSet
from zoo.engines import encoder_path

AUTOENCODER, STOCHASTIC = "linear-ae.onnx", "stochastic-ae.onnx"


@pytest.fixture
def folder(tmp_path: Path, fashion_mnist: DataSet) -> Path:
    """An image, and an autoencoder whose manifest has no deviations of its latents."""
    bare = tmp_path / "bare"
    bare.mkdir()
    changed(AUTOENCODER, bare, lambda document: document["latent"].pop("std"))
    shutil.copy(encoder_path(zoo.engine_path(AUTOENCODER)), bare)
    save_pictures(tmp_path, fashion_mnist.test.images[:1], names="in")
    return tmp_path


def sample_around(folder: Path, engine: str, *options: object) -> np.ndarray:
    args = ("--engine", engine, "--from", "in.png", "-n", 9, "--seed", 4, "--first", 2, *options)
    succeeds("sample", *args, "--out", "a.npy", cwd=folder)
    images: np.ndarray = np.load(folder / "a.npy")
    return images


def encode(folder: Path, engine: str) -> tuple[np.ndarray, np.ndarray]:
    """Return μ and σ [1, D] of the image."""
    with runtime.Encoder(encoder_path(zoo.engine_path(engine))) as encoder:
        mu, logvar = encoder.encode(picture(folder / "in.png")[None])
    return mu, np.exp(0.5 * logvar)


def decode_around(folder: Path, engine: str, sigma: np.ndarray | float) -> np.ndarray:
    """Decode μ + σ·ε."""
    with runtime.Generator(zoo.engine_path(engine)) as generator:
        noise = runtime.noise.normals(4, 2, 9, generator.latent_width)
        images: np.ndarray = generator.decode(encode(folder, engine)[0] + sigma * noise)
    return images


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("engine", [AUTOENCODER, STOCHASTIC])
def test_without_a_prior_there_is_nothing_to_sample(folder: Path, engine: str) -> None:
    said = refuses("sample", "--engine", engine, cwd=folder)
    assert re.search(rf"{engine} is an autoencoder without a prior, .*--from IMAGE", said), said
    said = refuses("interpolate", "in.png", "seed:1", "--engine", engine, cwd=folder)
    assert re.search("seed:1.*no prior", said), said


def test_around_an_image_of_an_autoencoder(folder: Path) -> None:
    std = np.float32(runtime.manifest.read(zoo.engine_path(AUTOENCODER))["latent"]["std"])
    for engine, options, sigma in (
        (AUTOENCODER, (), 0.5 * std),
        (AUTOENCODER, ("--spread", 2), 2 * std),
        (f"bare/{AUTOENCODER}", ("--spread", 0.25), 0.25),
    ):
        found = sample_around(folder, engine, *options)
        assert_same(found, decode_around(folder, AUTOENCODER, sigma))
        assert len(np.unique(found, axis=0)) == 9


def test_around_an_image_of_a_posterior(folder: Path) -> None:
    # The posteriors of the second are narrow.
    for engine, spread in ((ENGINE, 3.5), (STOCHASTIC, 100)):
        sigma = encode(folder, engine)[1]
        assert_same(sample_around(folder, engine), decode_around(folder, engine, sigma))
        wide = sample_around(folder, engine, "--spread", spread)
        assert_same(wide, decode_around(folder, engine, spread * sigma))
        assert len(np.unique(wide, axis=0)) == 9
    np.testing.assert_array_equal(
        sample_around(folder, ENGINE), sample_around(folder, ENGINE, "--spread", 1)
    )


@pytest.mark.parametrize("engine", [ENGINE, AUTOENCODER])
def test_no_spread_is_the_reconstruction(folder: Path, engine: str) -> None:
    images = sample_around(folder, engine, "--spread", 0)
    np.testing.assert_array_equal(images, np.repeat(images[:1], 9, axis=0))
    np.testing.assert_array_equal(images, decode_around(folder, engine, 0))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--spread", 1), "--spread requires --from"),
        (("--from", "in.png", "--spread", -1), "--spread.*-1"),
        (("--from", "in.png", "--spread", "nan"), "--spread.*nan"),
        (("--from", "in.png", "--spread", "inf"), "--spread.*inf"),
        (("--from", "in.png", "--spread", "wide"), "--spread.*wide"),
    ],
)
def test_bad_input(folder: Path, options: tuple[object, ...], problem: str) -> None:
    said = refuses("sample", "--engine", AUTOENCODER, "--out", "new.png", *options, cwd=folder)
    assert re.search(problem, said), said
