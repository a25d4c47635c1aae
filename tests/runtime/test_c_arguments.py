"""Bad arguments of the C API: a status and a message for each, never a crash."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import c_api
from c_api import Failure, call, library, opened, request
from zoo import engine_path

N = 2
IMAGE = 28 * 28
ENGINES = {
    "vae": "vae.onnx",
    "cgan": "cgan.onnx",
    "encoder": "linear-ae.encoder.onnx",
    "decoder": "linear-ae.onnx",
    "classifier": "fashion-classifier.onnx",
    "mapping": "stylegan.mapping.onnx",
    "translator": "denoising-ae.onnx",
}
IMAGES = np.zeros((N, IMAGE), np.uint8)
FLOATS = np.zeros((N, 512), np.float32)
OUT = np.zeros((16, IMAGE), np.float32)

# A valid call of each function that fills arrays: engine, struct, its fields, number of arrays,
# bytes or values of each.
CALLS: dict[str, tuple[str, str, dict[str, Any], int, int]] = {
    "zoo_sample": ("vae", "zoo_sample_request", {"n": N}, 1, N * IMAGE),
    "zoo_decode": ("vae", "zoo_decode_request", {"n": N, "latents": FLOATS}, 1, N * IMAGE),
    "zoo_interpolate": (
        "vae",
        "zoo_interpolate_request",
        {"a": FLOATS, "b": FLOATS, "rows": N, "steps": 2},
        1,
        N * 3 * IMAGE,
    ),
    "zoo_encode": ("encoder", "zoo_rows_request", {"rows": IMAGES, "n": N}, 2, N * 16),
    "zoo_classify": ("classifier", "zoo_rows_request", {"rows": IMAGES, "n": N}, 1, N * 10),
    "zoo_map": ("mapping", "zoo_rows_request", {"rows": FLOATS, "n": N}, 1, N * 64),
    "zoo_translate": (
        "translator",
        "zoo_translate_request",
        {"images": IMAGES, "n": N},
        1,
        N * IMAGE,
    ),
}


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Any]]:
    contexts = {key: opened(engine_path(name), instances=1) for key, name in ENGINES.items()}
    yield {key: context.__enter__() for key, context in contexts.items()}
    for context in contexts.values():
        context.__exit__(None, None, None)


def failure(name: str, *arguments: Any) -> Failure:
    with pytest.raises(Failure) as caught:
        call(name, *arguments)
    return caught.value


def arguments_of(name: str, engines: dict[str, Any], **changes: Any) -> list[Any]:
    engine, struct, fields, arrays, size = CALLS[name]
    return [engines[engine], request(struct, **fields | changes), *[OUT.ctypes.data] * arrays, size]


def passed(arguments: list[Any]) -> list[Any]:
    return [
        ctypes.byref(value) if isinstance(value, ctypes.Structure) else value for value in arguments
    ]


@pytest.mark.parametrize("name", CALLS)
def test_arrays_are_exactly_large_enough(name: str, engines: dict[str, Any]) -> None:
    """The call is valid, and one byte or value less is refused with both numbers."""
    arguments = arguments_of(name, engines)
    OUT.view(np.uint8)[:] = 77
    call(name, *passed(arguments))
    width = 4 if "float*" in c_api.functions()[name][1][2] else 1
    assert (OUT.view(np.uint8).reshape(-1)[width * arguments[-1] :] == 77).all(), "nothing beyond"
    arguments[-1] -= 1
    error = failure(name, *passed(arguments))
    assert error.name == "ArgumentError" and f"got {arguments[-1]}" in str(error)


@pytest.mark.parametrize("name", CALLS)
def test_nulls(name: str, engines: dict[str, Any]) -> None:
    """Each pointer of the call and of its struct in turn."""
    for position, value in enumerate(arguments_of(name, engines)[:-1]):
        if name == "zoo_encode" and position == 3:
            continue  # logvar may be null
        arguments = passed(arguments_of(name, engines))
        arguments[position] = None
        error = failure(name, *arguments)
        assert (error.name, "got null" in str(error)) == ("ArgumentError", True), (position, value)
    for field, content in CALLS[name][2].items():
        if isinstance(content, np.ndarray):
            error = failure(name, *passed(arguments_of(name, engines, **{field: None})))
            assert str(error) == f"{field}: expected a pointer, got null"


@pytest.mark.parametrize(
    "name", [n for n, (result, _) in c_api.functions().items() if result == "zoo_status"]
)
def test_nothing_but_nulls(name: str) -> None:
    _, types = c_api.functions()[name]
    nulls = [None if "*" in kind else 0 for kind in types]
    if name == "zoo_set_warning_handler":
        call(name, c_api.warning_handler(None), None)
    else:
        assert failure(name, *nulls).name == "ArgumentError"
    for free in ("zoo_engine_free", "zoo_stream_free", "zoo_free_text"):
        getattr(library(), free)(None)


@pytest.mark.parametrize("name", CALLS)
def test_roles(name: str, engines: dict[str, Any]) -> None:
    """Engines of all other roles."""
    own = {"vae", "cgan", "decoder"} if CALLS[name][0] == "vae" else {CALLS[name][0]}
    for engine in engines.keys() - own:
        error = failure(name, engines[engine], *passed(arguments_of(name, engines))[1:])
        assert error.name == "ArgumentError" and "got the role" in str(error)


@pytest.mark.parametrize("name", CALLS)
def test_sizes_of_structs(name: str, engines: dict[str, Any]) -> None:
    """Too small or absurd is refused; larger is accepted while what is not known is 0."""
    arguments = arguments_of(name, engines)
    given = arguments[1]
    right = given.size
    for wrong in (0, 1, 8, right - 1, 4097, 2**63):
        given.size = wrong
        error = failure(name, *passed(arguments))
        assert str(error) == f"request.size: expected the size of the struct, {right}, got {wrong}"
    longer = (ctypes.c_char * (right + 16)).from_buffer_copy(bytes(given) + bytes(16))
    ctypes.c_size_t.from_buffer(longer).value = right + 16
    arguments[1] = ctypes.byref(longer)
    call(name, *passed(arguments))
    longer[right + 9] = b"\x01"
    assert f"field at byte {right + 9} " in str(failure(name, *passed(arguments)))


BAD = [
    ("zoo_sample", "vae", {"n": 0}, "n: expected at least 1"),
    ("zoo_sample", "vae", {"n": 2**64 - 1}, "images: expected room for"),
    ("zoo_sample", "vae", {"first": 2**64 - 1}, "first"),
    ("zoo_sample", "vae", {"prior": 2}, r"prior: expected .*got 2"),
    ("zoo_sample", "vae", {"latent_memory": -1}, r"latent_memory: expected .*got -1"),
    ("zoo_sample", "vae", {"image_memory": 7}, r"image_memory: expected .*got 7"),
    ("zoo_sample", "vae", {"image_memory": 1}, "images: expected memory of the host"),
    ("zoo_sample", "vae", {"mu": FLOATS}, "mu and logvar: expected both"),
    ("zoo_sample", "vae", {"labels": np.array([1]), "label_count": 1}, "not conditional"),
    ("zoo_sample", "vae", {"truncation": np.array(0.5, np.float32)}, "truncation: .*no such input"),
    ("zoo_sample", "vae", {"noise": np.array(np.nan, np.float32)}, "noise: expected a finite"),
    ("zoo_sample", "vae", {"keys": np.zeros((N, 2), np.uint64), "seed": 1}, "keys: expected none"),
    ("zoo_sample", "cgan", {"labels": np.array([1, 10]), "label_count": N}, "labels: .*got 10"),
    ("zoo_sample", "cgan", {"labels": np.array([1, 2, 3]), "label_count": 3}, "labels: .*got 3"),
    ("zoo_sample", "cgan", {"labels": np.array([1]), "label_count": 0}, "labels: .*got 0"),
    ("zoo_sample", "cgan", {"prior": 1}, "prior: .*no mixture"),
    ("zoo_sample", "vae", {"reserved": 4}, "reserved: expected 0, got 4"),
    ("zoo_sample", "decoder", {}, "no prior to sample from"),
    ("zoo_decode", "vae", {"n": 0}, "n: expected at least 1"),
    ("zoo_decode", "vae", {"latents": np.full((N, 32), np.inf, np.float32)}, "latents: .*finite"),
    ("zoo_decode", "vae", {"latent_memory": 3}, "latent_memory: .*got 3"),
    ("zoo_interpolate", "vae", {"steps": 0}, "steps: expected at least 1"),
    ("zoo_interpolate", "vae", {"rows": 0}, "rows: expected at least 1"),
    ("zoo_interpolate", "vae", {"steps": 2**64 - 1}, "steps: "),
    ("zoo_interpolate", "vae", {"a": np.full((N, 32), np.nan, np.float32)}, "a: .*finite"),
    ("zoo_encode", "encoder", {"n": 0}, "n: expected at least 1"),
    ("zoo_encode", "encoder", {"input_memory": 1}, "image: expected memory of the host"),
    ("zoo_classify", "classifier", {"n": 0}, "n: expected at least 1"),
    ("zoo_classify", "classifier", {"output_memory": 2}, "output_memory: .*got 2"),
    ("zoo_map", "mapping", {"rows": np.full((N, 64), np.nan, np.float32)}, "latents: .*finite"),
    ("zoo_translate", "translator", {"n": 0}, "n: expected at least 1"),
    ("zoo_translate", "translator", {"reserved": 4}, "reserved: expected 0, got 4"),
    ("zoo_translate", "translator", {"attributes": FLOATS}, "attributes: expected none"),
    ("zoo_translate", "translator", {"input_memory": 5}, "input_memory: .*got 5"),
]


@pytest.mark.parametrize(
    ("name", "engine", "fields", "message"),
    BAD,
    ids=[
        f"{name}-{engine}-{'-'.join(fields)}-{i}" for i, (name, engine, fields, _) in enumerate(BAD)
    ],
)
def test_bad_fields(
    name: str, engine: str, fields: dict[str, Any], message: str, engines: dict[str, Any]
) -> None:
    arguments = passed(arguments_of(name, engines, **fields))
    arguments[0], arguments[-1] = engines[engine], OUT.nbytes
    error = failure(name, *arguments)
    assert error.name == "ArgumentError"
    assert re.search(message, str(error)), error


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        ({"device": b"tpu"}, "ArgumentError", "device"),
        ({"device": b"cuda:7"}, "DeviceUnavailableError", ""),
        ({"backend": b"torch"}, "ArgumentError", "backend"),
        ({"precision": b"fp8"}, "ArgumentError", "precision"),
        ({"instances": 5000}, "ArgumentError", "instances: expected at most 4096, got 5000"),
        ({"size": 3}, "ArgumentError", r"options.size: .*got 3"),
    ],
    ids=lambda value: "" if not isinstance(value, dict) else str(*value),
)
def test_bad_options(options: dict[str, Any], status: str, message: str) -> None:
    given, engine = request("zoo_options", **options), ctypes.c_void_p(1)
    path = bytes(engine_path("vae.onnx"))
    arguments = path, ctypes.byref(given), ctypes.byref(engine)
    error = failure("zoo_engine_open", *arguments)
    assert error.name == status and engine.value is None
    assert re.search(message, str(error)), error


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (None, "EngineNotFoundError"),
        (b"", "EngineFileError"),
        (b"no engine", "EngineFileError"),
        ("truncated", "EngineFileError"),
        ("newer", "SchemaVersionError"),
        ("broken", "ManifestError"),
        ("bare", "NotAnEngineError"),
    ],
    ids=str,
)
def test_bad_files(content: Any, status: str, tmp_path: Path) -> None:
    """Every error of a file has its own status; without a file to open there is no engine."""
    import onnx

    path = tmp_path / "a.onnx"
    if isinstance(content, str):
        model = onnx.load(engine_path("linear-ae.onnx"))
        (entry,) = [entry for entry in model.metadata_props if entry.key == "zoo.manifest"]
        if content == "newer":
            entry.value = entry.value.replace('"schema"', '"schema": 99, "was"', 1)
        elif content == "broken":
            entry.value = "{"
        elif content == "bare":
            model.metadata_props.remove(entry)
        written = model.SerializeToString()
        content = written[: len(written) // 2] if content == "truncated" else written
    if content is not None:
        path.write_bytes(content)
    engine = ctypes.c_void_p(1)
    error = failure("zoo_engine_open", bytes(path), None, ctypes.byref(engine))
    assert (error.name, engine.value) == (status, None) and str(path) in str(error)
    text = ctypes.c_void_p(1)
    assert failure("zoo_read_manifest", bytes(path), ctypes.byref(text)).name == status
    assert text.value is None


def test_streams_refuse_what_they_cannot_do(engines: dict[str, Any]) -> None:
    for fields, message in (
        ({"keys": np.zeros((N, 2), np.uint64)}, "keys"),
        ({"mu": FLOATS, "logvar": FLOATS}, "mu and logvar"),
        ({"image_memory": 1}, "image_memory"),
    ):
        stream = ctypes.c_void_p(1)
        of = request("zoo_sample_request", n=N, **fields)
        arguments = engines["vae"], ctypes.byref(of), 0, ctypes.byref(stream)
        error = failure("zoo_stream_open", *arguments)
        assert error.name == "ArgumentError" and str(error).startswith(message)
        assert stream.value is None


def test_a_batch_of_the_wrong_size_loses_nothing(engines: dict[str, Any]) -> None:
    stream, batch = ctypes.c_void_p(), request("zoo_batch")
    of = request("zoo_sample_request", n=N)
    call("zoo_stream_open", engines["vae"], ctypes.byref(of), 0, ctypes.byref(stream))
    batch.size = 1
    assert "batch.size" in str(failure("zoo_stream_next", stream, ctypes.byref(batch)))
    batch.size = ctypes.sizeof(batch)
    call("zoo_stream_next", stream, ctypes.byref(batch))
    assert (batch.first, batch.rows) == (0, N)
    library().zoo_stream_free(stream)
