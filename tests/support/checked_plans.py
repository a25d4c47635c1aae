"""Shared by the tests of the checks of plans, on emulated CUDA devices.

TensorRT for RTX builds the plans, and fake_tensorrt.py runs their graphs in ONNX Runtime, rounded
where they are in half precision, with mistakes if `spoil` makes some.
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


def document_of(graph: ModelProto) -> Any:
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


def checks_of(path: Path) -> Any:
    return read_checks(path, runtime.manifest.read(path))


def add_levels(where: Callable[[ModelProto, int], bool], levels: int, pixels: Any) -> Spoil:
    def spoil(graph: ModelProto, rows: int, made: list[Any]) -> None:
        if where(graph, rows):
            images = made[0].astype(int)
            images[pixels] += np.where(images[pixels] > 127, -levels, levels)
            made[0][...] = images

    return spoil


EVERYWHERE = np.s_[:]
"""All pixels of all images."""
