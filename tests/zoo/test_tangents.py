"""Tangents of the data manifold: the Jacobian, its singular vectors, their pictures."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import runtime
import zoo
from pictures import picture, save_pictures, wide_tiles
from shell import ENGINE, refuses, succeeds, without
from zoo.applications import tangents
from zoo.data import DataSet
from zoo.engines import encoder_path
from zoo.errors import ConfigError
from zoo.models.weights import load_engine


class Linear(nn.Module):
    """Images [N, C, H, W] as a linear map of the latent."""

    def __init__(self, width: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        height, across, channels = shape
        self.shape = (channels, height, across)
        self.layer = nn.Linear(width, height * across * channels)

    def forward(self, latents: Tensor) -> Tensor:
        images: Tensor = self.layer(latents).reshape(-1, *self.shape)
        return images

    def matrix(self) -> np.ndarray:
        """Return the map as [H, W, C, D]."""
        weight = self.layer.weight.detach().double().numpy()
        return weight.reshape(*self.shape, -1).transpose(1, 2, 0, 3)


@pytest.fixture(scope="module")
def decoder() -> nn.Module:
    model, _ = load_engine(zoo.engine_path(ENGINE))
    return model.decoder


@pytest.fixture(scope="module")
def latents(fashion_mnist: DataSet) -> np.ndarray:
    with runtime.Encoder(encoder_path(zoo.engine_path(ENGINE))) as encoder:
        return encoder.encode(fashion_mnist.test.images[:4])[0]


@pytest.fixture
def folder(tmp_path: Path, fashion_mnist: DataSet) -> Path:
    save_pictures(tmp_path, fashion_mnist.test.images[:2], names="{}")
    return tmp_path


def test_jacobian_by_central_differences(decoder: nn.Module, latents: np.ndarray) -> None:
    found = tangents.jacobian(decoder, latents[0])
    assert found.shape == (28, 28, 1, 32) and found.dtype == np.float64
    double, h, step = decoder.double(), torch.tensor(latents[0], dtype=torch.float64), 1e-6
    try:
        with torch.no_grad():
            for d in range(32):
                offset = torch.zeros(32, dtype=torch.float64)
                offset[d] = step
                ahead, behind = double(torch.stack([h + offset, h - offset]))
                slope = ((ahead - behind) / (2 * step)).permute(1, 2, 0).numpy()
                np.testing.assert_allclose(found[..., d], slope, atol=1e-8)
    finally:
        decoder.float()
    assert np.abs(found).max() > 0.5


def test_jacobian_leaves_the_decoder_alone(decoder: nn.Module, latents: np.ndarray) -> None:
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    decoder.train()
    first, second = (tangents.jacobian(decoder, latents[1]) for _ in range(2))
    assert decoder.training
    decoder.eval()
    np.testing.assert_array_equal(first, second)
    for name, value in decoder.state_dict().items():
        assert value.dtype == torch.float32 and torch.equal(value, before[name])
    assert all(weight.grad is None and weight.requires_grad for weight in decoder.parameters())


@pytest.mark.parametrize(("width", "shape"), [(5, (4, 3, 3)), (40, (3, 4, 1))])
def test_jacobian_of_a_linear_map(width: int, shape: tuple[int, int, int]) -> None:
    """Also for latents wider than the image, differentiated backwards."""
    torch.manual_seed(0)
    linear = Linear(width, shape)
    found = tangents.jacobian(linear, np.ones(width))
    np.testing.assert_allclose(found, linear.matrix(), atol=1e-15)


def test_directions_of_a_linear_map_are_its_singular_vectors() -> None:
    # A decoder with known singular vectors: J = Q · diag(s) · Rᵀ.
    rng = np.random.default_rng(0)
    q, r = (np.linalg.qr(rng.normal(size=(n, 4)))[0] for n in (4 * 3 * 3, 5))
    values = np.array([7.0, 3.0, 1.0, 0.5])
    linear = Linear(5, (4, 3, 3))
    with torch.no_grad():
        matrix = (q * values) @ r.T
        linear.layer.weight.copy_(
            torch.tensor(matrix.reshape(4, 3, 3, 5).transpose(2, 0, 1, 3).reshape(-1, 5))
        )
    found = tangents.directions(tangents.jacobian(linear, np.zeros(5)), 3)
    np.testing.assert_allclose(found.values, values[:3], atol=1e-6)
    for i in range(3):
        sign = np.sign(q[np.abs(q[:, i]).argmax(), i])
        np.testing.assert_allclose(found.images[i].ravel(), sign * q[:, i], atol=1e-6)
        np.testing.assert_allclose(found.latents[i], sign * r[:, i], atol=1e-6)


def test_bad_directions() -> None:
    derivatives = np.ones((2, 2, 1, 3))
    for k in (0, 4):
        with pytest.raises(ConfigError, match=f"k: expected 1 to 3 directions, got {k}"):
            tangents.directions(derivatives, k)
    derivatives[0, 0, 0, 0] = np.nan
    with pytest.raises(ConfigError, match="not finite"):
        tangents.directions(derivatives, 1)


def test_picture_is_grey_where_nothing_changes() -> None:
    change = np.zeros((2, 2, 1))
    assert (tangents.picture(change) == tangents.GREY).all()
    change[0, 0], change[0, 1], change[1, 0] = 0.004, -0.004, -0.002
    expected = [[255, 1], [64, 128]]
    np.testing.assert_array_equal(tangents.picture(change)[..., 0], expected)
    np.testing.assert_array_equal(tangents.picture(1000 * change)[..., 0], expected)
    colours = np.zeros((1, 2, 3))
    colours[0, 0] = [0.2, 0, -0.1]
    np.testing.assert_array_equal(tangents.picture(colours), [[[255, 128, 64], [128] * 3]])


def test_command(folder: Path, decoder: nn.Module, latents: np.ndarray) -> None:
    said = succeeds("tangents", "--engine", ENGINE, "0.png", "1.png", "-k", 3, cwd=folder)
    pattern = r"2 images: 3 of 32 directions, (\d+\.\d)% of the squared change: tangents\.png\n"
    matched = re.fullmatch(pattern, said)
    assert matched, said
    expected, shares = [], []
    with runtime.Generator(zoo.engine_path(ENGINE)) as generator:
        for index in range(2):
            derivatives = tangents.jacobian(decoder, latents[index])
            found = tangents.directions(derivatives, 3)
            shares.append(np.square(found.values).sum() / np.square(derivatives).sum())
            expected += [
                picture(folder / f"{index}.png"),
                generator.decode(latents[index : index + 1])[0],
                *(tangents.picture(image) for image in found.images),
            ]
    tiles = wide_tiles(folder / "tangents.png", 10, 5)
    np.testing.assert_array_equal(tiles, np.stack(expected))
    assert float(matched[1]) == pytest.approx(100 * np.mean(shares), abs=0.051)


def test_moved_images(folder: Path, decoder: nn.Module) -> None:
    args = ("seed:3", "-k", 4, "--move", 1.5, "--out", "moved.png")
    succeeds("tangents", "--engine", ENGINE, *args, cwd=folder)
    tiles = wide_tiles(folder / "moved.png", 18, 6).astype(int)
    h = runtime.noise.normal(3, 0, 0, 32)
    found = tangents.directions(tangents.jacobian(decoder, h), 4)
    with runtime.Generator(zoo.engine_path(ENGINE)) as generator:
        for first, step in ((0, 1.5), (12, -1.5)):
            moved = generator.decode((h + step * found.latents).astype(np.float32))
            assert np.abs(tiles[first + 2 : first + 6] - moved).max() <= 1
            assert (tiles[first : first + 2] == 255).all()
        assert (tiles[6] == 255).all(), "a sample has no original"
        np.testing.assert_array_equal(tiles[7], generator.decode(h[None])[0])


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("0.png", "-k", 33), "-k: expected at most 32 directions, got 33"),
        (("0.png", "-k", 0), "-k.*0"),
        (("0.png", "--move", 0), "--move.*0"),
        (("0.png", "--move", "nan"), "--move.*nan"),
        (("0.png", "--out", "a.gif"), r"a.gif: the picture of tangents must be a \.png"),
        (("0.png", "--out", "no/a.png"), "no folder"),
        (("missing.png",), "missing.png"),
        (("seed:-1",), "seed:-1"),
        ((), "IMAGES"),
        (("0.png", "--engine", "vae.encoder.onnx"), "encoder"),
        (("0.png", "--engine", "none.onnx"), "none.onnx"),
        (("seed:1", "--engine", "alone.onnx"), "alone.encoder.onnx"),
    ],
)
def test_bad_input(folder: Path, args: tuple[object, ...], problem: str) -> None:
    shutil.copy(zoo.engine_path(ENGINE), folder / "alone.onnx")
    said = refuses("tangents", "--engine", ENGINE, *args, cwd=folder)
    assert re.search(problem, said), said


def test_without_torch(folder: Path) -> None:
    said = without("torch", "tangents", "--engine", ENGINE, "0.png", cwd=folder)
    assert said == "error: this needs torch: pip install 'generator-zoo[train,export]'\n"
    assert not (folder / "tangents.png").exists()
