"""Cases of the CPU benchmark: an engine, what goes into it, and when its results are right.

Every contender gets the same graph: that of the engine file, clipping included, without the noise
operator. The noise of its nodes becomes an input, and scales are 1. Noise is drawn in the timed
part by all contenders, as new images need new noise. Images, attributes and classes are drawn once,
from a fixed seed and outside the timed part, for all alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
"""Inputs of the graph by name, a row for each image."""

CHECKED = 64
"""Number of rows in the check that all contenders agree."""
LEAST_PSNR = 35.0
"""Of images, in dB; fp32 images may also differ by one level at most."""
MOST_ERROR = {"fp32": 1e-4, "bf16": 0.05, "int8": 0.1}
"""Of float outputs: ‖x - reference‖ / ‖reference‖, by precision."""


@dataclass(frozen=True)
class Input:
    """An input of the graph: its name, dtype, and the shape of a row."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def is_noise(self) -> bool:
        """True for N(0, 1) noise: the latent, or that of a layer ("noise.<stream>")."""
        return self.name == "latent" or self.name.startswith("noise.")


@dataclass(frozen=True)
class Case:
    """An engine file, its graph for stock runtimes, and the cores that may be used."""

    engine: str
    graph: str
    role: str
    cores: int
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    classes: int = 0

    def draw_noise(self, rng: np.random.Generator, rows: int) -> Arrays:
        """Draw the inputs that are noise, with NumPy's generator."""
        return {
            entry.name: rng.standard_normal((rows, *entry.shape), dtype=np.float32)
            for entry in self.inputs
            if entry.is_noise
        }

    def draw_fixed(self, rows: int) -> Arrays:
        """Draw the other inputs: levels, attributes of 0 and 1; class i mod the number of them."""
        rng = np.random.default_rng(0)
        arrays: Arrays = {}
        for entry in self.inputs:
            if entry.name == "label":
                arrays[entry.name] = np.arange(rows, dtype=np.int64) % self.classes
            elif not entry.is_noise:
                high = 256 if entry.dtype == "uint8" else 2
                drawn = rng.integers(0, high, (rows, *entry.shape))
                arrays[entry.name] = drawn.astype(entry.dtype)
        return arrays

    def draw_checked(self) -> Arrays:
        """Return the inputs of the check, with the noise of the engine's samples 0 to 63."""
        from runtime.noise import normals

        noise = {
            entry.name: normals(0, 0, CHECKED, *entry.shape, _stream(entry.name))
            for entry in self.inputs
            if entry.is_noise
        }
        return {**noise, **self.draw_fixed(CHECKED)}


def _stream(name: str) -> int:
    return 0 if name == "latent" else int(name.removeprefix("noise."))


@contextmanager
def open_case(engine: Path, cores: int) -> Iterator[Case]:
    """Describe an engine, with its graph in a temporary file."""
    import onnx

    from runtime import manifest

    document = manifest.read(engine)
    model = stock_graph(engine)
    inputs = []
    for value in model.graph.input:
        tensor = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).name
        shape = tuple(side.dim_value for side in tensor.shape.dim[1:])
        inputs.append(Input(value.name, dtype, shape))
    with TemporaryDirectory(prefix="zoo-benchmark-") as folder:
        graph = Path(folder) / "graph.onnx"
        onnx.save(model, graph)
        yield Case(
            engine=str(engine),
            graph=str(graph),
            role=document["role"],
            cores=cores,
            inputs=tuple(inputs),
            outputs=tuple(value.name for value in model.graph.output),
            classes=(document.get("condition") or {}).get("count", 0),
        )


def stock_graph(engine: Path) -> Any:
    """Return the engine's graph, an onnx.ModelProto, with noise as inputs and scales of 1.

    A user of a stock runtime would export this graph; the portable body of the noise operator would
    only slow that runtime down. A classifier's features are left out.
    """
    import onnx
    from onnx.utils import Extractor

    from export.graph import remove_learned_prior

    model = onnx.load(engine)
    remove_learned_prior(model)
    graph = model.graph
    samplers = [node for node in graph.node if node.op_type == "ReparametrizedSample"]
    scales = [value.name for value in graph.input if value.name in ("truncation", "noise")]
    ones = np.ones(1, np.float32)
    graph.initializer.extend(onnx.numpy_helper.from_array(ones, name) for name in scales)
    # What only the noise operator needs is not reached from the outputs any more; the number of
    # rows is taken from the latent.
    dropped = {name for node in samplers for name in node.input}.union(scales)
    for node in graph.node:
        if node not in samplers:
            node.input[:] = ["latent" if name == "mu" else name for name in node.input]
    inputs = [node.output[0] for node in samplers]
    inputs += [value.name for value in graph.input if value.name not in dropped]
    outputs = [value.name for value in graph.output if value.name != "features"]
    return Extractor(model).extract_model(inputs, outputs)


def psnr(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Return the peak signal-to-noise ratio of two uint8 arrays in dB; 99 if they are equal."""
    mse = float(np.mean((a.astype(float) - b) ** 2))
    return 99.0 if mse == 0 else 10 * math.log10(255**2 / mse)


def compare(
    results: list[NDArray[Any]], reference: list[NDArray[Any]], precision: str
) -> dict[str, float]:
    """Return "psnr_db" of images, or the largest "relative_error" of float outputs.

    Raises RuntimeError if shapes or dtypes differ, or the values by more than allowed.
    """
    formats = [[(array.dtype, array.shape) for array in arrays] for arrays in (results, reference)]
    if formats[0] != formats[1]:
        raise RuntimeError(f"expected {_describe(reference)}, got {_describe(results)}")
    if reference[0].dtype == np.uint8:
        furthest = int(np.abs(results[0].astype(int) - reference[0]).max())
        quality = psnr(results[0], reference[0])
        if (precision == "fp32" and furthest > 1) or quality < LEAST_PSNR:
            raise RuntimeError(f"images differ by {furthest} levels, PSNR {quality:.1f} dB")
        return {"psnr_db": quality}
    error = max(
        float(np.linalg.norm(result - wanted) / np.linalg.norm(wanted))
        for result, wanted in zip(results, reference, strict=True)
    )
    if not error <= MOST_ERROR[precision]:
        raise RuntimeError(f"outputs differ by {error:.2g} of their norm")
    return {"relative_error": error}


def _describe(arrays: list[NDArray[Any]]) -> str:
    return ", ".join(f"{array.dtype}{array.shape}" for array in arrays)
