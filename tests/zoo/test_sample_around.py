"""Sampling around an image, `zoo.sample --from --spread`, and engines without a prior."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

import runtime
import zoo
from export import manifest
from pictures import save_pictures
from shell import ENGINE, refuses, succeeds
from zoo.data import DataSet
from zoo.engines import encoder_path

STD = np.linspace(0.1, 1.3, 32).astype(np.float32)


def rewrite(source: Path, target: Path, **latent: Any) -> None:
    """Copy an engine file with other fields in its manifest's `latent`."""
    model = onnx.load(source)
    document = runtime.manifest.read(source)
    document["latent"] = {"width": document["latent"]["width"], "prior": "normal", **latent}
    if latent.get("posterior") == "deterministic":
        kept = [value for value in model.graph.output if value.name != "logvar"]
        del model.graph.output[:]
        model.graph.output.extend(kept)
    manifest.attach(model, document)
    onnx.save(model, target)


@pytest.fixture
def folder(tmp_path: Path, fashion_mnist: DataSet) -> Path:
    """An image, and autoencoders: plain, plain without std, and stochastic."""
    generator = zoo.engine_path(ENGINE)
    encoder = encoder_path(generator)
    plain = {"prior": "none", "posterior": "deterministic"}
    std = {"mean": [0.0] * 32, "std": STD.tolist()}
    rewrite(generator, tmp_path / "ae.onnx", **plain, **std)
    rewrite(encoder, tmp_path / "ae.encoder.onnx", **plain, **std)
    rewrite(generator, tmp_path / "old.onnx", **plain)
    rewrite(encoder, tmp_path / "old.encoder.onnx", **plain)
    rewrite(generator, tmp_path / "stochastic.onnx", prior="none")
    shutil.copy(encoder, tmp_path / "stochastic.encoder.onnx")
    save_pictures(tmp_path, fashion_mnist.test.images[:1], names="in")
    return tmp_path


def sample_around(folder: Path, engine: str, *options: object) -> np.ndarray:
    args = ("--engine", engine, "--from", "in.png", "-n", 9, "--seed", 4, "--first", 2, *options)
    succeeds("sample", *args, "--out", "a.npy", cwd=folder)
    images: np.ndarray = np.load(folder / "a.npy")
    return images


def decode_around(folder: Path, sigma: np.ndarray | float) -> np.ndarray:
    """Decode μ + σ·ε with the shipped engine."""
    with (
        runtime.Generator(zoo.engine_path(ENGINE)) as generator,
        runtime.Encoder(encoder_path(zoo.engine_path(ENGINE))) as encoder,
        Image.open(folder / "in.png") as opened,
    ):
        mu, _ = encoder.encode(np.asarray(opened)[None, ..., None])
        noise = runtime.noise.normals(4, 2, 9, generator.latent_width)
        images: np.ndarray = generator.decode(mu + sigma * noise)
        return images


def read_posterior(folder: Path) -> np.ndarray:
    """Return σ [D] of the image by the shipped encoder."""
    with (
        runtime.Encoder(encoder_path(zoo.engine_path(ENGINE))) as encoder,
        Image.open(folder / "in.png") as opened,
    ):
        _, logvar = encoder.encode(np.asarray(opened)[None, ..., None])
    return np.exp(0.5 * logvar[0])


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert len(np.unique(found, axis=0)) == len(found), "the images differ from each other"


@pytest.mark.parametrize("engine", ["ae.onnx", "stochastic.onnx"])
def test_without_a_prior_there_is_nothing_to_sample(folder: Path, engine: str) -> None:
    said = refuses("sample", "--engine", engine, cwd=folder)
    assert re.search(rf"{engine} is an autoencoder without a prior, .*--from IMAGE", said), said
    said = refuses("interpolate", "in.png", "seed:1", "--engine", engine, cwd=folder)
    assert re.search("seed:1.*no prior", said), said


def test_around_an_image_of_an_autoencoder(folder: Path) -> None:
    assert_same(sample_around(folder, "ae.onnx"), decode_around(folder, 0.5 * STD))
    assert_same(sample_around(folder, "ae.onnx", "--spread", 2), decode_around(folder, 2 * STD))
    assert_same(sample_around(folder, "old.onnx", "--spread", 0.25), decode_around(folder, 0.25))


def test_around_an_image_of_a_posterior(folder: Path) -> None:
    sigma = read_posterior(folder)
    for engine in (ENGINE, "stochastic.onnx"):
        assert_same(sample_around(folder, engine), decode_around(folder, sigma))
        assert_same(
            sample_around(folder, engine, "--spread", 3.5), decode_around(folder, 3.5 * sigma)
        )
    np.testing.assert_array_equal(
        sample_around(folder, ENGINE), sample_around(folder, ENGINE, "--spread", 1)
    )


@pytest.mark.parametrize("engine", [ENGINE, "ae.onnx"])
def test_no_spread_is_the_reconstruction(folder: Path, engine: str) -> None:
    images = sample_around(folder, engine, "--spread", 0)
    np.testing.assert_array_equal(images, np.repeat(images[:1], 9, axis=0))
    np.testing.assert_array_equal(images, decode_around(folder, 0))


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
    said = refuses("sample", "--engine", "ae.onnx", "--out", "new.png", *options, cwd=folder)
    assert re.search(problem, said), said
