"""Synthesis networks of style-based generators: the styles of all layers to images."""

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
from export.inputs import Inputs
from export.manifest import (
    INPUTS_SCHEMA,
    direction_fields,
    latent_fields,
    layer_streams,
    noise_fields,
)
from export.modules import ROWS as BATCH_AXIS
from export.modules import (
    Example,
    Graph,
    ImageFormat,
    example_key,
    image_from_mean,
    noise_source,
    noise_widths,
)
from export.options import Options
from export.parity import (
    FIRST,
    ROWS,
    SEED,
    CheckedFile,
    Run,
    check_batch_invariance,
    check_layers,
    check_runtime,
    compare_images,
    expected_images,
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
    """(latent [N,layers*W], seed [K], first [K], noise [1]) -> image."""

    inputs = ("latent", "seed", "first", "noise")
    outputs = ("image",)

    def __init__(self, decoder: Any, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.synthesis, self.image, self.bounded = decoder.synthesis, image, bounded
        self.shape = int(decoder.layers), len(decoder.style_mean)

    def forward(self, latent: Tensor, seed: Tensor, first: Tensor, noise: Tensor) -> Tensor:
        """Return one image per row; a row has the styles of all layers one after another."""
        styles = latent.unflatten(1, self.shape)
        images = self.synthesis(styles, noise_source(latent, seed, first, noise))
        return image_from_mean(images, self.image, self.bounded)

    def example(self) -> Example:
        layers, width = self.shape
        arguments = (torch.zeros(2, layers * width), *example_key(), torch.ones(1))
        return arguments, (BATCH_AXIS, {}, {}, {})


def build_graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    return SynthesisGraph(checkpoint.decoder, options.image, checkpoint.bounded)


def manifest_fields(
    checkpoint: LatentCheckpoint, statistics: LatentStatistics | None
) -> dict[str, Any]:
    """Return the fields; the latents are the styles of all layers, which have no prior."""
    decoder: Any = checkpoint.decoder
    width = decoder.layers * len(decoder.style_mean)
    return {
        **latent_fields(checkpoint, statistics),
        "schema": INPUTS_SCHEMA,
        "latent": {"width": width, "prior": "none"},
        **noise_fields({"layers": layer_streams(decoder)}),
        **direction_fields(statistics, statistics.of_styles if statistics else {}),
    }


def check(file: CheckedFile) -> list[Check]:
    """Check the file on rows with a different style in each layer."""
    decoder: Any = file.checkpoint.decoder
    noise_of_layers = Inputs(SEED, FIRST).noise_source
    z = reference.normals(SEED, FIRST, ROWS * decoder.layers, file.checkpoint.latent)
    with torch.no_grad():
        styles = decoder.mapping(torch.from_numpy(z)).reshape(ROWS, decoder.layers, -1)
        mean = decoder.synthesis(styles, noise_of_layers(ROWS, 1.0)).numpy()
        quiet = decoder.synthesis(styles, noise_of_layers(ROWS, 0.0)).numpy()
    latents = styles.flatten(1).numpy()
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
    for name, got, images in (("image", whole, mean), ("image without noise", alone, quiet)):
        expected = expected_images(images, file.model)
        results.append(compare_images(file.name, f"{name}: PyTorch", got, expected))
    batches = "image: batch invariance"
    results.append(check_batch_invariance(file.name, batches, run, whole))

    def noisy(synthesis: Any, start: int, stop: int) -> NDArray[Any]:
        rows = latents[start:stop]
        return synthesis.decode(rows, seed=SEED, first=FIRST + start)

    def quiet_rows(synthesis: Any, start: int, stop: int) -> NDArray[Any]:
        return synthesis.decode(latents[start:stop])

    runs: dict[str, Run] = {"image": (noisy, whole), "image without noise": (quiet_rows, alone)}
    return results + check_runtime(file, RUNNER.engine_class, runs, compare_images, batches)


def run(synthesis: Any, n: int, batch: int) -> None:
    """Make n images from styles of zeros."""
    latents = np.zeros((batch, synthesis.latent_width), np.float32)
    for start in range(0, n, batch):
        synthesis.decode(latents, seed=0, first=start)


def list_probes(synthesis: Any, data: DataSet | None) -> list[Probe]:
    pool = _style_pool(synthesis)

    def decode(engine: Any, start: int, stop: int) -> NDArray[Any]:
        styles, first = probes.take_rows(pool, start, stop), probes.FIRST + start
        return engine.decode(styles, seed=probes.SEED, first=first)

    return [Probe("images", decode)]


def _style_pool(synthesis: Any) -> NDArray[Any]:
    """Return styles mapped from the prior by the mapping beside the file, else N(0, 1) numbers."""
    import runtime

    path = Path(synthesis.path)
    beside = path.with_name(path.name.replace(".synthesis.", ".mapping."))
    if beside != path and beside.is_file():
        with runtime.Mapping(beside, device="cpu", backend="onnxruntime") as mapping:
            styles = mappings.map_samples(mapping, 0, probes.POOL)
        layers, rest = divmod(synthesis.latent_width, styles.shape[1])
        if not rest:
            return np.tile(styles, layers)
    return noise.normals(probes.SEED, 0, probes.POOL, synthesis.latent_width)


def calibration_styles(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[Any], str]:
    """Map latents from the prior to styles of all layers, by the mapping beside the engine.

    Raises `ExportError` if there is no mapping, or if the calibration has a source of images.
    """
    import runtime
    from zoo.engines import open_mapping

    width = int(manifest["latent"]["width"])
    remedy = f"pass --calibrate an .npy file of styles, float32 [n, {width}]"
    if calibration.source is not None:
        raise ExportError(f"{engine.name} takes styles, not images; {remedy}")
    try:
        mapping = open_mapping(engine, backend="onnxruntime")
    except runtime.errors.Error as error:
        raise ExportError(
            f"{engine.name} is calibrated with styles from its mapping; put the mapping beside it, "
            f"or {remedy} ({error})"
        ) from error
    with mapping:
        styles = mapping.map(
            noise.normals(calibration_set.SEED, 0, calibration.count, mapping.latent_width)
        )
    return np.tile(styles, width // styles.shape[1]), "prior, mapped"


RUNNER = Runner("Generator", run, list_probes, calibration_styles)
ROLE = Role(build_graph, manifest_fields, check, RUNNER, makes_images=True)
