"""The native backend: kernels of our own, against ONNX Runtime, which reads the same file."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest

import runtime
import zoo
from changed_engines import changed
from plan_runs import KINDS
from runtime import _runtime, manifest
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
ENCODERS = [
    "bigan",
    "contractive-ae",
    "overcomplete-ae",
    "sparse-ae",
    "stacked-ae",
    "stochastic-ae",
    "vae",
    "vae-faces",
]
CLASSIFIERS = ["face-attributes", "face-features", "fashion-classifier", "stargan.classifier"]
TRANSLATORS = [
    "colorization-ae",
    "denoising-ae",
    "inpainting-ae",
    "pix2pix-colour",
    "pix2pix-edges",
    "stargan",
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
    assert set(isas) <= {"avx512", "avx2", "neon"} and isas
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


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["dcgan-faces", "progan", "stylegan", "vae-faces"])
def test_idle_instances_help_with_a_lone_image(name: str, precision: str) -> None:
    """Whether they come or not, and whoever calls at the same time, it has the same bytes."""
    expected = runtime.Generator(
        engine(name), backend="native", precision=precision, instances=1
    ).sample(8, seed=5)
    shared = runtime.Generator(engine(name), backend="native", precision=precision, instances=3)

    def differing(callers: int) -> list[int]:
        with ThreadPoolExecutor(callers) as pool:
            indices = [*range(8)] * 5
            images = pool.map(lambda i: shared.sample(1, seed=5, first=i)[0], indices)
            return [
                i for i, image in zip(indices, images, strict=True) if (image != expected[i]).any()
            ]

    assert [differing(callers) for callers in (1, 3)] == [[], []]


@pytest.mark.parametrize("name", ["pix2pix-edges", "inpainting-ae"])
def test_idle_instances_help_with_a_lone_translation(name: str) -> None:
    one, shared = (
        runtime.Translator(engine(name), backend="native", instances=count) for count in (1, 3)
    )
    images = pictures(one.input_shape)[:3]
    expected = one.translate(images)
    for _ in range(5):
        for i in range(3):
            lone = shared.translate(images[i : i + 1], first=i)
            np.testing.assert_array_equal(lone[0], expected[i])


def test_classes_are_those_that_were_asked_for() -> None:
    with opened("cgan") as ours, opened("cgan", "onnxruntime") as reference:
        labels = np.array([3, 3, 9, 0, 7, 1, 8, 2, 5, 4, 6])
        images = ours.sample(len(labels), seed=1, labels=labels)
        check_close(images, reference.sample(len(labels), seed=1, labels=labels))


@pytest.mark.parametrize("name", ["bigan", "dcgan-faces", "gan", "progan", "stylegan", "vae"])
def test_bf16_is_close_and_the_same_for_every_size_of_a_run(name: str) -> None:
    """On a CPU without bf16 it is refused, and the error names the instructions."""
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


def pictures(shape: tuple[int, ...], n: int = COUNT) -> np.ndarray:
    """Smooth random images uint8 [n, H, W, C]; a fourth channel is a mask of 0 and 255."""
    height, width, channels = shape
    random = np.random.default_rng(1)
    coarse = random.standard_normal((n, -(-height // 4), -(-width // 4), channels))
    images = np.clip(127 + 60 * coarse.repeat(4, axis=1).repeat(4, axis=2), 0, 255)
    images = images[:, :height, :width].astype(np.uint8)
    if channels == 4:
        images[..., 3] = np.where(random.random((n, height, width)) > 0.3, 255, 0)
    return images


def in_parts(call: Callable[[slice], np.ndarray], size: int) -> np.ndarray:
    return np.concatenate([call(slice(i, min(i + size, COUNT))) for i in range(0, COUNT, size)])


@pytest.mark.parametrize("name", ENCODERS)
def test_latents_are_those_of_onnx_runtime(name: str) -> None:
    path = zoo.engine_path(f"{name}.encoder.onnx")
    with (
        runtime.Encoder(path, backend="native", instances=1) as ours,
        runtime.Encoder(path, backend="onnxruntime") as reference,
    ):
        images = pictures(ours.image_shape)
        codes, expected = ours.encode(images), reference.encode(images)
        for code, right in zip(codes, expected, strict=True):
            np.testing.assert_allclose(code, right, rtol=1e-5, atol=2e-5)
        assert np.std(expected[0]) > 0.05
        for size in (1, 3, 8, 13):
            assert np.array_equal(
                in_parts(lambda part: ours.encode(images[part])[0], size), codes[0]
            )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_scores_are_those_of_onnx_runtime(name: str) -> None:
    with (
        runtime.Classifier(engine(name), backend="native", instances=1) as ours,
        runtime.Classifier(engine(name), backend="onnxruntime") as reference,
    ):
        images = pictures(ours.image_shape)
        scores = ours.classify(images)
        np.testing.assert_allclose(scores, reference.classify(images), rtol=1e-4, atol=2e-5)
        assert scores.std() > 0.05
        for size in (1, 3, 8, 13):
            assert np.array_equal(in_parts(lambda part: ours.classify(images[part]), size), scores)


@pytest.mark.parametrize("name", TRANSLATORS)
def test_translations_are_those_of_onnx_runtime(name: str) -> None:
    """U-Nets and residual networks; the noise of an image is that of its index."""
    with (
        runtime.Translator(engine(name), backend="native", instances=1) as ours,
        runtime.Translator(engine(name), backend="onnxruntime") as reference,
    ):
        images = pictures(ours.input_shape)
        names = ours.attributes
        wanted = np.random.default_rng(2).integers(0, 2, (COUNT, len(names))).astype(np.float32)

        def translate(translator: runtime.Translator, part: slice) -> np.ndarray:
            attributes = wanted[part] if names else None
            return translator.translate(
                images[part], attributes=attributes, seed=4, first=part.start
            )

        translated = translate(ours, slice(0, COUNT))
        check_close(translated, translate(reference, slice(0, COUNT)))
        for size in (1, 3, 8, 13):
            assert np.array_equal(in_parts(lambda part: translate(ours, part), size), translated)


def test_styles_and_their_images_are_those_of_onnx_runtime() -> None:
    """Mapping and synthesis apart, a style for each layer."""
    random = np.random.default_rng(3)
    path = engine("stylegan.mapping")
    with (
        runtime.Mapping(path, backend="native") as ours,
        runtime.Mapping(path, backend="onnxruntime") as reference,
    ):
        latents = random.standard_normal((COUNT, ours.latent_width)).astype(np.float32)
        styles = ours.map(latents)
        np.testing.assert_allclose(styles, reference.map(latents), rtol=1e-5, atol=1e-5)
    with opened("stylegan.synthesis") as ours, opened("stylegan.synthesis", "onnxruntime") as other:
        layers = ours.latent_width // styles.shape[1]
        mixed = styles[random.integers(0, COUNT, (COUNT, layers))].reshape(COUNT, -1)
        check_close(ours.decode(mixed), other.decode(mixed))


@pytest.mark.parametrize("path", sorted(engine("vae").parent.glob("*.onnx")), ids=lambda p: p.stem)
def test_every_shipped_engine_runs_natively(path: Path) -> None:
    kind = KINDS[manifest.read(path)["role"]]
    with kind(path, backend="native", instances=1) as opened_engine:
        assert opened_engine.backend == "native"


def test_an_unknown_backend_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(ArgumentError, match="expected auto, native, onnxruntime.* or "):
        runtime.Generator(engine("vae"), backend="natives")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_auto_is_native_where_the_cpu_has_the_precision(precision: str) -> None:
    flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split())
    needed = {"fp32": {"avx2", "fma"}, "bf16": {"avx512_bf16", "avx512bw", "avx512vl"}}[precision]
    native = needed <= flags and not (precision == "bf16" and "amx_bf16" in flags)
    if not native and precision == "bf16" and not flags & {"amx_bf16", "avx512_bf16"}:
        return  # no backend may have it
    opened_engine = runtime.Generator(engine("vae"), precision=precision)
    assert (opened_engine.backend == "native") == native


def test_auto_falls_back_on_the_backend_measured_faster(tmp_path: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        next(node for node in model.graph.node if node.output[0] == "relu_1").op_type = "Elu"

    path = changed("vae.onnx", tmp_path, model=edit)
    generator = runtime.Generator(path)
    rates = {
        name: np.exp(np.mean(np.log(list(by_batch.values()))))
        for name, by_batch in generator.manifest["throughput"].items()
        if name != "native"
    }
    assert generator.backend == max(rates, key=rates.__getitem__)
    check_close(generator.sample(9), runtime.Generator(path, backend="onnxruntime").sample(9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("operator", r"node 'relu_1' \(Elu\) is not of an operator that it knows"),
        ("dilation", r"node 'convolution' \(ConvTranspose\) is a convolution of an unknown kind"),
        ("second use", r"node 'unused' \(Abs\) is not of an operator that it knows"),
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
