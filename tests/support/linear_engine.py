"""A linear autoencoder written by hand: what it computes is two matrix products."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from export.manifest import NOISE
from small_engines import Graph, manifest

Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Linear:
    """latents = (pixels - mean) · weightᵀ and image = mean + latents · weight.

    `weight` is [D, H·W·C], `mean` [H·W·C], pixels in [0, 1]; `shape` is (H, W, C).
    """

    weight: Floats
    mean: Floats
    shape: tuple[int, int, int] = (28, 28, 1)

    def encode(self, images: Levels) -> Floats:
        return (images.reshape(len(images), -1) / 255 - self.mean) @ self.weight.T

    def decode(self, latents: Floats) -> Levels:
        levels = np.rint(255 * np.clip(self.mean + latents @ self.weight, 0, 1))
        return levels.astype(np.uint8).reshape(-1, *self.shape)

    def write_encoder(self, path: Path) -> None:
        graph = Graph(0)
        graph.add("Flatten", [graph.floats_of("image")], "flat")
        graph.add("Sub", ["flat", graph.constant("mean", self.mean.astype(np.float32))], "centred")
        weight = graph.constant("weight", self.weight.T.astype(np.float32))
        graph.add("MatMul", ["centred", weight], "mu")
        width = len(self.weight)
        latent = {"width": width, "prior": "none", "posterior": "deterministic"}
        graph.save(
            path,
            manifest("encoder", self.shape, latent=latent),
            {"image": (TensorProto.UINT8, ["n", *self.shape])},
            {"mu": (TensorProto.FLOAT, ["n", width])},
        )

    def write_generator(self, path: Path) -> None:
        graph = Graph(0)
        graph.add(
            "MatMul", ["mu", graph.constant("weight", self.weight.astype(np.float32))], "part"
        )
        graph.add("Add", ["part", graph.constant("mean", self.mean.astype(np.float32))], "sum")
        bounds = [graph.constant(f"at{x}", np.float32(x)) for x in (0, 1)]
        graph.add("Clip", ["sum", *bounds], "unit")
        shape = graph.constant("shape", np.array([-1, *self.shape], np.int64))
        graph.add("Reshape", ["unit", shape], "square")
        graph.levels_of("square", "image", [0, 1, 2, 3])
        width = len(self.weight)
        graph.save(
            path,
            manifest(
                "generator",
                self.shape,
                latent={"width": width, "prior": "none"},
                noise=NOISE | {"streams": {"latent": 0}},
            ),
            {"mu": (TensorProto.FLOAT, ["n", width])},
            {"image": (TensorProto.UINT8, ["n", *self.shape])},
        )


def random(width: int, seed: int = 0, shape: tuple[int, int, int] = (28, 28, 1)) -> Linear:
    """A linear autoencoder of random orthonormal weights."""
    pixels = int(np.prod(shape))
    numbers = np.random.default_rng(seed)
    weight = np.linalg.qr(numbers.normal(size=(pixels, width)))[0].T
    return Linear(weight.astype(np.float32), np.full(pixels, 0.25, np.float32), shape)
