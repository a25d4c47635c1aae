"""The images that a generator is measured by: of an engine, or of its model in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import ConfigError
from zoo.evaluation.features import BATCH

if TYPE_CHECKING:
    from runtime import Generator

Images = NDArray[np.uint8]


def of_engine(generator: Generator, count: int, seed: int) -> Iterator[Images]:
    """Images 0 … count - 1 of that seed, uint8 [n, H, W, C] at a time.

    Raises `ConfigError` for the decoder of an autoencoder that has no prior to sample from.
    """
    name = Path(generator.path).name
    if generator.prior == "none":
        raise ConfigError(
            f"{name} has no prior, so it cannot sample; python -m zoo.reconstruct compares its "
            "reconstructions with the images"
        )
    return _streamed(generator, count, seed)


def _streamed(generator: Generator, count: int, seed: int) -> Iterator[Images]:
    with generator.stream(count, seed=seed, batch=BATCH) as stream:
        yield from stream


class TorchGenerator:
    """The generator of a run, a weights file or an engine file, in PyTorch (fp32, on the CPU).

    Draws the noise that its engine draws, so that image i of a seed is the engine's but for
    rounding. Raises the errors of `zoo.training.weights.load_generator`.
    """

    def __init__(self, path: Path) -> None:
        from zoo.training.weights import load_generator

        self.network: Any
        self.network, self.config = load_generator(path)
        self.name = path.name
        self._latent = int(self.config["config"]["latent"])

    def images(self, count: int, seed: int) -> Iterator[Images]:
        """Images 0 … count - 1 of that seed, uint8 [n, H, W, C] at a time."""
        import torch

        for first in range(0, count, BATCH):
            rows = min(BATCH, count - first)
            with torch.no_grad():
                mean = self._mean(rows, seed, first).float().clamp(0, 1)
            yield (mean * 255 + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1).numpy()

    def _mean(self, rows: int, seed: int, first: int) -> Any:
        import torch

        from runtime.noise import normals

        def noise(stream: int, width: int) -> torch.Tensor:
            return torch.from_numpy(normals(seed, first, rows, width, stream))

        latents, network = noise(0, self._latent), self.network
        if hasattr(network, "synthesis"):
            styles = network.mapping(latents)
            return network.synthesis(styles[:, None].expand(-1, network.layers, -1), noise)
        if hasattr(network, "classes"):
            return network(latents, torch.arange(first, first + rows) % network.classes)
        return network(latents)


__all__ = ["TorchGenerator", "of_engine"]
