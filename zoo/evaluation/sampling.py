"""The images that a model is measured by: of its engine, or of the model in PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator
from runtime.noise import normals
from zoo.errors import ConfigError
from zoo.evaluation.features import BATCH

Images = NDArray[np.uint8]


def of_engine(generator: Generator, count: int, seed: int) -> Iterator[Images]:
    """Images 0 … count - 1 of that seed, uint8 [n, H, W, C] at a time.

    A conditional generator makes image i of class i mod K (`labels`). Raises `ConfigError` for the
    decoder of an autoencoder that has no prior to sample from.
    """
    name = Path(generator.path).name
    if generator.prior == "none":
        raise ConfigError(
            f"{name} has no prior, so it cannot sample; python -m zoo.reconstruct compares its "
            "reconstructions with the images"
        )
    return _streamed(generator, count, seed)


def _streamed(generator: Generator, count: int, seed: int) -> Iterator[Images]:
    # A plan runs no more at a time than it was built for.
    batch = min(BATCH, int(generator.manifest["batch"]["max"]))
    with generator.stream(count, seed=seed, batch=batch) as stream:
        yield from stream


def labels(manifest: dict[str, Any], count: int) -> NDArray[np.int64] | None:
    """The classes asked for of images 0 … count - 1, [count]; None where none can be."""
    classes = int((manifest.get("condition") or {}).get("count", 0))
    return np.arange(count) % classes if classes else None


class TorchGenerator:
    """The generator of a run, a weights file or an engine file, in PyTorch (fp32, on the CPU).

    Draws the noise that its engine draws, so that image i of a seed is the engine's but for
    rounding. Raises the errors of `zoo.models.weights.load_generator`.
    """

    def __init__(self, path: Path) -> None:
        from zoo.models.weights import load_generator

        self.network: Any
        self.network, self.config = load_generator(path)
        self.name = path.name
        self._latent = int(self.config["config"]["latent"])

    def images(self, count: int, seed: int) -> Iterator[Images]:
        """Images 0 … count - 1 of that seed, uint8 [n, H, W, C] at a time."""
        import torch

        from zoo.models.generators import levels

        for first in range(0, count, BATCH):
            rows = min(BATCH, count - first)
            with torch.no_grad():
                yield levels(self._mean(rows, seed, first))

    def _mean(self, rows: int, seed: int, first: int) -> Any:
        import torch

        from zoo.models.generators import is_style_based

        noise = _noise(seed, first, rows)
        latents, network = noise(0, self._latent), self.network
        if is_style_based(network):
            return network(latents, noise=noise)
        if hasattr(network, "classes"):
            return network(latents, torch.arange(first, first + rows) % network.classes)
        return network(latents)


class TorchTranslator:
    """The model of a translator in PyTorch (fp32, on the CPU), with the methods of its engine.

    path: a run, a weights file or an engine file; engine: whose noise, sizes and manifest it has.
    Raises the errors of `zoo.models.weights.load`.
    """

    def __init__(self, path: Path, engine: Any) -> None:
        from zoo.models.weights import load

        self.model: Any = load(path)[0]
        self.path, self.manifest, self.alpha = engine.path, engine.manifest, engine.alpha
        self.input_shape, self.image_shape = engine.input_shape, engine.image_shape

    def translate(
        self,
        images: Images,
        attributes: NDArray[np.float32] | None = None,
        seed: int = 0,
        first: int = 0,
    ) -> Images:
        """Images uint8 [n, H, W, C'] to [n, H, W, C]; arguments as those of the engine."""
        import torch

        from zoo.models.generators import levels

        with torch.no_grad():
            given = [torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2) / 255]
            if attributes is not None:
                given.append(torch.from_numpy(attributes))
            if hasattr(self.model, "noise_widths"):
                given.append(_noise(seed, first, len(images)))
            return levels(self.model.translate(*given))


def _noise(seed: int, first: int, rows: int) -> Any:
    """The noise of an engine's run, as `zoo.models.generators.NoiseSource`."""
    import torch

    return lambda stream, width: torch.from_numpy(normals(seed, first, rows, width, stream))


__all__ = ["TorchGenerator", "TorchTranslator", "labels", "of_engine"]
