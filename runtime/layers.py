"""Times of the layers of an engine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from runtime._arguments import UINT64_MAX, as_integer, as_path, as_scale, as_text
from runtime._library import native
from runtime.errors import ArgumentError

MOST_SECONDS = 600


@dataclass(frozen=True)
class LayerTime:
    """Execution time of a layer per image.

    - name: (first) value of the engine's graph that the layer computes; OpenVINO's own name.
    - kind: "convolution", "instance norm", ...; OpenVINO's type of the node.
    - kernel: "images" or "pixels", whichever a tile computes together, and the tile sizes,
      rows×columns; empty if there is only one kernel. In OpenVINO its name of the kernel, which
      ends with the precision that the layer is computed in.
    - operations: multiplications and additions; 0 for layers without products, and in OpenVINO.
    - seconds: median over all rounds.
    """

    name: str
    kind: str
    kernel: str
    operations: float
    seconds: float

    @property
    def rate(self) -> float:
        """Operations/s."""
        return self.operations / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class LayerTimes:
    """Execution times of the layers of an engine.

    - isa: instruction set of the kernels; empty in OpenVINO.
    - ceiling: peak operations/s of one core for multiply-adds in registers, measured in the same
      rounds; 0 in OpenVINO.
    - layers: in execution order.
    """

    isa: str
    ceiling: float
    layers: tuple[LayerTime, ...]


def measure_layers(
    path: str | os.PathLike[str],
    precision: str = "fp32",
    batch: int = 16,
    seconds: float = 1.0,
    *,
    backend: str = "native",
) -> LayerTimes:
    """Measure the execution time of each layer of an engine file.

    Runs a batch of `batch` random images in one thread of the backend, "native" or "openvino",
    repeatedly for `seconds` (at most 600).

    Raises EngineFileError or a subclass for an invalid file, BackendUnavailableError if the backend
    does not support one of the graph's operators or does not measure layers, or the CPU does not
    support the precision, and ArgumentError for an invalid argument.
    """
    limit = as_scale("seconds", seconds)
    if not 0 <= limit <= MOST_SECONDS:
        raise ArgumentError(f"seconds: expected 0 to {MOST_SECONDS}, got {limit:g}")
    isa, ceiling, layers = native.measure_layers(
        os.fsencode(as_path("path", path)),
        as_text("backend", backend),
        as_text("precision", precision),
        as_integer("batch", batch, 1, UINT64_MAX),
        limit,
    )
    return LayerTimes(isa, ceiling, tuple(LayerTime(*layer) for layer in layers))
