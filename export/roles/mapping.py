"""Mapping networks of style-based generators: latents to styles."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check
from export.manifest import latent_fields, truncation_fields
from export.modules import ROWS as BATCH_AXIS
from export.modules import Example, Graph
from export.options import Options
from export.parity import (
    FIRST,
    ROWS,
    SEED,
    CheckedFile,
    GraphCheck,
    check_graph,
    compare_floats,
)
from export.plan import probes
from export.plan.probes import Probe
from export.roles import generator
from export.roles.role import Role, Runner
from export.statistics import LatentStatistics
from runtime import noise
from zoo.data import DataSet


class MappingGraph(nn.Module):
    """latent [N,D] -> styles [N,W] before truncation."""

    inputs = ("latent",)
    outputs = ("styles",)

    def __init__(self, decoder: Any, width: int) -> None:
        super().__init__()
        self.mapping, self.width = decoder.mapping, width

    def forward(self, latent: Tensor) -> Tensor:
        return self.mapping(latent)

    def example(self) -> Example:
        return (torch.zeros(2, self.width),), (BATCH_AXIS,)


def build_graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    return MappingGraph(checkpoint.decoder, checkpoint.latent)


def manifest_fields(
    checkpoint: LatentCheckpoint, statistics: LatentStatistics | None
) -> dict[str, Any]:
    return latent_fields(checkpoint, statistics) | truncation_fields(checkpoint.decoder)


def check(file: CheckedFile) -> list[Check]:
    """Check the file on latents from the prior."""
    checkpoint = file.checkpoint
    latents = reference.normals(SEED, FIRST, ROWS, checkpoint.latent)
    with torch.no_grad():
        expected = checkpoint.decoder.mapping(torch.from_numpy(latents)).numpy()
    graph = GraphCheck("latent", "styles", compare_floats, RUNNER.engine_class, "map")
    return check_graph(file, graph, latents, expected)


def run(mapping: Any, n: int, batch: int) -> None:
    """Map n latents of zeros."""
    latents = np.zeros((batch, mapping.latent_width), np.float32)
    for _ in range(n // batch):
        mapping.map(latents)


def list_probes(mapping: Any, data: DataSet | None) -> list[Probe]:
    return [Probe("styles", map_samples)]


def map_samples(mapping: Any, start: int, stop: int) -> NDArray[Any]:
    """Return the styles of samples start … stop - 1 of the prior."""
    rows = noise.normals(probes.SEED, start, stop - start, mapping.latent_width)
    return mapping.map(rows)


RUNNER = Runner("Mapping", run, list_probes, generator.calibration_latents)
ROLE = Role(build_graph, manifest_fields, check, RUNNER)
