"""Style-based generators: noise of their layers, truncation, and their two halves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_inputs
from oracles.noise import normals
from small_engines import manifest
from small_inputs import NOISE, SHAPE, STYLE, WIDTH, Style

import runtime
from runtime.errors import ArgumentError, EngineFileError, ManifestError

BACKENDS = ["onnxruntime", "openvino"]
SEED, FIRST = 2**63 + 5, 2**32 - 9


@dataclass(frozen=True)
class Small:
    """The small family in a folder, and what it computes."""

    folder: Path
    style: Style

    def path(self, role: str = "") -> Path:
        return self.folder / (f"small.{role}.onnx" if role else "small.onnx")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("style")
    return Small(folder, small_inputs.style(folder, "small"))


@pytest.fixture(scope="module", params=BACKENDS)
def generator(small: Small, request: pytest.FixtureRequest) -> Any:
    with runtime.Generator(small.path(), backend=request.param, instances=2) as generator:
        yield generator


def close(got: Any, wanted: Any) -> bool:
    difference = np.abs(got.astype(int) - wanted)
    return bool(difference.max() <= 1 and difference.mean() < 0.01)


@pytest.mark.parametrize("truncation", [1.0, 0.7, 0.0, 1.5])
@pytest.mark.parametrize("scale", [1.0, 0.25, 0.0])
def test_images_are_those_of_the_formula(
    small: Small, generator: runtime.Generator, truncation: float, scale: float
) -> None:
    got = generator.sample(40, SEED, FIRST, truncation=truncation, noise=scale)
    assert close(got, small.style.sample(40, SEED, FIRST, truncation, scale))


def test_truncation_and_noise_change_images(generator: runtime.Generator) -> None:
    whole = generator.sample(8, SEED)
    assert not close(generator.sample(8, SEED, truncation=0.5), whole.astype(int))
    assert not close(generator.sample(8, SEED, noise=0.0), whole.astype(int))
    mean = generator.sample(8, SEED, truncation=0, noise=0)
    assert (mean == mean[0]).all()


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_and_offsets_do_not_change_images(generator: runtime.Generator, batch: int) -> None:
    options: Any = {"truncation": 0.8, "noise": 0.5}
    whole = generator.sample(70, SEED, FIRST, **options)
    assert np.array_equal(generator.sample(70, SEED, FIRST, batch=batch, **options), whole)
    part = generator.sample(17, SEED, FIRST + 33, batch=batch, **options)
    assert np.array_equal(part, whole[33:50])
    with generator.stream(70, SEED, FIRST, batch=batch, **options) as stream:
        assert np.array_equal(np.concatenate(list(stream)), whole)


def test_backends_and_instances_agree(small: Small) -> None:
    with (
        runtime.Generator(small.path(), backend="onnxruntime", instances=1) as one,
        runtime.Generator(small.path(), backend="onnxruntime", instances=3) as same,
        runtime.Generator(small.path(), backend="openvino", instances=3) as other,
    ):
        images = one.sample(50, SEED, truncation=0.6)
        assert np.array_equal(same.sample(50, SEED, truncation=0.6), images)
        assert close(other.sample(50, SEED, truncation=0.6), images.astype(int))


def test_a_latent_alone_has_one_image(small: Small, generator: runtime.Generator) -> None:
    latents = runtime.noise.normals(SEED, FIRST, 30, WIDTH)
    whole = generator.decode(latents)
    assert close(whole, small.style.sample(30, SEED, FIRST, scale=0))
    order = np.random.default_rng(0).permutation(30)
    assert np.array_equal(generator.decode(latents[order]), whole[order])
    truncated = generator.decode(latents, truncation=0.5)
    assert close(truncated, small.style.sample(30, SEED, FIRST, 0.5, scale=0))


def test_latents_with_a_seed_are_the_samples(generator: runtime.Generator) -> None:
    latents = runtime.noise.normals(SEED, FIRST, 30, WIDTH)
    for truncation in (1.0, 0.5):
        decoded = generator.decode(latents, seed=SEED, first=FIRST, truncation=truncation)
        sampled = generator.sample(30, SEED, FIRST, truncation=truncation)
        assert np.array_equal(decoded, sampled)
    other = generator.decode(latents, seed=SEED + 1, first=FIRST)
    assert not np.array_equal(other, sampled)
    part = generator.decode(latents[11:], seed=SEED, first=FIRST + 11)
    assert np.array_equal(part, generator.sample(19, SEED, FIRST + 11))


def test_a_way_is_without_noise(small: Small, generator: runtime.Generator) -> None:
    a, b = normals(1, 0, 1, WIDTH)[0], normals(2, 0, 1, WIDTH)[0]
    points = a + (b - a) * np.arange(6)[:, None] / 5
    styles = small.style.styles(points, 0.75)
    expected = small.style.synthesis(np.stack([styles] * 2, 1))
    assert close(generator.interpolate(a, b, 5, truncation=0.75), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_halves_make_the_whole(small: Small, backend: str) -> None:
    latents = runtime.noise.normals(SEED, FIRST, 40, WIDTH)
    with (
        runtime.Generator(small.path(), backend=backend) as generator,
        runtime.Mapping(small.path("mapping"), backend=backend) as mapping,
        runtime.Generator(small.path("synthesis"), backend=backend) as synthesis,
    ):
        assert generator.style_layers == 2
        assert (mapping.style_width, mapping.latent_width) == (STYLE, WIDTH)
        assert np.array_equal(mapping.style_mean, small.style.mean)
        styles = mapping.map(latents)
        assert styles.dtype == np.float32
        np.testing.assert_allclose(styles, small.style.styles(latents), rtol=0, atol=1e-6)
        whole = np.concatenate([styles, styles], axis=1)
        drawn = synthesis.decode(whole, seed=SEED, first=FIRST)
        assert close(drawn, generator.sample(40, SEED, FIRST).astype(int))
        mixed = np.concatenate([styles, styles[::-1]], axis=1)
        expected = small.style.synthesis(mixed.reshape(40, 2, STYLE).astype(np.float64))
        assert close(synthesis.decode(mixed), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_styles_do_not_depend_on_the_batch(small: Small, backend: str) -> None:
    latents = runtime.noise.normals(SEED, 0, 70, WIDTH)
    with runtime.Mapping(small.path("mapping"), backend=backend) as mapping:
        # The rows of a run are as many as batch.min says at least: see export/rows.py.
        whole = mapping.map(latents)
        parts = [mapping.map(latents[start : start + 16]) for start in range(0, 70, 16)]
        np.testing.assert_allclose(np.concatenate(parts), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["truncation", "noise"])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (-0.1, "expected a finite number of at least 0, got -0.1"),
        (float("nan"), "expected a finite number of at least 0, got nan"),
        (float("inf"), "expected a finite number of at least 0, got inf"),
        ("half", "expected a number, got 'half'"),
        (None, "expected a number, got None"),
        (True, "expected a number, got True"),
    ],
)
def test_bad_scales(generator: runtime.Generator, name: str, value: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name}: {words}"):
        generator.sample(2, **{name: value})
    with pytest.raises(ArgumentError, match=f"^{name}: {words}"):
        generator.stream(2, **{name: value})
    if name == "truncation":
        with pytest.raises(ArgumentError, match=f"^{name}: {words}"):
            generator.decode(np.zeros((1, WIDTH)), truncation=value)


@pytest.mark.parametrize("name", ["truncation", "noise"])
def test_other_engines_have_neither(vae_engine: Path, name: str) -> None:
    with runtime.Generator(vae_engine) as generator:
        assert generator.style_layers == 0
        generator.sample(1, **{name: 1.0})
        with pytest.raises(ArgumentError, match=f"{name}: .*vae.onnx' has no such input"):
            generator.sample(1, **{name: 0.7})


def test_synthesis_alone_only_decodes(small: Small) -> None:
    with runtime.Generator(small.path("synthesis")) as synthesis:
        assert synthesis.prior == "none"
        for call in (
            lambda: synthesis.sample(1),
            lambda: synthesis.stream(1),
            lambda: synthesis.sample(1, mu=np.zeros(6), logvar=np.zeros(6)),
        ):
            with pytest.raises(ArgumentError, match="is a synthesis network: it decodes styles"):
                call()
        with pytest.raises(ArgumentError, match="truncation: .* has no such input"):
            synthesis.decode(np.zeros((1, 6)), truncation=0.5)
    with pytest.raises(ArgumentError, match="role 'mapping', expected 'generator' or 'synthesis'"):
        runtime.Generator(small.path("mapping"))
    with pytest.raises(ArgumentError, match="role 'generator', expected 'mapping'"):
        runtime.Mapping(small.path())


@pytest.mark.parametrize("latents", [np.zeros((2, 5)), np.zeros(WIDTH), np.zeros((0, WIDTH))])
def test_bad_latents(small: Small, latents: Any) -> None:
    with runtime.Mapping(small.path("mapping")) as mapping:
        with pytest.raises(ArgumentError, match="latents: expected shape"):
            mapping.map(latents)
        with pytest.raises(ArgumentError, match="latents: expected finite values, got nan"):
            mapping.map(np.full((2, WIDTH), np.nan))


GOOD: dict[str, Any] = {
    "schema": 2,
    "latent": {"width": 3, "prior": "normal"},
    "noise": NOISE | {"streams": {"latent": 0, "layers": [{"stream": 1, "width": 4}]}},
    "truncation": {"mean": [0.5, 0], "layers": 2, "width": 2},
}
LAYERS = "noise.streams.layers"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        (LAYERS, {}, f"'{LAYERS}': expected an array"),
        (LAYERS, [3], f"'{LAYERS}': expected objects"),
        (LAYERS, [{"stream": -1, "width": 4}], f"'{LAYERS}.stream': expected an integer"),
        (LAYERS, [{"stream": 1}], f"'{LAYERS}.width': expected a value"),
        (LAYERS, [{"stream": 1, "width": 0}], f"'{LAYERS}.width': expected an integer from 1"),
        (LAYERS, [{"stream": 0, "width": 4}], f"'{LAYERS}.stream': expected a stream that"),
        (LAYERS, [{"stream": 5, "width": 4}] * 2, f"'{LAYERS}.stream': expected a stream that"),
        ("truncation", 0.5, "'truncation': expected an object"),
        ("truncation.width", 3, r"'truncation.mean': expected 3 finite numbers"),
        ("truncation.mean", [0, None], r"'truncation.mean': expected 2 finite numbers"),
        ("truncation.layers", 0, "'truncation.layers': expected an integer from 1"),
        ("schema", 1, "'schema': expected 2 with noise.streams.layers"),
    ],
)
def test_bad_manifests(field: str, value: Any, words: str) -> None:
    document = manifest("generator", SHAPE, **GOOD)
    assert runtime.manifest.validate(document) == document
    at = document = runtime.manifest.validate(document)
    *parents, last = field.split(".")
    for parent in parents:
        at = at[parent]
    at[last] = value
    with pytest.raises(ManifestError, match=f"manifest field {words}"):
        runtime.manifest.validate(document)


def test_a_mapping_must_say_its_styles() -> None:
    document = manifest("mapping", SHAPE, schema=2, latent=GOOD["latent"])
    with pytest.raises(ManifestError, match="'truncation': expected a value"):
        runtime.manifest.validate(document)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("missing", ["truncation", "noise"])
def test_a_graph_without_its_inputs_is_refused(
    small: Small, tmp_path: Path, backend: str, missing: str
) -> None:
    import onnx

    model = onnx.load(small.path())
    for entry in model.graph.input:
        if entry.name == missing:
            entry.name = "another"
    for node in model.graph.node:
        node.input[:] = ["another" if name == missing else name for name in node.input]
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(EngineFileError, match=f"its graph has no input '{missing}'"):
        runtime.Generator(path, backend=backend)
