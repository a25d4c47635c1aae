"""The shipped engines do what their models are for, measured on held-out images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.decomposition import PCA

import runtime
from benchmarks import translators
from plan_runs import KINDS
from zoo import corruption, data, engine_path
from zoo.applications import editing
from zoo.data import DataSet
from zoo.engines import WEIGHTS, encoder_path, shipped
from zoo.evaluation.quality import psnr
from zoo.models import registry
from zoo.models.weights import load_engine, load_generator
from zoo.training.task import make_task

ENTRIES = list(registry.MODELS.values())
LATENT = [entry.name for entry in ENTRIES if "encoder" in entry.roles]


HELD_OUT = ("validation", "test")
"""Parts of a data set that manifests report on; older manifests use the test images."""


def read_measurement(name: str, measurement: str) -> float:
    """Return a measurement on held-out images from the manifest."""
    metrics = runtime.manifest.read(WEIGHTS / f"{name}.onnx")["training"]["metrics"]
    (value,) = (
        metrics[f"{part}_{measurement}"] for part in HELD_OUT if f"{part}_{measurement}" in metrics
    )
    return value


@pytest.fixture(scope="module")
def faces() -> DataSet:
    return data.load("faces")


@pytest.fixture(scope="module")
def pixels(fashion_mnist: DataSet) -> tuple[np.ndarray, np.ndarray]:
    """Training and test images of Fashion-MNIST as rows of float64 in [0, 1]."""
    train, test = (
        split.images.reshape(len(split), -1) / 255.0
        for split in (fashion_mnist.train, fashion_mnist.test)
    )
    return train, test


@contextmanager
def open_pair(name: str) -> Iterator[tuple[runtime.Encoder, runtime.Generator]]:
    """Open the encoder and generator of a shipped model."""
    path = engine_path(f"{name}.onnx")
    with runtime.Encoder(encoder_path(path)) as encoder, runtime.Generator(path) as generator:
        yield encoder, generator


def reconstruction_error(name: str, images: np.ndarray) -> float:
    """Return the mean squared error per pixel, in [0, 1]² units."""
    with open_pair(name) as (encoder, generator):
        copies = generator.decode(encoder.embed(images))
    return float(((copies.astype(float) - images) ** 2).mean() / 255**2)


# All of them


def test_every_model_is_shipped_and_nothing_else() -> None:
    expected = {file for entry in ENTRIES for file in entry.engine_files().values()}
    assert {path.name for path in WEIGHTS.glob("*.onnx")} == expected
    assert shipped() == sorted(f"{entry.name}.onnx" for entry in ENTRIES)


def test_weights_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 29.7e6


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_manifests_tell_the_training(entry: registry.ModelEntry) -> None:
    for role, file in entry.engine_files().items():
        document = runtime.manifest.read(WEIGHTS / file)
        training = document["training"]
        assert document["model"] == entry.name and document["role"] == role
        assert data.find_named(training["data"]) in ("fashion-mnist", "faces")
        whole = training["recipe"]["epochs"]
        # Of an adversarial run the best epoch is shipped, if by other measurements than today's.
        best = make_task(entry).best is not None
        assert 0.5 * whole < training["epochs"] <= whole if best else training["epochs"] == whole
        assert training["metrics"] and all(np.isfinite(list(training["metrics"].values())))
        assert set(document["throughput"]) >= {"onnxruntime", "openvino"}
        if "encoder" in entry.roles:
            latent = document["latent"]
            assert len(latent["mean"]) == len(latent["std"]) == latent["width"]
            assert max(latent["std"]) > 0


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_recipes_are_those_that_made_the_engines(entry: registry.ModelEntry) -> None:
    from recipes import shipped as recipe_of
    from zoo.training.recipe import from_dict, to_dict

    recipe, _ = recipe_of(entry.name)
    told = runtime.manifest.read(WEIGHTS / f"{entry.name}.onnx")["training"]["recipe"]
    assert to_dict(from_dict(told)) == to_dict(recipe)


KEY = {"seed": np.array([3], np.int64), "first": np.array([40], np.int64)}


def by_runtime(role: str, path: Path, rows: int = 5) -> tuple[dict[str, Any], list[Any]]:
    """Return inputs for the graph in a file, and the outputs of our ONNX Runtime backend."""
    random = np.random.default_rng(0)
    with KINDS[role](path, backend="onnxruntime") as engine:
        document = engine.manifest
        size = document.get("input", document["image"])
        shape = (rows, size["height"], size["width"], size["channels"])
        images = random.integers(0, 256, shape).astype(np.uint8)
        latents = random.standard_normal((rows, document.get("latent", {}).get("width", 0)))
        latents = latents.astype(np.float32)
        feed: dict[str, Any]
        if role == "generator":
            feed = {"mu": latents, "logvar": np.full_like(latents, -np.inf)} | KEY
            options: dict[str, Any] = {}
            if "condition" in document:
                feed["label"] = options["labels"] = np.arange(rows) % document["condition"]["count"]
            if "mixture" in document["latent"]:
                feed["mixture"] = np.zeros(1, np.float32)
            if "truncation" in document:
                feed |= {"truncation": np.array([0.5], np.float32), "noise": np.ones(1, np.float32)}
                options = {"truncation": 0.5, "seed": 3, "first": 40}
            return feed, [engine.decode(latents, **options)]
        if role == "mapping":
            return {"latent": latents}, [engine.map(latents)]
        if role == "synthesis":
            feed = {"latent": latents, "noise": np.ones(1, np.float32)} | KEY
            return feed, [engine.decode(latents, seed=3, first=40)]
        if role == "encoder":
            return {"image": images}, engine.encode(images)[: 1 if engine.deterministic else 2]
        if role == "translator" and engine.attributes:
            attributes = random.integers(0, 2, (rows, len(engine.attributes)))
            feed = {"input": images, "attributes": attributes.astype(np.float32)}
            return feed, [engine.translate(images, attributes)]
        if role == "translator":
            feed = {"input": images} | (KEY if "noise" in document else {})
            return feed, [engine.translate(images, seed=3, first=40)]
        return {"image": images}, [engine.classify(images)]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_stock_onnx_runtime_gives_the_same(entry: registry.ModelEntry) -> None:
    """Every file gives the same bytes in a plain session and in our backend."""
    for role, file in entry.engine_files().items():
        feed, found = by_runtime(role, WEIGHTS / file)
        session = onnxruntime.InferenceSession(WEIGHTS / file, providers=["CPUExecutionProvider"])
        assert {given.name for given in session.get_inputs()} == set(feed)
        outputs = session.run(None, feed)
        if role == "classifier":
            # The runtime leaves the features alone.
            outputs = outputs[:1]
        for got, expected in zip(found, outputs, strict=True):
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_engines_give_the_trained_model_back(entry: registry.ModelEntry) -> None:
    load = load_engine if entry.name in LATENT or "generator" not in entry.roles else load_generator
    model, config = load(WEIGHTS / f"{entry.name}.onnx")
    assert config["model"] == entry.name
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


@pytest.mark.parametrize("name", [n for n in LATENT if n not in ("vae-faces", "bigan")])
def test_reconstructions_are_as_good_as_the_manifest_says(
    name: str, fashion_mnist: DataSet
) -> None:
    metrics = runtime.manifest.read(WEIGHTS / f"{name}.onnx")["training"]["metrics"]
    for part, split in fashion_mnist.parts.items():
        if f"{part}_mse" in metrics:
            error = reconstruction_error(name, split.images)
            assert error == pytest.approx(metrics[f"{part}_mse"], rel=0.01, abs=2e-5)
    assert reconstruction_error(name, fashion_mnist.test.images) < 0.025


# One by one


def test_linear_ae_spans_the_principal_subspace(pixels: tuple[np.ndarray, np.ndarray]) -> None:
    from scipy.linalg import subspace_angles

    train, test = pixels
    model: Any = load_engine(WEIGHTS / "linear-ae.onnx")[0]
    columns = model.decoder.layers[0].weight.detach().numpy()
    assert columns.shape == (784, 16)
    pca = PCA(16, svd_solver="covariance_eigh").fit(train)
    assert np.rad2deg(subspace_angles(columns, pca.components_.T)).max() <= 2
    best = ((pca.inverse_transform(pca.transform(test)) - test) ** 2).mean()
    with torch.no_grad():
        x = torch.from_numpy(test.reshape(-1, 1, 28, 28).astype(np.float32))
        own = float((model.decoder(model.encoder(x)) - x).double().square().mean())
    assert own == pytest.approx(best, rel=0.005)


def test_undercomplete_ae_beats_pca(
    pixels: tuple[np.ndarray, np.ndarray], fashion_mnist: DataSet
) -> None:
    train, test = pixels
    error = reconstruction_error("undercomplete-ae", fashion_mnist.test.images)
    pca = PCA(32, svd_solver="covariance_eigh").fit(train)
    best = ((pca.inverse_transform(pca.transform(test)).clip(0, 1) - test) ** 2).mean()
    assert error < 0.8 * best


def test_undercomplete_ae_is_robust_to_small_changes_of_latents(fashion_mnist: DataSet) -> None:
    """Small noise on h leaves the class as it was, by the classifier; as much as h varies not."""
    with (
        open_pair("undercomplete-ae") as (encoder, generator),
        runtime.Classifier(engine_path("fashion-classifier.onnx")) as classifier,
    ):
        codes = encoder.embed(fashion_mnist.test.images[:1000])
        noise = runtime.noise.normals(0, 0, *codes.shape) * codes.std(0)

        def classify(scale: float) -> np.ndarray:
            chances = classifier.classify(generator.decode(codes + np.float32(scale) * noise))
            return chances.argmax(1)

        kept = [(classify(scale) == classify(0)).mean() for scale in (0.1, 1)]
    assert kept[0] > 0.9 and kept[1] < 0.6


def test_overcomplete_ae_does_not_copy_noise(fashion_mnist: DataSet) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1)).astype(np.uint8)
    with open_pair("overcomplete-ae") as (encoder, _):
        assert encoder.latent_width >= 784
    assert reconstruction_error("overcomplete-ae", noise) > 0.6 / 12
    assert reconstruction_error("overcomplete-ae", fashion_mnist.test.images) < 0.02


@pytest.mark.parametrize("name", ["sparse-ae", "sparse-ae-kl"])
def test_sparse_codes(name: str, fashion_mnist: DataSet) -> None:
    document = runtime.manifest.read(WEIGHTS / f"{name}.onnx")
    with open_pair(name) as (encoder, _):
        h = encoder.embed(fashion_mnist.test.images)
    if name == "sparse-ae-kl":
        rho = document["training"]["config"]["rho"]
        assert h.mean() == pytest.approx(rho, rel=0.2)
    else:
        assert (h > 1e-3).mean() < 0.3
        assert (h >= 0).all()
        # With columns of unit norm a unit cannot shrink its code and grow its column instead.
        assert (h.max(axis=0) > 0).mean() > 0.95


def test_contractive_ae_contracts(fashion_mnist: DataSet) -> None:
    """‖∂h/∂x‖² by finite differences agrees with the model, and with the manifest."""
    images = fashion_mnist.test.images[:2]
    model: Any = load_engine(WEIGHTS / "contractive-ae.onnx")[0].double()
    x = torch.from_numpy(images.transpose(0, 3, 1, 2) / 255.0)
    norms = []
    with torch.no_grad():
        for image in x:
            step = 1e-4
            moves = step * torch.eye(784, dtype=torch.float64).reshape(-1, 1, 28, 28)
            change = (model.encoder(image + moves) - model.encoder(image - moves)) / (2 * step)
            norms.append(float(change.square().sum()))
    assert norms == pytest.approx(model.jacobian_norm(x).detach().tolist(), rel=1e-5)
    assert np.mean(norms) == pytest.approx(read_measurement("contractive-ae", "jacobian"), rel=0.9)


def test_stochastic_ae_has_a_spread_and_no_prior(fashion_mnist: DataSet) -> None:
    with open_pair("stochastic-ae") as (encoder, generator):
        mu, logvar = encoder.encode(fashion_mnist.test.images[:500])
        assert np.isfinite(logvar).all() and generator.prior == "none"
        images = generator.sample(500, mu=mu, logvar=logvar)
    # log N(x; g(h), s²) of the drawn images, from the definition.
    squared = ((images.astype(float) - fashion_mnist.test.images[:500]) / 255) ** 2
    spread = read_measurement("stochastic-ae", "spread")
    density = -0.5 * squared / spread**2 - np.log(spread) - 0.5 * np.log(2 * np.pi)
    likelihood = read_measurement("stochastic-ae", "log_likelihood")
    assert density.sum((1, 2, 3)).mean() == pytest.approx(likelihood, rel=0.05)


@pytest.mark.parametrize(
    ("spec", "gain"),
    [
        ("gaussian:0.1", 3),
        ("gaussian:0.3", 6),
        ("gaussian:0.5", 7),
        ("salt-pepper:0.1", 10),
        ("salt-pepper:0.4", 10),
        ("masking:0.2", 9),
        ("masking:0.6", 8),
    ],
)
def test_denoising_ae_gains(spec: str, gain: float, fashion_mnist: DataSet) -> None:
    images = fashion_mnist.test.images[:500]
    noisy = corruption.parse(spec).apply(images, seed=77)
    with runtime.Translator(engine_path("denoising-ae.onnx")) as translator:
        made = translator.translate(noisy)
    assert (psnr(made, images) - psnr(noisy, images)).mean() > gain


def test_inpainting_ae_beats_the_mean_and_telea() -> None:
    scores = translators.inpainting(300)["psnr_inside_db"]
    assert scores.pop("inpainting-ae") > max(scores.values()) + 1


def test_colorization_ae_beats_the_mean_colour() -> None:
    differences = translators.colorization(200)["delta_e"]
    assert differences["colorization-ae"] < 0.8 * differences["training mean colour"]


def test_face_attributes_are_judged_right(faces: DataSet) -> None:
    with runtime.Classifier(engine_path("face-attributes.onnx")) as classifier:
        assert classifier.names == faces.attributes
        scores = classifier.classify(faces.test.images)
    assert faces.test.attributes is not None
    right = ((scores > 0.5) == (faces.test.attributes > 0)).mean(0)
    assert right.mean() > 0.97 and right.min() > 0.9


def test_face_features_know_the_attributes(faces: DataSet) -> None:
    with runtime.Classifier(engine_path("face-features.onnx")) as classifier:
        assert classifier.names == faces.attributes and classifier.kind == "multilabel"
        scores = classifier.classify(faces.test.images)
    assert faces.test.attributes is not None
    right = ((scores > 0.5) == (faces.test.attributes > 0)).mean(0)
    assert right.mean() > 0.99 and right.min() > 0.97
    judge = runtime.manifest.read(WEIGHTS / "face-attributes.onnx")["training"]
    training = runtime.manifest.read(WEIGHTS / "face-features.onnx")["training"]
    assert training["data"] != judge["data"]


def test_fashion_classifier_is_right(fashion_mnist: DataSet) -> None:
    with runtime.Classifier(engine_path("fashion-classifier.onnx")) as classifier:
        assert classifier.names == fashion_mnist.classes and classifier.kind == "classes"
        scores = {p: classifier.classify(fashion_mnist.parts[p].images) for p in HELD_OUT}
    assert scores["test"].sum(1) == pytest.approx(np.ones(len(scores["test"])), abs=1e-5)
    metrics = runtime.manifest.read(WEIGHTS / "fashion-classifier.onnx")["training"]["metrics"]
    for part, found in scores.items():
        accuracy = (found.argmax(1) == fashion_mnist.parts[part].labels).mean()
        assert accuracy > 0.92
        if f"{part}_accuracy" in metrics:
            assert accuracy == pytest.approx(metrics[f"{part}_accuracy"], abs=1e-3)


def test_fashion_classifier_gives_its_features(fashion_mnist: DataSet) -> None:
    """The scores follow from the features, so measuring needs no PyTorch."""
    path = WEIGHTS / "fashion-classifier.onnx"
    model: Any = load_engine(path)[0]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = fashion_mnist.test.images[:100]
    features, scores = session.run(["features", "scores"], {"image": images})
    assert 64 <= features.shape[1] <= 256 and (features >= 0).all()
    logits = features.astype(np.float64) @ model.project.weight.detach().numpy().T
    odds = np.exp(logits + model.project.bias.detach().numpy())
    assert np.allclose(odds / odds.sum(1, keepdims=True), scores, atol=1e-5)


def test_vae_is_as_good_as_it_was_trained_to_be() -> None:
    assert 0 < read_measurement("vae", "nelbo") < 245


def test_vae_faces_edits_attributes(faces: DataSet) -> None:
    """Edits of large attributes succeed, by a classifier that never saw the VAE."""
    with (
        open_pair("vae-faces") as (encoder, generator),
        runtime.Classifier(engine_path("face-attributes.onnx")) as classifier,
    ):
        directions = editing.load_directions(generator)
        assert list(directions) == faces.attributes
        latents = encoder.embed(faces.test.images[:300])
        before = classifier.classify(generator.decode(latents)) > 0.5
        for name in ("Dark_Skin", "Sunglasses", "Beard", "Long_Hair"):
            column = faces.attributes.index(name)
            edited = generator.decode(editing.edit(latents, directions, {name: 1.5}))
            after = classifier.classify(edited) > 0.5
            without = ~before[:, column]
            assert after[without, column].mean() > 0.6, name
