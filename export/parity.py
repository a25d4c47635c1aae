"""Checks of exported files against PyTorch, stock ONNX Runtime and our runtime."""

from __future__ import annotations

import copy
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
from export.graph import LATENT, MEAN, producer
from export.reference import F32
from export.stock import Session
from zoo.models.folding import fold

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
    """Names of the runtime's backends that work here."""
    found: dict[str, str] = runtime.backends()
    return [name for name, version in found.items() if version[:1].isdigit()]


def levels(mean: F32) -> NDArray[np.uint8]:
    """Mean images [N, C, H, W] to uint8 [N, H, W, C]: floor(mean * 255 + 1/2)."""
    bounded = np.clip(mean, np.float32(0), np.float32(1)).transpose(0, 2, 3, 1)
    return np.floor(bounded * np.float32(255) + np.float32(0.5)).astype(np.uint8)


def decode(checkpoint: LatentCheckpoint, latents: F32) -> F32:
    """Mean images [N, C, H, W] of latents [N, D], by PyTorch."""
    with torch.no_grad():
        result: F32 = checkpoint.decoder(torch.from_numpy(latents)).numpy()
    return result


def image_check(engine: str, name: str, got: NDArray[Any], expected: NDArray[Any]) -> Check:
    """Images must agree within a level, or within the limit of floats."""
    if expected.dtype == np.uint8:
        return close(engine, name, got, expected, LEVEL_LIMIT, LEVEL_MEAN_LIMIT, "levels")
    return close(engine, name, got, expected, FLOAT_LIMIT, FLOAT_MEAN_LIMIT)


def float_check(engine: str, name: str, got: F32, expected: F32) -> Check:
    """Floats must agree relative to the largest value, where that is above 1."""
    scale = max(1.0, float(np.abs(expected).max()))
    return close(engine, name, got, expected, FLOAT_LIMIT * scale, FLOAT_MEAN_LIMIT * scale)


def check_folding(engine: str, checkpoint: LatentCheckpoint) -> list[Check]:
    """The folded generator gives the images of the trained one, before weights are rounded."""
    if checkpoint.unfolded is None:
        return []
    trained = copy.deepcopy(checkpoint.unfolded).double()
    latents = torch.from_numpy(reference.normals(SEED, 0, 8, checkpoint.latent)).double()
    with torch.no_grad():
        expected = trained(latents).numpy()
        got = fold(trained)(latents).numpy()
    limit = FOLDING_LIMIT * max(1.0, float(np.abs(expected).max()))
    return [close(engine, "mean image: folding, float64", got, expected, limit, limit)]


def check_generator(
    engine: str, path: Path, model: ModelProto, checkpoint: LatentCheckpoint, runtime: Any | None
) -> list[Check]:
    """All checks of a generator file.

    Args:
        engine: name of the file in the table.
        path: where the file lies.
        model: what is in it.
        checkpoint: the model that it was made from, its weights rounded as in the file.
        runtime: our runtime, or None to leave it out.
    """
    width = checkpoint.latent
    results = _check_noise(engine, model, width)

    latents = reference.normals(SEED, FIRST, ROWS, width)
    mean = decode(checkpoint, latents)
    expected: NDArray[Any] = np.clip(mean, np.float32(0), np.float32(1))
    inside = [MEAN] if producer(model, MEAN) is not None else []
    outputs = Session(model, extra=inside).sample(ROWS, width, SEED, FIRST)
    if inside:
        results.append(float_check(engine, "mean image: PyTorch", outputs[MEAN], mean))
        expected = levels(mean)

    stock = Session(path.read_bytes())
    images = stock.sample(ROWS, width, SEED, FIRST)["image"]
    results.append(image_check(engine, "image: PyTorch", images, expected))
    results.append(_check_batches(engine, stock, images, latents))
    if inside:
        results.append(_check_mean(engine, model, latents))
    threaded = Session(path.read_bytes(), threads=0).sample(ROWS, width, SEED, FIRST)
    results.append(exact(engine, "image: threads", threaded["image"], images))
    if runtime is not None:
        for backend in backends(runtime):
            results += _check_runtime_generator(engine, path, runtime, backend, images, latents)
    return results


def _check_noise(engine: str, model: ModelProto, width: int) -> list[Check]:
    session = Session(model, extra=[LATENT])
    random = np.random.default_rng(0)
    mu = random.standard_normal((ROWS, width), np.float32)
    logvar = random.uniform(-20, 20, (ROWS, width)).astype(np.float32)
    zeros = np.zeros_like(mu)
    got, expected = [], []
    for seed, first in ((0, 0), (SEED, FIRST), (2**64 - 1, 2**64 - 20)):
        for rows in ((zeros, zeros), (mu, logvar)):
            got.append(session.generate(*rows, seed, first)[LATENT])
            expected.append(reference.reparametrized_sample(*rows, seed, first))
    through = session.decode(mu)[LATENT]
    return [
        exact(engine, "latent: portable body", np.concatenate(got), np.concatenate(expected)),
        exact(engine, "latent: decode is the identity", through, mu),
    ]


def _check_batches(engine: str, stock: Session, images: NDArray[Any], latents: F32) -> Check:
    """The same rows in other batches and at other places of a batch."""
    width = latents.shape[1]
    got, expected = [], []
    for batch in BATCHES:
        for offset in (0, batch // 2):
            for start in range(offset, ROWS, batch):
                rows = min(batch, ROWS - start)
                got.append(stock.sample(rows, width, SEED, FIRST + start)["image"])
                expected.append(images[start : start + rows])
    order = np.random.default_rng(1).permutation(ROWS)
    got.append(stock.decode(latents[order])["image"])
    expected.append(images[order])
    return exact(engine, "image: batch invariance", np.concatenate(got), np.concatenate(expected))


def _check_mean(engine: str, model: ModelProto, latents: F32) -> Check:
    """The mean image, whose bits the rounding to levels hides, at several batch sizes."""
    session = Session(model, extra=[MEAN])
    whole = session.decode(latents)[MEAN]
    got = [
        session.decode(latents[start : start + batch])[MEAN]
        for batch in BATCHES
        for start in range(0, ROWS, batch)
    ]
    expected = np.concatenate([whole] * len(BATCHES))
    return exact(engine, "mean image: batch invariance", np.concatenate(got), expected)


def _check_runtime_generator(
    engine: str, path: Path, runtime: Any, backend: str, images: NDArray[Any], latents: F32
) -> list[Check]:
    order = np.random.default_rng(2).permutation(ROWS)
    with runtime.Generator(path, backend=backend) as generator:
        # The prior, also of a file that has none.
        zeros = np.zeros(generator.latent_width, np.float32)
        sample = partial(generator.sample, seed=SEED, mu=zeros, logvar=zeros)
        whole = sample(ROWS, first=FIRST)
        others = [sample(ROWS, first=FIRST, batch=batch) for batch in BATCHES]
        if generator.prior != "none":
            others[0] = generator.sample(ROWS, seed=SEED, first=FIRST)
        part = sample(ROWS - 20, first=FIRST + 13, batch=7)
        decoded = generator.decode(latents[order])
    got = np.concatenate([*others, part, decoded])
    expected = np.concatenate([whole] * len(BATCHES) + [whole[13 : ROWS - 7], whole[order]])
    same = exact if backend == "onnxruntime" else image_check
    return [
        same(engine, f"image: runtime, {backend}", whole, images),
        exact(engine, f"image: batch invariance, {backend}", got, expected),
    ]


def check_encoder(
    engine: str, path: Path, checkpoint: LatentCheckpoint, runtime: Any | None
) -> list[Check]:
    """All checks of an encoder file; arguments as those of `check_generator`."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (ROWS // 2, *checkpoint.shape)).astype(np.uint8)
    drawn = levels(
        decode(checkpoint, reference.normals(SEED, 0, ROWS - len(noise), checkpoint.latent))
    )
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
    whole = np.concatenate([outputs[name] for name in names], axis=1)
    got, expected_rows = [], []
    for batch in BATCHES:
        for start in range(0, ROWS, batch):
            rows = stock.run(image=images[start : start + batch])
            got.append(np.concatenate([rows[name] for name in names], axis=1))
            expected_rows.append(whole[start : start + batch])
    results.append(
        exact(engine, "batch invariance", np.concatenate(got), np.concatenate(expected_rows))
    )
    if runtime is not None:
        for backend in backends(runtime):
            results += _check_runtime_encoder(engine, path, runtime, backend, images, whole, names)
    return results


def _check_runtime_encoder(
    engine: str,
    path: Path,
    runtime: Any,
    backend: str,
    images: NDArray[np.uint8],
    expected: F32,
    names: tuple[str, ...],
) -> list[Check]:
    with runtime.Encoder(path, backend=backend) as encoder:

        def encode(rows: NDArray[np.uint8]) -> F32:
            return np.concatenate(encoder.encode(rows)[: len(names)], axis=1)

        whole = encode(images)
        got, wanted = [], []
        for batch in BATCHES:
            for start in range(batch // 2, ROWS, batch):
                got.append(encode(images[start : start + batch]))
                wanted.append(whole[start : start + batch])
    same = exact if backend == "onnxruntime" else float_check
    return [
        same(engine, f"{', '.join(names)}: runtime, {backend}", whole, expected),
        exact(
            engine,
            f"batch invariance, {backend}",
            np.concatenate(got),
            np.concatenate(wanted),
        ),
    ]


def check_interpolator(
    engine: str, path: Path, model: ModelProto, checkpoint: LatentCheckpoint, mode: Mode
) -> list[Check]:
    """All checks of an interpolator file; arguments as those of `check_generator`."""
    a = reference.normals(SEED, 0, 5, checkpoint.latent)
    b = reference.normals(SEED, 5, 5, checkpoint.latent)
    t = np.linspace(0, 1, 9, dtype=np.float32)
    latents = reference.interpolate(a, b, t, mode)
    expected = decode(checkpoint, latents.reshape(-1, checkpoint.latent))
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
