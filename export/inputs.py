"""What goes into a generator beside its latents: for PyTorch, for a graph, for the runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export import reference
from export.checkpoint import LatentCheckpoint


@dataclass(frozen=True)
class Inputs:
    """Inputs for rows `first`, `first + 1`, … of the run with a seed.

    labels: int64 [rows], or None for a generator without classes; truncation, noise: the scales, or
    None for one that is not style-based.
    """

    seed: int
    first: int
    labels: NDArray[np.int64] | None = None
    truncation: float | None = None
    noise: float | None = None

    @staticmethod
    def of(
        checkpoint: LatentCheckpoint,
        seed: int,
        first: int,
        rows: int,
        truncation: float = 1.0,
        noise: float = 1.0,
    ) -> Inputs:
        """Those that the runtime takes if nothing is said: class `sample mod K`, scales of 1."""
        labels = None
        if checkpoint.classes:
            samples = np.uint64(first) + np.arange(rows, dtype=np.uint64)
            labels = (samples % np.uint64(checkpoint.classes)).astype(np.int64)
        if not checkpoint.style_based:
            return Inputs(seed, first, labels)
        return Inputs(seed, first, labels, truncation, noise)

    def part(self, start: int, stop: int) -> Inputs:
        """Those of some of the rows."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, first=self.first + start, labels=labels)

    def rows(self, order: NDArray[np.intp]) -> Inputs:
        """Those of rows in another order, without noise, which does not go with a latent."""
        labels = None if self.labels is None else self.labels[order]
        return replace(self, labels=labels, noise=None if self.noise is None else 0.0)

    def feed(self) -> dict[str, NDArray[Any]]:
        """As inputs of a graph, but for seed and first."""
        found: dict[str, NDArray[Any]] = {}
        if self.labels is not None:
            found["label"] = self.labels
        for name, value in (("truncation", self.truncation), ("noise", self.noise)):
            if value is not None:
                found[name] = np.array([value], np.float32)
        return found

    def source(self, rows: int, scale: float) -> Any:
        """The noise of the layers in PyTorch: a `zoo.models.generators.NoiseSource`."""

        def noise(stream: int, width: int) -> torch.Tensor:
            drawn = reference.normals(self.seed, self.first, rows, width, stream)
            return torch.from_numpy(np.float32(scale) * drawn)

        return noise


def mean_images(network: Any, latents: NDArray[Any], inputs: Inputs) -> NDArray[Any]:
    """Mean images [N, C, H, W] of latents [N, D] by a generator in PyTorch, in their precision."""
    with torch.no_grad():
        h = torch.from_numpy(latents)
        if inputs.labels is not None:
            made = network(h, torch.from_numpy(inputs.labels))
        elif inputs.truncation is not None:
            noise = inputs.source(len(latents), inputs.noise or 0.0)
            made = network(h, inputs.truncation, lambda *asked: noise(*asked).to(h))
        else:
            made = network(h)
    result: NDArray[Any] = made.numpy()
    return result
