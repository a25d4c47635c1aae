"""Real inputs of a network for its calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, ValueInfoProto

from export.errors import ExportError
from export.plan.calibration_set import FEWEST, SEED, Calibration
from export.roles import ROLES
from runtime import noise
from zoo.errors import DataError
from zoo.images import arrays

Arrays = dict[str, NDArray[Any]]
Shape = tuple[int, ...]

IMAGES = ("image", "input")
"""Names of image inputs; `--calibrate` sets one of these or `latent`."""

ARRAY = ".npy"


@dataclass(frozen=True)
class Samples:
    """Rows for each input of a prepared graph, and a description of their source."""

    feed: Arrays
    source: str
    count: int

    def blocks(self, rows: int) -> Iterator[Arrays]:
        """Iterate over blocks of rows; inputs with one value for all rows are in each block."""
        for start in range(0, self.count, rows):
            yield {
                name: values[start : start + rows] if len(values) == self.count else values
                for name, values in self.feed.items()
            }


def gather(
    inputs: list[ValueInfoProto], manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> Samples:
    """Gather samples for the inputs of a prepared graph.

    Latents are drawn from the prior; those of a model without one are encodings of its training
    images by the encoder beside it, and styles are mapped by the mapping beside the synthesis
    network. Layer noise is N(0, 1), and classes and attributes alternate. All use one fixed seed.

    Args:
        inputs: of a model from `graph.prepare`.
        manifest: of the engine file at `engine`.
        calibration: source and number of the samples.

    Raises:
        ExportError: samples are unavailable or do not fit the network.
    """
    shapes = {entry.name: _row_shape(entry) for entry in inputs}
    main = next((name for name in ("latent", *IMAGES) if name in shapes), None)
    if main is None:
        raise ExportError(f"{engine.name} has no input of latents or images to calibrate with")
    if calibration.source is not None and calibration.source.lower().endswith(ARRAY):
        source, path = Path(calibration.source).name, f"--calibrate {calibration.source}"
        try:
            rows = arrays.read(Path(calibration.source))
        except DataError as error:
            raise ExportError(f"--calibrate: {error}") from error
    else:
        runner = ROLES[manifest["role"]].runner
        assert runner is not None
        rows, source = runner.calibration_rows(manifest, engine, calibration)
        path = source
    _check_rows(rows, main, shapes[main], path)
    rows = rows[: calibration.count]
    if not np.isfinite(rows).all():
        raise ExportError(f"{path}: the samples for {main} are not all finite")
    feed: Arrays = {main: rows}
    for entry in inputs:
        if entry.name != main:
            feed[entry.name] = _secondary_input(entry, manifest, len(rows))
    return Samples(feed, source, len(rows))


def _row_shape(entry: ValueInfoProto) -> Shape:
    return tuple(axis.dim_value for axis in entry.type.tensor_type.shape.dim)[1:]


def _check_rows(rows: NDArray[Any], main: str, shape: Shape, source: str) -> None:
    dtype = np.dtype(np.uint8 if main in IMAGES else np.float32)
    if rows.dtype != dtype or rows.ndim != len(shape) + 1 or rows.shape[1:] != shape:
        expected = f"{dtype} [{', '.join(['n', *map(str, shape)])}]"
        raise ExportError(
            f"{source}: expected {expected} for the input {main}, got {rows.dtype} "
            f"{list(rows.shape)}"
        )
    if len(rows) < FEWEST:
        raise ExportError(f"{source}: {len(rows)} rows are too few; expected {FEWEST} or more")


def _secondary_input(entry: ValueInfoProto, manifest: dict[str, Any], rows: int) -> NDArray[Any]:
    """Return layer noise, classes or attributes; scales are 1."""
    kind = entry.type.tensor_type
    if kind.shape.dim[0].dim_value:
        return np.ones([axis.dim_value for axis in kind.shape.dim], np.float32)
    shape = _row_shape(entry)
    if kind.elem_type == TensorProto.INT64:
        return np.arange(rows) % int(manifest["condition"]["count"])
    if entry.name.startswith("noise."):
        return noise.normals(SEED, 0, rows, shape[0], int(entry.name.removeprefix("noise.")))
    # Attributes: one at a time.
    return np.resize(np.eye(*shape * 2, dtype=np.float32), (rows, *shape))
