"""Style-based generators: layer noise, truncation, and the two halves."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

import runtime
import small_inputs
from adversarial_runs import STYLEGAN, write_run
from backends import ANY_GRAPH
from export import pipeline, rows
from export.errors import ExportError, ParityError
from export.pipeline import Options
from export.roles import generator as generators
from fixture_types import Once
from oracles.noise import normals
from runtime.errors import ArgumentError
from shell import refuses, succeeds
from small_inputs import STYLE, WIDTH, Style, close
from zoo import engine_path
from zoo.evaluation.sampling import TorchGenerator
from zoo.models.folding import fold
from zoo.models.generators import no_noise
from zoo.models.weights import load_generator

SEED, FIRST = 2**63 + 5, 2**32 - 9


@dataclass(frozen=True)
class Small:
    """The small family in a folder, and its formula."""

    folder: Path
    style: Style

    def path(self, role: str = "") -> Path:
        return self.folder / (f"small.{role}.onnx" if role else "small.onnx")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    folder = tmp_path_factory.mktemp("style")
    return Small(folder, small_inputs.style(folder, "small"))


@pytest.fixture(scope="module", params=ANY_GRAPH)
def generator(small: Small, request: pytest.FixtureRequest) -> Any:
    with runtime.Generator(small.path(), backend=request.param, instances=2) as generator:
        yield generator


@pytest.mark.parametrize("truncation", [1.0, 0.7, 0.0, 1.5])
@pytest.mark.parametrize("scale", [1.0, 0.25, 0.0])
def test_images_are_those_of_the_formula(
    small: Small, generator: runtime.Generator, truncation: float, scale: float
) -> None:
    got = generator.sample(40, SEED, FIRST, truncation=truncation, noise=scale)
    assert close(got, small.style.sample(40, SEED, FIRST, truncation, scale))


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_and_offsets_do_not_change_images(generator: runtime.Generator, batch: int) -> None:
    options: Any = {"truncation": 0.8, "noise": 0.5}
    whole = generator.sample(70, SEED, FIRST, **options)
    assert np.array_equal(generator.sample(70, SEED, FIRST, batch=batch, **options), whole)
    part = generator.sample(17, SEED, FIRST + 33, batch=batch, **options)
    assert np.array_equal(part, whole[33:50])
    with generator.stream(70, SEED, FIRST, batch=batch, **options) as stream:
        assert np.array_equal(np.concatenate(list(stream)), whole)


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


def test_interpolations_are_without_noise(small: Small, generator: runtime.Generator) -> None:
    a, b = normals(1, 0, 1, WIDTH)[0], normals(2, 0, 1, WIDTH)[0]
    points = a + (b - a) * np.arange(6)[:, None] / 5
    styles = small.style.styles(points, 0.75)
    expected = small.style.synthesis(np.stack([styles] * 2, 1))
    assert close(generator.interpolate(a, b, 5, truncation=0.75), expected)


@pytest.mark.parametrize("backend", ANY_GRAPH)
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
        images = synthesis.decode(whole, seed=SEED, first=FIRST)
        assert close(images, generator.sample(40, SEED, FIRST).astype(int))
        mixed = np.concatenate([styles, styles[::-1]], axis=1)
        expected = small.style.synthesis(mixed.reshape(40, 2, STYLE).astype(np.float64))
        assert close(synthesis.decode(mixed), expected)


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


# The command


def sampled(small: Small, folder: Path, *options: object) -> Any:
    fixed = "--engine", small.path(), "-n", 20, "--seed", SEED, "--first", FIRST
    succeeds("sample", *fixed, *options, "--out", "images.npy", cwd=folder)
    return np.load(folder / "images.npy")


def test_the_command_truncates(small: Small, tmp_path: Path) -> None:
    got = sampled(small, tmp_path, "--truncation", 0.5)
    assert close(got, small.style.sample(20, SEED, FIRST, 0.5))
    assert not close(got, small.style.sample(20, SEED, FIRST))


@pytest.mark.parametrize("scale", [0, 0.5])
def test_the_command_scales_the_noise(small: Small, tmp_path: Path, scale: float) -> None:
    got = sampled(small, tmp_path, "--noise", scale, "--truncation", 0.5)
    assert close(got, small.style.sample(20, SEED, FIRST, 0.5, scale=scale))
    assert not close(got, small.style.sample(20, SEED, FIRST, 0.5))


def test_the_command_walks_among_truncated_styles(small: Small, tmp_path: Path) -> None:
    walk = "interpolate", "seed:1", "seed:2", "--engine", small.path(), "--steps", 4
    succeeds(*walk, "--truncation", 0.5, "--out", "walk.npy", cwd=tmp_path)
    a, b = (normals(seed, 0, 1, WIDTH)[0] for seed in (1, 2))
    styles = small.style.styles(a + (b - a) * np.arange(5)[:, None] / 4, 0.5)
    expected = small.style.synthesis(np.stack([styles] * 2, 1))
    assert close(np.load(tmp_path / "walk.npy"), expected)


@pytest.mark.parametrize("truncation", [None, 0.5])
def test_the_command_mixes_styles(small: Small, tmp_path: Path, truncation: float | None) -> None:
    """The second layer has the style of the latent of stream 32."""
    options = () if truncation is None else ("--truncation", truncation)
    one, two = (
        small.style.styles(normals(SEED, FIRST, 20, WIDTH, stream), truncation or 1.0)
        for stream in (0, 32)
    )
    expected = small.style.synthesis(np.stack([one, two], 1), SEED, FIRST, scale=1.0)
    assert close(sampled(small, tmp_path, "--mix", 1, *options), expected)
    assert not close(sampled(small, tmp_path, *options), expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--mix", "0"], "--mix: expected a layer from 1 to 1, got 0"),
        (["--mix", "2"], "--mix: expected a layer from 1 to 1, got 2"),
        (["--truncation", "-0.5"], "truncation: expected a finite number of at least 0, got -0.5"),
        (["--truncation", "nan"], "truncation: expected a finite number of at least 0, got nan"),
        (["--truncation", "some"], "'some' is not a valid float"),
        (["--noise", "-0.5"], "--noise: expected a finite number of at least 0, got -0.5"),
        (["--noise", "inf"], "--noise: expected a finite number of at least 0, got inf"),
        (["--noise", "0", "--mix", "1"], "--noise cannot be combined with --mix"),
        (["--label", "0"], "--label: small.onnx is not conditional"),
    ],
)
def test_bad_options(small: Small, tmp_path: Path, options: list[str], words: str) -> None:
    assert words in refuses("sample", "--engine", small.path(), *options, cwd=tmp_path)


def test_mixing_needs_the_halves(small: Small, vae_engine: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.onnx"
    alone.write_bytes(small.path().read_bytes())
    message = refuses("sample", "--engine", alone, "--mix", 1, cwd=tmp_path)
    assert "alone.onnx needs its synthesis network to mix styles" in message
    message = refuses("sample", "--engine", vae_engine, "--mix", 1, cwd=tmp_path)
    assert "--mix: vae.onnx is not style-based" in message
    message = refuses("sample", "--engine", small.path("synthesis"), cwd=tmp_path)
    assert "without a prior" in message


# Export


@pytest.fixture(scope="module")
def exported(
    tmp_path_factory: pytest.TempPathFactory, once: Once, quick_throughput: None
) -> tuple[Path, Any]:
    """A StyleGAN with random weights: the folder of its run and engines, and the model."""
    run = tmp_path_factory.mktemp("stylegan") / "run"
    model: Any = write_run(run, "stylegan", STYLEGAN, gain=1.0)

    def export(folder: Path) -> None:
        shutil.copytree(run, folder / "run")
        pipeline.export(folder / "run", folder / "stylegan.onnx", Options(weights="fp32"))

    return once("style-engines", export), model


def levels_of_pytorch(model: Any, latents: Any, truncation: float, scale: float) -> Any:
    """Return unrounded levels of the samples from FIRST on, with the noise of the NumPy oracle."""

    def noise(stream: int, width: int) -> torch.Tensor:
        values = scale * normals(SEED, FIRST, len(latents), width, stream)
        return torch.from_numpy(values.astype(np.float32))

    with torch.no_grad():
        h = torch.from_numpy(latents.astype(np.float32))
        images = model.generator(h, truncation=truncation, noise=noise).clamp(0, 1)
    return 255 * images.permute(0, 2, 3, 1).numpy().astype(np.float64)


@pytest.mark.parametrize("shipped", [False, True])
def test_loaded_models_draw_the_noise_of_their_files(
    exported: tuple[Path, Any], shipped: bool
) -> None:
    path = engine_path("stylegan.onnx") if shipped else exported[0] / "stylegan.onnx"
    model = SimpleNamespace(generator=load_generator(path)[0])
    with runtime.Generator(path, instances=1) as engine:
        images = engine.sample(4, seed=SEED, first=FIRST)
        z = normals(SEED, FIRST, 4, engine.latent_width)
    assert np.abs(levels_of_pytorch(model, z, 1.0, 1.0) - images).max() <= 1


def test_manifests_of_exported_engines(exported: tuple[Path, Any]) -> None:
    folder, model = exported
    documents = {
        role: runtime.manifest.read(folder / f"stylegan{role}.onnx")
        for role in ("", ".mapping", ".synthesis")
    }
    assert all(document["schema"] == 2 for document in documents.values())
    layers = [{"stream": 1, "width": 16 + 16 + 64 + 64}]
    assert documents[""]["noise"]["streams"] == {"latent": 0, "layers": layers}
    assert documents[".synthesis"]["noise"]["streams"] == {"layers": layers}
    assert documents[".synthesis"]["latent"] == {"width": 64, "prior": "none"}
    for role in ("", ".mapping"):
        truncation = documents[role]["truncation"]
        assert (truncation["layers"], truncation["width"]) == (4, 16)
        mean = model.generator.style_mean.numpy()
        np.testing.assert_allclose(truncation["mean"], mean, rtol=1e-6)


@pytest.mark.parametrize(("truncation", "scale"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.0), (0.5, 0.25)])
def test_exported_engines_make_the_images_of_the_model(
    exported: tuple[Path, Any], truncation: float, scale: float
) -> None:
    folder, model = exported
    latents = normals(SEED, FIRST, 12, 16)
    expected = levels_of_pytorch(model, latents, truncation, scale)
    assert expected.std() > 10
    words = np.array([SEED, FIRST], np.uint64).view(np.int64)
    zeros = np.zeros((12, 16), np.float32)
    feed = {"mu": zeros, "logvar": zeros, "seed": words[:1], "first": words[1:]}
    feed["truncation"] = np.array([truncation], np.float32)
    feed["noise"] = np.array([scale], np.float32)
    session = InferenceSession(str(folder / "stylegan.onnx"), providers=["CPUExecutionProvider"])
    (stock,) = session.run(None, feed)
    assert np.abs(stock - expected).max() <= 0.5 + 5e-2
    for backend in ANY_GRAPH:
        with runtime.Generator(folder / "stylegan.onnx", backend=backend) as generator:
            got = generator.sample(12, SEED, FIRST, truncation=truncation, noise=scale)
            assert np.abs(got - expected).max() <= 0.5 + 5e-2


def test_rows_of_exported_engines_may_have_keys_of_their_own(exported: tuple[Path, Any]) -> None:
    """In one run of plain ONNX Runtime and in ours, the noise of the layers included."""
    path = exported[0] / "stylegan.onnx"
    keys = np.array(
        [(SEED, FIRST), (2**64 - 1, 7), (3, 2**64 - 1), (SEED, FIRST), (0, 0)], np.uint64
    )
    zeros = np.zeros((len(keys), 16), np.float32)
    scales = {name: np.ones(1, np.float32) for name in ("truncation", "noise")}
    seeds, firsts = (np.ascontiguousarray(column).view(np.int64) for column in keys.T)
    feed = {"mu": zeros, "logvar": zeros, "seed": seeds, "first": firsts, **scales}
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (stock,) = session.run(None, feed)
    for row in range(len(keys)):
        alone = {name: value[row : row + 1] for name, value in feed.items()} | scales
        assert np.array_equal(session.run(None, alone)[0][0], stock[row])
    for backend in ANY_GRAPH:
        with runtime.Generator(path, backend=backend) as generator:
            images = generator.sample(len(keys), keys=keys)
            assert np.abs(images.astype(int) - stock.astype(int)).max() <= 1
            for row, (seed, first) in enumerate(keys.tolist()):
                assert np.array_equal(images[row], generator.sample(1, seed, first)[0])


def test_only_the_mean_image_is_named_mean(exported: tuple[Path, Any]) -> None:
    """Programs find the mean image by its name, which the exporter also gives to other means."""
    names = {"": ["mean"], ".mapping": ["styles"], ".synthesis": ["mean"]}
    for role, outputs in names.items():
        part = rows.extract_float_part(onnx.load(exported[0] / f"stylegan{role}.onnx"))
        assert [output.name for output in part.graph.output] == outputs


def test_style_based_generators_are_loaded_from_engines(exported: tuple[Path, Any]) -> None:
    """Including their noise, for zoo.evaluate, which also measures the PyTorch model."""
    folder, model = exported
    latents = normals(SEED, 0, 12, 16).astype(np.float32)
    with torch.no_grad():
        z = torch.from_numpy(latents)
        still = fold(model.generator)(z, 0.5, no_noise(z))
    with runtime.Generator(folder / "stylegan.onnx") as generator:
        samples = generator.sample(12, SEED)
        assert not close(generator.decode(latents), samples)
    for path in (folder / "run", folder / "stylegan.onnx"):
        network: Any = load_generator(path)[0]
        torch.testing.assert_close(network(z, 0.5, no_noise(z)), still, rtol=0, atol=2e-4)
        (images,) = TorchGenerator(path).images(12, SEED)
        assert close(images, samples.astype(int))


def test_inversion_in_w(exported: tuple[Path, Any], tmp_path: Path) -> None:
    """The style of an image made without noise is found, and other commands accept it."""
    synthesis = exported[0] / "stylegan.synthesis.onnx"
    with (
        runtime.Mapping(exported[0] / "stylegan.mapping.onnx") as mapping,
        runtime.Generator(synthesis) as generator,
    ):
        styles = np.tile(mapping.map(normals(5, 0, 2, 16).astype(np.float32)), 4)
        np.save(tmp_path / "images.npy", generator.decode(styles))
        printed = succeeds(
            *("invert", "images.npy", "--engine", synthesis, "--save", "found.npz"),
            *("--starts", 8, "--steps", 200),
            cwd=tmp_path,
        )
        assert "2 images: PSNR" in printed
        with np.load(tmp_path / "found.npz") as result:
            assert result["latents"].shape == styles.shape
            assert result["psnr"].min() > 35
            again = generator.decode(result["latents"])
        assert np.abs(again.astype(int) - np.load(tmp_path / "images.npy")).mean() < 4
    ends = "latent:found.npz:0", "latent:found.npz:1"
    succeeds("interpolate", *ends, "--engine", synthesis, "--out", "walk.npy", cwd=tmp_path)
    assert np.array_equal(np.load(tmp_path / "walk.npy")[[0, -1]], again)
    assert "use the main file" in refuses("invert", "seed:1", "--engine", synthesis, cwd=tmp_path)


@pytest.mark.slow
def test_a_graph_whose_noise_cannot_be_turned_off_is_not_kept(
    exported: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = generators.noise_source
    monkeypatch.setattr(
        generators,
        "noise_source",
        lambda like, seed, first, scale: honest(like, seed, first, scale * 0 + 1),
    )
    with pytest.raises(ParityError) as caught:
        pipeline.export(exported[0] / "run", tmp_path / "bad.onnx")
    failed = [line for line in caught.value.report.splitlines() if line.endswith("FAILED")]
    assert any("truncation 1, noise 0: PyTorch" in line for line in failed)
    assert not list(tmp_path.iterdir())


def test_no_interpolator_of_a_style_based_generator(
    exported: tuple[Path, Any], tmp_path: Path
) -> None:
    """Refused before anything is exported."""
    options, lines = Options(interpolator="linear", runtime_check=False), list[str]()
    with pytest.raises(ExportError, match="an interpolator of a style-based generator"):
        pipeline.export(exported[0] / "run", tmp_path / "stylegan.onnx", options, lines.append)
    assert [line.split()[0] for line in lines] == ["loading"]
    assert not list(tmp_path.iterdir())
