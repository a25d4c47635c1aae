"""The graphs of OpenVINO in bf16, in which transposed convolutions become convolutions.

csrc/tests/transposed_convolutions_test.cc compares the two forms.
"""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import runtime
import zoo
from runtime import manifest
from runtime.errors import ArgumentError, BackendUnavailableError
from runtime.layers import LayerTime
from shell import succeeds

COUNT = 17
FP32_AT_THE_END = ("Conv", "Gemm", "MatMul")
"""OpenVINO computes in fp32 what follows the last of these."""


@functools.cache
def transposed(name: str) -> tuple[int, int]:
    """The transposed convolutions of a shipped engine: all, and those that end it."""
    graph = onnx.load(zoo.engine_path(name)).graph
    makers = {output: node for node in graph.node for output in node.output}
    seen, waiting = set(), [output.name for output in graph.output]
    while waiting:
        node = makers.get(waiting.pop())
        if node is None or node.output[0] in seen or node.op_type in FP32_AT_THE_END:
            continue
        seen.add(node.output[0])
        waiting += node.input
    kind = [node for node in graph.node if node.op_type == "ConvTranspose"]
    return len(kind), sum(node.output[0] in seen for node in kind)


NAMES = [path.name for path in sorted(zoo.engine_path("vae").parent.glob("*.onnx"))]
REWRITTEN = [name for name in NAMES if transposed(name)[1]]
KEPT = [name for name in NAMES if transposed(name)[0] and name not in REWRITTEN]


@functools.cache
def has_bf16() -> bool:
    """Return True if OpenVINO has bf16 on this CPU; else check the error that says so."""
    try:
        runtime.Generator(zoo.engine_path("gan"), backend="openvino", precision="bf16")
    except BackendUnavailableError as error:
        assert "bf16: this CPU has no bf16 instructions" in str(error)
        return False
    return True


def layers(name: str, precision: str) -> tuple[LayerTime, ...]:
    path = zoo.engine_path(name)
    return runtime.measure_layers(path, precision, 1, 0, backend="openvino").layers


def images(name: str, batch: int = COUNT, **options: Any) -> NDArray[np.uint8]:
    """Images of a shipped engine, computed `batch` at a time."""
    path = zoo.engine_path(name)
    random = np.random.default_rng(0)
    role = manifest.read(path)["role"]
    parts = [slice(first, first + batch) for first in range(0, COUNT, batch)]
    engine: Any
    if role == "translator":
        engine = runtime.Translator(path, backend="openvino", instances=1, **options)
        inputs = random.integers(0, 256, (COUNT, *engine.input_shape)).astype(np.uint8)
        wanted = np.eye(len(engine.attributes))[0] if engine.attributes else None
        return np.concatenate(
            [engine.translate(inputs[part], wanted, first=part.start) for part in parts]
        )
    engine = runtime.Generator(path, backend="openvino", instances=1, **options)
    latents = random.standard_normal((COUNT, engine.latent_width)).astype(np.float32)
    labels = np.arange(COUNT) % 10 if name.startswith("cgan") else None
    return np.concatenate(
        [
            engine.decode(latents[part], labels=None if labels is None else labels[part])
            for part in parts
        ]
    )


def test_engines_of_both_kinds_are_shipped() -> None:
    assert {"bigan.onnx", "cgan.onnx", "dcgan.onnx", "pix2pix-edges.onnx"} < set(REWRITTEN)
    assert {"progan.onnx", "stylegan.onnx", "vae.onnx", "vae-faces.onnx"} < set(KEPT)


@pytest.mark.parametrize("name", REWRITTEN)
def test_the_end_of_the_graph_is_rewritten(name: str) -> None:
    assert not any("/phase" in layer.name for layer in layers(name, "fp32"))
    if not has_bf16():
        return
    measured = layers(name, "bf16")
    assert not any("Backprop" in layer.kind for layer in measured)
    forms = {"Convolution": "/phase", "FullyConnected": "/product"}
    rewritten = [layer for layer in measured if forms.get(layer.kind, "none") in layer.name]
    assert len({layer.name.split("/")[0] for layer in rewritten}) == transposed(name)[0]
    assert all(layer.kernel.endswith("_bf16") for layer in rewritten)


@pytest.mark.parametrize("name", KEPT)
def test_what_a_convolution_follows_is_kept(name: str) -> None:
    if has_bf16():
        measured = layers(name, "bf16")
        assert not any("/phase" in layer.name for layer in measured)
        kinds = [layer.kernel for layer in measured if "Backprop" in layer.kind]
        assert len(kinds) == transposed(name)[0]
        assert all(kernel.endswith("_bf16") for kernel in kinds)


@pytest.mark.parametrize("name", [name for name in REWRITTEN if "pix2pix-colour" not in name])
def test_rewritten_images_are_close_and_the_same_for_every_batch_size(name: str) -> None:
    if not has_bf16():
        return
    rewritten = images(name, precision="bf16")
    error = np.square(rewritten.astype(float) - images(name)).mean()
    assert 0 < error and 10 * np.log10(255**2 / error) >= 50
    for batch in (1, 3, 16):
        assert np.array_equal(images(name, batch, precision="bf16"), rewritten), batch


def test_inspect_names_the_kernels(tmp_path: Path) -> None:
    precision = "bf16" if has_bf16() else "fp32"
    arguments = ("--layers", "--backend", "openvino", "--precision", precision)
    text = succeeds("inspect", "dcgan", *arguments, "--plot", "layers.png", cwd=tmp_path)
    assert text.startswith(f"dcgan.onnx, openvino, {precision}, batch 16\n")
    assert ("/phase 3 " in text) == (precision == "bf16") and len(text.splitlines()) > 5
    assert text.splitlines()[-1].startswith("all ")
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")


def test_other_backends_measure_no_layers() -> None:
    with pytest.raises(BackendUnavailableError, match="only the backends native and openvino"):
        runtime.measure_layers(zoo.engine_path("linear-ae"), seconds=0, backend="onnxruntime")
    with pytest.raises(ArgumentError, match="backend: expected auto, native"):
        runtime.measure_layers(zoo.engine_path("linear-ae"), seconds=0, backend="cuda")
