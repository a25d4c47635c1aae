"""Checks of exported files against PyTorch, stock ONNX Runtime and our runtime.

What they have in common, and those of encoders and interpolators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check, close, exact
from export.errors import ExportError
from export.functions import Mode
from export.graph import LATENT, NOISE
from export.inputs import Inputs, mean_images
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

Run = tuple[Callable[[Any, int, int], NDArray[Any]], NDArray[Any]]
"""Makes rows start … stop - 1 with an engine that the runtime opened; and what all ROWS must be."""


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
    engine: str,
    path: Path,
    runtime: Any,
    kind: str,
    runs: dict[str, Run],
    compare: Callable[[str, str, NDArray[Any], NDArray[Any]], Check],
    batches: str,
) -> list[Check]:
    """The file in each backend of our runtime against stock ONNX Runtime.

    ONNX Runtime must give the same bits, other backends what `compare` allows.

    Args:
        engine: name of the file in the table.
        path: where the file lies.
        runtime: our runtime, or None for no checks.
        kind: the runtime's class that opens the file.
        runs: what to run, by the name of the check; the first also runs in batches.
        compare: how results are compared.
        batches: name of the check that batches give the same bits.
    """
    results = []
    for backend in backends(runtime):
        same = exact if backend == "onnxruntime" else compare
        with getattr(runtime, kind)(path, backend=backend) as opened:
            made = {name: run(opened, 0, ROWS) for name, (run, _) in runs.items()}
            results += [
                same(engine, f"{name}: runtime, {backend}", made[name], expected)
                for name, (_, expected) in runs.items()
            ]
            first = next(iter(runs))
            run = partial(runs[first][0], opened)
            results.append(invariance(engine, f"{batches}, {backend}", run, made[first]))
    return results


def check_layers(
    engine: str, model: ModelProto, widths: tuple[int, ...], operands: dict[str, NDArray[Any]]
) -> list[Check]:
    """The noise of the layers is that of the contract.

    Args:
        engine: name of the file in the table.
        model: what is in it.
        widths: of each layer, from the first on.
        operands: the graph's inputs but for seed and first, `ROWS` rows.
    """
    streams = range(FIRST_LAYER_STREAM, FIRST_LAYER_STREAM + len(widths))
    names = [f"{NOISE}{stream}" for stream in streams]
    key = {"seed": reference.int64(SEED), "first": reference.int64(FIRST)}
    outputs = Session(model, extra=names).run(**operands, **key)
    expected = [
        reference.normals(SEED, FIRST, ROWS, width, stream).ravel()
        for stream, width in zip(streams, widths, strict=True)
    ]
    got = np.concatenate([outputs[name].ravel() for name in names])
    return [exact(engine, "noise of layers: portable body", got, np.concatenate(expected))]


def check_encoder(
    engine: str, path: Path, checkpoint: LatentCheckpoint, runtime: Any | None
) -> list[Check]:
    """All checks of an encoder file; arguments as those of `parity_generators.check_generator`."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (ROWS // 2, *checkpoint.shape)).astype(np.uint8)
    rows = ROWS - len(noise)
    latents = reference.normals(SEED, 0, rows, checkpoint.latent)
    drawn = levels(mean_images(checkpoint.decoder, latents, Inputs.of(checkpoint, SEED, 0, rows)))
    images = np.concatenate([noise, drawn])
    assert checkpoint.encoder is not None
    with torch.no_grad():
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        encoded = checkpoint.encoder(pixels)
    posterior = [part.numpy() for part in ([encoded] if checkpoint.deterministic else encoded)]
    names = ("mu", "logvar")[: len(posterior)]
    stock = Session(path.read_bytes())
    outputs = stock.run(image=images)
    results = [
        float_check(engine, f"{name}: PyTorch", outputs[name], expected)
        for name, expected in zip(names, posterior, strict=True)
    ]

    def run(start: int, stop: int) -> NDArray[Any]:
        rows = stock.run(image=images[start:stop])
        return np.concatenate([rows[name] for name in names], axis=1)

    whole = run(0, ROWS)
    results.append(invariance(engine, "batch invariance", run, whole))

    def encode(encoder: Any, start: int, stop: int) -> NDArray[Any]:
        return np.concatenate(encoder.encode(images[start:stop])[: len(names)], axis=1)

    runs: dict[str, Run] = {", ".join(names): (encode, whole)}
    batches = "batch invariance"
    return results + check_runtime(engine, path, runtime, "Encoder", runs, float_check, batches)


def check_interpolator(
    engine: str, path: Path, model: ModelProto, checkpoint: LatentCheckpoint, mode: Mode
) -> list[Check]:
    """All checks of an interpolator file; arguments as `parity_generators.check_generator`'s."""
    a = reference.normals(SEED, 0, 5, checkpoint.latent)
    b = reference.normals(SEED, 5, 5, checkpoint.latent)
    t = np.linspace(0, 1, 9, dtype=np.float32)
    latents = reference.interpolate(a, b, t, mode)
    latents_in_a_row = latents.reshape(-1, checkpoint.latent)
    expected = mean_images(checkpoint.decoder, latents_in_a_row, Inputs(0, 0))
    got = Session(model, extra=[LATENT]).run(a=a, b=b, t=t)[LATENT]
    same = exact if mode == "linear" else float_check
    images = Session(path.read_bytes()).run(a=a, b=b, t=t)["image"]
    if images.dtype == np.uint8:
        wanted: NDArray[Any] = levels(expected)
    else:
        wanted = np.clip(expected, np.float32(0), np.float32(1))
    return [
        same(engine, f"latent: portable body, {mode}", got, latents),
        image_check(engine, "image: PyTorch", images, wanted.reshape(5, 9, *wanted.shape[1:])),
    ]
