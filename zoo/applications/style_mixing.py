"""Style mixing (Karras et al. 2019, arXiv:1812.04948, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import Generator, Mapping
from zoo.errors import ConfigError

Styles = NDArray[np.float32]

_SMALLEST = 4
_PER_SIDE = 2
_STARTS = {"coarse": 0, "middle": 4, "fine": 8}
_ROWS = 256

BANDS = tuple(_STARTS)
"""Names of the bands of layers, from first to last."""


@dataclass(frozen=True)
class Band:
    """Layers of the network, counted from 0, whose styles are replaced together."""

    name: str
    layers: Sequence[int]

    @property
    def sides(self) -> str:
        """Resolutions of the layers: `4×4 and 8×8`, `64×64 to 1024×1024`."""
        ends = (self.layers[0] // _PER_SIDE, self.layers[-1] // _PER_SIDE)
        first, last = (f"{_SMALLEST << doubled}×{_SMALLEST << doubled}" for doubled in ends)
        if first == last:
            return first
        return f"{first} {'and' if ends[1] - ends[0] == 1 else 'to'} {last}"

    @property
    def title(self) -> str:
        """What is taken from sources B: `the coarse styles of B (4×4 and 8×8)`."""
        if self.name in BANDS:
            return f"the {self.name} styles of B ({self.sides})"
        listed = ", ".join(map(str, self.layers))
        return f"the styles of B in {f'layers {listed}' if listed else 'no layer'}"


def bands(layers: int) -> list[Band]:
    """Return the bands of a network with `layers` layers, two per resolution from 4×4 on.

    Coarse: 4×4 and 8×8; middle: 16×16 and 32×32; fine: 64×64 and above. Bands without layers are
    omitted.
    """
    stops = [*list(_STARTS.values())[1:], layers]
    return [
        Band(name, range(start, min(stop, layers)))
        for (name, start), stop in zip(_STARTS.items(), stops, strict=True)
        if start < layers
    ]


def styles(mapping: Mapping, latents: ArrayLike, truncation: float | None = None) -> Styles:
    """Return w [n, W] of latents [n, D], truncated by ψ: w̄ + ψ·(w - w̄).

    Raises ConfigError for a ψ that makes styles infinite, and as runtime.Mapping.map.
    """
    w = mapping.map(latents)
    if truncation is None:
        return w
    mean = mapping.style_mean
    with np.errstate(over="ignore", invalid="ignore"):
        truncated: Styles = mean + np.float32(truncation) * (w - mean)
    if not np.isfinite(truncated).all():
        raise ConfigError(f"truncation: {truncation:g} makes styles that are not finite")
    return truncated


def mix(a: Styles, b: Styles, layers: int, of_b: Iterable[int]) -> Styles:
    """Return synthesis inputs [n, layers · W] with styles b [n, W] in the layers `of_b`, else a."""
    from_b = np.zeros((layers, 1), bool)
    from_b[list(of_b)] = True
    return np.where(from_b, b[:, None], a[:, None]).reshape(len(a), -1)


def mix_pairs(
    synthesis: Generator, down: Styles, across: Styles, layers: int, chosen: Sequence[Band]
) -> Iterator[NDArray[np.uint8]]:
    """Yield images of every style A of `down` [d, W] with each band of every B of `across` [k, W].

    The images [bands, d, k, H, W, C] come in order, as blocks [n, H, W, C], without noise inputs.
    Raises as runtime.Generator.decode.
    """
    count = len(down) * len(across)
    for band in chosen:
        for start in range(0, count, _ROWS):
            a, b = divmod(np.arange(start, min(start + _ROWS, count)), len(across))
            yield synthesis.decode(mix(down[a], across[b], layers, band.layers))
