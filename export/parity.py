"""Comparisons of PyTorch, stock ONNX Runtime and our runtime, shared by all roles."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from export import reference
from export.checks import Check, compare_close, compare_exact
from export.errors import ExportError
from export.graph import MEAN, NOISE, find_producer
from export.options import Options
from export.reference import F32
from export.stock import Session
from zoo.models.generators import FIRST_LAYER_STREAM

# Above 2^63, with a carry in the low word of the sample.
SEED = 2**63 + 20240229
FIRST = 2**32 - 20
ROWS = 64
BATCHES = (1, 7, 64)

# Relative to the largest value if that is above 1.
FLOAT_LIMIT, FLOAT_MEAN_LIMIT = 5e-5, 2e-6
# Between a folded network and the trained one, both in double precision.
FOLDING_LIMIT = 1e-9
# A level may flip if the mean lies on the border of two.
LEVEL_LIMIT, LEVEL_MEAN_LIMIT = 1, 0.01

Images = NDArray[np.uint8]

Run = tuple[Callable[[Any, int, int], NDArray[Any]], NDArray[Any]]
"""Function of an open engine that computes rows start … stop - 1, and the expected ROWS rows."""

Compare = Callable[[str, str, NDArray[Any], NDArray[Any]], Check]
"""Function of engine, name, computed and expected values."""


@dataclass(frozen=True)
class CheckedFile:
    """An engine file to check.

    Attributes:
        name: of the file in the table of checks.
        path: of the file, possibly a temporary one.
        model: contents of the file.
        checkpoint: the exported model, with its weights rounded as in the file.
        options: of the export.
        runtime: the module `runtime`, or None to skip its checks.
    """

    name: str
    path: Path
    model: ModelProto
    checkpoint: Any
    options: Options
    runtime: Any | None


def import_runtime() -> Any:
    """Import our compiled runtime; raise ExportError if it is not installed."""
    try:
        import runtime

        runtime.backends()
    except ImportError as error:
        raise ExportError(
            "the exported files cannot be checked: the compiled runtime is missing "
            f"({error}); install it with `pip install .`, or pass --no-runtime-check"
        ) from error
    return runtime


def open_engines(runtime: Any, engine_class: str, path: Path, stack: ExitStack) -> dict[str, Any]:
    """Open an engine file in each backend that is installed and knows its graph, by name.

    Args:
        runtime: the module `runtime`; None opens nothing.
        engine_class: class of the runtime.
        path: of the file.
        stack: closes the engines.
    """
    opened = {}
    for name in runtime.backends() if runtime is not None else {}:
        try:
            engine = getattr(runtime, engine_class)(path, backend=name)
        except runtime.errors.BackendUnavailableError:
            continue
        opened[name] = stack.enter_context(engine)
    return opened


def levels(mean: F32) -> NDArray[np.uint8]:
    """Convert mean images [N, C, H, W] to uint8 [N, H, W, C]: floor(mean * 255 + 1/2)."""
    bounded = np.clip(mean, np.float32(0), np.float32(1)).transpose(0, 2, 3, 1)
    return np.floor(bounded * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def expected_images(mean: F32, model: ModelProto) -> NDArray[Any]:
    """Convert mean images to the output format of a model: levels, or clipped floats."""
    if find_producer(model, MEAN) is not None:
        return levels(mean)
    return np.clip(mean, np.float32(0), np.float32(1))


def compare_images(engine: str, name: str, got: NDArray[Any], expected: NDArray[Any]) -> Check:
    """Require images within one level, or float images within the limit of floats."""
    if expected.dtype == np.uint8:
        return compare_close(engine, name, got, expected, LEVEL_LIMIT, LEVEL_MEAN_LIMIT, "levels")
    return compare_close(engine, name, got, expected, FLOAT_LIMIT, FLOAT_MEAN_LIMIT)


def compare_floats(engine: str, name: str, got: F32, expected: F32) -> Check:
    """Require floats within the limit, relative to the largest value if that is above 1."""
    scale = max(1.0, float(np.abs(expected).max()))
    return compare_close(engine, name, got, expected, FLOAT_LIMIT * scale, FLOAT_MEAN_LIMIT * scale)


def check_batch_invariance(
    engine: str, name: str, run: Callable[[int, int], NDArray[Any]], whole: NDArray[Any]
) -> Check:
    """Require equal bits for batches of several sizes, computed by `run(start, stop)`."""
    got, expected = [], []
    for batch in BATCHES:
        for start in range(batch // 2, ROWS, batch):
            stop = min(start + batch, ROWS)
            got.append(run(start, stop))
            expected.append(whole[start:stop])
    return compare_exact(engine, name, np.concatenate(got), np.concatenate(expected))


def check_runtime(
    file: CheckedFile, engine_class: str, runs: dict[str, Run], compare: Compare, batches: str
) -> list[Check]:
    """Compare the file in each backend of our runtime with stock ONNX Runtime.

    The backend ONNX Runtime must give the same bits, others what `compare` allows.

    Args:
        file: the file; without a runtime there are no checks.
        engine_class: class of the runtime that opens the file.
        runs: by the name of the check; the first one also runs in batches.
        compare: comparison for the other backends.
        batches: name of the check of batch invariance.
    """
    results = []
    with ExitStack() as stack:
        for backend, engine in open_engines(file.runtime, engine_class, file.path, stack).items():
            same = compare_exact if backend == "onnxruntime" else compare
            outputs = {name: run(engine, 0, ROWS) for name, (run, _) in runs.items()}
            results += [
                same(file.name, f"{name}: runtime, {backend}", outputs[name], expected)
                for name, (_, expected) in runs.items()
            ]
            first = next(iter(runs))
            run = partial(runs[first][0], engine)
            name = f"{batches}, {backend}"
            results.append(check_batch_invariance(file.name, name, run, outputs[first]))
    return results


def check_layers(
    file: CheckedFile, widths: tuple[int, ...], operands: dict[str, NDArray[Any]]
) -> list[Check]:
    """Require the noise of the layers, of `widths`, to be that of the contract.

    `operands` are the inputs of the graph except for seed and first, `ROWS` rows.
    """
    streams = range(FIRST_LAYER_STREAM, FIRST_LAYER_STREAM + len(widths))
    names = [f"{NOISE}{stream}" for stream in streams]
    key = {"seed": reference.int64(SEED), "first": reference.int64(FIRST)}
    outputs = Session(file.model, extra=names).run(**operands, **key)
    expected = [
        reference.normals(SEED, FIRST, ROWS, width, stream).ravel()
        for stream, width in zip(streams, widths, strict=True)
    ]
    got = np.concatenate([outputs[name].ravel() for name in names])
    return [
        compare_exact(file.name, "noise of layers: portable body", got, np.concatenate(expected))
    ]


@dataclass(frozen=True)
class GraphCheck:
    """Tensors of a graph, the comparison of its results, and the class and method to run it."""

    input: str
    output: str
    compare: Compare
    engine_class: str
    method: str


def check_graph(
    file: CheckedFile,
    graph: GraphCheck,
    inputs: NDArray[Any],
    expected: NDArray[Any],
    more: dict[str, NDArray[Any]] | None = None,
    seeded: bool = False,
) -> list[Check]:
    """Check a graph that maps rows, such as images, to rows.

    Args:
        file: the file.
        graph: its tensors, and how they are compared.
        inputs: `ROWS` rows.
        expected: results of PyTorch.
        more: other inputs, a row for each of `inputs`.
        seeded: True if the graph draws noise, that of the samples from FIRST on.
    """
    stock, batches = Session(file.path.read_bytes()), f"{graph.output}: batch invariance"

    def slice_more(start: int, stop: int) -> dict[str, NDArray[Any]]:
        return {name: value[start:stop] for name, value in (more or {}).items()}

    def run_stock(start: int, stop: int) -> NDArray[Any]:
        key = {}
        if seeded:
            key = {"seed": reference.int64(SEED), "first": reference.int64(FIRST + start)}
        feed = {graph.input: inputs[start:stop], **slice_more(start, stop)}
        return stock.run(**feed, **key)[graph.output]

    def run_ours(engine: Any, start: int, stop: int) -> NDArray[Any]:
        key = {"seed": SEED, "first": FIRST + start} if seeded else {}
        method = getattr(engine, graph.method)
        return method(inputs[start:stop], **slice_more(start, stop), **key)

    whole = run_stock(0, ROWS)
    return [
        graph.compare(file.name, f"{graph.output}: PyTorch", whole, expected),
        check_batch_invariance(file.name, batches, run_stock, whole),
        *check_runtime(
            file, graph.engine_class, {graph.output: (run_ours, whole)}, graph.compare, batches
        ),
    ]


def mixed_images(shape: tuple[int, int, int]) -> Images:
    """Return ROWS images of a shape (H, W, C): half noise, half flat patches of many colours."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (ROWS // 2, *shape)).astype(np.uint8)
    height, width, channels = shape
    small = random.integers(0, 256, (ROWS - len(noise), 4, 4, channels)).astype(np.uint8)
    patches = small.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
    return np.concatenate([noise, patches[:, :height, :width]])
