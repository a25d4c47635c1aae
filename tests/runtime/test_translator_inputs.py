"""Translators that are told what to make, or draw noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession

import runtime
import small_inputs
from adversarial_runs import write_run
from backends import ANY_GRAPH
from export import pipeline
from export.pipeline import Options
from oracles.noise import normals
from runtime.errors import ArgumentError
from small_inputs import SHAPE, close
from zoo.models.folding import to_inference
from zoo.models.weights import load_engine

NAMES = ["old", "happy"]
SEED, FIRST = 2**63 + 5, 2**32 - 9

KINDS: dict[str, dict[str, Any]] = {
    "attributes": {"attributes": NAMES},
    "noise": {"widths": [5, 40]},
    "both": {"attributes": NAMES, "widths": [30]},
    "neither": {},
}


class Small:
    """One of the small translators, and what it computes of the images that it is tested on."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.kind, self.path = kind, folder / f"{kind}.onnx"
        self.evaluate = small_inputs.translator(self.path, **KINDS[kind])
        random = np.random.default_rng(4)
        self.images = random.integers(0, 256, (50, *SHAPE)).astype(np.uint8)
        self.wanted = random.integers(0, 2, (50, 2)).astype(np.float32)

    def arguments(self, rows: slice = slice(None)) -> dict[str, Any]:
        """Return the arguments besides the images."""
        inputs: dict[str, Any] = {}
        if "attributes" in KINDS[self.kind]:
            inputs["attributes"] = self.wanted[rows]
        if "widths" in KINDS[self.kind]:
            inputs |= {"seed": SEED, "first": FIRST + (rows.start or 0)}
        return inputs

    def expected(self) -> Any:
        values, *key = (self.arguments().get(name) for name in ("attributes", "seed", "first"))
        return self.evaluate(self.images, values, *(part or 0 for part in key))


@pytest.fixture(scope="module", params=KINDS)
def small(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Small:
    return Small(tmp_path_factory.mktemp("translators"), request.param)


@pytest.fixture(params=ANY_GRAPH)
def translator(small: Small, request: pytest.FixtureRequest) -> Any:
    with runtime.Translator(small.path, backend=request.param, instances=2) as translator:
        yield translator


def test_images_are_those_of_the_formula(small: Small, translator: runtime.Translator) -> None:
    assert close(translator.translate(small.images, **small.arguments()), small.expected())
    assert translator.attributes == KINDS[small.kind].get("attributes", [])
    assert translator.manifest["schema"] == (1 if small.kind == "neither" else 2)


@pytest.mark.parametrize("batch", [1, 7, 33])
def test_parts_are_parts_of_the_whole(
    small: Small, translator: runtime.Translator, batch: int
) -> None:
    whole = translator.translate(small.images, **small.arguments())
    for start in range(batch // 2, 50, batch):
        rows = slice(start, min(start + batch, 50))
        got = translator.translate(small.images[rows], **small.arguments(rows))
        assert np.array_equal(got, whole[rows])


def test_one_row_of_attributes_is_for_all(small: Small, translator: runtime.Translator) -> None:
    if "attributes" not in KINDS[small.kind]:
        with pytest.raises(ArgumentError, match="attributes: expected none"):
            translator.translate(small.images, attributes=[1, 0])
        return
    rest = {name: small.arguments()[name] for name in small.arguments() if name != "attributes"}
    whole = translator.translate(small.images, attributes=[1, 0.5], **rest)
    each = translator.translate(small.images, attributes=[[1, 0.5]] * 50, **rest)
    assert np.array_equal(whole, each)
    assert not np.array_equal(whole, translator.translate(small.images, [0, 1], **rest))


def test_seeds_are_other_noise(small: Small, translator: runtime.Translator) -> None:
    inputs = small.arguments()
    whole = translator.translate(small.images, **inputs)
    other = translator.translate(small.images, **inputs | {"seed": 3})
    assert np.array_equal(whole, other) != ("widths" in KINDS[small.kind])
    again = translator.translate(small.images, **inputs)
    assert np.array_equal(whole, again)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        (None, "attributes: expected a value for each of old, happy, got none"),
        ([1], r"attributes: expected shape \(1, 2\), got \(1, 1\)"),
        ([[1, 0]] * 3, r"attributes: expected shape \(50, 2\), got \(3, 2\)"),
        ([1, np.nan], "attributes: expected finite values, got nan"),
        (["old", "happy"], "attributes: expected numbers"),
    ],
)
@pytest.mark.parametrize("small", ["attributes"], indirect=True)
def test_bad_attributes(
    small: Small, translator: runtime.Translator, attributes: Any, words: str
) -> None:
    with pytest.raises(ArgumentError, match=words):
        translator.translate(small.images, attributes)


# Export

STARGAN: dict[str, Any] = {
    "image_size": 16,
    "attributes": ("old", "pale", "happy"),
    "domains": ("old", "happy"),
    "widths": (8, 12),
    "blocks": 1,
    "discriminator_widths": (8, 8),
}
PIX2PIX: dict[str, Any] = {
    "image_size": 16,
    "task": "edges",
    "widths": (8, 12, 12),
    "discriminator_widths": (8, 8),
}


def exported(folder: Path, name: str, options: dict[str, Any]) -> tuple[Path, Any]:
    """The main engine of a translator with random weights, and the model."""
    model = write_run(folder / "run", name, options)
    pipeline.export(folder / "run", folder / f"{name}.onnx", Options(weights="fp32"))
    return folder / f"{name}.onnx", model


@pytest.fixture(scope="module")
def stargan(tmp_path_factory: pytest.TempPathFactory, quick_throughput: None) -> tuple[Path, Any]:
    return exported(tmp_path_factory.mktemp("stargan"), "stargan", STARGAN)


@pytest.fixture(scope="module")
def pix2pix(tmp_path_factory: pytest.TempPathFactory, quick_throughput: None) -> tuple[Path, Any]:
    return exported(tmp_path_factory.mktemp("pix2pix"), "pix2pix-edges", PIX2PIX)


def levels_of(made: torch.Tensor) -> Any:
    return 255 * made.permute(0, 2, 3, 1).numpy().astype(np.float64)


def unit(images: Any) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255


def pictures(*shape: int) -> Any:
    return np.random.default_rng(5).integers(0, 256, shape).astype(np.uint8)


def test_exported_translators_are_told_attributes(stargan: tuple[Path, Any]) -> None:
    path, model = stargan
    document = runtime.manifest.read(path)
    assert document["schema"] == 2 and document["task"] == "domains"
    assert document["condition"] == {"kind": "attributes", "names": ["old", "happy"]}
    images = pictures(12, 16, 16, 3)
    target = np.random.default_rng(6).integers(0, 2, (12, 2)).astype(np.float32)
    with torch.no_grad():
        expected = levels_of(model.translate(unit(images), torch.from_numpy(target)))
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (stock,) = session.run(None, {"input": images, "attributes": target})
    assert np.abs(stock - expected).max() <= 0.5 + 5e-2
    for backend in ANY_GRAPH:
        with runtime.Translator(path, backend=backend) as translator:
            assert translator.attributes == ["old", "happy"]
            got = translator.translate(images, target)
            assert np.abs(got - expected).max() <= 0.5 + 5e-2
            assert not np.array_equal(got, translator.translate(images, 1 - target))


def test_the_classifier_of_a_translator_is_exported_too(stargan: tuple[Path, Any]) -> None:
    path, model = stargan
    images = pictures(12, 16, 16, 3)
    with torch.no_grad():
        expected = model.classifier.scores(unit(images)).numpy()
    with runtime.Classifier(path.with_name("stargan.classifier.onnx")) as classifier:
        assert classifier.names == list(model.classifier.names)
        assert classifier.kind == "multilabel"
        np.testing.assert_allclose(classifier.classify(images), expected, rtol=0, atol=1e-5)


def test_exported_translators_draw_noise(pix2pix: tuple[Path, Any]) -> None:
    path, model = pix2pix
    document = runtime.manifest.read(path)
    widths = enumerate(model.noise_widths, 1)
    layers = [{"stream": stream, "width": width} for stream, width in widths]
    assert document["schema"] == 2 and document["noise"]["streams"] == {"layers": layers}
    images = pictures(12, 16, 16, 1)

    def noise(stream: int, width: int) -> torch.Tensor:
        return torch.from_numpy(normals(SEED, FIRST, 12, width, stream)).float()

    with torch.no_grad():
        expected = levels_of(model.translate(unit(images), noise))
    words = np.array([SEED, FIRST], np.uint64).view(np.int64)
    session = InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (stock,) = session.run(None, {"input": images, "seed": words[:1], "first": words[1:]})
    assert np.abs(stock - expected).max() <= 0.5 + 5e-2
    for backend in ANY_GRAPH:
        with runtime.Translator(path, backend=backend) as translator:
            got = translator.translate(images, seed=SEED, first=FIRST)
            assert np.abs(got - expected).max() <= 0.5 + 5e-2
            assert not np.array_equal(got, translator.translate(images))
            assert translator.attributes == []


def test_translators_come_back_from_their_engines(
    stargan: tuple[Path, Any], pix2pix: tuple[Path, Any]
) -> None:
    for path, model in (stargan, pix2pix):
        again, _ = load_engine(path)
        own = to_inference(model, classifies=path.stem == "stargan").state_dict()
        for name, value in again.state_dict().items():
            # Of the discriminator an engine has no more than its classifier.
            if not name.startswith("discriminator.judge"):
                assert torch.equal(value, own[name]), name
