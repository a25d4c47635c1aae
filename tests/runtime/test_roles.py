"""Encoders, translators, classifiers and plain decoders on small engines with known answers."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import runtime
import small_engines
from backends import ANY_GRAPH
from runtime.errors import (
    ArgumentError,
    BackendUnavailableError,
    ClosedError,
    EngineFileError,
    Error,
)
from small_engines import SHAPE, WIDTH, Graph

COUNTS = [1, 7, 64, 1000]
# Large enough that rows run 64 at a time: 4 such runs an instance and a rest.
MANY = 1000


@pytest.fixture(params=ANY_GRAPH)
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return {"backend": request.param, "instances": 2}


def pictures(n: int, shape: tuple[int, ...] = SHAPE) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)


def open_or_none(kind: Any, path: Path, **options: Any) -> Any:
    """The engine, or None where this CPU has no bf16."""
    try:
        return kind(path, **options)
    except BackendUnavailableError as error:
        assert options["precision"] == "bf16" and "bf16" in str(error)
        return None


def rows_stand_alone(call: Any, images: NDArray[np.uint8]) -> None:
    """Every row is the same bits in calls of any size, from any thread."""
    all_at_once = call(images)
    for n in COUNTS:
        assert np.array_equal(call(images[:n]), all_at_once[:n])

    def part(index: int) -> bool:
        first, n = index * 41 % 900, 1 + index * 7 % 90
        return np.array_equal(call(images[first : first + n]), all_at_once[first : first + n])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(part, range(36)))


@pytest.mark.parametrize("deterministic", [True, False])
def test_encoder(tmp_path: Path, options: dict[str, Any], deterministic: bool) -> None:
    path = tmp_path / "x.encoder.onnx"
    evaluate = small_engines.encoder(path, deterministic)
    images = pictures(MANY)
    with runtime.Encoder(path, **options) as encoder:
        assert encoder.deterministic is deterministic
        assert encoder.latent_width == WIDTH
        mu, logvar = encoder.encode(images)
        assert mu.dtype == logvar.dtype == np.float32
        assert mu.shape == logvar.shape == (MANY, WIDTH)
        expected_mu, expected_logvar = evaluate(images)
        np.testing.assert_allclose(mu, expected_mu, atol=2e-5)
        if deterministic:
            assert np.isneginf(logvar).all()
        else:
            np.testing.assert_allclose(logvar, expected_logvar, atol=2e-5)
        assert np.array_equal(encoder.embed(images), mu)
        assert encoder.embed(images).dtype == np.float32
        rows_stand_alone(encoder.embed, images)
        rows_stand_alone(lambda part: encoder.encode(part)[1], images)
        strided = np.repeat(images[:5], 2, axis=0)[::2]
        assert np.array_equal(encoder.embed(strided), mu[:5])


@pytest.mark.parametrize(
    ("channels", "colours", "alpha"), [(1, 1, False), (2, 1, True), (4, 3, True), (1, 3, False)]
)
def test_translator(
    tmp_path: Path, options: dict[str, Any], channels: int, colours: int, alpha: bool
) -> None:
    path = tmp_path / "x.onnx"
    evaluate = small_engines.translator(path, channels, colours, alpha)
    with runtime.Translator(path, **options) as translator:
        assert translator.input_shape == (9, 12, channels)
        assert translator.image_shape == (9, 12, colours)
        assert translator.alpha is alpha
        images = pictures(MANY, translator.input_shape)
        got = translator.translate(images)
        assert got.dtype == np.uint8 and got.shape == (MANY, 9, 12, colours)
        difference = np.abs(got.astype(int) - evaluate(images).astype(int))
        assert difference.max() <= 1 and np.mean(difference > 0) < 1e-3
        rows_stand_alone(translator.translate, images)


def test_an_input_larger_than_the_output(tmp_path: Path, options: dict[str, Any]) -> None:
    """Nothing takes the format of what comes out for that of what goes in: here, 4x4 means."""
    graph = Graph(0)
    graph.add("Transpose", [graph.floats_of("input")], "planes", perm=[0, 3, 1, 2])
    graph.add("AveragePool", ["planes"], "means", kernel_shape=[4, 4], strides=[4, 4])
    graph.levels_of("means", "image", [0, 2, 3, 1])
    given = small_engines.taken((16, 8, 3))
    document = small_engines.manifest("translator", (4, 2, 3), input=given)
    path = tmp_path / "x.onnx"
    graph.save(path, document, {"input": (2, ["n", 16, 8, 3])}, {"image": (2, ["n", 4, 2, 3])})
    translator = runtime.Translator(path, **options)
    images = pictures(21, translator.input_shape)
    expected = images.reshape(21, 4, 4, 2, 4, 3).mean(axis=(2, 4))
    assert np.abs(translator.translate(images) - expected).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("kind", ["classes", "multilabel"])
def test_classifier(tmp_path: Path, options: dict[str, Any], kind: str) -> None:
    path = tmp_path / "x.onnx"
    evaluate = small_engines.classifier(path, kind)
    images = pictures(MANY)
    with runtime.Classifier(path, **options) as classifier:
        assert classifier.names == ["hat", "coat", "scarf", "glove"]
        assert classifier.kind == kind
        scores = classifier.classify(images)
        assert scores.dtype == np.float32 and scores.shape == (MANY, 4)
        np.testing.assert_allclose(scores, evaluate(images), atol=2e-6)
        rows_stand_alone(classifier.classify, images)


def test_decoder_without_a_prior(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "x.onnx"
    evaluate = small_engines.decoder(path)
    decoder = runtime.Generator(path, **options)
    assert decoder.prior == "none"
    message = (
        f"'{path}' is an autoencoder's decoder: it has no prior to sample from; "
        "give mu and logvar, or decode latents"
    )
    for call in (lambda: decoder.sample(3), lambda: decoder.stream(3)):
        with pytest.raises(ArgumentError) as caught:
            call()
        assert str(caught.value) == message
    latents = np.random.default_rng(0).normal(size=(40, WIDTH)).astype(np.float32)
    images = decoder.decode(latents)
    assert np.abs(images.astype(int) - evaluate(latents)).max() <= 1
    assert np.array_equal(decoder.sample(40, mu=latents, logvar=latents - np.inf), images)
    spread = np.full_like(latents, -2)
    h = runtime.ops.reparametrized_sample(latents, spread, seed=4, first=2)
    sampled = decoder.sample(40, seed=4, first=2, mu=latents, logvar=spread)
    assert np.array_equal(sampled, decoder.decode(h))
    path_images = decoder.interpolate(latents[0], latents[1], 4)
    assert np.array_equal(path_images[[0, 4]], images[:2])


def test_decoder_without_the_noise_operator(tmp_path: Path, options: dict[str, Any]) -> None:
    """A graph that takes the finished latent makes the images of one that draws it."""
    small_engines.decoder(tmp_path / "with.onnx", prior="normal")
    small_engines.decoder(tmp_path / "without.onnx", noise=False, prior="normal")
    drawn, inputs = (
        runtime.Generator(tmp_path / f"{name}.onnx", **options) for name in ("with", "without")
    )
    assert drawn.prior == "normal"
    assert np.array_equal(inputs.sample(50, seed=9), drawn.sample(50, seed=9))


def test_bf16_is_close_and_batch_invariant(tmp_path: Path) -> None:
    options = {"backend": "openvino", "precision": "bf16"}
    evaluate_encoder = small_engines.encoder(tmp_path / "e.onnx")
    evaluate_translator = small_engines.translator(tmp_path / "t.onnx")
    evaluate_classifier = small_engines.classifier(tmp_path / "c.onnx")
    if encoder := open_or_none(runtime.Encoder, tmp_path / "e.onnx", **options):
        images = pictures(MANY)
        np.testing.assert_allclose(encoder.embed(images), evaluate_encoder(images)[0], atol=0.05)
        rows_stand_alone(encoder.embed, images)
    if translator := open_or_none(runtime.Translator, tmp_path / "t.onnx", **options):
        images = pictures(MANY, translator.input_shape)
        exact = evaluate_translator(images).astype(int)
        assert np.abs(translator.translate(images) - exact).max() <= 4
        rows_stand_alone(translator.translate, images)
    if classifier := open_or_none(runtime.Classifier, tmp_path / "c.onnx", **options):
        images = pictures(MANY)
        scores = classifier.classify(images)
        np.testing.assert_allclose(scores, evaluate_classifier(images), atol=0.02)
        rows_stand_alone(classifier.classify, images)


def test_an_engine_for_one_row_at_a_time(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "x.onnx"
    evaluate = small_engines.translator(path, batch={"min": 1, "max": 1})
    images = pictures(600, (9, 12, 4))
    got = runtime.Translator(path, **options).translate(images)
    assert np.abs(got.astype(int) - evaluate(images)).max() <= 1


CALLS: dict[str, tuple[Any, str]] = {
    "encoder": (runtime.Encoder, "embed"),
    "translator": (runtime.Translator, "translate"),
    "classifier": (runtime.Classifier, "classify"),
}


@pytest.mark.parametrize("role", CALLS)
def test_bad_arguments(tmp_path: Path, role: str) -> None:
    path = tmp_path / "x.onnx"
    getattr(small_engines, role)(path)
    kind, method = CALLS[role]
    engine = kind(path)
    shape = (9, 12, 4) if role == "translator" else SHAPE
    expected = r"images: expected shape \(n, " + ", ".join(map(str, shape)) + r"\), got "
    call = getattr(engine, method)
    for images, part in (
        (np.zeros((2, *shape)), "images: expected dtype uint8, got float64"),
        (np.zeros((2, *shape), np.int8), "images: expected dtype uint8, got int8"),
        (np.zeros((0, *shape), np.uint8), expected),
        (np.zeros(shape, np.uint8), expected),
        (np.zeros((2, *shape[:2], shape[2] + 1), np.uint8), expected),
        (np.zeros((2, shape[0] + 1, *shape[1:]), np.uint8), expected),
        ("pictures", "images: expected dtype uint8"),
        (None, "images: expected dtype uint8"),
        ([[1], [1, 2]], "images: expected an array"),
    ):
        with pytest.raises(ArgumentError, match=part):
            call(images)
    assert repr(engine).startswith(kind.__name__)
    engine.close()
    with pytest.raises(ClosedError):
        call(pictures(1, shape))


def test_wrong_roles(tmp_path: Path) -> None:
    kinds = {"generator": runtime.Generator} | {role: kind for role, (kind, _) in CALLS.items()}
    for role in kinds:
        getattr(small_engines, role if role != "generator" else "decoder")(tmp_path / role)
        for expected, kind in kinds.items():
            if expected == role:
                assert kind(tmp_path / role).manifest["role"] == role
                continue
            with pytest.raises(
                ArgumentError, match=f"has the role '{role}', expected '{expected}'"
            ):
                kind(tmp_path / role)


def test_graphs_that_are_not_what_the_manifest_says(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / "x.onnx"

    def save(output: str, document: dict[str, Any]) -> None:
        graph = Graph(0)
        graph.add("Flatten", [graph.floats_of("picture" if output == "mu" else "image")], output)
        source = {"picture" if output == "mu" else "image": (2, ["n", 2, 3, 1])}
        graph.save(path, document, source, {output: (1, ["n", 6])})

    latent = {"width": 6, "prior": "normal"}
    save("mu", small_engines.manifest("encoder", (2, 3, 1), latent=latent))
    with pytest.raises(EngineFileError, match="no input 'image', which the role 'encoder' needs"):
        runtime.Encoder(path, **options)
    save("nu", small_engines.manifest("encoder", (2, 3, 1), latent=latent))
    with pytest.raises(EngineFileError, match="no output 'mu'"):
        runtime.Encoder(path, **options)
    scores = {"names": ["a", "b"], "kind": "classes"}
    save("scores", small_engines.manifest("classifier", (2, 3, 1), scores=scores))
    wrong = r"'scores' of float32 \[N, 6\], but its manifest says float32 \[N, 2\]"
    with pytest.raises(EngineFileError, match=wrong):
        runtime.Classifier(path, **options)
    document = small_engines.manifest("classifier", (2, 5, 1), scores=scores)
    save("scores", document)
    with pytest.raises(Error):
        runtime.Classifier(path, **options).classify(pictures(20, (2, 5, 1)))
    document["image"] |= {"dtype": "float32", "layout": "NCHW"}
    save("scores", document)
    wrong = r"'image' of uint8 \[N, 2, 3, 1\], but its manifest says float32 \[N, 1, 2, 5\]"
    with pytest.raises(EngineFileError, match=wrong):
        runtime.Classifier(path, **options)
