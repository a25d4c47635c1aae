"""What the checks of all roles share: PyTorch, stock ONNX Runtime and our runtime compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from export import reference
from export.checks import Check, close, exact
from export.errors import ExportError
from export.graph import NOISE
from export.options import Options
from export.reference import F32
from export.stock import Session
from zoo.models.generators import FIRST_LAYER_STREAM

# Above 2^63, and across a carry of the sample's low word.
SEED = 2**63 + 20240229
FIRST = 2**32 - 20
ROWS = 64
BATCHES = (1, 7, 64)

# Float differences are relative to the largest value where that is above 1.
FLOAT_LIMIT, FLOAT_MEAN_LIMIT = 5e-5, 2e-6
# Of a folded network and the one that was trained, both in double precision.
FOLDING_LIMIT = 1e-9
# A level may flip where the mean lies on the border of two.
LEVEL_LIMIT, LEVEL_MEAN_LIMIT = 1, 0.01

Images = NDArray[np.uint8]

Run = tuple[Callable[[Any, int, int], NDArray[Any]], NDArray[Any]]
"""Makes rows start … stop - 1 with an engine that the runtime opened; and what all ROWS must be."""


@dataclass(frozen=True)
class CheckedFile:
    """An engine file that is to be checked.

    Attributes:
        name: of the file in the table of checks.
        path: where it lies, maybe under a temporary name.
        model: what is in it.
        checkpoint: the model that it was made from, its weights rounded as in the file.
        options: how it was exported.
        runtime: the module `runtime`, or None to leave it out.
    """

    name: str
    path: Path
    model: ModelProto
    checkpoint: Any
    options: Options
    runtime: Any | None


def runtime_module() -> Any:
    """Our compiled runtime.

    Raises:
        ExportError: it is not installed.
    """
    try:
        import runtime

        runtime.backends()
    except ImportError as error:
        raise ExportError(
            "the exported files cannot be checked: the compiled runtime is missing "
            f"({error}); install it with `pip install .`, or pass --no-runtime-check"
        ) from error
    return runtime


def backends(runtime: Any) -> list[str]:
    """Names of the runtime's backends that work here; none of None."""
    found: dict[str, str] = runtime.backends() if runtime is not None else {}
    return [name for name, version in found.items() if version[:1].isdigit()]


def levels(mean: F32) -> NDArray[np.uint8]:
    """Mean images [N, C, H, W] to uint8 [N, H, W, C]: floor(mean * 255 + 1/2)."""
    bounded = np.clip(mean, np.float32(0), np.float32(1)).transpose(0, 2, 3, 1)
    return np.floor(bounded * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def image_check(engine: str, name: str, got: NDArray[Any], expected: NDArray[Any]) -> Check:
    """Images must agree within a level, or within the limit of floats."""
    if expected.dtype == np.uint8:
        return close(engine, name, got, expected, LEVEL_LIMIT, LEVEL_MEAN_LIMIT, "levels")
    return close(engine, name, got, expected, FLOAT_LIMIT, FLOAT_MEAN_LIMIT)


def float_check(engine: str, name: str, got: F32, expected: F32) -> Check:
    """Floats must agree relative to the largest value, where that is above 1."""
    scale = max(1.0, float(np.abs(expected).max()))
    return close(engine, name, got, expected, FLOAT_LIMIT * scale, FLOAT_MEAN_LIMIT * scale)


def invariance(
    engine: str, name: str, run: Callable[[int, int], NDArray[Any]], whole: NDArray[Any]
) -> Check:
    """Rows start … stop - 1 by `run` in batches of several sizes, at several places of a batch."""
    got, expected = [], []
    for batch in BATCHES:
        for start in range(batch // 2, ROWS, batch):
            stop = min(start + batch, ROWS)
            got.append(run(start, stop))
            expected.append(whole[start:stop])
    return exact(engine, name, np.concatenate(got), np.concatenate(expected))


def check_runtime(
    file: CheckedFile,
    kind: str,
    runs: dict[str, Run],
    compare: Callable[[str, str, NDArray[Any], NDArray[Any]], Check],
    batches: str,
) -> list[Check]:
    """The file in each backend of our runtime against stock ONNX Runtime.

    ONNX Runtime must give the same bits, other backends what `compare` allows.

    Args:
        file: the file; without a runtime there are no checks.
        kind: the runtime's class that opens the file.
        runs: what to run, by the name of the check; the first also runs in batches.
        compare: how results are compared.
        batches: name of the check that batches give the same bits.
    """
    results = []
    for backend in backends(file.runtime):
        same = exact if backend == "onnxruntime" else compare
        with getattr(file.runtime, kind)(file.path, backend=backend) as opened:
            made = {name: run(opened, 0, ROWS) for name, (run, _) in runs.items()}
            results += [
                same(file.name, f"{name}: runtime, {backend}", made[name], expected)
                for name, (_, expected) in runs.items()
            ]
            first = next(iter(runs))
            run = partial(runs[first][0], opened)
            results.append(invariance(file.name, f"{batches}, {backend}", run, made[first]))
    return results


def check_layers(
    file: CheckedFile, widths: tuple[int, ...], operands: dict[str, NDArray[Any]]
) -> list[Check]:
    """The noise of the layers is that of the contract.

    Args:
        file: the file.
        widths: of each layer, from the first on.
        operands: the graph's inputs but for seed and first, `ROWS` rows.
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
    return [exact(file.name, "noise of layers: portable body", got, np.concatenate(expected))]


@dataclass(frozen=True)
class ImageCheck:
    """The graph's tensors, how results are compared, and the runtime's class and its method."""

    input: str
    output: str
    close: Callable[[str, str, NDArray[Any], NDArray[Any]], Check]
    engine_class: str
    method: str


def check_image_graph(
    file: CheckedFile,
    kind: ImageCheck,
    inputs: Images,
    expected: NDArray[Any],
    more: dict[str, NDArray[Any]] | None = None,
    seeded: bool = False,
) -> list[Check]:
    """The checks of a graph that takes images.

    Args:
        file: the file.
        kind: its tensors, and how they are compared.
        inputs: `ROWS` images.
        expected: what PyTorch makes of them.
        more: what goes in besides, a row for an image.
        seeded: whether noise goes in, that of the samples from FIRST on.
    """
    stock = Session(file.path.read_bytes())

    def part(start: int, stop: int) -> dict[str, NDArray[Any]]:
        return {name: value[start:stop] for name, value in (more or {}).items()}

    def run(start: int, stop: int) -> NDArray[Any]:
        key = {}
        if seeded:
            key = {"seed": reference.int64(SEED), "first": reference.int64(FIRST + start)}
        feed = {kind.input: inputs[start:stop], **part(start, stop)}
        return stock.run(**feed, **key)[kind.output]

    whole, output = run(0, ROWS), kind.output
    results = [
        kind.close(file.name, f"{output}: PyTorch", whole, expected),
        invariance(file.name, f"{output}: batch invariance", run, whole),
    ]

    def ours(opened: Any, start: int, stop: int) -> NDArray[Any]:
        key = {"seed": SEED, "first": FIRST + start} if seeded else {}
        method = getattr(opened, kind.method)
        found: NDArray[Any] = method(inputs[start:stop], **part(start, stop), **key)
        return found

    runs: dict[str, Run] = {output: (ours, whole)}
    batches = f"{output}: batch invariance"
    opener = kind.engine_class
    return results + check_runtime(file, opener, runs, kind.close, batches)


def mixed_images(shape: tuple[int, int, int]) -> Images:
    """Half noise, half flat patches of many colours."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (ROWS // 2, *shape)).astype(np.uint8)
    height, width, channels = shape
    small = random.integers(0, 256, (ROWS - len(noise), 4, 4, channels)).astype(np.uint8)
    patches = small.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
    return np.concatenate([noise, patches[:, :height, :width]])


def unit_images(images: Images) -> torch.Tensor:
    """Levels [N, H, W, C] as float32 [N, C, H, W] in [0, 1]."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
