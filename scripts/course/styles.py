"""Truncation and noise of a style-based generator, as its paper shows them.

Karras et al. 2019 (arXiv:1812.04948): truncation as in figure 8, noise as in figures 4 and 5.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from runtime import Generator, Mapping, noise
from zoo import engine_path
from zoo.applications import style_mixing
from zoo.applications.style_mixing import Styles
from zoo.engines import open_halves
from zoo.models.generators import FIRST_LAYER_STREAM, NoiseSource, to_uint8
from zoo.models.stylegan import noise_widths
from zoo.models.weights import load_synthesis

from . import charts

ENGINE = "stylegan.onnx"
SEED = 0
TRUNCATIONS = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)
FACES = 8

TRUNCATION = 0.7
"""ψ of the figures of noise."""

PEOPLE = 3
"""Number of faces in the figures of noise."""

DRAWS = 100
"""Noise draws over which the deviation of each pixel is taken."""


class Halves:
    """Mapping and synthesis networks of an engine, as a context manager."""

    def __init__(self, engine: str = ENGINE) -> None:
        with Generator(engine_path(engine)) as generator:
            self.layers = generator.style_layers
            self.mapping: Mapping
            self.synthesis: Generator
            self.mapping, self.synthesis = open_halves(generator)
        self._stack = ExitStack()

    def __enter__(self) -> Halves:
        self._stack.enter_context(self.mapping)
        self._stack.enter_context(self.synthesis)
        return self

    def __exit__(self, *raised: Any) -> None:
        self._stack.close()

    def styles(self, count: int, truncation: float) -> Styles:
        """Return w̄ + ψ (w - w̄) of samples 0 … count - 1 in all layers, [count, layers · W].

        ψ may be negative.
        """
        latents = noise.normals(SEED, 0, count, self.mapping.latent_width)
        w = style_mixing.styles(self.mapping, latents, truncation)
        return style_mixing.mix(w, w, self.layers, ())

    def vary(self, styles: Styles, draws: int) -> np.ndarray:
        """Return images uint8 [draws, H, W, C] of the same styles [layers · W] with other noise."""
        images: np.ndarray = self.synthesis.decode(styles[None].repeat(draws, 0), seed=SEED)
        return images


def draw_truncation(path: Path) -> None:
    """Draw faces without noise, with ψ from 1 to -1."""
    with Halves() as halves:
        tiles = [halves.synthesis.decode(halves.styles(FACES, psi)) for psi in TRUNCATIONS]
    names = [f"ψ = {psi:g}".replace("-", "−") for psi in TRUNCATIONS]
    table = charts.draw_table(np.stack(tiles), names, [f"sample {i}" for i in range(FACES)])
    charts.save(table, path, colours=64)


def deviation(images: np.ndarray) -> np.ndarray:
    """Return the standard deviation of each pixel, of its mean colour: [H, W] of [n, H, W, C]."""
    deviations: np.ndarray = images.mean(3).std(0)
    return deviations


def draw_noise(path: Path) -> None:
    """Draw faces with four draws of noise, and the deviation of each pixel over many."""
    with Halves() as halves:
        images = [halves.vary(styles, DRAWS) for styles in halves.styles(PEOPLE, TRUNCATION)]
    deviations = np.stack([deviation(draws) for draws in images])
    most = deviations.max()
    grey = np.rint(255 * deviations / most).astype(np.uint8)[:, None, ..., None]
    tiles = np.concatenate([np.stack(images)[:, :4], np.repeat(grey, 3, axis=-1)], axis=1)
    columns = [*(f"noise {index}" for index in range(4)), f"deviation\nwhite: {most:.0f} levels"]
    table = charts.draw_table(tiles, [f"sample {i}" for i in range(PEOPLE)], columns, zoom=2)
    charts.save(table, path, colours=128)


def limit_noise(source: NoiseSource, network: Any, shown: Collection[int]) -> NoiseSource:
    """Return a source of noise for a synthesis network that is zero but in the layers `shown`."""
    widths = enumerate(noise_widths(len(network.layers)))
    kept = torch.cat([torch.full((width,), float(layer in shown)) for layer, width in widths])

    def noise_of_layers(stream: int, width: int) -> torch.Tensor:
        start = sum(network.noise_widths[: stream - FIRST_LAYER_STREAM])
        return source(stream, width) * kept[start : start + width]

    return noise_of_layers


def contract_noise(count: int) -> NoiseSource:
    """Return the noise of images 0 … count - 1 in engine files."""
    return lambda stream, width: torch.from_numpy(noise.normals(SEED, 0, count, width, stream))


@torch.no_grad()
def draw_layers(path: Path) -> None:
    """Draw faces with noise in all layers, in none, and in the layers of one band."""
    with Halves() as halves:
        styles, layers = halves.styles(PEOPLE, TRUNCATION), halves.layers
    network: Any = load_synthesis(engine_path(ENGINE.replace(".onnx", ".synthesis.onnx")))
    w = torch.from_numpy(styles).unflatten(1, (layers, -1))
    cases: dict[str, Collection[int]] = {"all layers": range(layers), "no layer": ()} | {
        f"{band.name}\n{band.sides}": band.layers for band in style_mixing.bands(layers)
    }
    tiles = [
        to_uint8(network(w, limit_noise(contract_noise(PEOPLE), network, shown)))
        for shown in cases.values()
    ]
    rows = [f"sample {index}" for index in range(PEOPLE)]
    table = charts.draw_table(np.stack(tiles, axis=1), rows, list(cases), zoom=2)
    charts.save(table, path, colours=128)
