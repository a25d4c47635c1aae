"""Helpers of the tests of the checks of plans, on emulated CUDA devices.

TensorRT for RTX builds the plans, and fake_tensorrt.py runs their graphs in ONNX Runtime, rounded
to their precision, with the errors that `spoil` introduces.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

import runtime
from emulated_plans import BUCKETS
from export.plan import pipeline
from export.plan.pipeline import Checking, Options, Plan
from zoo.engines import WEIGHTS
from zoo.plans import read_checks

RTX = "tensorrt-rtx"
IMAGES = 120
Spoil = Callable[[ModelProto, int, list[Any]], None]


def read_document(graph: ModelProto) -> Any:
    return json.loads(graph.doc_string)


def export(
    engine: str, out: Path, precision: str = "fp32", loss: float | None = None, **options: Any
) -> tuple[Plan, list[str]]:
    """Export a plan; return it and the lines of progress."""
    lines: list[str] = []
    (plan,) = pipeline.export(
        WEIGHTS / engine,
        out,
        Options(RTX, precision, BUCKETS),
        progress=lines.append,
        checking=Checking(images=IMAGES, max_loss=loss, **options),
    )
    return plan, lines


def read_results(path: Path) -> Any:
    return read_checks(path, runtime.manifest.read(path))


def add_levels(where: Callable[[ModelProto, int], bool], levels: int, pixels: Any) -> Spoil:
    """Build a function that changes some pixels of the runs for which `where(graph, rows)`."""

    def spoil(graph: ModelProto, rows: int, outputs: list[Any]) -> None:
        if where(graph, rows):
            images = outputs[0].astype(int)
            images[pixels] += np.where(images[pixels] > 127, -levels, levels)
            outputs[0][...] = images

    return spoil


EVERYWHERE = np.s_[:]
"""All pixels of all images."""
