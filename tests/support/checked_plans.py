"""Plans that are checked on emulated CUDA devices: what the tests of it share.

TensorRT for RTX really builds the plans, and fake_tensorrt.py runs their graphs in ONNX Runtime,
rounded where they are in half precision; it can be told to make mistakes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

import runtime
from emulated_plans import BUCKETS
from export.plan import pipeline
from export.plan.pipeline import Checking, Options, Plan
from export.plan.precision import EIGHT_BITS, HALVES
from plan_cases import lowered, quantized, rounded
from zoo.engines import WEIGHTS
from zoo.plans import read_checks

RTX = "tensorrt-rtx"
IMAGES = 120
Spoil = Callable[[ModelProto, int, list[Any]], None]


def graph_of(plan: bytes, folder: Path) -> ModelProto | None:
    """The lowered graph of a shipped engine's plan, found by its manifest, which it keeps."""
    path = folder / "unknown.plan"
    path.write_bytes(plan)
    document = runtime.manifest.read(path)
    engine = shipped().get(identity(document))
    if engine is None:
        return None
    wanted = document["precision"]
    graph = ModelProto()
    eight = wanted in EIGHT_BITS
    graph.CopyFrom(quantized(engine, wanted).model if eight else lowered(engine, wanted)[0])
    if wanted in HALVES:
        # ONNX Runtime computes in neither on a CPU, and leaves out casts to fp16 and back.
        graph = rounded(graph, wanted)
    graph.doc_string = json.dumps(document)
    return graph


def identity(document: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(document.get(field) for field in ("model", "role", "checkpoint_sha256"))


@cache
def shipped() -> dict[tuple[Any, ...], Path]:
    return {identity(runtime.manifest.read(path)): path for path in WEIGHTS.glob("*.onnx")}


def document_of(graph: ModelProto) -> Any:
    return json.loads(graph.doc_string)


def export(
    engine: str, out: Path, wanted: str = "fp32", loss: float | None = None, **options: Any
) -> tuple[Plan, list[str]]:
    """The plan, and what was said."""
    said: list[str] = []
    (plan,) = pipeline.export(
        WEIGHTS / engine,
        out,
        Options(RTX, wanted, BUCKETS),
        progress=said.append,
        checking=Checking(images=IMAGES, max_loss=loss, **options),
    )
    return plan, said


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
