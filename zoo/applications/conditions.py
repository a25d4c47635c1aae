"""What a user asks a generator for: classes by name or number, truncated and mixed styles."""

from __future__ import annotations

import math
from collections.abc import Generator as Iterating
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import Generator, noise
from zoo.applications import style_mixing
from zoo.engines import open_halves
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


MIX_STREAM = 32
"""Noise stream of the second latent of an image, of which the later layers take their style."""

_ROWS = 256


@dataclass(frozen=True)
class Asked:
    """What images are to be like; None of each where nothing was said.

    labels: the class of all images, or those that they have in turn; truncation: ψ; mix: the first
    layer that takes the second style.
    """

    labels: list[int | str] | None = None
    truncation: float | None = None
    mix: int | None = None

    def options(self) -> dict[str, Any]:
        """As arguments of runtime.Generator.sample and stream."""
        found: dict[str, Any] = {}
        if self.labels is not None:
            found |= {"labels": self.labels, "cycle": True}
        if self.truncation is not None:
            found["truncation"] = self.truncation
        return found

    def of_way(self) -> dict[str, Any]:
        """As arguments of runtime.Generator.interpolate, whose ways are all of the first class."""
        found = self.options()
        if found.pop("cycle", False):
            found["labels"] = found["labels"][0]
        return found

    def title(self) -> str:
        """What was asked for, to be put after a title."""
        parts = []
        if self.labels is not None:
            parts.append(", ".join(map(str, self.labels)))
        if self.truncation is not None:
            parts.append(f"truncation {self.truncation:g}")
        if self.mix is not None:
            parts.append(f"two styles, from layer {self.mix}")
        return "".join(f"  ·  {part}" for part in parts)


def ask(
    generator: Generator,
    label: str | None,
    labels: str | None,
    truncation: float | None,
    mix: int | None,
) -> Asked:
    """What the options --label, --labels, --truncation and --mix ask this generator for.

    Raises ConfigError for what the generator has not. Classes are looked up by the runtime.
    """
    name = Path(generator.path).name
    if label is not None and labels is not None:
        raise ConfigError("--label and --labels: expected one of them")
    asked = None
    if label is not None or labels is not None:
        if not generator.class_count:
            option = "--label" if labels is None else "--labels"
            raise ConfigError(f"{option}: {name} knows no classes; this needs a conditional engine")
        asked = _parse(label, labels, generator.classes)
    layers = generator.style_layers
    if truncation is not None and not layers:
        raise ConfigError(f"--truncation: {name} is not style-based, and cannot truncate styles")
    if truncation is not None and not (math.isfinite(truncation) and truncation >= 0):
        raise ConfigError(
            f"--truncation: expected a finite number of at least 0, got {truncation:g}"
        )
    if mix is not None and not layers:
        raise ConfigError(f"--mix: {name} is not style-based, and cannot mix styles")
    if mix is not None and not 1 <= mix < layers:
        raise ConfigError(f"--mix: expected a layer from 1 to {layers - 1}, got {mix}")
    return Asked(asked, truncation, mix)


def _parse(label: str | None, labels: str | None, names: list[str]) -> list[int | str]:
    texts = [label] if label is not None else [part.strip() for part in str(labels).split(",")]
    if not all(texts):
        raise ConfigError(f"--labels: expected classes with commas between them, got {labels!r}")
    found: list[int | str] = []
    for text in map(str, texts):
        number = text not in names and text.removeprefix("-").isdecimal()
        found.append(int(text) if number else text)
    return found


def mixed(
    generator: Generator, asked: Asked, count: int, seed: int, first: int, **options: Any
) -> Iterating[NDArray[Any]]:
    """Images first … first + count - 1 with two styles each, as blocks (Karras et al. 2019, 3.1).

    The layers before `asked.mix` take the style of the image's latent, the others that of a second
    latent, which is its noise in the stream `MIX_STREAM`. Both styles are truncated. `options` are
    those of runtime.Generator. Raises as `zoo.engines.open_halves`.
    """
    mapping, synthesis = open_halves(generator, **options)
    layers = generator.style_layers
    late = range(int(asked.mix or 0), layers)
    with mapping, synthesis:
        for start in range(0, count, _ROWS):
            rows, at = min(_ROWS, count - start), first + start
            drawn = (
                noise.normals(seed, at, rows, mapping.latent_width, stream)
                for stream in (0, MIX_STREAM)
            )
            one, two = (style_mixing.styles(mapping, h, asked.truncation) for h in drawn)
            mixture = style_mixing.mix(one, two, layers, late)
            yield synthesis.decode(mixture, seed=seed, first=at)


__all__ = ["MIX_STREAM", "Asked", "ask", "mixed"]
