"""Shipped engine files with something changed in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto

from export.manifest import KEY
from zoo.engines import WEIGHTS
from zoo.plans import DIGEST

Document = dict[str, Any]


def manifest_of(model: ModelProto) -> Any:
    """The metadata entry with the manifest."""
    return next(entry for entry in model.metadata_props if entry.key == KEY)


def changed(
    name: str | Path,
    folder: Path,
    document: Callable[[Document], Any] = lambda document: None,
    model: Callable[[ModelProto], Any] = lambda model: None,
) -> Path:
    """A shipped engine, changed in place by two functions, and without a digest.

    Args:
        name: of the shipped file, or the path of another one.
        folder: where the new one goes, under the same name.
        document: changes its manifest.
        model: changes its graph.
    """
    result = onnx.load(WEIGHTS / name)
    entry = manifest_of(result)
    fields = json.loads(entry.value)
    fields.pop(DIGEST)
    document(fields)
    entry.value = json.dumps(fields)
    model(result)
    path = folder / Path(name).name
    path.write_bytes(result.SerializeToString())
    return path
