"""Sources of generated images for an evaluation: an engine, or its PyTorch model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator
from runtime.noise import normals
from zoo.engines import check_prior
from zoo.errors import ConfigError
from zoo.evaluation.features import BATCH

Images = NDArray[np.uint8]


def sample_engine(
    generator: Generator, count: int, seed: int, prior: str = "normal"
) -> Iterator[Images]:
    """Return an iterator over blocks uint8 [n, H, W, C] of images 0 … count - 1 of a seed.

    A conditional generator makes image i of class i mod K (`labels`). Raises `ConfigError` for the
    decoder of an autoencoder without a prior, and for a `prior` that the engine does not have.
    """
    name = Path(generator.path).name
    if generator.prior == "none":
        raise ConfigError(
            f"{name} has no prior, so it cannot sample; python -m zoo.reconstruct compares its "
            "reconstructions with the images"
        )
    check_prior(generator, prior)
    return _stream(generator, count, seed, prior)


def _stream(generator: Generator, count: int, seed: int, prior: str) -> Iterator[Images]:
    # A plan is limited to the batch size that it was built for.
    batch = min(BATCH, int(generator.manifest["batch"]["max"]))
    with generator.stream(count, seed=seed, batch=batch, prior=prior) as stream:
        yield from stream


def labels(manifest: dict[str, Any], count: int) -> NDArray[np.int64] | None:
    """Return the classes [count] of images 0 … count - 1, or None if unconditional."""
    classes = int((manifest.get("condition") or {}).get("count", 0))
    return np.arange(count) % classes if classes else None


class TorchGenerator:
    """PyTorch generator (fp32, on the CPU) of a run, a weights file or an engine file.

    Uses the engine's noise, so that image i of a seed equals the engine's up to rounding. Raises
    the errors of `zoo.models.weights.load_generator`.
    """

    def __init__(self, path: Path) -> None:
        from zoo.models.weights import load_generator

        self.network: Any
        self.network, self.config = load_generator(path)
        self.name = path.name
        self._latent = int(self.config["config"]["latent"])

    def images(self, count: int, seed: int) -> Iterator[Images]:
        """Yield blocks uint8 [n, H, W, C] of images 0 … count - 1 of a seed."""
        import torch

        from zoo.models.generators import to_uint8

        for first in range(0, count, BATCH):
            rows = min(BATCH, count - first)
            with torch.no_grad():
                yield to_uint8(self._mean(rows, seed, first))

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
    """PyTorch model of a translator (fp32, on the CPU), with the interface of its `engine`.

    path: a run, a weights file or an engine file. Raises the errors of `zoo.models.weights.load`.
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
        """Translate images uint8 [n, H, W, C'] to [n, H, W, C], as the engine."""
        import torch

        from zoo.models.generators import to_uint8

        with torch.no_grad():
            inputs = [torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2) / 255]
            if attributes is not None:
                inputs.append(torch.from_numpy(attributes))
            if hasattr(self.model, "noise_widths"):
                inputs.append(_noise(seed, first, len(images)))
            return to_uint8(self.model.translate(*inputs))


def _noise(seed: int, first: int, rows: int) -> Any:
    """Return the noise of an engine's run, as `zoo.models.generators.NoiseSource`."""
    import torch

    return lambda stream, width: torch.from_numpy(normals(seed, first, rows, width, stream))
