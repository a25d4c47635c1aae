"""Model repositories in NVIDIA's Triton Inference Server, with its client and its schema.

The server runs on a CPU, in an environment that the first test makes and later runs keep
(support/triton_server.py); where it cannot be installed, the tests are skipped and say so.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.plan import pipeline as plans
from export.triton.repository import write
from fixture_types import Once
from repository import TESTS
from runtime import Classifier, Encoder, Generator, Translator, manifest
from triton_server import environment, make_models_environment, run_client, serving_triton
from zoo.engines import WEIGHTS

SCRIPT = TESTS / "support" / "triton_models.py"
NAMES = (
    *("vae", "cgan", "stylegan", "linear-ae", "vae.encoder"),
    *("fashion-classifier", "stargan", "pix2pix-edges"),
)
CLASSES = {
    "generator": Generator,
    "encoder": Encoder,
    "classifier": Classifier,
    "translator": Translator,
}
Answers = tuple[dict[str, Any], dict[str, np.ndarray]]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(once: Once) -> Path:
    """The server, whose models find this package."""
    environment()
    return (
        once("triton", lambda folder: make_models_environment(folder / "e")) / "e/bin/tritonserver"
    )


@pytest.fixture(scope="module")
def session(server: Path, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the client got: errors and statistics, and inputs and outputs by request."""
    folder = tmp_path_factory.mktemp("session")
    write(folder / "repository", NAMES)
    with serving_triton(server, folder / "repository") as (grpc, _):
        said = json.loads(run_client(SCRIPT, "use", grpc, folder))
    with np.load(folder / "answers.npz") as arrays:
        return said, dict(arrays)


def test_configurations_of_all_engines(tmp_path: Path) -> None:
    """Triton's schema has every field, for the engines of every served role and for a plan."""
    environment()
    documents = {path: manifest.read(path) for path in sorted(WEIGHTS.glob("*.onnx"))}
    served = [path for path, document in documents.items() if document["role"] in CLASSES]
    assert {document["role"] for document in documents.values()} - {*CLASSES} == {
        "mapping",
        "synthesis",
    }
    options = plans.Options("tensorrt-rtx", batch=(1, 8))
    plans.export(WEIGHTS / "dcgan.onnx", tmp_path / "small.plan", options)
    write(tmp_path / "r", [*map(str, served), str(tmp_path / "small.plan")])
    files = [tmp_path / "r" / path.stem / "config.pbtxt" for path in served]
    files.append(tmp_path / "r" / "small" / "config.pbtxt")
    configurations = json.loads(run_client(SCRIPT, "parse", *files))
    assert len(configurations) == len(served) + 1 > 35
    for path, fields in zip(served, configurations, strict=False):
        document = documents[path]
        with CLASSES[document["role"]](path) as engine:
            wanted = [*engine.image_shape]
        tensors = {each["name"]: each for each in (*fields["input"], *fields["output"])}
        if "seed" in tensors:
            assert tensors["index"]["data_type"] == tensors["seed"]["data_type"] == "TYPE_UINT64"
        if "label" in tensors:
            assert tensors["label"]["optional"]
        sizes = [int(size) for size in tensors["images"]["dims"]]
        assert sizes == wanted or document["role"] == "translator"
        assert fields["name"] == path.stem and fields["max_batch_size"] == 256
        assert fields["instance_group"][0]["kind"] == "KIND_CPU"
        # A dynamic batch may be of any rows: none of them must depend on another.
        assert "dynamic_batching" in fields
    plan = configurations[-1]
    assert plan["instance_group"][0]["kind"] == "KIND_GPU" and plan["max_batch_size"] == 8
    assert [each["batch_size"] for each in plan["model_warmup"]] == [1, 8]


def expected(model: str, inputs: dict[str, np.ndarray], options: dict[str, Any]) -> np.ndarray:
    """Return the rows that the runtime gives, a request and a seed at a time."""
    path = WEIGHTS / f"{model}.onnx"
    engine: Any = OPEN.setdefault(model, CLASSES[manifest.read(path)["role"]](path))
    if isinstance(engine, Encoder):
        return engine.encode(inputs["images"])[0]
    if isinstance(engine, Classifier):
        return engine.classify(inputs["images"])
    if "latents" in inputs:
        return engine.decode(inputs["latents"])
    rows = []
    if isinstance(engine, Translator) and "seed" not in inputs:
        return engine.translate(inputs["images"], inputs["attributes"])
    seeds, indices = inputs["seed"].ravel(), inputs["index"].ravel()
    ends = [*np.flatnonzero((np.diff(seeds) != 0) | (np.diff(indices) != 1)) + 1, len(seeds)]
    for begin, end in zip([0, *ends], ends, strict=False):
        seed, first = int(seeds[begin]), int(indices[begin])
        if isinstance(engine, Translator):
            rows.append(engine.translate(inputs["images"][begin:end], seed=seed, first=first))
            continue
        labels = inputs["label"][begin:end, 0] if "label" in inputs else None
        chosen = {k: v if k == "prior" else float(v) for k, v in options.items()}
        rows.append(engine.sample(end - begin, seed, first, labels=labels, **chosen))
    return np.concatenate(rows)


OPEN: dict[str, Any] = {}


def test_every_row_is_that_of_the_runtime(session: Answers) -> None:
    """1,000 requests of the VAE of mixed seeds, and those of all roles: the same bytes."""
    said, arrays = session
    counts = Counter(model for _, model, _ in said["requests"])
    assert counts["vae"] > 1000 and {*counts} == {*NAMES}
    try:
        for name, model, options in said["requests"]:
            inputs = {
                key.partition("/")[2]: value
                for key, value in arrays.items()
                if key.startswith(f"{name}/") and not key.endswith("/output")
            }
            output = arrays[f"{name}/output"]
            wanted = expected(model, inputs, options)
            assert output.dtype == wanted.dtype
            assert np.array_equal(output, wanted), name
    finally:
        while OPEN:
            OPEN.popitem()[1].close()


def test_requests_share_runs(session: Answers) -> None:
    """Triton gathers requests of mixed seeds, and runs fewer batches than there are requests."""
    statistics = session[0]["statistics"]["vae"]
    assert 0 < int(statistics["execution_count"]) < 500
    assert int(statistics["inference_count"]) > 2000


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("label", "labels: expected a class from 0 to 9"),
        ("unconditional", "expected 2 inputs but got 3"),
        ("text", "'label' data-type is 'BYTES'"),
        ("missing", "missing required input(s) ['index']"),
        ("rows", "batch size does not match"),
        ("type", "'seed' data-type is 'INT64'"),
        ("many", "batch-size must be <= 256"),
        ("parameter", "unknown parameter 'quality'; known: prior, truncation, noise"),
        ("number", "truncation: expected a number, got 'low'"),
        ("infinite", "truncation: expected a finite number"),
        ("negative", "noise: expected a finite number of at least 0, got -1"),
        ("flag", "truncation: expected a finite number of at least 0, got nan"),
        ("prior", "no mixture, expected normal"),
        ("styles", "no such input"),
        ("nan", "latents: expected finite values, got nan at row 0"),
        ("shape", "Expected [-1,28,28,1], got [1,28,28,3]"),
        ("attributes", "attributes: expected finite values"),
        ("model", "unknown model"),
    ],
)
def test_bad_requests(session: Answers, name: str, words: str) -> None:
    """Refused each time, whatever shares their batch, with a code of the client's fault."""
    answers = session[0]["errors"][name]
    assert len(answers) == 5
    for status, message in answers:
        assert words in message, message
        assert status in ("StatusCode.INVALID_ARGUMENT", "StatusCode.NOT_FOUND")


def test_every_bad_request_is_checked(session: Answers) -> None:
    (cases,) = (mark for mark in test_bad_requests.pytestmark if mark.name == "parametrize")
    assert {name for name, _ in cases.args[1]} == {*session[0]["errors"]}


def test_a_numpy_that_the_server_cannot_read(tmp_path: Path) -> None:
    """Arrays of NumPy 2 would come out empty: the model says so, and is not served."""
    assert np.lib.NumpyVersion(np.__version__) >= "2.0.0"
    server = make_models_environment(tmp_path / "e", Path(np.__file__).parents[1])
    write(tmp_path / "r", ["vae"])
    with pytest.raises(RuntimeError, match="does not read arrays of NumPy 2"):
        with serving_triton(server, tmp_path / "r"):
            pass


def test_without_the_package(tmp_path: Path) -> None:
    """A server whose Python has no runtime names the remedy."""
    write(tmp_path / "r", ["vae"])
    server = environment() / "bin" / "tritonserver"
    with pytest.raises(RuntimeError, match="pip install generator-zoo there"):
        with serving_triton(server, tmp_path / "r"):
            pass
