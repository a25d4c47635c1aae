"""Requests with a key for each image: a seed and an index, in place of seed and first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from backends import BACKENDS
from runtime import Generator, Translator
from runtime.errors import ArgumentError
from zoo import engine_path

LARGEST = 2**64 - 1
# Series of consecutive images, single ones, a repeated one, and the ends of both ranges.
KEYS = np.array(
    [(7, 3), (7, 4), (7, 5), (0, 0), (7, 6), (9, 2**40), (LARGEST, LARGEST), (LARGEST, 0), (7, 3)]
    + [(11, index) for index in range(40, 52)],
    np.uint64,
)


def one_by_one(generator: Generator, **options: Any) -> NDArray[Any]:
    labels = options.pop("labels", None)
    rows = []
    for row, (seed, index) in enumerate(KEYS.tolist()):
        own = options if labels is None else {**options, "labels": labels[row]}
        rows.append(generator.sample(1, seed=seed, first=index, **own)[0])
    return np.stack(rows)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("linear-ae", {"mu": np.zeros(32, np.float32), "logvar": np.full(32, -1.0, np.float32)}),
        ("vae", {}),
        ("vae", {"prior": "mixture"}),
        ("cgan", {}),
        ("cgan", {"labels": [row % 10 for row in range(len(KEYS))]}),
        ("cgan", {"labels": [3, 1, 4, 1, 5], "cycle": True}),
        ("stylegan", {"truncation": 0.7, "noise": 0.5}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_every_image_is_that_of_its_key(engine: str, options: dict[str, Any], backend: str) -> None:
    with Generator(engine_path(f"{engine}.onnx"), backend=backend) as generator:
        if "mu" in options:
            width = generator.latent_width
            options = {name: value[:1].repeat(width) for name, value in options.items()}
        images = generator.sample(len(KEYS), keys=KEYS, **options)
        alone = dict(options)
        if options.get("cycle"):
            labels = alone.pop("labels")
            alone.pop("cycle")
            alone["labels"] = [labels[index % len(labels)] for index in KEYS[:, 1].tolist()]
        assert np.array_equal(images, one_by_one(generator, **alone))
        again = generator.sample(len(KEYS), keys=KEYS.tolist(), batch=4, **options)
        assert np.array_equal(images, again)
        assert len(np.unique(images, axis=0)) >= len(KEYS) - 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_layers_of_a_decoded_image_draw_the_noise_of_its_key(backend: str) -> None:
    with Generator(engine_path("stylegan.onnx"), backend=backend) as generator:
        latents = np.random.default_rng(0).normal(size=(len(KEYS), generator.latent_width))
        latents = latents.astype(np.float32)
        images = generator.decode(latents, keys=KEYS)
        for row, (seed, index) in enumerate(KEYS.tolist()):
            alone = generator.decode(latents[row : row + 1], seed=seed, first=index)
            assert np.array_equal(images[row], alone[0])
        assert not np.array_equal(images, generator.decode(latents))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_translated_image_has_the_noise_of_its_key(backend: str) -> None:
    with Translator(engine_path("pix2pix-edges.onnx"), backend=backend) as translator:
        pictures = np.random.default_rng(0).integers(
            0, 256, (len(KEYS), *translator.input_shape), np.uint8
        )
        images = translator.translate(pictures, keys=KEYS)
        for row, (seed, index) in enumerate(KEYS.tolist()):
            alone = translator.translate(pictures[row : row + 1], seed=seed, first=index)
            assert np.array_equal(images[row], alone[0])
        assert not np.array_equal(images, translator.translate(pictures))


def test_consecutive_keys_are_a_range_of_a_run() -> None:
    with Generator(engine_path("vae.onnx")) as generator:
        keys = np.array([(5, 100 + row) for row in range(50)])
        assert np.array_equal(
            generator.sample(50, keys=keys), generator.sample(50, seed=5, first=100)
        )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([(0, 1)], r"keys: expected shape \(2, 2\), got \(1, 2\)"),
        ([0, 1], r"keys: expected shape \(2, 2\), got \(2,\)"),
        (np.zeros((2, 2)), "keys: expected integers of 64 bits, got dtype float64"),
        ([(0.5, 1), (0, 2)], "keys: expected an integer, got 0.5"),
        ([(0, -1), (0, 2)], "keys: expected integers of at least 0, got -1"),
        ([(0, 2**64), (0, 2)], "keys: expected an integer of 64 bits"),
        ([("a", "b"), ("c", "d")], "keys: expected integers of 64 bits"),
        ([(0, 1), (0,)], "keys: expected an array"),
    ],
)
def test_bad_keys(keys: Any, message: str) -> None:
    with Generator(engine_path("vae.onnx")) as generator:
        with pytest.raises(ArgumentError, match=message):
            generator.sample(2, keys=keys)
        with pytest.raises(ArgumentError, match=message):
            generator.decode(np.zeros((2, generator.latent_width), np.float32), keys=keys)


def test_keys_stand_in_place_of_seed_and_first() -> None:
    keys = np.zeros((2, 2), np.uint64)
    message = "keys: expected none beside seed or first"
    with Generator(engine_path("vae.onnx")) as generator:
        latents = np.zeros((2, generator.latent_width), np.float32)
        for other in ({"seed": 1}, {"first": 1}):
            with pytest.raises(ArgumentError, match=message):
                generator.sample(2, keys=keys, **other)
            with pytest.raises(ArgumentError, match=message):
                generator.decode(latents, keys=keys, **other)
        with pytest.raises(ArgumentError, match="keys: expected none for a stream"):
            generator.stream(2, keys=keys)
