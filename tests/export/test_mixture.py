"""Learned priors: fits of Gaussian mixtures, and samples of exported files."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import runtime
from backends import BACKENDS
from benchmarks import cpu_cases
from changed_engines import changed
from export import mixture, pipeline
from export.errors import ExportError
from export.mixture import STREAM, GaussianMixture
from export.plan import graph
from export.stock import Session
from exported import GREY, write_run
from oracles.noise import normals
from runtime.errors import ArgumentError, ManifestError
from zoo import sample
from zoo.engines import WEIGHTS
from zoo.images.read import read_image

ROWS = 40
KEY = {"seed": 2**63 + 5, "first": 2**32 - 20}

Array = NDArray[Any]


def known_mixture(full: bool) -> GaussianMixture:
    random = np.random.default_rng(3)
    means = np.array([[4.0, 0, 0], [-4, 1, 0], [0, -5, 3]])
    scales = np.tril(random.normal(0, 0.4, (3, 3, 3))) + np.eye(3)
    if not full:
        scales = np.abs(np.diagonal(scales, axis1=1, axis2=2))
    return GaussianMixture(np.array([0.5, 0.3, 0.2]), means, scales)


def draw(known: GaussianMixture, count: int, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    drawn: Array = known.transform(
        random.standard_normal((count, 3)), random.standard_normal(count)
    )
    return drawn.astype(np.float64)


def test_samples_have_the_moments_of_the_mixture() -> None:
    known = known_mixture(full=True)
    x = draw(known, 200_000)
    mean = known.weights @ known.means
    covariance = -np.outer(mean, mean)
    for weight, centre, scale in zip(known.weights, known.means, known.scales, strict=True):
        covariance += weight * (scale @ scale.T + np.outer(centre, centre))
    np.testing.assert_allclose(x.mean(0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.12)
    shares = np.diff([NormalDist().cdf(float(z)) for z in known.thresholds], prepend=0, append=1)
    np.testing.assert_allclose(shares, known.weights, atol=1e-6)


@pytest.mark.parametrize("kind", ["full", "diag"])
def test_one_component_is_the_sample_mean_and_covariance(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixture, "CANDIDATES", ((1, kind),))
    x = draw(known_mixture(full=True), 500)
    fitted = mixture.choose(x, x)
    assert fitted is not None
    np.testing.assert_allclose(fitted.means[0], x.mean(0), rtol=1e-3)
    covariance = np.cov(x.T, bias=True) + mixture.LEAST_VARIANCE * np.eye(3)
    if kind == "full":
        np.testing.assert_allclose(fitted.scales[0] @ fitted.scales[0].T, covariance, rtol=5e-3)
    else:
        np.testing.assert_allclose(fitted.scales[0] ** 2, np.diag(covariance), rtol=5e-3)


def test_the_choice_recovers_a_known_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one with the best likelihood of held-out latents, and up to the components' order."""
    known = known_mixture(full=True)
    candidates = ((1, "full"), (3, "full"), (3, "diag"), (40, "full"))
    monkeypatch.setattr(mixture, "CANDIDATES", candidates)
    chosen = mixture.choose(draw(known, 2000), draw(known, 2000, seed=1))
    assert chosen is not None and chosen.is_full and len(chosen.weights) == 3
    order = [int(np.square(chosen.means - mean).sum(1).argmin()) for mean in known.means]
    np.testing.assert_allclose(chosen.means[order], known.means, atol=0.2)
    np.testing.assert_allclose(chosen.weights[order], known.weights, atol=0.03)
    np.testing.assert_array_equal(chosen.means.astype(np.float16), chosen.means)
    assert mixture.choose(draw(known, 9), draw(known, 9)) is None
    with pytest.raises(ExportError, match="do not fit half precision"):
        mixture.choose(draw(known, 2000) * 1e5, draw(known, 2000))


@pytest.fixture(scope="module", params=["full", "diagonal"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generator of a VAE with a learned prior of that covariance."""
    folder = tmp_path_factory.mktemp("mixture")
    write_run(folder / "run", GREY)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (600, 12, 12, 1), np.uint8)
    np.savez(folder / "set.npz", images=images)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixture, "CANDIDATES", ((7, request.param[:4]),))
        patch.setattr("export.throughput.SECONDS", 1e-3)
        options = pipeline.Options(data=str(folder / "set.npz"))
        pipeline.export(folder / "run", folder / "vae.onnx", options)
    document = runtime.manifest.verify(folder / "vae.onnx")
    assert document["latent"]["mixture"]["covariance"] == request.param
    return folder / "vae.onnx"


def latents(path: Path, rows: int = ROWS) -> Array:
    """Return the latents of samples, in double precision from the manifest's numbers."""
    import base64

    field = runtime.manifest.read(path)["latent"]["mixture"]
    width, components = GREY.latent, len(field["thresholds"]) + 1
    numbers = np.frombuffer(base64.b64decode(field["parameters"]), "<f2").astype(np.float64)
    means = numbers[: components * width].reshape(components, width)
    rest = numbers[components * width :].reshape(components, -1)
    scales = np.zeros((components, width, width))
    if field["covariance"] == "full":
        scales[:, *np.tril_indices(width)] = rest
    else:
        scales[:, range(width), range(width)] = rest
    choice = normals(KEY["seed"], KEY["first"], rows, 1, STREAM)[:, 0]
    k = np.searchsorted(np.array(field["thresholds"]), choice)
    eps = normals(KEY["seed"], KEY["first"], rows, width)
    moved: Array = means[k] + np.einsum("nij,nj->ni", scales[k], eps)
    return moved


def within_one_level(got: Array, expected: Array) -> bool:
    difference = np.abs(got.astype(int) - expected)
    return bool(difference.max() <= 1 and difference.mean() < 0.01)


@pytest.mark.parametrize("backend", BACKENDS)
def test_samples_are_those_of_the_definition(engine: Path, backend: str) -> None:
    with runtime.Generator(engine, backend=backend, instances=2) as generator:
        images = generator.sample(ROWS, prior="mixture", **KEY)
        expected = generator.decode(latents(engine).astype(np.float32))
        assert within_one_level(images, expected)
        # They differ from those of N(0, I), which the learned prior does not change.
        plain = generator.decode(
            normals(KEY["seed"], KEY["first"], ROWS, GREY.latent).astype(np.float32)
        )
        assert within_one_level(generator.sample(ROWS, **KEY), plain)
        assert np.abs(images.astype(int) - plain).mean() > 1
        for batch in (1, 3, 16):
            again = generator.sample(ROWS, prior="mixture", batch=batch, **KEY)
            np.testing.assert_array_equal(again, images)
        later = {"seed": KEY["seed"], "first": KEY["first"] + 13}
        np.testing.assert_array_equal(generator.sample(9, prior="mixture", **later), images[13:22])
        with generator.stream(ROWS, batch=7, prior="mixture", **KEY) as stream:
            np.testing.assert_array_equal(np.concatenate(list(stream)), images)


def test_stock_onnx_runtime_samples_both_priors(engine: Path) -> None:
    session = Session(engine.read_bytes())
    on, off = np.ones(1, np.float32), np.zeros(1, np.float32)
    with runtime.Generator(engine, backend="onnxruntime") as generator:
        for prior, mixture in (("normal", off), ("mixture", on)):
            drawn = session.sample(ROWS, GREY.latent, *KEY.values(), mixture=mixture)["image"]
            assert within_one_level(drawn, generator.sample(ROWS, prior=prior, **KEY))


def test_the_command(engine: Path, tmp_path: Path) -> None:
    out = tmp_path / "images"
    arguments = ["--engine", str(engine), "-n", "2", "--prior", "mixture", "--out", f"{out}/"]
    result = CliRunner().invoke(sample.main, arguments)
    assert result.exit_code == 0, result.output
    with runtime.Generator(engine) as generator:
        assert generator.priors == ["normal", "mixture"]
        expected = generator.sample(2, prior="mixture")
    for path, image in zip(sorted(out.iterdir()), expected, strict=True):
        np.testing.assert_array_equal(read_image(str(path), image.shape), image)


def test_engines_without_a_learned_prior() -> None:
    with runtime.Generator(WEIGHTS / "dcgan.onnx") as generator:
        assert generator.priors == ["normal"]
        with pytest.raises(ArgumentError, match=r"dcgan\.onnx' has no mixture, expected normal"):
            generator.sample(1, prior="mixture")
        with pytest.raises(ArgumentError, match="has no mixture"):
            generator.stream(1, prior="mixture")
    with runtime.Generator(WEIGHTS / "sparse-ae.onnx") as generator:
        assert generator.priors == []
    arguments = ["--engine", "dcgan", "--prior", "mixture"]
    result = CliRunner().invoke(sample.main, arguments, standalone_mode=False)
    assert "dcgan.onnx has no learned prior" in str(result.exception)


def test_bad_priors(engine: Path) -> None:
    zeros = np.zeros(GREY.latent, np.float32)
    with runtime.Generator(engine) as generator:
        for prior in ("uniform", "", None, 1, b"mixture"):
            with pytest.raises(ArgumentError, match="prior: expected 'normal' or 'mixture', got"):
                generator.sample(1, prior=prior)  # type: ignore[arg-type]
        with pytest.raises(ArgumentError, match="prior: expected normal, because mu and logvar"):
            generator.sample(1, prior="mixture", mu=zeros, logvar=zeros)


def field(**values: Any) -> Any:
    def edit(document: dict[str, Any]) -> None:
        document["latent"]["mixture"] |= values

    return edit


def old_schema(document: dict[str, Any]) -> None:
    document["schema"] = 2


def no_object(document: dict[str, Any]) -> None:
    document["latent"]["mixture"] = [1]


def no_prior(document: dict[str, Any]) -> None:
    document["latent"]["prior"] = "none"


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (old_schema, "'schema': expected 3 with latent.mixture, got 2"),
        (no_object, "'latent.mixture': expected an object"),
        (no_prior, "'latent.prior': expected normal with latent.mixture"),
        (field(stream=-1), "'latent.mixture.stream': expected an integer from 0"),
        (field(stream=0), "'latent.mixture.stream': expected a stream that is not in use, got 0"),
        (field(covariance="round"), "'latent.mixture.covariance': expected"),
        (field(thresholds=None), "'latent.mixture.thresholds': expected fewer than 4096 numbers"),
        (field(thresholds=[1.0, 0.5]), "'latent.mixture.thresholds': expected ascending numbers"),
        (field(thresholds=[0.5, "1"]), "'latent.mixture.thresholds': expected 2 finite numbers"),
        (field(thresholds=[]), "numbers in half precision, in base64, got"),
        (field(parameters=7), "numbers in half precision, in base64"),
        (field(parameters="AAA"), "numbers in half precision, in base64"),
        (field(parameters="AA=A"), "numbers in half precision, in base64"),
        (field(parameters="A?=="), "numbers in half precision, in base64"),
        (field(thresholds=[], parameters="AHwA"), "numbers in half precision"),
    ],
)
def test_bad_manifests(engine: Path, tmp_path: Path, edit: Any, words: str) -> None:
    path = changed(engine, tmp_path, edit)
    with pytest.raises(ManifestError) as caught:
        runtime.Generator(path)
    assert words in str(caught.value)


def test_numbers_that_are_not_finite(engine: Path, tmp_path: Path) -> None:
    import base64

    text = runtime.manifest.read(engine)["latent"]["mixture"]["parameters"]
    numbers = bytearray(base64.b64decode(text))
    numbers[-2:] = np.float16(np.inf).tobytes()
    path = changed(engine, tmp_path, field(parameters=base64.b64encode(numbers).decode()))
    with pytest.raises(ManifestError, match="expected finite numbers"):
        runtime.Generator(path)


def test_graphs_must_draw_the_component(engine: Path, tmp_path: Path) -> None:
    path = changed(engine, tmp_path, field(stream=99))
    with pytest.raises(runtime.errors.EngineFileError, match="noise stream 68, which is not in"):
        runtime.Generator(path)


def test_plans_and_peers_decode_the_latent_itself(engine: Path) -> None:
    for prepared in (
        graph.prepare(onnx.load(engine), runtime.manifest.read(engine)),
        cpu_cases.stock_graph(engine),
    ):
        assert [entry.name for entry in prepared.graph.input] == ["latent"]
        assert not {"Where", "Gather", "Greater"} & {node.op_type for node in prepared.graph.node}
