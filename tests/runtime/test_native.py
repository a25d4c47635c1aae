"""The native backend: kernels of our own, against ONNX Runtime, which reads the same file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import runtime
import zoo
from changed_engines import changed
from runtime import _runtime
from runtime.errors import ArgumentError, BackendUnavailableError

COUNT = 21

GENERATORS = [
    "bigan",
    "cgan",
    "dcgan",
    "dcgan-faces",
    "gan",
    "progan",
    "stylegan",
    "vae",
    "vae-faces",
]
DECODERS = ["contractive-ae", "linear-ae", "overcomplete-ae", "stacked-ae", "stochastic-ae"]


def engine(name: str) -> Path:
    return zoo.engine_path(f"{name}.onnx")


def opened(name: str, backend: str = "native", instances: int = 1) -> runtime.Generator:
    return runtime.Generator(engine(name), backend=backend, instances=instances)


@pytest.fixture
def best_isa() -> Iterator[None]:
    yield
    assert _runtime.use_native_isa(_runtime.native_isas("fp32")[0])


def check_close(images: np.ndarray, reference: np.ndarray) -> None:
    """One level apart at most, and hardly anywhere."""
    difference = np.abs(images.astype(int) - reference)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert reference.std() > 10


@pytest.mark.parametrize("name", GENERATORS)
def test_samples_are_those_of_onnx_runtime(name: str) -> None:
    with opened(name) as ours, opened(name, "onnxruntime") as reference:
        assert ours.backend == "native"
        check_close(ours.sample(COUNT, seed=5), reference.sample(COUNT, seed=5))


@pytest.mark.parametrize("name", DECODERS)
def test_decoded_latents_are_those_of_onnx_runtime(name: str) -> None:
    with opened(name) as ours, opened(name, "onnxruntime") as reference:
        random = np.random.default_rng(0)
        latents = random.standard_normal((COUNT, ours.latent_width)).astype(np.float32)
        check_close(ours.decode(latents), reference.decode(latents))


@pytest.mark.parametrize("name", ["dcgan-faces", "gan", "progan", "stylegan", "vae"])
def test_images_are_the_same_for_every_size_of_a_run(name: str) -> None:
    """Groups and single images, whole runs and what is left of them, one instance and two."""
    with opened(name) as one, opened(name, instances=2) as two:
        images = one.sample(COUNT, seed=3)
        for batch in (*range(1, 18), 64):
            assert np.array_equal(one.sample(COUNT, seed=3, batch=batch), images), batch
        assert np.array_equal(two.sample(COUNT, seed=3), images)
        assert np.array_equal(one.sample(COUNT - 4, seed=3, first=4), images[4:])
        parts = list(two.stream(COUNT, seed=3, batch=6))
        assert np.array_equal(np.concatenate(parts), images)


@pytest.mark.parametrize("name", ["cgan", "dcgan", "progan", "stacked-ae", "stylegan", "vae-faces"])
def test_images_are_the_same_in_every_instruction_set(name: str, best_isa: None) -> None:
    isas = _runtime.native_isas("fp32")
    assert set(isas) <= {"avx512", "avx2"} and isas
    images = []
    for isa in isas:
        assert _runtime.use_native_isa(isa)
        with opened(name) as generator:
            random = np.random.default_rng(0)
            latents = random.standard_normal((11, generator.latent_width)).astype(np.float32)
            labels = np.arange(11) % 10 if name == "cgan" else None
            images.append(generator.decode(latents, labels=labels))
    for one, other in itertools.pairwise(images):
        assert np.array_equal(one, other)


def test_classes_are_those_that_were_asked_for() -> None:
    with opened("cgan") as ours, opened("cgan", "onnxruntime") as reference:
        labels = np.array([3, 3, 9, 0, 7, 1, 8, 2, 5, 4, 6])
        images = ours.sample(len(labels), seed=1, labels=labels)
        check_close(images, reference.sample(len(labels), seed=1, labels=labels))


@pytest.mark.parametrize("name", ["bigan", "dcgan-faces", "gan", "progan", "stylegan", "vae"])
def test_bf16_is_close_and_the_same_for_every_size_of_a_run(name: str) -> None:
    """Where the CPU has it; elsewhere it is refused, and the instructions are named."""
    if not _runtime.native_isas("bf16"):
        with pytest.raises(BackendUnavailableError, match="has no bf16, which needs AVX512-BF16"):
            runtime.Generator(engine(name), backend="native", precision="bf16")
        return
    ours = runtime.Generator(engine(name), backend="native", precision="bf16", instances=1)
    with ours, opened(name, "onnxruntime") as reference:
        images = ours.sample(COUNT, seed=5)
        error = np.square(images.astype(float) - reference.sample(COUNT, seed=5)).mean()
        assert 0 < error and 10 * np.log10(255**2 / error) > 47
        for batch in (*range(1, 10), 16):
            assert np.array_equal(ours.sample(COUNT, seed=5, batch=batch), images), batch


@pytest.mark.parametrize(("truncation", "noise"), [(0.5, 1.0), (1.0, 0.0), (0.0, 2.5)])
def test_truncation_and_noise_scale_as_in_onnx_runtime(truncation: float, noise: float) -> None:
    with opened("stylegan") as ours, opened("stylegan", "onnxruntime") as reference:
        options = {"seed": 2, "truncation": truncation, "noise": noise}
        images = ours.sample(9, **options)
        check_close(images, reference.sample(9, **options))
        assert not np.array_equal(images, ours.sample(9, seed=2))


def test_what_it_has_not_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="runs generators, .* the role 'synthesis'"):
        opened("stylegan.synthesis")
    with pytest.raises(BackendUnavailableError, match="runs generators, .* the role 'encoder'"):
        runtime.Encoder(zoo.engine_path("vae.encoder.onnx"), backend="native")
    with pytest.raises(ArgumentError, match="expected auto, native, onnxruntime or openvino"):
        runtime.Generator(engine("vae"), backend="natives")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("operator", r"node 'relu_1' \(Elu\) is no layer that it knows"),
        ("dilation", r"node 'convolution' \(ConvTranspose\) is a convolution of a kind"),
        ("second use", r"node '.*' \(\w+\) shares its operand with another node"),
    ],
)
def test_other_graphs_are_refused_by_their_node(change: str, message: str, tmp_path: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        nodes = {node.output[0]: node for node in model.graph.node}
        if change == "operator":
            nodes["relu_1"].op_type = "Elu"
        elif change == "dilation":
            attributes = {entry.name: entry for entry in nodes["convolution"].attribute}
            attributes["dilations"].ints[:] = [2, 2]
        else:
            model.graph.node.append(onnx.helper.make_node("Abs", ["relu_1"], ["unused"]))

    path = changed("vae.onnx", tmp_path, model=edit)
    with pytest.raises(BackendUnavailableError, match=message):
        runtime.Generator(path, backend="native")
