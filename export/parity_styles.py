"""Checks of the two halves of a style-based generator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check
from export.graph import MEAN, producer
from export.inputs import Inputs
from export.modules import noise_widths
from export.parity import (
    FIRST,
    ROWS,
    SEED,
    Run,
    check_layers,
    check_runtime,
    float_check,
    image_check,
    invariance,
    levels,
)
from export.stock import Session


def check_mapping(
    engine: str, path: Path, checkpoint: LatentCheckpoint, runtime: Any
) -> list[Check]:
    """All checks of a mapping file; arguments as those of `parity_generators.check_generator`."""
    latents = reference.normals(SEED, FIRST, ROWS, checkpoint.latent)
    decoder: Any = checkpoint.decoder
    with torch.no_grad():
        expected = decoder.mapping(torch.from_numpy(latents)).numpy()
    stock = Session(path.read_bytes())

    def run(start: int, stop: int) -> NDArray[Any]:
        return stock.run(latent=latents[start:stop])["styles"]

    whole = run(0, ROWS)
    results = [
        float_check(engine, "styles: PyTorch", whole, expected),
        invariance(engine, "styles: batch invariance", run, whole),
    ]

    def ours(mapping: Any, start: int, stop: int) -> NDArray[Any]:
        styles: NDArray[Any] = mapping.map(latents[start:stop])
        return styles

    runs: dict[str, Run] = {"styles": (ours, whole)}
    batches = "styles: batch invariance"
    return results + check_runtime(engine, path, runtime, "Mapping", runs, float_check, batches)


def check_synthesis(
    engine: str, path: Path, model: ModelProto, checkpoint: LatentCheckpoint, runtime: Any
) -> list[Check]:
    """All checks of a synthesis file; arguments as those of `parity_generators.check_generator`.

    Every layer has a style of its own.
    """
    decoder: Any = checkpoint.decoder
    inputs = Inputs.of(checkpoint, SEED, FIRST, ROWS)
    z = reference.normals(SEED, FIRST, ROWS * decoder.layers, checkpoint.latent)
    with torch.no_grad():
        styles = decoder.mapping(torch.from_numpy(z)).reshape(ROWS, decoder.layers, -1)
        noise = inputs.source(ROWS, 1.0)
        mean = decoder.synthesis(styles, noise).numpy()
        quiet = decoder.synthesis(styles, inputs.source(ROWS, 0.0)).numpy()
    latents = styles.flatten(1).numpy()
    floats = producer(model, MEAN) is None
    operands = {"latent": latents, "noise": np.ones(1, np.float32)}
    results = check_layers(engine, model, noise_widths(decoder), operands)
    stock = Session(path.read_bytes())

    def run(start: int, stop: int, scale: float = 1.0) -> NDArray[Any]:
        key: dict[str, NDArray[Any]] = {
            "seed": reference.int64(SEED),
            "first": reference.int64(FIRST + start),
            "noise": np.array([scale], np.float32),
        }
        return stock.run(latent=latents[start:stop], **key)["image"]

    whole, alone = run(0, ROWS), run(0, ROWS, 0.0)
    for name, got, made in (("image", whole, mean), ("image without noise", alone, quiet)):
        expected = np.clip(made, np.float32(0), np.float32(1)) if floats else levels(made)
        results.append(image_check(engine, f"{name}: PyTorch", got, expected))
    results.append(invariance(engine, "image: batch invariance", run, whole))

    def noisy(synthesis: Any, start: int, stop: int) -> NDArray[Any]:
        rows = latents[start:stop]
        images: NDArray[Any] = synthesis.decode(rows, seed=SEED, first=FIRST + start)
        return images

    def quiet_rows(synthesis: Any, start: int, stop: int) -> NDArray[Any]:
        images: NDArray[Any] = synthesis.decode(latents[start:stop])
        return images

    runs: dict[str, Run] = {"image": (noisy, whole), "image without noise": (quiet_rows, alone)}
    batches = "image: batch invariance"
    return results + check_runtime(engine, path, runtime, "Generator", runs, image_check, batches)
