"""Generators: latents to images, optionally with classes, styles and layer noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export.checkpoint import LatentCheckpoint
from export.errors import ExportError
from export.manifest import (
    INPUTS_SCHEMA,
    MIXTURE_SCHEMA,
    direction_fields,
    latent_fields,
    layer_streams,
    noise_fields,
    truncation_fields,
)
from export.mixture import STREAM, GaussianMixture
from export.modules import (
    ROWS,
    Example,
    Graph,
    ImageFormat,
    example_key,
    image_from_mean,
    noise_source,
    reparametrized_sample,
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
    """(mu [N,D], logvar [N,D], seed [K], first [K]) -> image."""

    inputs: tuple[str, ...] = ("mu", "logvar", "seed", "first")
    outputs = ("image",)

    def __init__(self, decoder: nn.Module, width: int, image: ImageFormat, bounded: bool) -> None:
        super().__init__()
        self.decoder, self.width, self.image, self.bounded = decoder, width, image, bounded

    def forward(self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor) -> Tensor:
        """Return one image per row; row r is sample `first + r` of `seed`."""
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        return image_from_mean(self.decoder(h), self.image, self.bounded)

    def example(self) -> Example:
        rows = torch.zeros(2, self.width)
        return (rows, rows.clone(), *example_key()), (ROWS, ROWS, {}, {})


class ConditionalGraph(GeneratorGraph):
    """(mu [N,D], logvar [N,D], seed [K], first [K], label int64 [N]) -> image."""

    inputs = (*GeneratorGraph.inputs, "label")

    def forward(  # type: ignore[override]
        self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, label: Tensor
    ) -> Tensor:
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        return image_from_mean(self.decoder(h, label), self.image, self.bounded)

    def example(self) -> Example:
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
        latents = reparametrized_sample(mu, logvar, seed, first, 0)
        images = self.decoder(latents, truncation, noise_source(mu, seed, first, noise))
        return image_from_mean(images, self.image, self.bounded)

    def example(self) -> Example:
        arguments, axes = super().example()
        return (*arguments, torch.ones(1), torch.ones(1)), (*axes, {}, {})


class MixtureGraph(GeneratorGraph):
    """(mu, logvar, seed, first, mixture [1]) -> image.

    With a mixture input of 1, the sample h, which is then to be drawn from N(0, I), is transformed
    to the learned prior; with 0 it is decoded as it is.
    """

    inputs = (*GeneratorGraph.inputs, "mixture")

    def __init__(
        self,
        decoder: nn.Module,
        width: int,
        image: ImageFormat,
        bounded: bool,
        mixture: GaussianMixture,
    ) -> None:
        super().__init__(decoder, width, image, bounded)
        self.full = mixture.is_full
        self.register_buffer("thresholds", torch.from_numpy(mixture.thresholds))
        self.register_buffer("means", torch.from_numpy(mixture.means.astype(np.float32)))
        self.register_buffer("scales", torch.from_numpy(mixture.scales.astype(np.float32)))

    def forward(  # type: ignore[override]
        self, mu: Tensor, logvar: Tensor, seed: Tensor, first: Tensor, mixture: Tensor
    ) -> Tensor:
        h = reparametrized_sample(mu, logvar, seed, first, 0)
        choice = noise_source(mu, seed, first)(STREAM, 1)
        k = (choice > self.thresholds).to(torch.int64).sum(1)
        scales = self.scales[k]
        moved = (scales @ h[..., None])[..., 0] if self.full else scales * h
        h = torch.where(mixture > 0, self.means[k] + moved, h)
        return image_from_mean(self.decoder(h), self.image, self.bounded)

    def example(self) -> Example:
        arguments, axes = super().example()
        return (*arguments, torch.zeros(1)), (*axes, {})


def build_graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    if checkpoint.mixture:
        return MixtureGraph(
            checkpoint.decoder,
            checkpoint.latent,
            options.image,
            checkpoint.bounded,
            checkpoint.mixture,
        )
    graph = GeneratorGraph
    if checkpoint.classes:
        graph = ConditionalGraph
    elif checkpoint.style_based:
        graph = StyleGraph
    return graph(checkpoint.decoder, checkpoint.latent, options.image, checkpoint.bounded)


def manifest_fields(
    checkpoint: LatentCheckpoint, statistics: LatentStatistics | None
) -> dict[str, Any]:
    """Return the latent, the other inputs, and directions of attributes among the latents."""
    document = latent_fields(checkpoint, statistics)
    streams: dict[str, Any] = {"latent": 0}
    if checkpoint.classes:
        condition = {"kind": "classes", "count": checkpoint.classes}
        document |= {"schema": INPUTS_SCHEMA, "condition": condition}
    if checkpoint.mixture:
        document["schema"] = MIXTURE_SCHEMA
        document["latent"]["mixture"] = checkpoint.mixture.fields()
    if checkpoint.style_based:
        document |= truncation_fields(checkpoint.decoder)
        streams |= {"layers": layer_streams(checkpoint.decoder)}
    document |= noise_fields(streams)
    return document | direction_fields(statistics, statistics.directions if statistics else {})


def run(generator: Any, n: int, batch: int) -> None:
    """Make n images from the prior, or from zeros without a prior."""
    if generator.prior != "none":
        generator.sample(n, batch=batch)
        return
    zeros = np.zeros(generator.latent_width, np.float32)
    generator.sample(n, batch=batch, mu=zeros, logvar=zeros)


def list_probes(generator: Any, data: DataSet | None) -> list[Probe]:
    """Compare images from the prior, truncated ones, and decoded latents."""
    samples = []
    if generator.prior != "none":
        samples.append(Probe("images", _sample))
        if generator.style_layers:
            samples.append(Probe("truncated images", _sample_truncated))
    latent = generator.manifest["latent"]
    mean = np.asarray(latent.get("mean", 0.0), np.float32)
    std = np.asarray(latent.get("std", 1.0), np.float32)

    def decode(engine: Any, start: int, stop: int) -> NDArray[Any]:
        latents = noise.normals(probes.SEED, start, stop - start, engine.latent_width) * std + mean
        return engine.decode(latents, first=start)

    return [*samples, Probe("images of latents", decode)]


def _sample(engine: Any, start: int, stop: int) -> NDArray[Any]:
    return engine.sample(stop - start, seed=probes.SEED, first=probes.FIRST + start)


def _sample_truncated(engine: Any, start: int, stop: int) -> NDArray[Any]:
    key = {"seed": probes.SEED, "first": probes.FIRST + start}
    return engine.sample(stop - start, **key, truncation=0.5, noise=0.0)


def calibration_latents(
    manifest: dict[str, Any], engine: Path, calibration: Calibration
) -> tuple[NDArray[Any], str]:
    """Draw latents from the prior, or else encode images with the encoder beside the engine.

    Raises `ExportError` if neither is possible.
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
                f"--calibrate {calibration.source}: images are encoded by the encoder of "
                f"{engine.name}, which must be beside it; without --calibrate, latents are drawn "
                f"from the prior ({error})"
            ) from error
        raise ExportError(
            f"{engine.name} has no prior to draw calibration latents from; put its encoder beside "
            f"it, or pass --calibrate an .npy file of latents, float32 [n, {width}] ({error})"
        ) from error
    with encoder:
        images, source = calibration_set.load_images(encoder.manifest, engine, calibration)
        if images.shape[1:] != encoder.image_shape:
            raise ExportError(
                f"{source}: images of {list(images.shape[1:])} do not fit the encoder of "
                f"{engine.name}, which takes {list(encoder.image_shape)}"
            )
        return encoder.encode(images)[0], f"encodings of {source}"


RUNNER = Runner("Generator", run, list_probes, calibration_latents, has_fid=True)
ROLE = Role(build_graph, manifest_fields, check, RUNNER, makes_images=True, counts_folding=True)
