"""Peers of the benchmarks compute what the engine does, or their speed means nothing."""

import numpy as np
import pytest
import torch

import runtime
from benchmarks import throughput
from benchmarks.cpu_cases import CHECKED, compare, open_case
from benchmarks.torch_contenders import TorchEager
from runtime._library import native
from zoo import engine_path
from zoo.engines import WEIGHTS
from zoo.models.weights import load_generator


@pytest.mark.parametrize(("name", "scale"), [("linear-ae", 20.0), ("progan", 1.0), ("vae", 1.0)])
def test_pytorch_makes_the_images_of_the_engine(name: str, scale: float) -> None:
    """Also for generators whose values leave [0, 1]: levels that do not fit a byte are clipped."""
    path = engine_path(f"{name}.onnx")
    with runtime.Generator(path) as generator:
        latents = scale * runtime.noise.normals(0, 0, 8, generator.latent_width)
        expected = generator.decode(latents).astype(int)
    with open_case(path, 1) as case:
        peer = TorchEager(case)
        peer.prepare(8)
        (images,) = peer.compute({"latent": latents}, 0)
    assert np.abs(images - expected).max() <= 1
    network = load_generator(WEIGHTS / path.name)[0]
    with torch.no_grad():
        values = network(torch.from_numpy(latents))
    assert bool((values < 0).any() or (values > 1).any()) == (name != "vae"), "a case that matters"


# Layer noise and scales, classes, attributes, dropout, two outputs, features that are left out.
MODELS = ["stylegan", "cgan", "stargan", "pix2pix-edges", "vae.encoder", "fashion-classifier"]
FP32 = ["torch", "onnxruntime", "openvino", "zoo"]
CASES = [(key, name) for key in FP32 for name in MODELS]
CASES += [
    (key, name)
    for key in ("torch-bf16", "openvino-bf16", "zoo-bf16", "zoo-openvino-bf16")
    for name in ("gan", "denoising-ae", "bigan.encoder", "face-attributes")
    # PyTorch computes it on every CPU.
    if key == "torch-bf16" or native.native_isas("bf16")
]


@pytest.mark.parametrize(("key", "name"), CASES)
def test_contenders_agree_with_onnx_runtime(key: str, name: str) -> None:
    with open_case(engine_path(f"{name}.onnx"), 1) as case:
        inputs = {name: array[:16] for name, array in case.draw_checked().items()}
        contender = throughput.CONTENDERS[key](case)
        contender.prepare(16)
        results = contender.compute(inputs, 0)
        oracle = throughput.CONTENDERS["onnxruntime"](case)
        oracle.prepare(16)
        agreement = compare(results, oracle.compute(inputs, 0), contender.precision)
        assert list(agreement) == ["psnr_db" if results[0].dtype == np.uint8 else "relative_error"]
        batches = contender.batches(16)
        assert [next(batches), next(batches)] == [16, 16]
        batches.close()  # type: ignore[attr-defined]


def test_the_graph_of_stock_runtimes_has_noise_for_inputs_and_no_scales() -> None:
    with open_case(engine_path("stylegan.onnx"), 1) as case:
        shapes = {entry.name: entry.shape for entry in case.inputs}
        # One stream for all layers, of which there are two for each side.
        numbers = sum(2 * side**2 for side in (4, 8, 16, 32, 64))
        assert shapes == {"latent": (64,), "noise.1": (numbers,)}
        assert set(case.draw_noise(np.random.default_rng(0), 3)) == set(shapes)
        assert case.draw_fixed(3) == {}
    with open_case(engine_path("cgan.onnx"), 1) as case:
        assert case.draw_fixed(12)["label"].tolist() == [*range(10), 0, 1]


def test_fixed_inputs_are_the_same_for_every_contender() -> None:
    with open_case(engine_path("stargan.onnx"), 1) as case:
        one, other = case.draw_fixed(4), case.draw_fixed(4)
    assert set(one) == {"input", "attributes"}
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert set(np.unique(one["attributes"])) == {0.0, 1.0} and one["input"].dtype == np.uint8


def test_a_role_without_a_loader_has_no_pytorch() -> None:
    with open_case(engine_path("stylegan.mapping.onnx"), 1) as case:
        with pytest.raises(RuntimeError, match="no PyTorch loader for inference: the role mapping"):
            TorchEager(case).prepare(1)


def test_batches_that_do_not_divide_the_check_are_filled_up() -> None:
    with open_case(engine_path("bigan.encoder.onnx"), 1) as case:
        contender = throughput.CONTENDERS["zoo"](case)
        contender.prepare(24)
        inputs = case.draw_checked()
        parts = throughput.compute(contender, 24, inputs)
        assert parts[0].shape[0] == CHECKED
        assert np.array_equal(parts[0], contender.compute(inputs, 0)[0])
