"""Inputs of a generator besides its latents, for PyTorch and for ONNX graphs."""

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
    """Inputs for samples `first`, `first + 1`, … of a seed.

    `labels`, int64 [rows], is None for a generator without classes; the scales `truncation` and
    `noise` are None unless it is style-based, and `mixture`, 1 for the learned prior, unless it
    has one.
    """

    seed: int
    first: int
    labels: NDArray[np.int64] | None = None
    truncation: float | None = None
    noise: float | None = None
    mixture: float | None = None

    @staticmethod
    def of(
        checkpoint: LatentCheckpoint,
        seed: int,
        first: int,
        rows: int,
        truncation: float = 1.0,
        noise: float = 1.0,
    ) -> Inputs:
        """Build the defaults of the runtime for a generator: class `sample mod K`, scales of 1."""
        labels = None
        if checkpoint.classes:
            samples = np.uint64(first) + np.arange(rows, dtype=np.uint64)
            labels = (samples % np.uint64(checkpoint.classes)).astype(np.int64)
        if not checkpoint.style_based:
            return Inputs(seed, first, labels, mixture=0.0 if checkpoint.mixture else None)
        return Inputs(seed, first, labels, truncation, noise)

    def slice(self, start: int, stop: int) -> Inputs:
        """Return the inputs for rows start … stop - 1."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, first=self.first + start, labels=labels)

    def reorder(self, order: NDArray[np.intp]) -> Inputs:
        """Return the inputs for rows in another order, without noise, which depends on the row."""
        labels = None if self.labels is None else self.labels[order]
        return replace(self, labels=labels, noise=None if self.noise is None else 0.0)

    def feed(self) -> dict[str, NDArray[Any]]:
        """Return the inputs of a graph, except for mu, logvar, seed and first."""
        arrays: dict[str, NDArray[Any]] = {}
        if self.labels is not None:
            arrays["label"] = self.labels
        for name in ("truncation", "noise", "mixture"):
            value = getattr(self, name)
            if value is not None:
                arrays[name] = np.array([value], np.float32)
        return arrays

    def noise_source(self, rows: int, scale: float) -> Any:
        """Return the noise of the layers in PyTorch, a `zoo.models.generators.NoiseSource`."""

        def noise(stream: int, width: int) -> torch.Tensor:
            normals = reference.normals(self.seed, self.first, rows, width, stream)
            return torch.from_numpy(np.float32(scale) * normals)

        return noise


def mean_images(network: Any, latents: NDArray[Any], inputs: Inputs) -> NDArray[Any]:
    """Run a PyTorch generator on latents [N, D], in their precision; return [N, C, H, W]."""
    h = torch.from_numpy(latents)
    arguments: tuple[Any, ...] = ()
    if inputs.labels is not None:
        arguments = (torch.from_numpy(inputs.labels),)
    elif inputs.truncation is not None:
        noise = inputs.noise_source(len(latents), inputs.noise or 0.0)
        arguments = (inputs.truncation, lambda *layer: noise(*layer).to(h))
    with torch.no_grad():
        images: NDArray[Any] = network(h, *arguments).numpy()
    return images
