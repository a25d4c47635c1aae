"""Spaces in which a generator can be inverted: its latents z, or its styles w.

Used with `zoo.applications.inversion`. Needs PyTorch, which differentiates the networks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runtime import Generator, noise
from zoo.applications.conditions import Conditions
from zoo.applications.inversion import Decode
from zoo.engines import open_mapping
from zoo.errors import ConfigError
from zoo.models.generators import is_style_based, no_noise
from zoo.models.weights import load_generator, load_synthesis

Floats = NDArray[np.float32]

START_STREAM = 48
"""Noise stream of the starting points, so that they are not samples of the generator."""


@dataclass(frozen=True)
class Space:
    """Search space.

    decode: maps points [m, P] to images [m, C, H, W]; starts: draws points [m, P] by seed and
    number; latents: maps points to the latents that the engine decodes.
    """

    decode: Decode
    starts: Callable[[int, int], Floats]
    latents: Callable[[Floats], Floats] = lambda points: points


def open_space(generator: Generator, conditioning: Conditions, **options: Any) -> Space:
    """Open the z of a generator, for a fixed class if it is conditional, or the w of a synthesis.

    `options` are those of runtime.Mapping. Raises ConfigError for a conditional generator without a
    class, and for an unknown class; and the errors of `zoo.models.weights.load_generator` and
    `zoo.engines.open_mapping`.
    """
    if generator.manifest["role"] == "synthesis":
        return _style_space(generator, options)
    network: Any = load_generator(Path(generator.path))[0].requires_grad_(False)
    decode: Decode = network
    if generator.class_count:
        label = torch.tensor(_class(generator, conditioning))
        decode = lambda z: network(z, label.expand(len(z)))  # noqa: E731
    elif is_style_based(network):
        decode = lambda z: network(z, noise=no_noise(z))  # noqa: E731
    width = generator.latent_width
    return Space(decode, lambda seed, count: _draw_normals(seed, count, width))


def _draw_normals(seed: int, count: int, width: int) -> Floats:
    return noise.normals(seed, 0, count, width, START_STREAM)


def _class(generator: Generator, conditioning: Conditions) -> int:
    if conditioning.labels is None:
        raise ConfigError(
            f"{Path(generator.path).name} is conditional: give the class with --label"
        )
    label = conditioning.labels[0]
    # The runtime raises for unknown classes.
    generator.decode(np.zeros((1, generator.latent_width), np.float32), labels=label)
    return label if isinstance(label, int) else generator.classes.index(label)


def _style_space(generator: Generator, options: dict[str, Any]) -> Space:
    path = Path(generator.path)
    synthesis: Any = load_synthesis(path).requires_grad_(False)
    layers = len(synthesis.layers)

    def decode(w: Tensor) -> Tensor:
        images: Tensor = synthesis(w[:, None].expand(-1, layers, -1), no_noise(w))
        return images

    def starts(seed: int, count: int) -> Floats:
        with open_mapping(path, **options) as mapping:
            return mapping.map(_draw_normals(seed, count, mapping.latent_width))

    return Space(decode, starts, lambda points: np.tile(points, layers))
