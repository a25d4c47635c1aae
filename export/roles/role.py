"""What the export knows of a role: the interface of the modules in this folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.checks import Check
from export.modules import Graph
from export.options import Options
from export.parity import CheckedFile
from export.plan.calibration_set import Calibration
from export.plan.probes import Probe
from export.statistics import LatentStatistics
from zoo.data import DataSet


@dataclass(frozen=True)
class Runner:
    """How our runtime runs the engines of a role, and their plans.

    Attributes:
        engine_class: the class of `runtime` that opens them.
        run: runs n rows of an opened engine, batch by batch, for `export.throughput`.
        probes: what a plan and its engine are compared on; takes the opened engine, and images of
            the kind that it was trained on or None.
        calibration_rows: rows for the main input of the graph, float32 [n, D] or uint8
            [n, H, W, C], and in words where they come from; takes the engine's manifest and place,
            and what to calibrate with.
        takes_images: whether the probes are better with real images.
        has_fid: whether the images of a plan have a Fréchet distance.
    """

    engine_class: str
    run: Callable[[Any, int, int], None]
    probes: Callable[[Any, DataSet | None], list[Probe]]
    calibration_rows: Callable[[dict[str, Any], Path, Calibration], tuple[NDArray[Any], str]]
    takes_images: bool = False
    has_fid: bool = False


@dataclass(frozen=True)
class Role:
    """A role of engine files.

    Attributes:
        graph: the module to export, of a checkpoint and the options.
        fields: what the role adds to the manifest, of a checkpoint and what was measured on its
            latents.
        checks: all comparisons of a file with PyTorch, stock ONNX Runtime and our runtime.
        runner: how our runtime runs it; None for files that are for other programs, of which there
            are no plans either.
        makes_images: whether `Options.image` says how its images are given; else they are levels.
        counts_folding: whether the manifest tells how many nodes were folded away.
    """

    graph: Callable[[Any, Options], Graph]
    fields: Callable[[Any, LatentStatistics | None], dict[str, Any]]
    checks: Callable[[CheckedFile], list[Check]]
    runner: Runner | None = None
    makes_images: bool = False
    counts_folding: bool = False


def feed(run: Callable[[Any], Any], shape: tuple[int, int, int], n: int, batch: int) -> None:
    """Run n black images of a shape (H, W, C), batch by batch."""
    images = np.zeros((batch, *shape), np.uint8)
    for _ in range(n // batch):
        run(images)
