"""Interface of the modules in this folder: roles, and how the runtime runs them."""

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
    """Functions that run the engines and plans of a role in our runtime.

    Attributes:
        engine_class: class of `runtime` that opens them.
        run: runs n rows of an open engine, batch by batch, for `export.throughput`.
        probes: lists the comparisons of a plan with its engine, from the open engine and its
            training data, or None if that is unavailable.
        calibration_rows: loads rows of the graph's main input, float32 [n, D] or uint8
            [n, H, W, C], and describes their source; takes the engine's manifest and path.
        takes_images: True if the probes run on real images where possible.
        has_fid: True if plans are compared by the Fréchet distance of their images.
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
        graph: builds the module to export from a checkpoint and the options.
        fields: builds the role's fields of the manifest from a checkpoint and its statistics.
        checks: compares a file with PyTorch, stock ONNX Runtime and our runtime.
        runner: of our runtime; None for files for other programs, which have no plans either.
        makes_images: True if `Options.image` is the format of its images, which else is uint8.
        counts_folding: True if the manifest has the number of nodes before folding.
    """

    graph: Callable[[Any, Options], Graph]
    fields: Callable[[Any, LatentStatistics | None], dict[str, Any]]
    checks: Callable[[CheckedFile], list[Check]]
    runner: Runner | None = None
    makes_images: bool = False
    counts_folding: bool = False


def run_images(run: Callable[[Any], Any], shape: tuple[int, int, int], n: int, batch: int) -> None:
    """Call a function on n black images of a shape (H, W, C), batch by batch."""
    images = np.zeros((batch, *shape), np.uint8)
    for _ in range(n // batch):
        run(images)
