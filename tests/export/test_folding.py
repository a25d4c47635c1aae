"""Folding of networks for inference: the same results from fewer layers, also in engine files."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import runtime
from adversarial_runs import enliven, write_run
from export import pipeline
from export.pipeline import Options
from zoo import engine_path
from zoo.errors import TrainingError
from zoo.models import registry
from zoo.models.folding import fold, to_inference
from zoo.models.weights import load_engine, load_generator
from zoo.training.weights import save_weights

LAYERS = {
    "dense": (nn.Linear(6, 8), nn.BatchNorm1d(8), (5, 6)),
    "dense, no bias": (nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), (5, 6)),
    "convolution": (nn.Conv2d(6, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), (2, 6, 7, 9)),
    "groups": (nn.Conv2d(6, 8, 3, groups=2), nn.BatchNorm2d(8), (2, 6, 7, 9)),
    "transposed": (nn.ConvTranspose2d(6, 8, 4, 2, 1), nn.BatchNorm2d(8), (2, 6, 7, 9)),
    "transposed, groups": (
        nn.ConvTranspose2d(6, 8, 4, 2, 1, groups=2, bias=False),
        nn.BatchNorm2d(8),
        (2, 6, 7, 9),
    ),
    "one dimension": (nn.Conv1d(6, 8, 3), nn.BatchNorm1d(8), (2, 6, 9)),
    "no scale": (nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8, affine=False), (2, 6, 7, 9)),
}


def norms(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules())


@pytest.mark.parametrize("kind", LAYERS)
def test_a_norm_becomes_part_of_the_layer_before(kind: str) -> None:
    torch.manual_seed(0)
    layer, norm, shape = copy.deepcopy(LAYERS[kind])
    whole = nn.Sequential(nn.Identity(), layer, norm, nn.ReLU()).double()
    enliven(whole)
    before = copy.deepcopy(whole.state_dict())
    folded = fold(whole)
    x = torch.randn(shape, dtype=torch.float64)
    expected = whole.eval()(x)
    assert expected.std() > 0.1
    torch.testing.assert_close(folded(x), expected, rtol=1e-12, atol=1e-12)
    assert norms(folded) == 0 and list(folded._modules) == ["0", "1", "3"]
    assert all(torch.equal(whole.state_dict()[name], value) for name, value in before.items())


def test_norms_that_cannot_be_folded_stay() -> None:
    """Norms at the start, after an activation, or with statistics of the batch."""
    torch.manual_seed(0)
    whole = nn.Sequential(
        nn.BatchNorm2d(3),
        nn.Conv2d(3, 4, 3),
        nn.ReLU(),
        nn.BatchNorm2d(4),
    ).double()
    enliven(whole)
    whole += nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    whole.double()
    folded = fold(whole)
    assert norms(folded) == 3
    x = torch.randn(4, 3, 9, 9, dtype=torch.float64)
    torch.testing.assert_close(folded(x), whole.eval()(x), rtol=1e-12, atol=1e-12)


def test_a_layer_of_two_networks_is_folded_for_each() -> None:
    torch.manual_seed(0)
    shared = nn.Linear(4, 4)
    whole = nn.Sequential(
        nn.Sequential(shared, nn.BatchNorm1d(4)), nn.ReLU(), nn.Sequential(shared, nn.Tanh())
    ).double()
    enliven(whole)
    x = torch.randn(3, 4, dtype=torch.float64)
    torch.testing.assert_close(fold(whole)(x), whole.eval()(x), rtol=1e-12, atol=1e-12)


class Doubled(nn.Module):
    """A layer with a simpler form."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 5))

    def forward(self, x: Tensor) -> Tensor:
        return x @ (2 * self.weight).T

    def fold(self) -> nn.Linear:
        plain = nn.Linear(5, 3, bias=False, dtype=self.weight.dtype)
        plain.weight.copy_(2 * self.weight)
        return plain


def test_layers_with_a_simpler_form() -> None:
    torch.manual_seed(0)
    whole = nn.Sequential(Doubled(), nn.BatchNorm1d(3)).double()
    enliven(whole)
    folded = fold(whole)
    assert [type(layer) for layer in folded] == [nn.Linear]
    x = torch.randn(7, 5, dtype=torch.float64)
    torch.testing.assert_close(folded(x), whole.eval()(x), rtol=1e-12, atol=1e-12)
    assert type(fold(Doubled())) is nn.Linear


MODELS: dict[str, dict[str, Any]] = {
    "gan": {"image_size": 8, "latent": 6, "widths": (16, 32)},
    "dcgan": {
        "image_size": 16,
        "channels": 3,
        "latent": 6,
        "widths": (32, 16),
        "discriminator_widths": (8, 16),
    },
    "bigan": {
        "image_size": 16,
        "latent": 6,
        "widths": (32, 16),
        "discriminator_widths": (8, 16),
        "encoder_widths": (8, 16),
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_the_folded_structure_depends_on_the_config_alone(name: str) -> None:
    torch.manual_seed(0)
    model: Any = registry.get(name).make(MODELS[name])
    enliven(model)
    folded: Any = to_inference(model)
    assert norms(folded) == 0 and not hasattr(folded, "discriminator")
    assert hasattr(model, "discriminator")
    again: Any = to_inference(registry.get(name).make(MODELS[name]))
    again.load_state_dict(folded.state_dict())
    latents = torch.randn(4, 6)
    assert torch.equal(again.generator(latents), folded.generator(latents))
    twice: Any = to_inference(folded)
    assert torch.equal(twice.generator(latents), folded.generator(latents))
    exact = fold(model.generator.double())(latents.double())
    model.eval()
    torch.testing.assert_close(model.generator(latents.double()), exact, rtol=1e-12, atol=1e-12)


class Family:
    """A run of a model and its engine files."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.run = folder, name, folder / "run"
        self.model: Any = write_run(self.run, name, MODELS[name])
        self.main = folder / f"{name}.onnx"
        self.files = pipeline.export(self.run, self.main, Options(weights="fp32"))

    def latents(self) -> np.ndarray:
        return runtime.noise.normals(3, 0, 9, 6)


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory, quick_throughput: None) -> Family:
    return Family(tmp_path_factory.mktemp("bigan"), "bigan")


def test_engines_contain_only_the_folded_generator(family: Family) -> None:
    assert [file.role for file in family.files] == ["generator", "encoder"]
    for file in family.files:
        graph = onnx.load(file.path).graph
        assert all(node.op_type != "BatchNormalization" for node in graph.node)
        assert not any("discriminator" in tensor.name for tensor in graph.initializer)
    document = runtime.manifest.read(family.main)
    nodes = len(onnx.load(family.main).graph.node)
    assert document["graph"]["nodes"] == nodes < document["graph"]["nodes_before_folding"]
    assert document["parity"]["mean image: folding, float64"]["max"] < 1e-9
    assert document["schema"] == 1 and document["latent"]["prior"] == "normal"
    assert document["parameters"] == sum(
        parameter.numel() for parameter in fold(family.model.generator).parameters()
    )


def test_engines_agree_with_the_trained_generator(family: Family) -> None:
    latents = family.latents()
    with torch.no_grad():
        mean = family.model.generator(torch.from_numpy(latents)).permute(0, 2, 3, 1).numpy()
    with runtime.Generator(family.main) as generator:
        got = generator.decode(latents)
        assert np.array_equal(generator.sample(9, seed=3), got)
    assert mean.std() > 0.02
    assert np.abs(got - 255 * mean.astype(np.float64)).max() <= 0.5 + 1e-2


def test_a_generator_is_loaded_from_any_file(family: Family) -> None:
    latents = torch.from_numpy(family.latents())
    shipped = family.folder / "weights.safetensors"
    save_weights(family.run, shipped)
    with torch.no_grad():
        expected = family.model.generator(latents)
        for path, tolerance in ((family.run, 1e-5), (family.main, 1e-5), (shipped, 2e-2)):
            network, config = load_generator(path)
            assert not network.training and norms(network) == 0
            assert config["model"] == family.name
            torch.testing.assert_close(network(latents), expected, rtol=0, atol=tolerance)


@pytest.mark.slow
def test_engines_are_exported_again(family: Family, tmp_path: Path) -> None:
    model, _ = load_engine(family.main)
    assert not hasattr(model, "discriminator")
    pipeline.export(family.main, tmp_path / "again.onnx", Options(weights="fp32"))
    with (
        runtime.Generator(family.main, backend="onnxruntime") as one,
        runtime.Generator(tmp_path / "again.onnx", backend="onnxruntime") as two,
    ):
        assert np.array_equal(one.sample(5), two.sample(5))


def test_what_is_no_generator_is_refused(family: Family) -> None:
    with pytest.raises(TrainingError, match="role encoder, expected generator"):
        load_generator(family.folder / "bigan.encoder.onnx")
    with pytest.raises(TrainingError, match="role translator, expected generator"):
        load_generator(engine_path("denoising-ae.onnx"))


def test_generators_without_an_encoder_are_exported(tmp_path: Path, quick_throughput: None) -> None:
    write_run(tmp_path / "run", "dcgan", MODELS["dcgan"])
    (file,) = pipeline.export(tmp_path / "run", tmp_path / "dcgan.onnx")
    assert file.role == "generator"
    latent = runtime.manifest.read(file.path)["latent"]
    assert latent == {"width": 6, "prior": "normal"}
    large = [w for w in onnx.load(file.path).graph.initializer if np.prod(w.dims) >= 1024]
    assert len(large) == 2
    assert {tensor.data_type for tensor in large} == {onnx.TensorProto.FLOAT16}
    with pytest.raises(TrainingError, match="not a run's folder"):
        load_generator(tmp_path / "none")
