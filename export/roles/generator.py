"""Generators: latents in, images out, maybe with classes, styles and noise in their layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.checkpoint import LatentCheckpoint
from export.errors import ExportError
from export.manifest import INPUTS_SCHEMA, directions, latent, layers, noise_streams, truncation
from export.modules import (
    ROWS,
    Example,
    Graph,
    ImageFormat,
    drawn,
    image_from_mean,
    reparametrized_sample,
    words,
)
from export.options import Options
from export.plan import calibration_set, probes
from export.plan.calibration_set import Calibration
from export.plan.probes import Probe
from export.roles.generator_checks import check
from export.roles.role import Role, Runner
from export.statistics import LatentStatistics
from runtime import noise
from zoo.data import DataSet


class GeneratorGraph(nn.Module):
    """(mu [N,D], logvar [N,D], seed [1], first [1]) -> image."""

    inputs: tuple[str, ...] = ("mu", "logvar", "seed", "first")
    outputs = ("image",)

    def __init__(self, decoder: nn.Module, width: int, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.decoder, self.width, self.image, self.bounded = decoder, width, image, bounded

    def forward(self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor) -> Tensor:
        """One image per row; row r is sample `first + r` of `seed`."""
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        return image_from_mean(self.decoder(h), self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        rows = torch.zeros(2, self.width)
        return (rows, rows.clone(), *words()), (ROWS, ROWS, {}, {})


class ConditionalGraph(GeneratorGraph):
    """(mu [N,D], logvar [N,D], seed [1], first [1], label int64 [N]) -> image."""

    inputs = (*GeneratorGraph.inputs, "label")

    def forward(  # type: ignore[override]
        self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, label: Tensor
    ) -> Tensor:
        """One image per row, of the class of that row."""
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        return image_from_mean(self.decoder(h, label), self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, torch.zeros(2, dtype=torch.int64)), (*axes, ROWS)


class StyleGraph(GeneratorGraph):
    """(mu, logvar, seed, first, truncation [1], noise [1]) -> image."""

    inputs = (*GeneratorGraph.inputs, "truncation", "noise")

    def forward(  # type: ignore[override]
        self,
        mu: Tensor,
        logvar: Tensor,
        seed: Tensor,
        first: Tensor,
        truncation: Tensor,
        noise: Tensor,
    ) -> Tensor:
        """One image per row; the noise of its layers, of sample `first + r`, times `noise`."""
        latents = reparametrized_sample(mu, logvar, seed, first, 0)
        images = self.decoder(latents, truncation, drawn(mu, seed, first, noise))
        return image_from_mean(images, self.image, self.bounded)

    def example(self) -> Example:
        """Inputs to trace with, and their dynamic axes."""
        arguments, axes = super().example()
        return (*arguments, torch.ones(1), torch.ones(1)), (*axes, {}, {})


def graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    """The decoder of a checkpoint behind its latent."""
    kind = GeneratorGraph
    if checkpoint.classes:
        kind = ConditionalGraph
    elif checkpoint.style_based:
        kind = StyleGraph
    return kind(checkpoint.decoder, checkpoint.latent, options.image, checkpoint.bounded)


def fields(checkpoint: LatentCheckpoint, statistics: LatentStatistics | None) -> dict[str, Any]:
    """The latent and what else goes in; directions of attributes among the latents."""
    document = latent(checkpoint, statistics)
    streams: dict[str, Any] = {"latent": 0}
    if checkpoint.classes:
        condition = {"kind": "classes", "count": checkpoint.classes}
        document |= {"schema": INPUTS_SCHEMA, "condition": condition}
    if checkpoint.style_based:
        document |= truncation(checkpoint.decoder)
        streams |= {"layers": layers(checkpoint.decoder)}
    document |= noise_streams(streams)
    return document | directions(statistics, statistics.directions if statistics else {})


def run(generator: Any, n: int, batch: int) -> None:
    """Make n images of the prior, or of latents of zeros where there is none."""
    if generator.prior != "none":
        generator.sample(n, batch=batch)
        return
    zeros = np.zeros(generator.latent_width, np.float32)
    generator.sample(n, batch=batch, mu=zeros, logvar=zeros)


def probe(generator: Any, data: DataSet | None) -> list[Probe]:
    """Images of the prior, truncated ones, and images of latents."""
    found = []
    if generator.prior != "none":
        found.append(Probe("images", _sample))
        if generator.style_layers:
            found.append(Probe("truncated images", _truncated))
    latent = generator.manifest["latent"]
    mean = np.asarray(latent.get("mean", 0.0), np.float32)
    std = np.asarray(latent.get("std", 1.0), np.float32)

    def decode(opened: Any, start: int, stop: int) -> NDArray[Any]:
        latents = noise.normals(probes.SEED, start, stop - start, opened.latent_width) * std + mean
        images: NDArray[Any] = opened.decode(latents, first=start)
        return images

    return [*found, Probe("images of latents", decode)]


def _sample(engine: Any, start: int, stop: int) -> NDArray[Any]:
    images: NDArray[Any] = engine.sample(stop - start, seed=probes.SEED, first=probes.FIRST + start)
    return images


def _truncated(engine: Any, start: int, stop: int) -> NDArray[Any]:
    key = {"seed": probes.SEED, "first": probes.FIRST + start}
    images: NDArray[Any] = engine.sample(stop - start, **key, truncation=0.5, noise=0.0)
    return images


def calibration_latents(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[Any], str]:
    """Latents of the prior; else encodings of images, by the encoder beside the engine.

    Raises ExportError where there are neither, with what helps.
    """
    width = int(manifest["latent"]["width"])
    if manifest["latent"]["prior"] == "normal" and calibration.source is None:
        return noise.normals(calibration_set.SEED, 0, calibration.count, width), "prior"
    import runtime
    from zoo.engines import encoder_path

    try:
        encoder = runtime.Encoder(encoder_path(engine), backend="onnxruntime")
    except runtime.errors.Error as error:
        if manifest["latent"]["prior"] == "normal":
            raise ExportError(
                f"--calibrate {calibration.source}: images become latents by the encoder of "
                f"{engine.name}, which has to lie beside it; without --calibrate the latents are "
                f"of the prior ({error})"
            ) from error
        raise ExportError(
            f"{engine.name} has no prior to calibrate with; put its encoder beside it, or give "
            f"--calibrate a file of latents float32 [n, {width}], .npy ({error})"
        ) from error
    with encoder:
        images, source = calibration_set.images(encoder.manifest, engine, calibration)
        if images.shape[1:] != encoder.image_shape:
            raise ExportError(
                f"{source}: images of {list(images.shape[1:])} do not fit the encoder of "
                f"{engine.name}, which takes {list(encoder.image_shape)}"
            )
        return encoder.encode(images)[0], f"encodings of {source}"


RUNNER = Runner("Generator", run, probe, calibration_latents, has_fid=True)
ROLE = Role(graph, fields, check, RUNNER, makes_images=True, counts_folding=True)
