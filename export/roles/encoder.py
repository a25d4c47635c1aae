"""Encoders: images to the posterior of their latents."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from export import reference
from export.checkpoint import LatentCheckpoint
from export.checks import Check
from export.inputs import Inputs, mean_images
from export.manifest import latent_fields
from export.modules import Graph, ImageGraph, to_unit_range
from export.options import Options
from export.parity import (
    ROWS,
    SEED,
    CheckedFile,
    Run,
    check_batch_invariance,
    check_runtime,
    compare_floats,
    levels,
)
from export.plan import probes
from export.plan.calibration_set import load_images
from export.plan.probes import Probe
from export.roles.role import Role, Runner, run_images
from export.stock import Session
from zoo.data import DataSet


class EncoderGraph(ImageGraph):
    """image uint8 [N,H,W,C] -> (mu [N,D], logvar [N,D]), or mu alone if deterministic."""

    def __init__(
        self, encoder: nn.Module, shape: tuple[int, int, int], deterministic: bool
    ) -> None:
        super().__init__(shape)
        self.encoder = encoder
        self.outputs = ("mu",) if deterministic else ("mu", "logvar")

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        return self.encoder(to_unit_range(image))


def build_graph(checkpoint: LatentCheckpoint, options: Options) -> Graph:
    assert checkpoint.encoder is not None
    return EncoderGraph(checkpoint.encoder, checkpoint.shape, checkpoint.deterministic)


def check(file: CheckedFile) -> list[Check]:
    """Check the file on images, half noise and half outputs of the decoder."""
    checkpoint = file.checkpoint
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (ROWS // 2, *checkpoint.shape)).astype(np.uint8)
    rows = ROWS - len(noise)
    latents = reference.normals(SEED, 0, rows, checkpoint.latent)
    inputs = Inputs.of(checkpoint, SEED, 0, rows)
    images = np.concatenate([noise, levels(mean_images(checkpoint.decoder, latents, inputs))])
    with torch.no_grad():
        encoded = checkpoint.encoder(to_unit_range(torch.from_numpy(images)))
    posterior = [part.numpy() for part in ([encoded] if checkpoint.deterministic else encoded)]
    names = ("mu", "logvar")[: len(posterior)]
    stock = Session(file.path.read_bytes())
    outputs = stock.run(image=images)
    results = [
        compare_floats(file.name, f"{name}: PyTorch", outputs[name], expected)
        for name, expected in zip(names, posterior, strict=True)
    ]

    def run(start: int, stop: int) -> NDArray[Any]:
        rows = stock.run(image=images[start:stop])
        return np.concatenate([rows[name] for name in names], axis=1)

    whole = run(0, ROWS)
    results.append(check_batch_invariance(file.name, "batch invariance", run, whole))

    def encode(encoder: Any, start: int, stop: int) -> NDArray[Any]:
        return np.concatenate(encoder.encode(images[start:stop])[: len(names)], axis=1)

    runs: dict[str, Run] = {", ".join(names): (encode, whole)}
    return results + check_runtime(
        file, RUNNER.engine_class, runs, compare_floats, "batch invariance"
    )


def run(encoder: Any, n: int, batch: int) -> None:
    run_images(encoder.embed, encoder.image_shape, n, batch)


def list_probes(encoder: Any, data: DataSet | None) -> list[Probe]:
    pool = probes.held_out_images(encoder.image_shape, data)
    return [probes.image_probe("latents", _encode, pool)]


def _encode(encoder: Any, images: NDArray[Any]) -> NDArray[Any]:
    if encoder.deterministic:
        return encoder.embed(images)
    return np.concatenate(encoder.encode(images), axis=1)


RUNNER = Runner("Encoder", run, list_probes, load_images, takes_images=True)
ROLE = Role(build_graph, latent_fields, check, RUNNER)
