"""No error tells a client in which folder of the server the engines lie."""

from __future__ import annotations

import base64
import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

import runtime.errors
import zoo.errors
from open_inference import body, fields, grpc_request, keys
from services import serving
from zoo import engine_path
from zoo.images import png
from zoo.serving.app import make_app
from zoo.serving.errors import Explainer
from zoo.serving.limits import Limits
from zoo.serving.models import BatchOptions, load

SERVED = ("vae", "cgan", "linear-ae", "stylegan", "stargan", "denoising-ae", "face-attributes")
FOLDER = "the engines of /this server"

LATENT = ",".join(["0.5"] * 32)
PICTURE = base64.b64encode(png.encode(np.zeros((9, 9, 1), np.uint8))).decode()
BAD = [
    ("vae/sample", {"labels": "1"}),
    ("vae/sample", {"truncation": 0.5}),
    ("vae/sample", {"noise": 0.5}),
    ("cgan/sample", {"prior": "mixture"}),
    ("cgan/sample", {"labels": "Nothing"}),
    ("cgan/sample", {"labels": "99", "n": 300, "format": "npy"}),
    ("vae/decode", {"latents": LATENT, "labels": "1"}),
    ("vae/decode", {"latents": LATENT, "truncation": 0.5}),
    ("vae/decode", {"latents": "1,2"}),
    ("cgan/decode", {"latents": ",".join(["0.5"] * 64), "labels": "Nothing"}),
    ("vae/interpolate", {"points": "seed:1,seed:2", "truncation": 0.5}),
    ("vae/interpolate", {"points": "seed:1,seed:2", "label": "1"}),
    ("linear-ae/interpolate", {"points": "seed:1,seed:2"}),
    ("linear-ae/sample", {"n": 1}),
    ("vae/encode", {"images": PICTURE}),
    ("vae/reconstruct", {"images": PICTURE}),
    ("stylegan/edit", {"points": "seed:1", "add": "Nothing=1"}),
    ("stylegan/mix", {"across": "seed:1", "down": "seed:2", "bands": "finest"}),
    ("stargan/translate", {"images": PICTURE, "to": "Nothing"}),
    ("stargan/edit", {"images": PICTURE}),
    ("denoising-ae/translate", {"images": PICTURE, "corrupt": "holes"}),
    ("denoising-ae/translate", {"images": PICTURE, "to": "Nothing"}),
]
ONE = keys((1, 0))
BAD_TENSORS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("vae", ONE, {"prior": "nothing"}),
    ("vae", ONE, {"truncation": 2}),
    ("vae", {**ONE, "label": np.zeros((1, 1), np.int64)}, {}),
    ("cgan", {**ONE, "label": np.full((1, 1), 99, np.int64)}, {}),
    ("cgan", {**ONE, "label": ["Nothing"]}, {}),
    ("linear-ae", ONE, {}),
    ("face-attributes", {"images": np.zeros((1, 9, 9, 3), np.uint8)}, {}),
    ("stargan", {"images": np.zeros((1, 64, 64, 3), np.uint8)}, {}),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hidden") / FOLDER
    folder.mkdir(parents=True)
    for name in SERVED:
        for file in engine_path("vae.onnx").parent.glob(f"{name}.*onnx"):
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[tuple[httpx.Client, grpc.Channel]]:
    engines = [word for name in SERVED for word in ("--engine", str(folder / f"{name}.onnx"))]
    with serving(*engines, "--grpc-port", "0") as (client, process):
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("grpc://")
        with grpc.insecure_channel(address) as channel:
            yield client, channel


def is_hidden(said: str, folder: Path) -> bool:
    return not any(part in said for part in (str(folder), "this server", str(folder.parent)))


def test_over_http(service: tuple[httpx.Client, grpc.Channel], folder: Path) -> None:
    client, named = service[0], 0
    for path, values in BAD:
        answer = client.post(f"/v1/models/{path}", json=values)
        assert 400 <= answer.status_code < 500, (path, values)
        assert is_hidden(answer.text, folder), answer.text
        named += f"'{path.partition('/')[0]}.onnx'" in answer.json()["error"]
    # These name the file, for which the runtime gives its path.
    assert named >= 5


def test_over_kserve(service: tuple[httpx.Client, grpc.Channel], folder: Path) -> None:
    client, channel = service
    for model, tensors, parameters in BAD_TENSORS:
        content, headers = body(tensors, False, parameters=parameters)
        answer = client.post(f"/v2/models/{model}/infer", content=content, headers=headers)
        assert answer.status_code == 400, (model, answer.text)
        assert is_hidden(answer.text, folder), answer.text
        request = grpc_request(model, tensors, parameters=parameters)
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(request, timeout=60)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert is_hidden(caught.value.details(), folder)
        stream = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        (streamed,) = stream(iter([request]), timeout=60)
        said = fields(streamed)[1][0].decode()
        assert said == caught.value.details()


def _kinds() -> list[type[Exception]]:
    modules = (runtime.errors, zoo.errors)
    kinds = [each for module in modules for _, each in inspect.getmembers(module, inspect.isclass)]
    return [*kinds, MemoryError, OSError, ValueError]


@pytest.mark.parametrize("kind", _kinds(), ids=lambda kind: kind.__name__)
def test_what_fails_in_a_backend(
    kind: type[Exception], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "vae.onnx"
    models = load([str(path)], {"instances": 1}, BatchOptions())

    async def fail(*_: Any) -> None:
        raise kind(f"ONNX Runtime, running '{path}': node Add in {path.parent}/: no memory")

    for call in ("sample", "decode"):
        monkeypatch.setattr(models["vae"].batcher, call, fail)
    content, headers = body(ONE, False)
    with TestClient(make_app(models, Limits())) as client:
        for answer in (
            client.get("/v1/models/vae/sample"),
            client.get("/v1/models/vae/sample?n=300&format=npy"),
            client.get("/v1/models/vae/interpolate?points=seed:1,seed:2"),
            client.post("/v2/models/vae/infer", content=content, headers=headers),
        ):
            assert answer.status_code >= 400
            assert is_hidden(answer.text, folder), answer.text
            if issubclass(kind, (runtime.errors.Error, zoo.errors.ZooError, MemoryError)):
                assert "running 'vae.onnx': node Add" in answer.json()["error"]


def test_only_folders_of_engines_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    explain = Explainer(["link/vae.onnx", "gan.onnx", "/top.onnx"])
    for given, expected in (
        ("'link/vae.onnx'", "'vae.onnx'"),
        (f"{tmp_path}/link/vae.onnx: no", "vae.onnx: no"),
        (f"{tmp_path}/real/vae.onnx: no", "vae.onnx: no"),
        (f"({tmp_path}/gan.onnx)", "(gan.onnx)"),
        ("expected and/or, got blink/x and a/link/x", "expected and/or, got blink/x and a/link/x"),
        ("/top.onnx", "/top.onnx"),
    ):
        assert explain(runtime.errors.ArgumentError(given)) == (400, expected)
