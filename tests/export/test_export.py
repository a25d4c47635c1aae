"""Export of checkpoints: contents and results of the engine files, and failed checks."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto

import runtime
from export import checks, pipeline, storage
from export.errors import ParityError
from export.portable import integers
from export.roles import generator
from export.stock import Session
from exported import COLOUR, GREY, Exported, invoke
from oracles import interpolate as interpolate_oracle
from oracles import noise as noise_oracle
from repository import ROOT

SEED, FIRST = 2**63 + 5, 2**32 - 10

pytestmark = pytest.mark.usefixtures("quick_throughput")


@pytest.fixture(scope="module")
def grey(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Bernoulli decoder, weights in fp16, uint8 images, linear interpolator."""
    folder = tmp_path_factory.mktemp("grey")
    return Exported(folder, GREY, pipeline.Options(interpolator="linear"))


@pytest.fixture(scope="module")
def colour(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Gaussian decoder on three channels, weights in fp32, spherical interpolator."""
    folder = tmp_path_factory.mktemp("colour")
    return Exported(folder, COLOUR, pipeline.Options(weights="fp32", interpolator="spherical"))


@pytest.fixture(scope="module")
def floating(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Gaussian decoder, float images."""
    return Exported(tmp_path_factory.mktemp("float"), COLOUR, pipeline.Options(image="float"))


def as_levels(mean: Any) -> Any:
    """Convert [N, C, H, W] to uint8 [N, H, W, C] in float64."""
    scaled = np.clip(mean.astype(np.float64), 0, 1).transpose(0, 2, 3, 1) * 255
    return np.floor(scaled + 0.5).astype(np.uint8)


def assert_levels(got: Any, expected: Any) -> None:
    """Require uint8 images with at most one level of difference in a few pixels."""
    assert got.dtype == np.uint8 and got.shape == expected.shape
    difference = np.abs(got.astype(int) - expected.astype(int))
    assert difference.max() <= 1 and difference.mean() < 0.01
    assert len(np.unique(expected)) > 20, "a flat picture would prove nothing"


def signature(values: Any) -> dict[str, tuple[int, list[Any]]]:
    """Map names to element types and dimensions."""
    return {
        value.name: (
            value.type.tensor_type.elem_type,
            [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
        )
        for value in values
    }


def test_generator_interface(grey: Exported) -> None:
    """Names, types and dynamic batch; one node of our domain with its body; the default opset."""
    model = grey.proto("generator")
    assert signature(model.graph.input) == {
        "mu": (TensorProto.FLOAT, ["N", 5]),
        "logvar": (TensorProto.FLOAT, ["N", 5]),
        "seed": (TensorProto.INT64, ["K"]),
        "first": (TensorProto.INT64, ["K"]),
    }
    assert signature(model.graph.output) == {"image": (TensorProto.UINT8, ["N", 12, 12, 1])}
    ours = [node for node in model.graph.node if node.domain]
    assert [(node.domain, node.op_type) for node in ours] == [("zoo", "ReparametrizedSample")]
    assert [function.name for function in model.functions] == ["ReparametrizedSample"]
    versions = {entry.domain: entry.version for entry in model.opset_import}
    assert versions["zoo"] == 1 and versions[""] == model.functions[0].opset_import[0].version
    # TensorRT takes uint8 at the end only.
    assert model.graph.node[-1].op_type == "Cast"


def test_encoder_and_interpolator_interfaces(grey: Exported) -> None:
    encoder = grey.proto("encoder").graph
    assert signature(encoder.input) == {"image": (TensorProto.UINT8, ["N", 12, 12, 1])}
    assert signature(encoder.output) == {
        "mu": (TensorProto.FLOAT, ["N", 5]),
        "logvar": (TensorProto.FLOAT, ["N", 5]),
    }
    interpolator = grey.proto("interpolator").graph
    assert signature(interpolator.input) == {
        "a": (TensorProto.FLOAT, ["N", 5]),
        "b": (TensorProto.FLOAT, ["N", 5]),
        "t": (TensorProto.FLOAT, ["S"]),
    }
    assert signature(interpolator.output) == {"image": (TensorProto.UINT8, ["N", "S", 12, 12, 1])}
    names = sorted(path.name for path in grey.files["generator"].path.parent.glob("*.onnx"))
    assert names == ["vae.encoder.onnx", "vae.interpolator.onnx", "vae.onnx"]


@pytest.mark.parametrize("role", ["generator", "encoder", "interpolator"])
def test_manifest(grey: Exported, role: str) -> None:
    """The runtime reads what training wrote."""
    document = runtime.manifest.read(grey.files[role].path)
    assert document["schema"] == 1 and document["model"] == "vae" and document["role"] == role
    assert document["latent"] == {"width": 5, "prior": "normal", "posterior": "gaussian"}
    assert document["image"] == {
        "height": 12,
        "width": 12,
        "channels": 1,
        "dtype": "uint8",
        "layout": "NHWC",
        "range": [0, 255],
    }
    assert document["classes"] == ["Trouser", "Sac à main"]
    assert document["training"]["metrics"]["test_nelbo"] == 240.5
    assert document["training"]["data"] == "pictures", "without the folder"
    assert document["training"]["recipe"] == {"epochs": 3, "data": "pictures"}
    assert document["paper"]["year"] == 2013 and document["weights_dtype"] == "fp16"
    weights = (grey.run / "checkpoint.safetensors").read_bytes()
    assert document["checkpoint_sha256"] == hashlib.sha256(weights).hexdigest()
    part = grey.model.encoder if role == "encoder" else grey.model.decoder
    assert document["parameters"] == sum(p.numel() for p in part.parameters())
    assert ("noise" in document) == (role == "generator")
    if role != "interpolator":
        usable = {n for n, text in runtime.backends().items() if "unavailable" not in text}
        assert set(document["throughput"]) == usable >= {"onnxruntime"}
        for rates in document["throughput"].values():
            assert set(rates) == {"1", "16", "64"} and min(rates.values()) > 0
    assert max(entry["max"] for entry in document["parity"].values()) <= 1


@pytest.mark.parametrize("role", ["generator", "encoder", "interpolator"])
def test_files_do_not_describe_the_machine(grey: Exported, role: str) -> None:
    """No folders, no Python sources, no stack traces."""
    data = grey.files[role].path.read_bytes()
    for text in (str(ROOT), str(Path.home()), sys.prefix, str(grey.run), "stack_trace", ".py"):
        assert text.encode() not in data, text
    model = grey.proto(role)
    assert [entry.key for entry in model.metadata_props] == ["zoo.manifest"]
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)


def test_images_are_those_of_pytorch(grey: Exported) -> None:
    """Stock ONNX Runtime and our runtime, compared with PyTorch on float64 noise."""
    noise = noise_oracle.normals(SEED, FIRST, 33, 5)
    expected = as_levels(grey.decoder(half=True)(noise))
    path = grey.files["generator"].path
    stock = Session(path.read_bytes()).sample(33, 5, SEED, FIRST)["image"]
    assert_levels(stock, expected)
    with runtime.Generator(path, backend="onnxruntime") as generator:
        np.testing.assert_array_equal(generator.sample(33, seed=SEED, first=FIRST), stock)


def test_gaussian_decoder_is_clipped(colour: Exported) -> None:
    """Means outside of [0, 1] saturate; channels are last."""
    latents = noise_oracle.normals(1, 2, 40, 3).astype(np.float32)
    mean = colour.decoder(half=False)(latents)
    assert mean.min() < 0 < 1 < mean.max()
    got = Session(colour.files["generator"].path.read_bytes()).decode(latents)["image"]
    assert got.shape == (40, 8, 8, 3) and {0, 255} <= set(np.unique(got).tolist())
    assert_levels(got, as_levels(mean))


def test_float_images(floating: Exported) -> None:
    """[N, C, H, W] in [0, 1], as in the manifest; the encoder still takes levels."""
    latents = noise_oracle.normals(1, 2, 40, 3).astype(np.float32)
    path = floating.files["generator"].path
    got = Session(path.read_bytes()).decode(latents)["image"]
    assert got.dtype == np.float32 and got.shape == (40, 3, 8, 8)
    mean = np.clip(floating.decoder(half=True)(latents), 0, 1)
    np.testing.assert_allclose(got, mean, atol=2e-6)
    image = runtime.manifest.read(path)["image"]
    assert (image["dtype"], image["layout"], image["range"]) == ("float32", "NCHW", [0, 1])
    encoder = runtime.manifest.read(floating.files["encoder"].path)["image"]
    assert (encoder["dtype"], encoder["layout"]) == ("uint8", "NHWC")


@pytest.mark.parametrize("which", ["grey", "colour"])
def test_interpolator(which: str, request: pytest.FixtureRequest) -> None:
    """Images of every step between every pair, compared with the oracle's path."""
    exported: Exported = request.getfixturevalue(which)
    width = exported.config.latent
    a, b = (noise_oracle.normals(s, 0, 4, width).astype(np.float32) for s in (1, 2))
    t = np.linspace(0, 1, 7, dtype=np.float32)
    if exported.options.interpolator == "spherical":
        a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
        latents = interpolate_oracle.spherical(a, b, t)
    else:
        latents = interpolate_oracle.linear(a, b, t)
    session = Session(exported.files["interpolator"].path.read_bytes())
    got = session.run(a=a, b=b, t=t)["image"]
    half = exported.options.weights == "fp16"
    expected = as_levels(exported.decoder(half)(latents.reshape(-1, width)))
    assert got.shape[:2] == (4, 7)
    assert_levels(got.reshape(expected.shape), expected)


def test_weights_are_stored_in_half_precision(grey: Exported, tmp_path: Path) -> None:
    """Large weights are FLOAT16, rounded like in PyTorch; ONNX Runtime folds the Casts."""
    model = grey.proto("generator")
    half = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16]
    single = [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT]
    assert half and all(np.prod(t.dims) >= 1024 for t in half)
    assert all(np.prod(t.dims) < 1024 for t in single)
    stored = {t.name.removesuffix(".fp16"): onnx.numpy_helper.to_array(t) for t in half}
    weights = dict(grey.model.named_parameters())
    for name, values in stored.items():
        weight = weights[name].detach().half().numpy()
        assert np.array_equal(values, weight) or np.array_equal(values, weight.T), name

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(grey.files["generator"].path), options)
    optimized = onnx.load(tmp_path / "optimized.onnx").graph
    constants = {tensor.name for tensor in optimized.initializer}
    casts = [n for n in optimized.node if n.op_type == "Cast" and n.input[0] in constants]
    assert not casts


def test_weights_in_single_precision(colour: Exported) -> None:
    model = colour.proto("generator")
    assert not [t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16]
    assert runtime.manifest.read(colour.files["generator"].path)["weights_dtype"] == "fp32"
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    weight = dict(colour.model.named_parameters())["decoder.layers.1.weight"].detach().numpy()
    assert np.array_equal(stored["decoder.layers.1.weight"], weight)


def test_same_checkpoint_gives_the_same_graph(grey: Exported, tmp_path: Path) -> None:
    """Byte by byte, except for the measured speed in the manifest."""
    again = pipeline.export(grey.run, tmp_path / "other.onnx", grey.options)
    for file in again:
        models = [grey.proto(file.role), onnx.load(file.path)]
        for model in models:
            del model.metadata_props[:]
        first, second = (model.SerializeToString(deterministic=True) for model in models)
        assert first == second, file.role


def test_every_check_was_made(grey: Exported) -> None:
    """PyTorch, stock ONNX Runtime, our runtime in each backend, batch invariance."""
    names = {check.name for check in grey.files["generator"].checks}
    usable = [n for n, text in runtime.backends().items() if "unavailable" not in text]
    expected = {
        "latent: portable body",
        "latent: decode is the identity",
        "mean image: PyTorch",
        "mean image: batch invariance",
        "image: PyTorch",
        "image: batch invariance",
        "image: threads",
        *(f"image: runtime, {backend}" for backend in usable),
        *(f"image: batch invariance, {backend}" for backend in usable),
    }
    assert names == expected
    assert all(check.passed for file in grey.files.values() for check in file.checks)


# Faults of an export, and the check that must detect each.


def wrong_weight(patch: pytest.MonkeyPatch) -> None:
    """Change one weight of the decoder by a quarter."""
    store = storage.store_half

    def broken(model: onnx.ModelProto) -> int:
        for tensor in model.graph.initializer:
            if tensor.name == "decoder.layers.5.weight":
                values = onnx.numpy_helper.to_array(tensor).copy()
                values.flat[4] += 0.25
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        return store(model)

    patch.setattr(storage, "store_half", broken)


def wrong_noise(patch: pytest.MonkeyPatch) -> None:
    """Change one digit of a Philox constant, in the body only."""
    patch.setattr(integers, "MULTIPLIERS", (0xD2511F53, 0xCD9E8D59))


def wrong_rounding(patch: pytest.MonkeyPatch) -> None:
    """Truncate the mean instead of rounding it."""
    patch.setattr(
        generator,
        "image_from_mean",
        lambda mean, image, bounded: (mean.permute(0, 2, 3, 1) * 255).to(torch.uint8),
    )


def neighbours(patch: pytest.MonkeyPatch) -> None:
    """Make the image of a row depend a little on the other rows."""
    honest = generator.image_from_mean
    patch.setattr(
        generator,
        "image_from_mean",
        lambda mean, image, bounded: honest(
            mean * 0.98 + mean.mean(0, keepdim=True) * 0.02, image, bounded
        ),
    )


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (wrong_weight, "mean image: PyTorch"),
        (wrong_noise, "latent: portable body"),
        (wrong_rounding, "image: PyTorch"),
        (neighbours, "image: batch invariance"),
    ],
)
def test_a_file_that_fails_is_not_kept(
    damage: Callable[[pytest.MonkeyPatch], None],
    check: str,
    grey: Exported,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names the check; an older file is unchanged, and no other file is left."""
    out = tmp_path / "vae.onnx"
    out.write_bytes(b"older")
    damage(monkeypatch)
    with pytest.raises(ParityError, match="was not kept") as caught:
        pipeline.export(grey.run, out)
    failed = [line for line in caught.value.report.splitlines() if line.endswith("FAILED")]
    assert any(check in line for line in failed)
    assert [path.name for path in tmp_path.iterdir()] == ["vae.onnx"]
    assert out.read_bytes() == b"older"


def test_checks_compare_bits_and_refuse_nan() -> None:
    """-0 differs from 0; NaN and other shapes fail."""
    zero = np.zeros(3, np.float32)
    assert not checks.compare_exact("f", "c", -zero, zero).passed
    assert checks.compare_exact("f", "c", zero, zero.copy()).passed
    assert not checks.compare_exact("f", "c", zero[:2], zero).passed
    assert not checks.compare_close("f", "c", zero + np.float32(np.nan), zero, 1, 1).passed
    assert not checks.compare_close("f", "c", zero + 2, zero, 1, 3).passed
    assert not checks.compare_close("f", "c", zero[:2], zero, 1, 1).passed


def test_command_prints_the_table_of_a_failure(
    grey: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, the table, one line of error, and no file."""
    wrong_weight(monkeypatch)
    result = invoke(grey.run, "--out", tmp_path / "vae.onnx")
    assert result.exit_code == 2
    assert "FAILED" in result.stderr
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "vae.onnx" in errors[0]
    assert not list(tmp_path.iterdir())


def test_weights_file_instead_of_a_run(grey: Exported, tmp_path: Path) -> None:
    """A weights file is exported too, with its own hash."""
    from zoo.training.weights import save_weights

    save_weights(grey.run, tmp_path / "vae.safetensors")
    pipeline.export(tmp_path / "vae.safetensors", tmp_path / "vae.onnx")
    document = runtime.manifest.read(tmp_path / "vae.onnx")
    data = (tmp_path / "vae.safetensors").read_bytes()
    assert document["checkpoint_sha256"] == hashlib.sha256(data).hexdigest()
