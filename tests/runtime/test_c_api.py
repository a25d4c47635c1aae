"""The C API against the Python API: the same bytes, and the same errors as statuses."""

from __future__ import annotations

import ctypes
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import c_api
import runtime
from c_api import Failure, call, describe, fill, library, opened, request
from repository import CSRC
from zoo import engine_path

N = 5
RANDOM = np.random.default_rng(3)


def latents(width: int, n: int = N) -> NDArray[np.float32]:
    return RANDOM.normal(size=(n, width)).astype(np.float32)


def empty_images(engine: Any, *count: int) -> NDArray[np.uint8]:
    image = describe(engine).image
    return np.zeros((*count, image.height, image.width, image.channels), np.uint8)


def test_every_status_has_the_name_of_its_error() -> None:
    """The statuses are those of zoo/errors.h and of runtime.errors, and of nothing else."""
    statuses = [name for name in c_api.constants() if name.endswith("ERROR") or name == "ZOO_OK"]
    names = [library().zoo_status_name(c_api.constants()[name]).decode() for name in statuses]
    spelled = ["ZOO" + re.sub(r"(?=[A-Z])", "_", name).upper() for name in names[1:]]
    assert (statuses[1:], names[0]) == (spelled, "OK")
    header = (CSRC / "include" / "zoo" / "errors.h").read_text("utf-8")
    declared = re.findall(r"ZOO_DECLARE_ERROR\((\w+Error),", header)
    assert set(names[1:]) == {"Error", *declared}
    assert all(hasattr(runtime.errors, name) for name in names[1:])
    for unknown in (-1, len(names), 2**31 - 1, -(2**31)):
        assert library().zoo_status_name(unknown) == b"Error"


def test_versions() -> None:
    assert library().zoo_version().decode() == runtime.__version__
    header = c_api.HEADER.read_text("utf-8")
    assert f"#define ZOO_C_API_VERSION {library().zoo_c_api_version()}\n" in header


def test_the_description_is_that_of_the_manifest() -> None:
    path = engine_path("stargan.onnx")
    manifest = runtime.manifest.read(path)
    with opened(path, backend=b"native", instances=2) as engine:
        described = describe(engine)
        assert (described.role, described.model) == (b"translator", b"stargan")
        assert (described.backend, described.device, described.instances) == (b"native", b"cpu", 2)
        assert json.loads(described.manifest) == json.loads(_read_manifest(path))
        names = [described.attributes[i].decode() for i in range(described.attribute_count)]
        assert names == manifest["condition"]["names"]
        for field in ("height", "width", "channels"):
            assert getattr(described.image, field) == manifest["image"][field]
            assert getattr(described.input, field) == manifest["input"][field]


def _read_manifest(path: Path) -> str:
    text = ctypes.c_void_p()
    call("zoo_read_manifest", bytes(path), ctypes.byref(text))
    assert text.value is not None
    result = ctypes.string_at(text.value).decode()
    library().zoo_free_text(ctypes.cast(text, ctypes.c_char_p))
    return result


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("vae", {}),
        ("vae", {"seed": 2**64 - 1, "first": 2**40, "batch": 2}),
        ("vae", {"prior": "mixture", "seed": 4}),
        ("vae", {"keys": np.array([(7, 3), (7, 4), (0, 9), (1, 1), (7, 5)], np.uint64)}),
        ("vae", {"mu": np.ones((N, 32), np.float32), "logvar": np.zeros((N, 32), np.float32)}),
        ("vae", {"mu": np.ones(32, np.float32), "logvar": np.zeros(32, np.float32)}),
        ("cgan", {"seed": 1, "labels": np.array([3, 1, 4, 1, 5])}),
        ("cgan", {"seed": 1, "labels": np.array([8])}),
        ("cgan", {"seed": 1, "labels": np.array([3, 1, 4]), "cycle": True, "first": 2}),
        ("stylegan", {"seed": 2, "truncation": 0.5, "noise": 0.25}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_sample(engine: str, options: dict[str, Any]) -> None:
    path = engine_path(f"{engine}.onnx")
    with runtime.Generator(path) as generator:
        expected = generator.sample(N, **options)
    fields = dict(options)
    if "prior" in fields:
        fields["prior"] = c_api.constants()["ZOO_PRIOR_MIXTURE"]
    if "labels" in fields:
        fields["label_count"] = len(fields["labels"])
    if "mu" in fields:
        fields["shared"] = fields["mu"].ndim == 1
    for name in ("truncation", "noise"):
        if name in fields:
            fields[name] = np.array(fields[name], np.float32)
    with opened(path) as loaded:
        images = empty_images(loaded, N)
        fill("zoo_sample", loaded, request("zoo_sample_request", n=N, **fields), images)
    assert np.array_equal(images, expected)


@pytest.mark.parametrize("spherical", [False, True])
def test_decode_and_interpolate(spherical: bool) -> None:
    path = engine_path("cgan.onnx")
    labels = np.array([3, 1, 4, 1, 5])
    with runtime.Generator(path) as generator:
        z = latents(generator.latent_width)
        a, b = z[:2], z[2:4]
        decoded = generator.decode(z, labels=labels)
        mode = "spherical" if spherical else "linear"
        between = generator.interpolate(a, b, 3, mode, labels=labels[:2])
    with opened(path) as loaded:
        images = empty_images(loaded, N)
        by_label = {"labels": labels, "label_count": N}
        fill(
            "zoo_decode", loaded, request("zoo_decode_request", latents=z, n=N, **by_label), images
        )
        assert np.array_equal(images, decoded)
        images = empty_images(loaded, 2, 4)
        fields = {"a": a, "b": b, "rows": 2, "steps": 3, "spherical": spherical}
        points = request("zoo_interpolate_request", **fields, labels=labels, label_count=2)
        fill("zoo_interpolate", loaded, points, images)
        assert np.array_equal(images, between)


def test_the_halves_of_a_style_based_generator() -> None:
    """Mapping, then synthesis, with and without noise in the layers."""
    mapping, synthesis = (
        engine_path("stylegan.mapping.onnx"),
        engine_path("stylegan.synthesis.onnx"),
    )
    seed = np.array(9, np.uint64)
    with runtime.Mapping(mapping) as maps, runtime.Generator(synthesis) as decodes:
        z = latents(maps.latent_width)
        styles = maps.map(z)
        layers = np.tile(styles, decodes.latent_width // styles.shape[1])
        quiet = decodes.decode(layers)
        noisy = decodes.decode(layers, seed=9, first=4)
    with opened(mapping) as loaded:
        mapped = np.zeros((N, describe(loaded).style_width), np.float32)
        fill("zoo_map", loaded, request("zoo_rows_request", rows=z, n=N), mapped, size="values")
        assert np.array_equal(mapped, styles)
    with opened(synthesis) as loaded:
        images = empty_images(loaded, N)
        of_styles = request("zoo_decode_request", latents=layers, n=N)
        assert np.array_equal(fill("zoo_decode", loaded, of_styles, images), quiet)
        of_styles = request("zoo_decode_request", latents=layers, n=N, seed=seed, first=4)
        assert np.array_equal(fill("zoo_decode", loaded, of_styles, images), noisy)


@pytest.mark.parametrize("engine", ["vae.encoder.onnx", "linear-ae.encoder.onnx"])
def test_encode(engine: str) -> None:
    images = RANDOM.integers(0, 256, (N, 28, 28, 1), np.uint8)
    path = engine_path(engine)
    with runtime.Encoder(path) as encoder:
        expected = encoder.encode(images)
        deterministic = encoder.deterministic
    with opened(path) as loaded:
        assert bool(describe(loaded).deterministic) == deterministic
        mu = np.zeros((N, describe(loaded).latent_width), np.float32)
        of = request("zoo_rows_request", rows=images, n=N)
        outputs = fill("zoo_encode", loaded, of, mu, np.zeros_like(mu), size="values")
        assert all(np.array_equal(one, other) for one, other in zip(outputs, expected, strict=True))
        alone, _ = fill("zoo_encode", loaded, of, np.zeros_like(mu), None, size="values")
        assert np.array_equal(alone, mu)


def test_classify() -> None:
    images = RANDOM.integers(0, 256, (N, 28, 28, 1), np.uint8)
    path = engine_path("fashion-classifier.onnx")
    with runtime.Classifier(path) as classifier:
        expected, names = classifier.classify(images), list(classifier.names)
    with opened(path) as loaded:
        described = describe(loaded)
        assert [described.scores[i].decode() for i in range(described.score_count)] == names
        scores = np.zeros((N, len(names)), np.float32)
        of = request("zoo_rows_request", rows=images, n=N)
        assert np.array_equal(fill("zoo_classify", loaded, of, scores, size="values"), expected)


@pytest.mark.parametrize("shared", [False, True])
def test_translate_with_attributes(shared: bool) -> None:
    path = engine_path("stargan.onnx")
    with runtime.Translator(path) as translator:
        images = RANDOM.integers(0, 256, (2, *translator.input_shape), np.uint8)
        names = translator.manifest["condition"]["names"]
        shape = (len(names),) if shared else (2, len(names))
        attributes = RANDOM.integers(0, 2, shape).astype(np.float32)
        expected = translator.translate(images, attributes=attributes)
    with opened(path) as loaded:
        of = request(
            "zoo_translate_request", images=images, n=2, attributes=attributes, shared=shared
        )
        assert np.array_equal(fill("zoo_translate", loaded, of, empty_images(loaded, 2)), expected)


@pytest.mark.parametrize("keyed", [False, True])
def test_translate_with_noise(keyed: bool) -> None:
    path = engine_path("pix2pix-edges.onnx")
    keys = np.array([(3, 8), (5, 1)], np.uint64)
    options: dict[str, Any] = {"keys": keys} if keyed else {"seed": 3, "first": 8}
    with runtime.Translator(path) as translator:
        images = RANDOM.integers(0, 256, (2, *translator.input_shape), np.uint8)
        expected = translator.translate(images, **options)
    with opened(path) as loaded:
        of = request("zoo_translate_request", images=images, n=2, **options)
        assert np.array_equal(fill("zoo_translate", loaded, of, empty_images(loaded, 2)), expected)


@pytest.fixture
def loaded() -> Iterator[Any]:
    """A small generator."""
    with opened(engine_path("vae.onnx"), instances=1) as engine:
        yield engine


def test_a_stream_is_the_run_in_order(loaded: Any) -> None:
    with runtime.Generator(engine_path("vae.onnx")) as generator:
        expected = generator.sample(11, seed=5, first=3)
    stream, batch = ctypes.c_void_p(), request("zoo_batch")
    of = request("zoo_sample_request", n=11, seed=5, first=3, batch=4)
    call("zoo_stream_open", loaded, ctypes.byref(of), 2, ctypes.byref(stream))
    rows = []
    while True:
        call("zoo_stream_next", stream, ctypes.byref(batch))
        if batch.rows == 0:
            break
        assert batch.first == 3 + sum(len(part) for part in rows)
        flat = ctypes.string_at(batch.images, batch.rows * describe(loaded).image.bytes)
        rows.append(np.frombuffer(flat, np.uint8).reshape(batch.rows, 28, 28, 1))
    assert [len(part) for part in rows] == [4, 4, 3] and batch.images is None
    assert np.array_equal(np.concatenate(rows), expected)
    for _ in range(2):
        call("zoo_stream_close", stream)
    with pytest.raises(Failure, match="closed") as caught:
        call("zoo_stream_next", stream, ctypes.byref(batch))
    assert caught.value.name == "ClosedError"
    library().zoo_stream_free(stream)


def test_cancel(loaded: Any) -> None:
    """A call that is cancelled says so; a stream goes on with the batch that was cancelled."""
    stop = c_api.cancel(lambda: 1)
    of = request("zoo_sample_request", n=20000, cancel=stop)
    with pytest.raises(Failure) as caught:
        fill("zoo_sample", loaded, of, empty_images(loaded, 20000))
    assert caught.value.status == c_api.constants()["ZOO_CANCELLED_ERROR"]


def test_labels() -> None:
    with opened(engine_path("cgan.onnx")) as engine:
        label = ctypes.c_int64(-1)
        call("zoo_engine_label", engine, b"Bag", ctypes.byref(label))
        names = runtime.manifest.read(engine_path("cgan.onnx"))["classes"]
        assert label.value == names.index("Bag")
        with pytest.raises(Failure, match="'hat'") as caught:
            call("zoo_engine_label", engine, b"hat", ctypes.byref(label))
        assert caught.value.name == "ArgumentError"


def test_threads_have_messages_of_their_own(loaded: Any) -> None:
    """And share an engine."""
    with runtime.Generator(engine_path("vae.onnx")) as generator:
        expected = generator.sample(64, seed=1)
    results: dict[int, Any] = {}

    def work(number: int) -> None:
        images = empty_images(loaded, 8)
        of = request("zoo_sample_request", n=8, seed=1, first=8 * number)
        fill("zoo_sample", loaded, of, images)
        with pytest.raises(Failure) as caught:
            call(
                "zoo_engine_open",
                f"no-{number}.onnx".encode(),
                None,
                ctypes.byref(ctypes.c_void_p()),
            )
        results[number] = (images, str(caught.value))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.array_equal(np.concatenate([results[i][0] for i in range(8)]), expected)
    assert all(f"no-{number}.onnx" in results[number][1] for number in range(8))


def test_the_operators_have_a_prefixed_entry_point() -> None:
    """For OrtApi::RegisterCustomOpsUsingFunction; RegisterCustomOps is the name that ONNX Runtime
    looks for in a library."""
    native = ctypes.CDLL(str(runtime.ops.ops_library()))
    addresses = [
        ctypes.cast(getattr(native, name), ctypes.c_void_p).value
        for name in ("RegisterCustomOps", "zoo_register_custom_ops")
    ]
    assert addresses[0] == addresses[1] is not None
