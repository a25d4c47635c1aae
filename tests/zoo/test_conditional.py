"""Conditional generators: images of the requested classes, in every form of request."""

from __future__ import annotations

from collections.abc import Callable
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
from export.errors import ExportError, ParityError
from export.pipeline import Options
from export.roles import generator as generators
from oracles.noise import normals
from runtime.errors import ArgumentError
from shell import refuses, succeeds
from small_inputs import CLASSES, WIDTH, close

SEED, FIRST = 2**63 + 5, 7

Evaluate = Callable[[Any, Any], Any]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Evaluate]:
    path = tmp_path_factory.mktemp("conditional") / "small.onnx"
    return path, small_inputs.conditional(path)


@pytest.fixture(scope="module", params=ANY_GRAPH)
def generator(small: tuple[Path, Evaluate], request: pytest.FixtureRequest) -> Any:
    with runtime.Generator(small[0], backend=request.param, instances=2) as generator:
        yield generator


@pytest.fixture(scope="module")
def expected(small: tuple[Path, Evaluate]) -> Callable[[int, Any], Any]:
    """Function from n and labels to the images FIRST … in float64."""
    return lambda n, labels: small[1](normals(SEED, FIRST, n, WIDTH), labels)


def test_the_engine_says_its_classes(generator: runtime.Generator) -> None:
    assert generator.classes == CLASSES
    assert generator.class_count == 3


def test_labels(generator: runtime.Generator, expected: Callable[..., Any]) -> None:
    """One label for all, by number or name; one for each; or none: the image index modulo K."""
    n = 20
    sample = {"n": n, "seed": SEED, "first": FIRST}
    each = np.arange(n) ** 2 % 3
    of_index = (FIRST + np.arange(n)) % 3
    for labels, wanted in (
        (1, [1] * n),
        (np.int32(1), [1] * n),
        ("coat", [1] * n),
        (each, each),
        (list(each), each),
        ([CLASSES[label] for label in each], each),
        ([CLASSES[0], *each[1:]], each),
        (None, of_index),
    ):
        got = generator.sample(**sample, labels=labels)
        assert close(got, expected(n, wanted)), labels
    assert not close(generator.sample(**sample, labels=2), expected(n, [1] * n))


def test_classes_in_turn_follow_the_index_of_the_image(
    generator: runtime.Generator, expected: Callable[..., Any]
) -> None:
    turn = ["scarf", "hat", "scarf", "coat"]
    numbers = np.array([2, 0, 2, 1])[(FIRST + np.arange(20)) % 4]
    whole = generator.sample(20, SEED, FIRST, labels=turn, cycle=True)
    assert close(whole, expected(20, numbers))
    part = generator.sample(5, SEED, FIRST + 11, labels=turn, cycle=True)
    assert np.array_equal(part, whole[11:16])


@pytest.mark.parametrize("labels", [None, 1, "each", "turn"])
@pytest.mark.parametrize("batch", [1, 7, 64])
def test_batches_and_offsets_do_not_change_images(
    generator: runtime.Generator, labels: Any, batch: int
) -> None:
    each = np.random.default_rng(0).integers(0, 3, 70)
    cycle = labels == "turn"
    given = {"each": each, "turn": [0, 2]}.get(labels, labels)
    whole = generator.sample(70, SEED, labels=given, cycle=cycle)
    assert np.array_equal(generator.sample(70, SEED, batch=batch, labels=given, cycle=cycle), whole)
    part = each[33:50] if labels == "each" else given
    assert np.array_equal(
        generator.sample(17, SEED, 33, batch=batch, labels=part, cycle=cycle), whole[33:50]
    )
    with generator.stream(70, SEED, batch=batch, labels=given, cycle=cycle) as stream:
        assert np.array_equal(np.concatenate(list(stream)), whole)


def test_latents_are_decoded_as_what_is_asked_for(
    generator: runtime.Generator, expected: Callable[..., Any]
) -> None:
    latents = runtime.noise.normals(SEED, FIRST, 9, WIDTH)
    assert close(generator.decode(latents), expected(9, np.arange(9) % 3))
    assert close(generator.decode(latents, labels="scarf"), expected(9, [2] * 9))
    each = [0, 0, 2, 1, 1, 2, 0, 1, 2]
    assert close(generator.decode(latents, labels=each), expected(9, each))
    again = generator.decode(latents, seed=SEED, first=FIRST)
    assert np.array_equal(again, generator.sample(9, SEED, FIRST))


def test_a_way_has_one_class(small: tuple[Path, Evaluate], generator: runtime.Generator) -> None:
    a, b = normals(1, 0, 4, WIDTH), normals(2, 0, 4, WIDTH)
    t = np.arange(6)[:, None] / 5
    for labels, wanted in ((None, [0, 1, 2, 0]), ("coat", [1] * 4), ([2, 0, 0, 1], [2, 0, 0, 1])):
        images = generator.interpolate(a, b, 5, labels=labels)
        assert images.shape == (4, 6, *small_inputs.SHAPE)
        for way in range(4):
            points = a[way] + (b[way] - a[way]) * t
            assert close(images[way], small[1](points, [wanted[way]] * 6))


def test_a_posterior_has_labels_too(
    small: tuple[Path, Evaluate], generator: runtime.Generator
) -> None:
    mu = np.linspace(-1, 1, WIDTH)
    got = generator.sample(3, mu=mu, logvar=np.full(WIDTH, -np.inf), labels=[2, 1, 0])
    assert close(got, small[1](np.stack([mu] * 3), [2, 1, 0]))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (3, r"labels: expected a class from 0 to 2 \(hat, coat, scarf\), got 3"),
        (-1, "got -1"),
        ("glove", r"labels: expected a class from 0 to 2 \(hat, coat, scarf\), got 'glove'"),
        ([0, 1, 5, 0], "got 5"),
        (np.array([0, 9, 1, 7]), "got 9"),
        (["hat", "glove", "hat", "hat"], "got 'glove'"),
        ([0, 1], "labels: expected 1 or n = 4, got 2"),
        ([], "expected 1 or n = 4, got 0"),
        ([[0, 1, 2, 0]], r"expected shape \(n,\), got \(1, 4\)"),
        (1.5, "expected integers or names of classes, got 1.5"),
        (True, "expected integers or names of classes, got True"),
        ([None] * 4, "expected integers or names of classes, got None"),
    ],
)
def test_bad_labels(generator: runtime.Generator, labels: Any, words: str) -> None:
    latents = np.zeros((4, WIDTH))
    for method, arguments in (
        (generator.sample, (4,)),
        (generator.decode, (latents,)),
        (generator.interpolate, (latents, latents + 1, 2)),
        (generator.stream, (4,)),
    ):
        with pytest.raises(ArgumentError, match=words):
            method(*arguments, labels=labels)


def test_an_unconditional_engine_takes_no_labels(vae_engine: Path) -> None:
    with runtime.Generator(vae_engine) as generator:
        assert generator.class_count == 0 and generator.classes == []
        with pytest.raises(ArgumentError, match="labels: expected none"):
            generator.sample(2, labels=0)
        with pytest.raises(ArgumentError, match="labels: expected none"):
            generator.stream(2, labels="Bag")


# The commands


def test_the_command_makes_classes(
    small: tuple[Path, Evaluate], tmp_path: Path, expected: Callable[..., Any]
) -> None:
    def sample(*options: object) -> Any:
        fixed = "--engine", small[0], "-n", 20, "--seed", SEED, "--first", FIRST
        succeeds("sample", *fixed, *options, "--out", "images.npy", cwd=tmp_path)
        return np.load(tmp_path / "images.npy")

    each = FIRST + np.arange(20)
    assert close(sample(), expected(20, each % 3))
    assert close(sample("--label", "scarf"), expected(20, [2] * 20))
    assert close(sample("--label", "1"), expected(20, [1] * 20))
    assert close(sample("--labels", "scarf, 0"), expected(20, np.array([2, 0])[each % 2]))
    assert np.array_equal(sample("--labels", "0,1,2", "--batch", 3), sample())


def test_the_command_walks_within_a_class(small: tuple[Path, Evaluate], tmp_path: Path) -> None:
    walk = "interpolate", "seed:1", "seed:2", "--engine", small[0], "--steps", 4
    a, b = (normals(seed, 0, 1, WIDTH)[0] for seed in (1, 2))
    points = a + (b - a) * np.arange(5)[:, None] / 4
    for options, label in (([], 0), (["--label", "scarf"], 2)):
        succeeds(*walk, *options, "--out", "walk.npy", cwd=tmp_path)
        assert close(np.load(tmp_path / "walk.npy"), small[1](points, [label] * 5))
    assert "got 'glove'" in refuses(*walk, "--label", "glove", cwd=tmp_path)
    assert "--truncation: small.onnx is not style-based" in refuses(
        *walk, "--truncation", 0.5, cwd=tmp_path
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--label", "glove"], "a class from 0 to 2 (hat, coat, scarf), got 'glove'"),
        (["--label", "3"], "a class from 0 to 2 (hat, coat, scarf), got 3"),
        (["--label", "-1"], "got -1"),
        (["--labels", "0,,1"], "a class from 0 to 2 (hat, coat, scarf), got ''"),
        (["--labels", "hat,glove"], "got 'glove'"),
        (["--label", "0", "--labels", "1"], "--label and --labels: expected one of them"),
        (["--truncation", "0.5"], "--truncation: small.onnx is not style-based"),
        (["--noise", "0.5"], "--noise: small.onnx is not style-based"),
        (["--mix", "1"], "--mix: small.onnx is not style-based"),
    ],
)
def test_bad_options(
    small: tuple[Path, Evaluate], tmp_path: Path, options: list[str], words: str
) -> None:
    assert words in refuses("sample", "--engine", small[0], *options, cwd=tmp_path)


def test_other_engines_know_no_classes(vae_engine: Path, tmp_path: Path) -> None:
    for option in ("--label", "--labels"):
        said = refuses("sample", "--engine", vae_engine, option, "0", cwd=tmp_path)
        assert f"{option}: vae.onnx is not conditional" in said


# Export

OPTIONS: dict[str, Any] = {
    "image_size": 16,
    "latent": 6,
    "widths": (32, 16),
    "discriminator_widths": (8, 16),
    "classes": 3,
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, quick_throughput: None) -> tuple[Path, Any]:
    """Engine of a conditional DCGAN with random weights, and the model."""
    folder = tmp_path_factory.mktemp("cgan")
    model = write_run(folder / "run", "cgan", OPTIONS, classes=CLASSES)
    pipeline.export(folder / "run", folder / "cgan.onnx", Options(weights="fp32"))
    return folder / "cgan.onnx", model


def test_exported_engines_ask_for_a_class(exported: tuple[Path, Any]) -> None:
    document = runtime.manifest.read(exported[0])
    assert document["schema"] == 2 and document["classes"] == CLASSES
    assert document["condition"] == {"kind": "classes", "count": 3}
    latents, labels = normals(SEED, 0, 12, 6).astype(np.float32), np.arange(12) ** 2 % 3
    with torch.no_grad():
        made = exported[1].generator(torch.from_numpy(latents), torch.from_numpy(labels))
    levels = 255 * made.permute(0, 2, 3, 1).numpy().astype(np.float64)
    feed = {"mu": latents, "logvar": np.full_like(latents, -np.inf), "label": labels}
    key = {"seed": np.zeros(1, np.int64), "first": np.zeros(1, np.int64)}
    session = InferenceSession(str(exported[0]), providers=["CPUExecutionProvider"])
    (stock,) = session.run(None, feed | key)
    assert np.abs(stock - levels).max() <= 0.5 + 1e-2
    for backend in ANY_GRAPH:
        with runtime.Generator(exported[0], backend=backend) as generator:
            got = generator.decode(latents, labels=labels)
            assert np.abs(got - levels).max() <= 0.5 + 1e-2
            assert not np.array_equal(got, generator.decode(latents, labels=0))


def test_inversion_is_told_the_class(exported: tuple[Path, Any], tmp_path: Path) -> None:
    invert = "invert", "sample:3", "--engine", exported[0], "--starts", 4, "--steps", 200
    succeeds(*invert, "--label", CLASSES[1], "--save", "found.npz", cwd=tmp_path)
    with np.load(tmp_path / "found.npz") as found, runtime.Generator(exported[0]) as generator:
        original = generator.decode(normals(0, 3, 1, 6).astype(np.float32), labels=1)
        error = generator.decode(found["latents"], labels=1).astype(float) - original
        psnr = 10 * np.log10(255**2 / np.square(error).mean())
        assert psnr > 30 and psnr == pytest.approx(float(found["psnr"][0]), abs=1e-3)
        other = generator.decode(found["latents"], labels=2).astype(float) - original
        assert np.square(other).mean() > 2 * np.square(error).mean()
    assert "is conditional: give the class with --label" in refuses(*invert, cwd=tmp_path)
    assert "label" in refuses(*invert, "--label", 7, cwd=tmp_path)


@pytest.mark.slow
def test_a_graph_that_makes_another_class_is_not_kept(
    exported: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = generators.ConditionalGraph.forward
    monkeypatch.setattr(
        generators.ConditionalGraph,
        "forward",
        lambda self, mu, logvar, seed, first, label: honest(
            self, mu, logvar, seed, first, (label + 1) % 3
        ),
    )
    with pytest.raises(ParityError, match="mean image: PyTorch"):
        pipeline.export(exported[0].with_name("run"), tmp_path / "bad.onnx")
    assert not list(tmp_path.iterdir())


def test_no_interpolator_of_a_conditional_generator(
    exported: tuple[Path, Any], tmp_path: Path
) -> None:
    options, said = Options(interpolator="linear", runtime_check=False), list[str]()
    with pytest.raises(ExportError, match="an interpolator of a conditional generator"):
        pipeline.export(exported[0].with_name("run"), tmp_path / "cgan.onnx", options, said.append)
    assert [line.split()[0] for line in said] == ["loading"]
    assert not list(tmp_path.iterdir())
