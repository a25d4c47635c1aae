"""Plans for Triton's TensorRT backend: alone with plugins, and in ensembles with the noise.

There is no GPU and no TensorRT backend here. The configurations are parsed by Triton's schema and
loaded by the real server, in which a model of its Python backend takes the place of each network
(support/triton_network.py): the ensembles, the noise, the batches and the shapes are Triton's.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export.plan import graph, plugins
from export.triton.repository import write
from fixture_types import Once
from plugin_graphs import use_custom_operators
from repository import TESTS
from runtime import Encoder, Generator, Translator, manifest
from tensorrt_plans import build
from triton_server import environment, make_models_environment, run_client, serving_triton
from zoo.engines import WEIGHTS

SUPPORT = TESTS / "support"
SCRIPT = SUPPORT / "triton_models.py"
BATCH = (1, 4, 16)
ENSEMBLES = ("vae", "cgan", "pix2pix-colour", "linear-ae", "vae.encoder", "face-features")
PLUGINS = ("dcgan", "stylegan", "pix2pix-edges")
SERVED = ("vae", "cgan", "pix2pix-colour", "vae.encoder", "dcgan", "pix2pix-edges")
Arrays = dict[str, np.ndarray]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def repository(once: Once) -> Path:
    """Models of plans of the target tensorrt: ensembles, and plans with plugins."""

    def make(folder: Path) -> None:
        folder.mkdir()
        for names, options in (ENSEMBLES, {"any_batch": True}), (PLUGINS, {"plugins": True}):
            for name in names:
                build(folder / f"{name}.plan", WEIGHTS / f"{name}.onnx", batch=BATCH, **options)
        write(folder / "r", [str(folder / f"{name}.plan") for name in ENSEMBLES + PLUGINS])

    return once("ensembles", lambda folder: make(folder / "e")) / "e" / "r"


def parse(repository: Path) -> dict[str, Any]:
    environment()
    files = sorted(repository.glob("*/config.pbtxt"))
    return {each["name"]: each for each in json.loads(run_client(SCRIPT, "parse", *files))}


def test_files(repository: Path) -> None:
    """A network has the plan, the noise our model, and an ensemble an empty version."""
    files = {str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file()}
    expected = {f"{name}/1/{name}.plan" for name in PLUGINS}
    expected |= {f"{name}.network/1/{name}.plan" for name in ENSEMBLES}
    drawing = ("vae", "cgan", "pix2pix-colour")
    expected |= {f"{name}.noise/1/model.py" for name in drawing}
    models = {path.split("/")[0] for path in expected} | {*ENSEMBLES}
    assert files == expected | {f"{model}/config.pbtxt" for model in models}
    assert all((repository / model / "1").is_dir() for model in models)


def test_configurations(repository: Path) -> None:
    """Triton's schema has every field; networks have the tensors and profiles of their plans."""
    models = parse(repository)
    networks = {
        **{f"{name}.network": name for name in ENSEMBLES},
        **{name: name for name in PLUGINS},
    }
    assert {name for name, each in models.items() if each.get("platform") == "tensorrt_plan"} == {
        *networks
    }
    for model, name in networks.items():
        fields = models[model]
        plan = manifest.read(repository / model / "1" / f"{name}.plan")["plan"]
        assert fields["default_model_filename"] == f"{name}.plan"
        assert fields["max_batch_size"] == 16
        (group,) = fields["instance_group"]
        assert group["kind"] == "KIND_GPU" and group["profile"] == ["0", "1", "2"]
        for which in "input", "output":
            for tensor, given in zip(plan[f"{which}s"], fields[which], strict=True):
                assert given["name"] == tensor["name"] and tensor["shape"][0] == "N"
                # The shape that the backend compares: dims, or reshape if there is one.
                dims = given["reshape"].get("shape", []) if "reshape" in given else given["dims"]
                assert [int(length) for length in dims] == tensor["shape"][1:]
                kind = {"float32": "TYPE_FP32", "int64": "TYPE_INT64", "uint8": "TYPE_UINT8"}
                assert given["data_type"] == kind[tensor["dtype"]]
    for name in PLUGINS:
        assert [each["name"] for each in models[name]["input"]][:2] == ["seed", "first"]


def test_wiring_of_ensembles(repository: Path) -> None:
    """Every input of a step is one of the ensemble or of a step before, with the same type."""
    models = parse(repository)
    for name in ENSEMBLES:
        ensemble = models[name]
        assert ensemble["platform"] == "ensemble" and ensemble["max_batch_size"] == 16
        known = {each["name"]: each for each in ensemble["input"]}
        used = set()
        for step in ensemble["ensemble_scheduling"]["step"]:
            model = models[step["model_name"]]
            assert model["max_batch_size"] >= ensemble["max_batch_size"]
            assert step["input_map"].keys() == {each["name"] for each in model["input"]}
            for tensor in model["input"]:
                source = known[step["input_map"][tensor["name"]]]
                used.add(source["name"])
                assert source["data_type"] == tensor["data_type"]
                assert source["dims"] == tensor["dims"]
            outputs = {each["name"]: each for each in model["output"]}
            for tensor_name, target in step["output_map"].items():
                # Of an ensemble, which has one name for one tensor.
                assert target not in known
                known[target] = {**outputs[tensor_name], "name": target}
        for output in ensemble["output"]:
            made = known[output["name"]]
            assert (made["data_type"], made["dims"]) == (output["data_type"], output["dims"])
        assert {each["name"] for each in ensemble["input"]} <= used


def put_stand_ins(repository: Path, copy: Path) -> None:
    """Copy served models; the networks run their graphs in the Python backend, on a CPU."""
    for name in SERVED:
        for folder in {*repository.glob(name), *repository.glob(f"{name}.n*")}:
            shutil.copytree(folder, copy / folder.name)
    for file in copy.glob("*/config.pbtxt"):
        text = file.read_text()
        if "tensorrt_plan" not in text:
            continue
        text, count = re.subn(
            r'platform: "tensorrt_plan"\ndefault_model_filename: .*\n', 'backend: "python"\n', text
        )
        text, more = re.subn(r"kind: KIND_GPU\n  profile: .*\n", "kind: KIND_CPU\n", text)
        assert count == more == 1
        file.write_text(text)
        (plan,) = (file.parent / "1").glob("*.plan")
        source = WEIGHTS / f"{plan.stem}.onnx"
        model, document = onnx.load(source), manifest.read(source)
        model = graph.prepare(model, document)
        if manifest.read(plan)["plan"].get("plugins"):
            plugins.draw_noise(model, document)
            use_custom_operators(model)
        onnx.save(model, plan.with_name("network.onnx"))
        shutil.copy(SUPPORT / "triton_network.py", plan.with_name("model.py"))


def inputs_of(name: str, count: int, random: np.random.Generator) -> Arrays:
    """Return the tensors of a request: rows of two seeds, with the indices far apart."""
    seeds = np.where(np.arange(count) < count // 2, 7, 2**64 - 3).astype(np.uint64)
    indices = np.uint64(2**40) + random.integers(0, 9, count).astype(np.uint64)
    keys = {"seed": seeds[:, None], "index": indices[:, None]}
    grey = random.integers(0, 256, (count, 64, 64, 1), np.uint8)
    signed = {"seed": keys["seed"].view(np.int64), "first": keys["index"].view(np.int64)}
    return {
        "vae": keys,
        "cgan": keys | {"label": random.integers(0, 10, (count, 1))},
        "pix2pix-colour": keys | {"images": grey},
        "vae.encoder": {"images": np.ascontiguousarray(grey[:, :28, :28])},
        "dcgan": signed,
        "pix2pix-edges": signed | {"input": grey},
    }[name]


def expected(name: str, engine: Any, inputs: Arrays) -> np.ndarray:
    """Return the rows that the runtime gives on a CPU."""
    second = inputs.get("index", inputs.get("first"))
    keys = None
    if second is not None:
        keys = np.concatenate([inputs["seed"], second], axis=1).view(np.uint64)
    if isinstance(engine, Generator) and keys is not None:
        labels = inputs["label"][:, 0] if "label" in inputs else None
        return engine.sample(len(keys), keys=keys, labels=labels)
    images = inputs.get("images", inputs.get("input"))
    assert images is not None
    if isinstance(engine, Encoder):
        return engine.encode(images)[0]
    return engine.translate(images, keys=keys)


def test_rows_are_those_of_the_runtime(repository: Path, once: Once, tmp_path: Path) -> None:
    """Requests of mixed seeds and sizes at once, through real ensembles and batches."""
    put_stand_ins(repository, tmp_path / "r")
    server = make_models_environment(tmp_path / "e")
    random = np.random.default_rng(3)
    requests = {
        f"{name}{number}": (name, inputs_of(name, int(random.integers(1, 6)), random))
        for name in SERVED
        for number in range(12)
    }
    arrays = {
        f"{request}/{model}/{tensor}": values
        for request, (model, inputs) in requests.items()
        for tensor, values in inputs.items()
    }
    np.savez(tmp_path / "requests.npz", **arrays)
    with serving_triton(server, tmp_path / "r") as (grpc, _):
        run_client(SCRIPT, "send", grpc, tmp_path)
    classes = {
        "generator": Generator,
        "encoder": Encoder,
        "translator": Translator,
    }
    with np.load(tmp_path / "answers.npz") as answers:
        for name in SERVED:
            path = WEIGHTS / f"{name}.onnx"
            with classes[manifest.read(path)["role"]](path) as engine:
                for number in range(12):
                    inputs = requests[f"{name}{number}"][1]
                    wanted, got = expected(name, engine, inputs), answers[f"{name}{number}"]
                    assert got.dtype == wanted.dtype and got.shape == wanted.shape
                    if got.dtype == np.uint8:
                        assert np.abs(got.astype(int) - wanted).max() <= 1, name
                    else:
                        np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-3)
