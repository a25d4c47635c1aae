"""Inversion: against least squares, on a surface with a wrong valley; files of latents."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.applications import points
from zoo.applications.inversion import invert
from zoo.engines import open_generator
from zoo.errors import ConfigError, DataError


def levels(images: Tensor) -> np.ndarray:
    return (images * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def test_a_linear_generator_is_inverted_by_least_squares() -> None:
    torch.manual_seed(0)
    matrix, offset = 0.05 * torch.randn(4, 3 * 6 * 6), torch.full((3 * 6 * 6,), 0.5)

    def decode(latents: Tensor) -> Tensor:
        return (latents @ matrix + offset).unflatten(1, (3, 6, 6))

    # Not in the range of the generator: the best latent is the projection.
    images = levels(torch.rand(3, 3, 6, 6))
    starts = np.random.default_rng(0).standard_normal((3, 4, 4)).astype(np.float32)
    found = invert(decode, images, starts, steps=600)
    targets = images.transpose(0, 3, 1, 2).reshape(3, -1) / 255 - 0.5
    wide = matrix.numpy().astype(np.float64).T
    expected, *_ = np.linalg.lstsq(wide, targets.T, rcond=None)
    assert np.allclose(found.latents, expected.T, atol=1e-3)
    errors = np.square(wide @ expected - targets.T).mean(0)
    assert np.allclose(found.errors, errors, rtol=1e-4)


def test_what_leaves_the_range_is_clipped() -> None:
    """Values far beyond black and white are clipped, as in an engine."""
    torch.manual_seed(2)
    matrix = torch.randn(4, 64)

    def decode(latents: Tensor) -> Tensor:
        return (latents @ matrix + 0.5).unflatten(1, (1, 8, 8))

    image = levels(decode(torch.randn(1, 4)).clamp(0, 1))
    assert ((image == 0) | (image == 255)).mean() > 0.3
    starts = np.random.default_rng(0).standard_normal((1, 4, 4)).astype(np.float32)
    found = invert(decode, image, starts, steps=200)
    again = levels(decode(torch.from_numpy(found.latents)).clamp(0, 1))
    assert np.abs(again.astype(int) - image).max() <= 1
    assert found.errors[0] < 1e-5


def test_several_starts_find_the_right_valley() -> None:
    """Only one side of the fold reaches the target."""

    def decode(latents: Tensor) -> Tensor:
        h = latents[:, :1]
        values = torch.where(h > 0, h.sin().square(), 0.4 * h.sin().square())
        return values[:, :, None, None].expand(-1, 1, 4, 4)

    target = np.full((1, 4, 4, 1), round(255 * 0.9), np.uint8)
    wrong = np.full((1, 1, 1), -1.0, np.float32)
    both = np.array([[[-1.0], [-0.5], [-1.5], [0.8]]], np.float32)
    assert invert(decode, target, wrong).errors[0] > 0.1
    found = invert(decode, target, both)
    assert found.errors[0] < 1e-5 and found.latents[0, 0] > 0


def test_result_does_not_depend_on_the_other_images() -> None:
    torch.manual_seed(1)
    network = torch.nn.Sequential(torch.nn.Linear(3, 16), torch.nn.Sigmoid())

    def decode(latents: Tensor) -> Tensor:
        return network(latents).unflatten(1, (1, 4, 4))

    images = levels(torch.rand(2, 1, 4, 4))
    starts = np.random.default_rng(0).standard_normal((2, 8, 3)).astype(np.float32)
    together = invert(decode, images, starts, steps=40)
    alone = invert(decode, images[1:], starts[1:], steps=40)
    assert np.array_equal(together.latents[1:], alone.latents)


def test_bad_searches() -> None:
    image, start = np.zeros((1, 2, 2, 1), np.uint8), np.zeros((1, 1, 2), np.float32)

    def decode(latents: Tensor) -> Tensor:
        return (latents.sum(1) / latents.sum(1) * torch.nan)[:, None, None, None].expand(
            -1, 1, 2, 2
        )

    with pytest.raises(ConfigError, match="diverged"):
        invert(decode, image, start + 1)
    with pytest.raises(ConfigError, match="starts: expected shape"):
        invert(decode, image, start[0])
    with pytest.raises(ConfigError, match="steps: expected at least 4, got 3"):
        invert(decode, image, start, steps=3)


@pytest.fixture(scope="module")
def generator(vae_engine: Path) -> Any:
    with open_generator(str(vae_engine), instances=1) as opened:
        yield opened


def test_points_from_files(generator: Any, tmp_path: Path) -> None:
    latents = np.random.default_rng(0).standard_normal((3, 32)).astype(np.float32)
    np.save(tmp_path / "a.npy", latents)
    np.savez(tmp_path / "b.npz", latents=latents.astype(np.float64), psnr=np.zeros(3))
    np.save(tmp_path / "one.npy", latents[0])
    for name in ("a.npy", "b.npz"):
        read = points.read(generator, [f"latent:{tmp_path / name}"])
        assert np.array_equal([point.latent for point in read], latents)
        assert [point.name for point in read] == [f"{name[0]}:{i}" for i in range(3)]
        one = points.read_one(generator, f"latent:{tmp_path / name}:2")
        assert np.array_equal(one.latent, latents[2]) and one.latent.dtype == np.float32
    assert points.read_one(generator, f"latent:{tmp_path / 'one.npy'}").name == "one"
    mixed = points.read(generator, ["seed:1", f"latent:{tmp_path / 'a.npy'}:0", "sample:3"])
    assert np.array_equal(mixed[1].latent, latents[0])


def test_bad_files_of_latents(generator: Any, tmp_path: Path) -> None:
    def fails(name: str, message: str) -> None:
        with pytest.raises(DataError, match=message):
            points.read(generator, [f"latent:{tmp_path / name}"])

    fails("none.npy", "No such file")
    (tmp_path / "text.npy").write_text("hello")
    fails("text.npy", "expected an .npy, or an .npz with latents")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    fails("other.npz", r"expected latents of floats .* got float64 \[3\]")
    np.savez(tmp_path / "two.npz", images=np.zeros(3), names=np.zeros(3))
    fails("two.npz", "expected an .npy, or an .npz with latents: .* holds images, names")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "two.npz").read_bytes()[:-30])
    fails("cut.npz:3", "expected an .npy, or an .npz with latents: cannot read")
    np.save(tmp_path / "wide.npy", np.zeros((2, 33), np.float32))
    fails("wide.npy", r"expected latents of floats \[n, 32\] for vae.onnx, got float32 \[2, 33\]")
    np.save(tmp_path / "whole.npy", np.zeros((2, 32), np.int64))
    fails("whole.npy", "expected latents of floats")
    np.save(tmp_path / "nan.npy", np.full((2, 32), np.nan))
    fails("nan.npy", "not all latents are finite")
    np.save(tmp_path / "large.npy", np.full((2, 32), 1e300))
    fails("large.npy", "not all latents are finite")
    np.save(tmp_path / "none-in-it.npy", np.zeros((0, 32)))
    fails("none-in-it.npy", r"holds no latents: float64 \[0, 32\]")
    fails(f"large.npy:{'9' * 5000}", "expected an .npy, or an .npz with latents: .*too long")
    np.save(tmp_path / "good.npy", np.zeros((2, 32)))
    fails("good.npy:2", "has 2 latents, rows 0 to 1: no 2")
