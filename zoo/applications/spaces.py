"""The spaces in which a generator can be inverted: its latents z, or the styles w behind them.

For `zoo.applications.inversion`. Needs PyTorch, with which the networks are differentiated.
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
from zoo.applications.conditions import Asked
from zoo.applications.inversion import Decode
from zoo.engines import open_mapping
from zoo.errors import ConfigError
from zoo.models.generators import is_style_based, no_noise
from zoo.models.weights import load_generator, load_synthesis

Floats = NDArray[np.float32]

START_STREAM = 48
"""Noise stream of the starts, so that they are no samples of the generator."""


@dataclass(frozen=True)
class Space:
    """Where to search.

    decode: points [m, P] to images [m, C, H, W]; starts: points [m, P] of a seed; latents: points
    to what the engine decodes.
    """

    decode: Decode
    starts: Callable[[int, int], Floats]
    latents: Callable[[Floats], Floats] = lambda points: points


def space_of(generator: Generator, asked: Asked, **options: Any) -> Space:
    """z of a generator, in which images are of the class that is asked for; w of a synthesis file.

    `options` are those of runtime.Mapping. Raises ConfigError for a conditional generator without
    a class, and for an unknown class; the errors of
    `zoo.models.weights.load_generator` and of `zoo.engines.open_mapping`.
    """
    if generator.manifest["role"] == "synthesis":
        return _styles(generator, options)
    network: Any = load_generator(Path(generator.path))[0].requires_grad_(False)
    decode: Decode = network
    if generator.class_count:
        label = torch.tensor(_class(generator, asked))
        decode = lambda z: network(z, label.expand(len(z)))  # noqa: E731
    elif is_style_based(network):
        decode = lambda z: network(z, noise=no_noise(z))  # noqa: E731
    width = generator.latent_width
    return Space(decode, lambda seed, count: _drawn(seed, count, width))


def _drawn(seed: int, count: int, width: int) -> Floats:
    """Numbers of N(0, 1), [count, width]."""
    return noise.normals(seed, 0, count, width, START_STREAM)


def _class(generator: Generator, asked: Asked) -> int:
    if asked.labels is None:
        raise ConfigError(
            f"{Path(generator.path).name} makes images of a class: say with --label which one"
        )
    label = asked.labels[0]
    # The runtime knows which classes there are.
    generator.decode(np.zeros((1, generator.latent_width), np.float32), labels=label)
    return label if isinstance(label, int) else generator.classes.index(label)


def _styles(generator: Generator, options: dict[str, Any]) -> Space:
    path = Path(generator.path)
    synthesis: Any = load_synthesis(path).requires_grad_(False)
    layers = len(generator.manifest["noise"]["streams"]["layers"])

    def decode(w: Tensor) -> Tensor:
        images: Tensor = synthesis(w[:, None].expand(-1, layers, -1), no_noise(w))
        return images

    def starts(seed: int, count: int) -> Floats:
        with open_mapping(path, **options) as mapping:
            return mapping.map(_drawn(seed, count, mapping.latent_width))

    return Space(decode, starts, lambda points: np.tile(points, layers))


__all__ = ["Space", "space_of"]
