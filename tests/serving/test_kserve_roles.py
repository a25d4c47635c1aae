"""Engines of other roles than generators over the Open Inference Protocol, against the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import numpy as np
import pytest

from open_inference import answered, body, fields, grpc_answer, grpc_request, keys, message
from runtime import Classifier, Encoder, Generator, Translator
from services import engine_options, metrics, serving
from zoo import engine_path

NAMES = (
    "linear-ae",
    "vae.encoder",
    "fashion-classifier",
    "denoising-ae",
    "stargan",
    "pix2pix-edges",
)
ROWS = 3
KEYS = keys((7, 3), (2**64 - 1, 0), (1, 2**64 - 1))

Service = tuple[httpx.Client, grpc.Channel]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    options = (*engine_options(NAMES), "--backend", "native", "--most", "1000", "--grpc-port", "0")
    with serving(*options) as (client, process):
        assert process.stdout is not None
        address = process.stdout.readline().strip().removeprefix("grpc://")
        with grpc.insecure_channel(address) as channel:
            yield client, channel


def pixels(rows: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (rows, *shape), np.uint8)


def values(rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(2).random((rows, width), np.float32)


def local(kind: Any, name: str, call: Callable[[Any], np.ndarray]) -> np.ndarray:
    with kind(engine_path(f"{name}.onnx"), backend="native", instances=1) as engine:
        return call(engine)


def linear_ae(rows: int) -> tuple[dict[str, Any], str, np.ndarray]:
    latents = values(rows, 16)
    return (
        {"latents": latents},
        "images",
        local(Generator, "linear-ae", lambda e: e.decode(latents)),
    )


def encoder(rows: int) -> tuple[dict[str, Any], str, np.ndarray]:
    images = pixels(rows, 28, 28, 1)
    return {"images": images}, "latents", local(Encoder, "vae.encoder", lambda e: e.embed(images))


def classifier(rows: int) -> tuple[dict[str, Any], str, np.ndarray]:
    images = pixels(rows, 28, 28, 1)
    scores = local(Classifier, "fashion-classifier", lambda e: e.classify(images))
    return {"images": images}, "scores", scores


def denoiser(rows: int) -> tuple[dict[str, Any], str, np.ndarray]:
    images = pixels(rows, 28, 28, 1)
    clean = local(Translator, "denoising-ae", lambda e: e.translate(images))
    return {"images": images}, "images", clean


def stargan(rows: int) -> tuple[dict[str, Any], str, np.ndarray]:
    images, attributes = pixels(rows, 64, 64, 3), values(rows, 8)
    faces = local(Translator, "stargan", lambda e: e.translate(images, attributes))
    return {"images": images, "attributes": attributes}, "images", faces


def pix2pix(rows: int) -> tuple[dict[str, Any], str, np.ndarray]:
    images, own = pixels(rows, 64, 64, 1), np.concatenate([KEYS["seed"], KEYS["index"]], axis=1)
    own = np.resize(own, (rows, 2))
    drawn = local(Translator, "pix2pix-edges", lambda e: e.translate(images, keys=own))
    return {"images": images, "seed": own[:, :1], "index": own[:, 1:]}, "images", drawn


CASES = dict(zip(NAMES, (linear_ae, encoder, classifier, denoiser, stargan, pix2pix), strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_those_of_the_runtime(service: Service, name: str) -> None:
    client, channel = service
    infer = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    # More than a block, too.
    for rows in (ROWS, 300):
        tensors, output, expected = CASES[name](rows)
        for binary in (True, False) if rows == ROWS else (True,):
            content, headers = body(tensors, binary, binary)
            response = client.post(f"/v2/models/{name}/infer", content=content, headers=headers)
            assert response.status_code == 200, response.text
            said, result = answered(response.content, response.headers)
            assert said["outputs"][0]["name"] == output
            assert result.dtype == expected.dtype and np.array_equal(result, expected)
        if rows == ROWS:
            for typed in (True, False):
                answer = infer(grpc_request(name, tensors, typed), timeout=60)
                assert np.array_equal(grpc_answer(answer)[1], expected)


@pytest.mark.parametrize("name", NAMES)
def test_metadata_says_what_is_taken(service: Service, name: str) -> None:
    client, channel = service
    tensors, output, expected = CASES[name](ROWS)
    said = client.get(f"/v2/models/{name}").json()
    assert {each["name"]: each["shape"] for each in said["inputs"]} == {
        each: [-1, *array.shape[1:]] for each, array in tensors.items()
    }
    assert said["outputs"][0]["name"] == output
    assert said["outputs"][0]["shape"] == [-1, *expected.shape[1:]]
    asked = message({1: name})
    described = fields(channel.unary_unary("/inference.GRPCInferenceService/ModelMetadata")(asked))
    assert [fields(each)[1][0].decode() for each in described[4]] == list(tensors)


def test_bad_images(service: Service) -> None:
    client, _ = service
    for name, tensors, words in (
        ("vae.encoder", {"images": pixels(1, 28, 28, 3)}, "expected shape [-1, 28, 28, 1]"),
        ("vae.encoder", {"images": pixels(1, 28, 28)}, "expected shape"),
        ("vae.encoder", {"images": values(1, 784)}, "expected datatype UINT8"),
        ("vae.encoder", {"images": pixels(1001, 28, 28, 1)}, "expected at most 1000 rows"),
        ("stargan", {"images": pixels(1, 64, 64, 3)}, "input attributes: expected, but missing"),
        ("pix2pix-edges", {"images": pixels(1, 64, 64, 1)}, "input seed: expected, but missing"),
        ("linear-ae", {"latents": np.full((1, 16), np.nan, np.float32)}, "latents: "),
        (
            "stargan",
            {"images": pixels(1, 64, 64, 3), "attributes": np.full((1, 8), np.nan, np.float32)},
            "attributes: ",
        ),
    ):
        content, headers = body(tensors, True)
        answer = client.post(f"/v2/models/{name}/infer", content=content, headers=headers)
        assert answer.status_code == 400 and words in answer.json()["error"], answer.text


def test_what_is_counted(service: Service) -> None:
    client, _ = service

    def count() -> tuple[int, int]:
        (said,) = client.get("/v2/models/vae.encoder/stats").json()["model_stats"]
        return said["inference_count"], said["execution_count"]

    before, pooled = count(), metrics(client)["zoo_pooled_images_total", ("vae.encoder",)]
    content, headers = body({"images": pixels(2, 28, 28, 1)}, True)
    client.post("/v2/models/vae.encoder/infer", content=content, headers=headers)
    assert count() == (before[0] + 2, before[1] + 1)
    assert metrics(client)["zoo_pooled_images_total", ("vae.encoder",)] == pooled + 2


def test_other_routes_of_an_encoder(service: Service) -> None:
    client, _ = service
    models = {each["name"]: each for each in client.get("/v1/models").json()["models"]}
    assert models["vae.encoder"]["routes"] == ["encode"]
    assert models["fashion-classifier"]["routes"] == []
    assert models["vae.encoder"]["latent"] == {"width": 32}
    assert len(models["fashion-classifier"]["scores"]["names"]) == 10
    for name, others in (("vae.encoder", "only encode"), ("fashion-classifier", "none below /v1")):
        answer = client.get(f"/v1/models/{name}/sample")
        assert answer.status_code == 404
        assert f"has no route sample, {others}" in answer.json()["error"]
