"""A session of NVIDIA's client, in an environment that has nothing of this project.

Run as `python triton_session.py HTTP GRPC FOLDER`; prints how many answers it got, and writes
their images to FOLDER.
"""

from __future__ import annotations

import queue
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

ROWS = np.array([[7, 3], [2**64 - 1, 0], [0, 2**64 - 1], [7, 4]], np.uint64)


def inputs(module: Any, labels: Any = None, **binary: bool) -> list[Any]:
    columns = {"seed": ROWS[:, :1], "index": ROWS[:, 1:]}
    if labels is not None:
        columns["label"] = labels
    made = []
    for name, values in columns.items():
        datatype = {"u": "UINT64", "i": "INT64"}.get(values.dtype.kind, "BYTES")
        tensor = module.InferInput(name, list(values.shape), datatype)
        tensor.set_data_from_numpy(np.ascontiguousarray(values), **binary)
        made.append(tensor)
    return made


def use(module: Any, client: Any, kind: str) -> dict[str, np.ndarray]:
    """Use what both clients have; return images by a name."""
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("cgan") and client.is_model_ready("cgan", "1")
    assert not client.is_model_ready("nothing")
    json = {"as_json": True} if kind == "grpc" else {}
    metadata = client.get_model_metadata("cgan", **json)
    assert [each["name"] for each in metadata["inputs"]] == ["seed", "index", "label"]
    assert client.get_server_metadata(**json)["name"] == "generator-zoo"
    config = client.get_model_config("cgan", **json)
    config = config.get("config", config)
    assert config["output"][0]["data_type"] == "TYPE_UINT8", config
    index = client.get_model_repository_index(**json)
    assert [each["name"] for each in (index["models"] if json else index)] == ["cgan"]
    numbers = np.array([[9], [0], [4], [4]], np.int64)
    texts = np.array([["Bag"], ["Coat"], ["Bag"], ["Dress"]], object)
    results = {
        "plain": client.infer("cgan", inputs(module), request_id="7"),
        "numbers": client.infer("cgan", inputs(module, numbers), model_version="1"),
        "texts": client.infer("cgan", inputs(module, texts), timeout=10**7),
        "named": client.infer(
            "cgan", inputs(module), outputs=[module.InferRequestedOutput("images")]
        ),
    }
    assert results["plain"].get_response(**json)["id"] == "7"
    statistics = client.get_inference_statistics("cgan", **json)["model_stats"][0]
    assert int(statistics["inference_stats"]["success"]["count"]) >= 4
    for model, tensors in (("nothing", inputs(module)), ("cgan", inputs(module)[:1])):
        try:
            client.infer(model, tensors)
        except InferenceServerException as error:
            assert "nothing" in error.message() or "index" in error.message()
        else:
            raise AssertionError("expected an error")
    return {f"{kind}_{name}": result.as_numpy("images") for name, result in results.items()}


def use_http(address: str) -> dict[str, np.ndarray]:
    module = tritonclient.http
    client = module.InferenceServerClient(address)
    images = use(module, client, "http")
    output = [module.InferRequestedOutput("images", binary_data=False)]
    result = client.infer("cgan", inputs(module, binary_data=False), outputs=output)
    images["http_json"] = result.as_numpy("images")
    for coding in ("gzip", "deflate"):
        result = client.infer(
            "cgan",
            inputs(module),
            request_compression_algorithm=coding,
            response_compression_algorithm=coding,
        )
        images[f"http_{coding}"] = result.as_numpy("images")
    images["http_async"] = (
        client.async_infer("cgan", inputs(module)).get_result().as_numpy("images")
    )
    return images


def use_grpc(address: str) -> dict[str, np.ndarray]:
    module = tritonclient.grpc
    client = module.InferenceServerClient(address)
    images = use(module, client, "grpc")
    images["grpc_gzip"] = client.infer(
        "cgan", inputs(module), compression_algorithm="gzip"
    ).as_numpy("images")
    answers: queue.Queue[Any] = queue.Queue()
    client.async_infer("cgan", inputs(module), lambda result, error: answers.put((result, error)))
    result, error = answers.get(timeout=60)
    assert error is None
    images["grpc_async"] = result.as_numpy("images")
    client.start_stream(lambda result, error: answers.put((result, error)))
    for number in range(5):
        client.async_stream_infer("cgan", inputs(module), request_id=str(number))
    for number in range(5):
        result, error = answers.get(timeout=60)
        assert error is None and result.get_response().id == str(number)
        images["grpc_stream"] = result.as_numpy("images")
    client.stop_stream()
    return images


def main() -> None:
    http, grpc, folder = sys.argv[1:]
    images = use_http(http) | use_grpc(grpc)
    np.savez(Path(folder) / "images.npz", rows=ROWS, **images)
    print("answers:", len(images))


if __name__ == "__main__":
    main()
