"""Synthesis networks of style-based generators: styles of all layers in, images out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check
from export.errors import ExportError
from export.graph import MEAN, producer
from export.inputs import Inputs
from export.manifest import INPUTS_SCHEMA, directions, latent, layers, noise_streams
from export.modules import ROWS as BATCH_AXIS
from export.modules import Example, Graph, ImageFormat, drawn, image_from_mean, noise_widths
from export.options import Options
from export.parity import (
    FIRST,
    ROWS,
    SEED,
    CheckedFile,
    Run,
    check_layers,
    check_runtime,
    image_check,
    invariance,
    levels,
)
from export.plan import calibration_set, probes
from export.plan.calibration_set import Calibration
from export.plan.probes import Probe
from export.roles import mapping as mappings
from export.roles.role import Role, Runner
from export.statistics import LatentStatistics
from export.stock import Session
from runtime import noise
from zoo.data import DataSet


class SynthesisGraph(nn.Module):
    """(latent [N,layers*W], seed [1], first [1], noise [1]) -> image."""

    inputs = ("latent", "seed", "first", "noise")
    outputs = ("image",)

    def __init__(self, decoder: Any, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.synthesis, self.image, self.bounded = decoder.synthesis, image, bounded
        self.shape = int(decoder.layers), len(decoder.style_mean)

    def forward(self, latent: Tensor, seed: Tensor, first: Tensor, noise: Tensor) -> Tensor:
        """One image per row, whose styles stand one after the other."""
        styles = latent.unflatten(1, self.shape)
        images = self.synthesis(styles, drawn(latent, seed, first, noise))
        return image_from_mean(images, self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        layers, width = self.shape
        words = [torch.zeros(1, dtype=torch.int64) for _ in range(2)]
        return (torch.zeros(2, layers * width), *words, torch.ones(1)), (BATCH_AXIS, {}, {}, {})


def graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    """The synthesis network of a style-based generator."""
    return SynthesisGraph(checkpoint.decoder, options.image, checkpoint.bounded)


def fields(checkpoint: LatentCheckpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """Its latents are the styles of all layers, which have no prior; directions among them."""
    decoder: Any = checkpoint.decoder
    width = decoder.layers * len(decoder.style_mean)
    return {
        **latent(checkpoint, statistics),
        "schema": INPUTS_SCHEMA,
        "latent": {"width": width, "prior": "none"},
        **noise_streams({"layers": layers(decoder)}),
        **directions(statistics, statistics.of_styles if statistics else {}),
    }


def check(file: CheckedFile) -> list[Check]:
    """All checks: every layer has a style of its own."""
    decoder: Any = file.checkpoint.decoder
    inputs = Inputs.of(file.checkpoint, SEED, FIRST, ROWS)
    z = reference.normals(SEED, FIRST, ROWS * decoder.layers, file.checkpoint.latent)
    with torch.no_grad():
        styles = decoder.mapping(torch.from_numpy(z)).reshape(ROWS, decoder.layers, -1)
        mean = decoder.synthesis(styles, inputs.source(ROWS, 1.0)).numpy()
        quiet = decoder.synthesis(styles, inputs.source(ROWS, 0.0)).numpy()
    latents = styles.flatten(1).numpy()
    floats = producer(file.model, MEAN) is None
    operands = {"latent": latents, "noise": np.ones(1, np.float32)}
    results = check_layers(file, noise_widths(decoder), operands)
    stock = Session(file.path.read_bytes())

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
        results.append(image_check(file.name, f"{name}: PyTorch", got, expected))
    batches = "image: batch invariance"
    results.append(invariance(file.name, batches, run, whole))

    def noisy(synthesis: Any, start: int, stop: int) -> NDArray[Any]:
        rows = latents[start:stop]
        images: NDArray[Any] = synthesis.decode(rows, seed=SEED, first=FIRST + start)
        return images

    def quiet_rows(synthesis: Any, start: int, stop: int) -> NDArray[Any]:
        images: NDArray[Any] = synthesis.decode(latents[start:stop])
        return images

    runs: dict[str, Run] = {"image": (noisy, whole), "image without noise": (quiet_rows, alone)}
    return results + check_runtime(file, RUNNER.engine_class, runs, image_check, batches)


def run(synthesis: Any, n: int, batch: int) -> None:
    """Make n images of styles of zeros."""
    latents = np.zeros((batch, synthesis.latent_width), np.float32)
    for start in range(0, n, batch):
        synthesis.decode(latents, seed=0, first=start)


def probe(synthesis: Any, data: DataSet | None) -> list[Probe]:
    """Images of styles."""
    pool = _pool(synthesis)

    def decode(opened: Any, start: int, stop: int) -> NDArray[Any]:
        styles, first = probes.rows(pool, start, stop), probes.FIRST + start
        images: NDArray[Any] = opened.decode(styles, seed=probes.SEED, first=first)
        return images

    return [Probe("images", decode)]


def _pool(synthesis: Any) -> NDArray[Any]:
    """Styles of the prior, one for all layers, by the mapping beside the file; else N(0, 1)."""
    import runtime

    path = Path(synthesis.path)
    beside = path.with_name(path.name.replace(".synthesis.", ".mapping."))
    if beside != path and beside.is_file():
        with runtime.Mapping(beside, device="cpu", backend="onnxruntime") as mapping:
            styles = mappings.styles(mapping, 0, probes.POOL)
        layers, rest = divmod(synthesis.latent_width, styles.shape[1])
        if not rest:
            return np.tile(styles, layers)
    return noise.normals(probes.SEED, 0, probes.POOL, synthesis.latent_width)


def calibration_styles(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[Any], str]:
    """Styles of the prior for all layers, by the mapping beside the engine.

    Raises ExportError where there is none, or images were asked for.
    """
    import runtime
    from zoo.engines import open_mapping

    width = int(manifest["latent"]["width"])
    remedy = f"--calibrate a file of styles float32 [n, {width}], .npy"
    if calibration.source is not None:
        raise ExportError(f"{engine.name} takes styles, not images; give {remedy}")
    try:
        mapping = open_mapping(engine, backend="onnxruntime")
    except runtime.errors.Error as error:
        raise ExportError(
            f"{engine.name} is calibrated with styles, which its mapping makes; put that beside "
            f"it, or give {remedy} ({error})"
        ) from error
    with mapping:
        styles = mapping.map(
            noise.normals(calibration_set.SEED, 0, calibration.count, mapping.latent_width)
        )
    return np.tile(styles, width // styles.shape[1]), "prior, mapped"


RUNNER = Runner("Generator", run, probe, calibration_styles)
ROLE = Role(graph, fields, check, RUNNER, makes_images=True)
