"""NVIDIA's client and Triton's schema, in an environment that has nothing of this project.

`python triton_models.py parse FILE…` prints the fields of each config.pbtxt as JSON, by Triton's
own schema. `python triton_models.py use GRPC FOLDER` sends the requests of a session; it writes the
inputs and outputs to FOLDER/answers.npz, and prints errors and statistics as JSON. `python
triton_models.py send GRPC FOLDER` sends the requests in FOLDER/requests.npz, `NAME/MODEL/INPUT`, at
once, and writes the outputs to FOLDER/answers.npz by NAME.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc
from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

REQUESTS = 1000
CLIENTS = 16
SEEDS = np.array([0, 7, 2**32, 2**63, 2**64 - 1], np.uint64)

Arrays = dict[str, np.ndarray]


def parse(paths: list[str]) -> list[Any]:
    """Return the fields of configurations; raises for a field that the schema does not have."""
    messages = []
    for path in paths:
        message = model_config_pb2.ModelConfig()
        text_format.Parse(Path(path).read_text("utf-8"), message)
        messages.append(json_format.MessageToDict(message, preserving_proto_field_name=True))
    return messages


def draw_rows(random: np.random.Generator, most: int) -> Arrays:
    """Return seeds and indices of some images, of one seed and then of another."""
    counts = random.integers(1, most, 2)
    seeds, begins = random.choice(SEEDS, 2), random.choice([0, 3, 2**40 + 5], 2)
    rows = [
        np.stack([np.full(n, seed), np.uint64(first) + np.arange(n, dtype=np.uint64)], 1)
        for seed, first, n in zip(seeds, begins, counts, strict=True)
    ]
    return {"seed": np.concatenate(rows)[:, :1], "index": np.concatenate(rows)[:, 1:]}


def infer(client: Any, model: str, values: Arrays, **options: Any) -> np.ndarray:
    """Return the only output of a request."""
    tensors = []
    for name, array in values.items():
        datatype = np_to_triton_dtype(array.dtype)
        tensors.append(tritonclient.grpc.InferInput(name, list(array.shape), datatype))
        tensors[-1].set_data_from_numpy(np.ascontiguousarray(array))
    result = client.infer(model, tensors, **options)
    return result.as_numpy(result.get_response().outputs[0].name)


def cases() -> list[tuple[str, str, Arrays, dict[str, Any]]]:
    """Return requests that the server answers: a name, model, inputs and parameters."""
    random = np.random.default_rng(1)
    keys = [draw_rows(random, 5) for _ in range(REQUESTS)]
    result = [(f"plain{i}", "vae", rows, {}) for i, rows in enumerate(keys)]
    for number in range(40):
        rows = keys[number]
        labels = random.integers(0, 10, rows["seed"].shape)
        result.append((f"labels{number}", "cgan", rows | {"label": labels}, {}))
        result.append((f"classes{number}", "cgan", rows, {}))
    # The parameters of gRPC are numbers or texts, and rows that differ in them share no run.
    for number, options in enumerate(
        [{"truncation": 0.5}, {"truncation": "0.5"}, {"noise": 0.0}, {}, {"truncation": 0.7}] * 3
    ):
        result.append((f"styles{number}", "stylegan", keys[number], options))
    result.append(("mixture", "vae", keys[0], {"prior": "mixture"}))
    grey = random.integers(0, 256, (24, 28, 28, 1), np.uint8)
    colour = random.integers(0, 256, (6, 64, 64, 3), np.uint8)
    for number in range(8):
        images = {"images": grey[number : 3 * number + 1]}
        result.append((f"encoder{number}", "vae.encoder", images, {}))
        result.append((f"scores{number}", "fashion-classifier", images, {}))
    attributes = random.random((6, 8)).astype(np.float32)
    for number in range(3):
        part = slice(number, 2 * number + 1)
        inputs = {"images": colour[part], "attributes": attributes[part]}
        result.append((f"domains{number}", "stargan", inputs, {}))
        rows = {name: values[: number + 1] for name, values in keys[number].items()}
        count = len(rows["seed"])
        inputs = {"images": np.ascontiguousarray(colour[:count, :, :, :1]), **rows}
        result.append((f"noise{number}", "pix2pix-edges", inputs, {}))
        latents = random.standard_normal((number + 2, 16), np.float32)
        result.append((f"latents{number}", "linear-ae", {"latents": latents}, {}))
    return result


def bad_requests() -> dict[str, tuple[str, Arrays, dict[str, Any]]]:
    """Return requests that the server refuses, by a name."""
    rows = draw_rows(np.random.default_rng(2), 3)
    ones = np.ones_like(rows["seed"])
    return {
        "label": ("cgan", rows | {"label": 11 * ones.astype(np.int64)}, {}),
        "unconditional": ("vae", rows | {"label": ones.astype(np.int64)}, {}),
        "text": ("cgan", rows | {"label": ones.astype(str).astype(object)}, {}),
        "missing": ("vae", {"seed": rows["seed"]}, {}),
        "rows": ("vae", {"seed": rows["seed"], "index": rows["index"][:1]}, {}),
        "type": ("vae", rows | {"seed": ones.astype(np.int64)}, {}),
        "many": ("vae", {name: np.zeros((257, 1), np.uint64) for name in rows}, {}),
        "parameter": ("vae", rows, {"quality": 3}),
        "number": ("stylegan", rows, {"truncation": "low"}),
        "infinite": ("stylegan", rows, {"truncation": "inf"}),
        "negative": ("stylegan", rows, {"noise": -1.0}),
        "flag": ("stylegan", rows, {"truncation": True}),
        "prior": ("cgan", rows, {"prior": "mixture"}),
        "styles": ("vae", rows, {"truncation": 0.5}),
        "nan": ("linear-ae", {"latents": np.full((2, 16), np.nan, np.float32)}, {}),
        "shape": ("vae.encoder", {"images": np.zeros((1, 28, 28, 3), np.uint8)}, {}),
        "attributes": (
            "stargan",
            {
                "images": np.zeros((1, 64, 64, 3), np.uint8),
                "attributes": np.full((1, 8), np.inf, np.float32),
            },
            {},
        ),
        "model": ("nothing", rows, {}),
    }


def use(grpc: str, folder: Path) -> dict[str, Any]:
    """Send all requests, the good and the bad beside each other; return errors and statistics."""
    client = tritonclient.grpc.InferenceServerClient(grpc)
    good, bad = cases(), bad_requests()
    arrays: Arrays = {}

    def send(name: str, model: str, inputs: Arrays, parameters: dict[str, Any]) -> None:
        output = infer(client, model, inputs, parameters=parameters)
        arrays.update({f"{name}/{each}": array for each, array in inputs.items()})
        arrays[f"{name}/output"] = output

    def refuse(model: str, inputs: Arrays, parameters: dict[str, Any]) -> list[str]:
        try:
            infer(client, model, inputs, parameters=parameters)
        except InferenceServerException as error:
            return [error.status() or "", error.message()]
        return ["", "no error"]

    with ThreadPoolExecutor(CLIENTS) as pool:
        sent = [pool.submit(send, *case) for case in good]
        refused = {
            name: [pool.submit(refuse, *each) for _ in range(5)] for name, each in bad.items()
        }
        for each in sent:
            each.result()
        errors = {name: [each.result() for each in several] for name, several in refused.items()}
    np.savez(folder / "answers.npz", **arrays)
    statistics = client.get_inference_statistics(as_json=True)["model_stats"]
    return {
        "requests": [[name, model, parameters] for name, model, _, parameters in good],
        "errors": errors,
        "statistics": {each["name"]: each for each in statistics},
    }


def send(grpc: str, folder: Path) -> None:
    """Send the requests of a file at once; raises for a request that is refused."""
    client = tritonclient.grpc.InferenceServerClient(grpc)
    requests: dict[tuple[str, str], Arrays] = {}
    with np.load(folder / "requests.npz") as arrays:
        for key, values in arrays.items():
            name, model, tensor = key.split("/")
            requests.setdefault((name, model), {})[tensor] = values
    with ThreadPoolExecutor(CLIENTS) as pool:
        sent = {
            name: pool.submit(infer, client, model, inputs)
            for (name, model), inputs in requests.items()
        }
        answers = {name: each.result() for name, each in sent.items()}
    np.savez(folder / "answers.npz", **answers)


def main() -> None:
    job, *arguments = sys.argv[1:]
    if job == "parse":
        print(json.dumps(parse(arguments)))
    elif job == "send":
        grpc, folder = arguments
        send(grpc, Path(folder))
    else:
        grpc, folder = arguments
        print(json.dumps(use(grpc, Path(folder))))


if __name__ == "__main__":
    main()
