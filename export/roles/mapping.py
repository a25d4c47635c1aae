"""Mapping networks of style-based generators: latents in, styles out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check
from export.manifest import latent, truncation
from export.modules import ROWS as BATCH_AXIS
from export.modules import Example, Graph
from export.options import Options
from export.parity import (
    FIRST,
    ROWS,
    SEED,
    CheckedFile,
    Run,
    check_runtime,
    float_check,
    invariance,
)
from export.plan import probes
from export.plan.probes import Probe
from export.roles import generator
from export.roles.role import Role, Runner
from export.statistics import LatentStatistics
from export.stock import Session
from runtime import noise
from zoo.data import DataSet


class MappingGraph(nn.Module):
    """latent [N,D] -> styles [N,W], not truncated."""

    inputs = ("latent",)
    outputs = ("styles",)

    def __init__(self, decoder: Any, width: int) -> None:
        super().__init__()
        self.mapping, self.width = decoder.mapping, width

    def forward(self, latent: Tensor) -> Tensor:
        """The style of each latent."""
        styles: Tensor = self.mapping(latent)
        return styles

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        return (torch.zeros(2, self.width),), (BATCH_AXIS,)


def graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    """The mapping network of a style-based generator."""
    return MappingGraph(checkpoint.decoder, checkpoint.latent)


def fields(checkpoint: LatentCheckpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """The latent, and what truncation draws styles to."""
    return latent(checkpoint, statistics) | truncation(checkpoint.decoder)


def check(file: CheckedFile) -> list[Check]:
    """All checks: latents of the prior."""
    checkpoint = file.checkpoint
    latents = reference.normals(SEED, FIRST, ROWS, checkpoint.latent)
    with torch.no_grad():
        expected = checkpoint.decoder.mapping(torch.from_numpy(latents)).numpy()
    stock = Session(file.path.read_bytes())

    def run(start: int, stop: int) -> NDArray[Any]:
        return stock.run(latent=latents[start:stop])["styles"]

    whole, batches = run(0, ROWS), "styles: batch invariance"
    results = [
        float_check(file.name, "styles: PyTorch", whole, expected),
        invariance(file.name, batches, run, whole),
    ]

    def ours(mapping: Any, start: int, stop: int) -> NDArray[Any]:
        styles: NDArray[Any] = mapping.map(latents[start:stop])
        return styles

    runs: dict[str, Run] = {"styles": (ours, whole)}
    return results + check_runtime(file, RUNNER.engine_class, runs, float_check, batches)


def run(mapping: Any, n: int, batch: int) -> None:
    """Map n latents of zeros."""
    latents = np.zeros((batch, mapping.latent_width), np.float32)
    for _ in range(n // batch):
        mapping.map(latents)


def probe(mapping: Any, data: DataSet | None) -> list[Probe]:
    """The styles of the prior."""
    return [Probe("styles", styles)]


def styles(mapping: Any, start: int, stop: int) -> NDArray[Any]:
    """Those of samples start … stop - 1 of the prior."""
    rows = noise.normals(probes.SEED, start, stop - start, mapping.latent_width)
    found: NDArray[Any] = mapping.map(rows)
    return found


RUNNER = Runner("Mapping", run, probe, generator.calibration_latents)
ROLE = Role(graph, fields, check, RUNNER)
