"""Times of the layers of an engine in the native backend."""

from __future__ import annotations

import os
from dataclasses import dataclass

from runtime._arguments import UINT64_MAX, as_integer, as_path, as_scale, as_text
from runtime._library import native
from runtime.errors import ArgumentError

MOST_SECONDS = 600


@dataclass(frozen=True)
class LayerTime:
    """Time that a layer takes for an image.

    - name: the value of the engine's graph that the layer computes, or begins to.
    - kind: "convolution", "instance norm", ...
    - kernel: what its tiles compute together, images or pixels, and their sizes, rows×columns;
      empty where there is nothing to choose.
    - operations: multiplications and additions; 0 where the work is not products.
    - seconds: the median over all rounds.
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
    """The layers of an engine in the order in which they run.

    - isa: instruction set of the kernels.
    - ceiling: operations/s of one core when it only multiplies and adds in registers, measured in
      the same rounds.
    """

    isa: str
    ceiling: float
    layers: tuple[LayerTime, ...]


def measure_layers(
    path: str | os.PathLike[str], precision: str = "fp32", batch: int = 16, seconds: float = 1.0
) -> LayerTimes:
    """Return how long each layer of an engine file takes in the native backend.

    Runs `batch` random images in one thread again and again, for that many seconds (at most 600).

    Raises EngineFileError or a subclass for a bad file, BackendUnavailableError where the backend
    does not know one of the graph's operators or the CPU lacks the precision, ArgumentError.
    """
    limit = as_scale("seconds", seconds)
    if not 0 <= limit <= MOST_SECONDS:
        raise ArgumentError(f"seconds: expected 0 to {MOST_SECONDS}, got {limit:g}")
    isa, ceiling, layers = native.measure_layers(
        os.fsencode(as_path("path", path)),
        as_text("precision", precision),
        as_integer("batch", batch, 1, UINT64_MAX),
        limit,
    )
    return LayerTimes(isa, ceiling, tuple(LayerTime(*layer) for layer in layers))
