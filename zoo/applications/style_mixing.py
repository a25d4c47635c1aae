"""Style mixing (Karras et al. 2019, arXiv:1812.04948, section 3.1): layers with styles of two."""

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
"""Names of the bands of layers, from the first layers to the last."""


@dataclass(frozen=True)
class Band:
    """Layers whose styles are taken together: `layers` of the network, counted from 0."""

    name: str
    layers: range

    @property
    def sides(self) -> str:
        """The resolutions of its layers, in words: `4×4 and 8×8`, `64×64 to 1024×1024`."""
        ends = (self.layers[0] // _PER_SIDE, self.layers[-1] // _PER_SIDE)
        first, last = (f"{_SMALLEST << doubled}×{_SMALLEST << doubled}" for doubled in ends)
        if first == last:
            return first
        return f"{first} {'and' if ends[1] - ends[0] == 1 else 'to'} {last}"


def bands(layers: int) -> list[Band]:
    """The bands of a network of `layers` layers, two of each resolution from 4×4 on.

    Coarse: 4×4 and 8×8; middle: 16×16 and 32×32; fine: 64×64 and above. A band that has no layer
    is left out.
    """
    stops = [*list(_STARTS.values())[1:], layers]
    found = [
        Band(name, range(start, min(stop, layers)))
        for (name, start), stop in zip(_STARTS.items(), stops, strict=True)
    ]
    return [band for band in found if band.layers]


def styles(mapping: Mapping, latents: ArrayLike, truncation: float | None = None) -> Styles:
    """w [n, W] of latents [n, D], truncated by ψ: w̄ + ψ·(w - w̄).

    Raises ConfigError for a ψ so large that styles are not finite, and as runtime.Mapping.map.
    """
    found = mapping.map(latents)
    if truncation is None:
        return found
    mean = mapping.style_mean
    with np.errstate(over="ignore", invalid="ignore"):
        closer: Styles = mean + np.float32(truncation) * (found - mean)
    if not np.isfinite(closer).all():
        raise ConfigError(f"truncation: {truncation:g} makes styles that are not finite")
    return closer


def mix(a: Styles, b: Styles, layers: int, of_b: Iterable[int]) -> Styles:
    """What the synthesis network decodes, [n, layers · W], of styles a and b [n, W].

    The layers `of_b` have the style of b, all others that of a.
    """
    taken = np.zeros((layers, 1), bool)
    taken[list(of_b)] = True
    return np.where(taken, b[:, None], a[:, None]).reshape(len(a), -1)


def crossed(
    synthesis: Generator, down: Styles, across: Styles, layers: int, chosen: Sequence[Band]
) -> Iterator[NDArray[np.uint8]]:
    """Images of every style A of `down` [d, W] with each band of every B of `across` [k, W].

    The images [bands, d, k, H, W, C] in order, as blocks [n, H, W, C]; the layers draw no noise.
    Raises as runtime.Generator.decode.
    """
    count = len(down) * len(across)
    for band in chosen:
        for start in range(0, count, _ROWS):
            a, b = divmod(np.arange(start, min(start + _ROWS, count)), len(across))
            yield synthesis.decode(mix(down[a], across[b], layers, band.layers))


__all__ = ["BANDS", "Band", "bands", "crossed", "mix", "styles"]
