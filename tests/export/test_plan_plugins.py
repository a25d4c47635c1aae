"""Plans that draw their noise with the plugins, really built by TensorRT for RTX without a GPU.

Its parser imports plugins only in a process that this project loads it into first, so that builds
are commands of their own. The kernels of the plugins: csrc/tests/plugins_test.cc.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import runtime
from export.errors import ExportError
from export.plan import pipeline, plugins
from export.plan.precision import Precision
from export.plan.types import Options
from exported import refuse_plan
from plan_cases import load, lower
from plugin_graphs import use_custom_operators
from repository import ROOT, TESTS
from runtime.errors import BackendUnavailableError, ManifestError
from shell import refuses, succeeds
from zoo.engines import WEIGHTS

pytestmark = pytest.mark.skipif(
    shutil.which("nvcc") is None, reason="the plugins are built where nvcc is"
)

SEEDS = np.array([7, 2**64 - 3, 7, 0], np.uint64)
FIRSTS = np.array([0, 5, 2**40, 2**64 - 1], np.uint64)
KEYS = np.stack([SEEDS, FIRSTS], axis=1)


def run_python(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{TESTS / 'support'}"},
        check=False,
    )


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of the shipped VAE."""
    path = tmp_path_factory.mktemp("plan") / "vae.plan"
    arguments = ("--target", "tensorrt-rtx", "--batch", "1,8,64", "--precision", "fp16")
    done = run_python("-m", "export", "vae", "--plugins", *arguments, "--out", path)
    assert done.returncode == 0, done.stderr
    line = "vae.plan is not checked: TensorRT runs plans with plugins, not this runtime"
    assert done.stderr.splitlines()[-1] == line
    return path


def run_graph(name: str, precision: Precision, feed: dict[str, np.ndarray]) -> Any:
    """Run the graph of a plan in ONNX Runtime, with our operators for the plugins."""
    path = WEIGHTS / f"{name}.onnx"
    model, _ = lower(path, precision)
    plugins.draw_noise(model, load(path)[1])
    use_custom_operators(model)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(runtime.ops.ops_library()))
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    names = [each.name for each in session.get_inputs()]
    assert names[:2] == ["seed", "first"]
    return session.run(None, feed)[0]


@pytest.mark.parametrize(
    ("name", "precision", "allowed"),
    [("vae", "fp32", 1), ("cgan", "fp32", 1), ("stylegan", "fp32", 1), ("vae", "fp16", 2)],
)
def test_images_of_the_graph(name: str, precision: Precision, allowed: int) -> None:
    """Row r is image first[r] of seed[r], whatever rows are beside it, in one graph."""
    feed = {"seed": SEEDS.view(np.int64), "first": FIRSTS.view(np.int64)}
    labels = np.array([1, 0, 9, 4]) if name == "cgan" else None
    if labels is not None:
        feed["label"] = labels
    images = run_graph(name, precision, feed)
    with runtime.Generator(WEIGHTS / f"{name}.onnx") as engine:
        expected = engine.sample(4, keys=KEYS, labels=labels)
    assert images.dtype == np.uint8
    assert np.abs(images.astype(int) - expected).max() <= allowed
    assert len({image.tobytes() for image in images}) == 4


def test_noise_of_the_layers_of_a_translator() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 1), np.uint8)
    feed = {"seed": SEEDS.view(np.int64), "first": FIRSTS.view(np.int64), "input": pictures}
    images = run_graph("pix2pix-colour", "fp32", feed)
    with runtime.Translator(WEIGHTS / "pix2pix-colour.onnx") as engine:
        expected = engine.translate(pictures, keys=KEYS)
    assert np.abs(images.astype(int) - expected).max() <= 1


PARSE = """
import json, onnx, sys
from export.plan import pipeline, plugins, targets
from runtime import manifest
rtx = targets.choose("tensorrt-rtx")
trt = rtx.module
plugins.register(rtx)
model = onnx.load(sys.argv[1])
source = manifest.read(sys.argv[1])
model, _ = pipeline.lower(model, source, "fp32")
plugins.draw_noise(model, source)
builder = trt.Builder(rtx.log.logger)
typed = rtx.flag("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
network = builder.create_network(1 << int(typed))
parser = trt.OnnxParser(network, rtx.log.logger)
assert parser.parse(model.SerializeToString()), parser.get_error(0).desc()
layers = [network.get_layer(index) for index in range(network.num_layers)]
inputs = [network.get_input(index) for index in range(network.num_inputs)]
print(json.dumps({
    "plugins": [
        [each.name, each.get_output(0).dtype.name, list(each.get_output(0).shape)]
        for each in layers if each.type.name == "PLUGIN_V3"
    ],
    "inputs": [
        [each.name, each.dtype.name, list(each.shape), each.is_shape_tensor] for each in inputs
    ],
}))
"""


def test_networks_have_plugin_layers() -> None:
    """The parser makes a plugin of each noise operator; the keys are no shape tensors.

    Triton's TensorRT backend takes shape tensors from the host, and does not batch them as rows.
    """
    done = run_python("-c", PARSE, WEIGHTS / "stylegan.onnx")
    assert done.returncode == 0, done.stderr
    network = json.loads(done.stdout.splitlines()[-1])
    assert {name: shape for name, _, shape in network["plugins"]} == {
        "draw.latent": [-1, 64],
        # Of two layers for each side.
        "draw.noise.1": [-1, sum(2 * side**2 for side in (4, 8, 16, 32, 64))],
    }
    assert {dtype for _, dtype, _ in network["plugins"]} == {"FLOAT"}
    assert network["inputs"] == [[name, "INT64", [-1], False] for name in ("seed", "first")]


def test_a_plan_from_a_shell(plan: Path) -> None:
    """TensorRT stored the plugin and its fields for every batch size; the manifest says so."""
    content = plan.read_bytes()
    assert content.count(b"ReparametrizedSample") >= 3 and b"output_type" in content
    document = runtime.manifest.read(plan)
    fields = document["plan"]
    assert fields["plugins"] is True and fields["buckets"] == [1, 8, 64]
    assert fields["inputs"] == [
        {"name": name, "dtype": "int64", "shape": ["N"]} for name in ("seed", "first")
    ]
    assert document["precision"] == "fp16"
    printed = succeeds("inspect", "vae.plan", cwd=plan.parent)
    assert "seed  int64 [N]" in printed and "plugins" in printed


def test_this_runtime_does_not_open_it(plan: Path) -> None:
    """A typed error, before a GPU is looked for."""
    with pytest.raises(BackendUnavailableError, match=r"libzoo_plugins\.so.*without --plugins"):
        runtime.Generator(plan)
    error = refuses("sample", "--engine", "vae.plan", "--out", "a.png", cwd=plan.parent)
    assert "draws its noise with libzoo_plugins.so" in error
    done = run_python("-m", "export", "--triton", plan.parent / "r", plan)
    assert done.returncode == 2 and not (plan.parent / "r").exists()
    assert "is a plan of TensorRT for RTX, which Triton's TensorRT backend does not" in done.stderr


def change(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Return a function that sets a value in `plan`: the keys that lead to it, then the value."""

    def apply(document: dict[str, Any]) -> None:
        *keys, last, value = path
        part = document["plan"]
        for key in keys:
            part = part[key]
        part[last] = value

    return apply


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (change("plugins", "yes"), "plan.plugins"),
        (change("plugins", False), "plan.inputs"),
        (change("inputs", 0, "shape", [1]), "plan.inputs"),
        (change("inputs", 1, "dtype", "float32"), "plan.inputs"),
        (change("inputs", 1, "name", "latent"), "plan.inputs"),
    ],
)
def test_manifests_of_other_inputs(
    spoil: Callable[[dict[str, Any]], None], field: str, plan: Path
) -> None:
    document = runtime.manifest.read(plan)
    runtime.manifest.validate(document)
    spoil(document)
    with pytest.raises(ManifestError, match=field):
        runtime.manifest.validate(document)


def test_ranges_of_batch_sizes() -> None:
    """All sizes up to the largest, each in one profile; by default only the given ones."""
    assert Options(batch=(64, 1, 8)).profiles == ((1, 1), (8, 8), (64, 64))
    for option in "any_batch", "plugins":
        options = Options(batch=(64, 1, 8), **{option: True})  # type: ignore[arg-type]
        assert options.profiles == ((1, 1), (2, 8), (9, 64))
    assert Options(batch=(5,), any_batch=True).profiles == ((1, 5),)


LATE = """
import sys
import tensorrt_rtx_bindings
from export.plan import pipeline
from pathlib import Path
source, out = map(Path, sys.argv[1:])
pipeline.export(source, out, pipeline.Options("tensorrt-rtx", plugins=True))
"""


def test_a_tensorrt_that_was_loaded_before(tmp_path: Path) -> None:
    """Its parser would end the process: an error instead, and no plan."""
    done = run_python("-c", LATE, WEIGHTS / "vae.onnx", tmp_path / "a.plan")
    assert done.returncode == 1 and "terminate" not in done.stderr
    assert "was loaded by other code of this process" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vae.encoder", "vae.encoder.onnx draws no noise"),
        ("stargan", "stargan.onnx draws no noise"),
        ("linear-ae", "linear-ae.onnx has no prior to draw latents from"),
        ("stylegan.synthesis", "stylegan.synthesis.onnx has no prior to draw latents from"),
    ],
)
def test_engines_without_noise(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"--plugins: {words}"):
        options = Options("tensorrt-rtx", plugins=True)
        pipeline.export(WEIGHTS / f"{name}.onnx", tmp_path / "a.plan", options)
    assert list(tmp_path.iterdir()) == []


def test_bad_options(tmp_path: Path) -> None:
    assert "cannot compare plans with --plugins" in refuse_plan(
        tmp_path, "--plugins", "--max-quality-loss", 1
    )
    with pytest.raises(ExportError, match="--plugins: expected an engine file"):
        pipeline.export(tmp_path, tmp_path / "a.plan", Options("tensorrt-rtx", plugins=True))
    for option in "--plugins", "--any-batch":
        done = run_python("-m", "export", "vae", option, "--out", tmp_path / "a.onnx")
        assert done.returncode == 2 and f"{option} applies to plans only" in done.stderr


def test_the_library_that_registers_the_plugins() -> None:
    """Without a TensorRT in the process, it says so and does nothing."""
    library = runtime.ops.plugin_library().with_name("libzoo_register_plugins.so")
    done = run_python("-c", "import ctypes, sys; ctypes.CDLL(sys.argv[1])", library)
    assert done.returncode == 0
    assert done.stderr.startswith("zoo_register_plugins: no libnvinfer.so.")
