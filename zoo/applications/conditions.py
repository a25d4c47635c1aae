"""Conditions of generated images: classes by name or number, truncated and mixed styles."""

from __future__ import annotations

import math
from collections.abc import Generator as Iterating
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime import Generator, noise
from zoo.applications import style_mixing
from zoo.engines import open_halves, parse_label, split_labels
from zoo.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


MIX_STREAM = 32
"""Noise stream of an image's second latent, from which the later layers take their style."""

_ROWS = 256


@dataclass(frozen=True)
class Conditions:
    """Conditions of generated images, each None if not requested.

    labels: the classes that images have in turn; truncation: ψ; mix: the first layer that takes the
    second style.
    """

    labels: list[int | str] | None = None
    truncation: float | None = None
    mix: int | None = None

    def sampling_options(self) -> dict[str, Any]:
        """Return arguments of runtime.Generator.sample and stream."""
        options: dict[str, Any] = {}
        if self.labels is not None:
            options |= {"labels": self.labels, "cycle": True}
        if self.truncation is not None:
            options["truncation"] = self.truncation
        return options

    def interpolation_options(self) -> dict[str, Any]:
        """Return arguments of runtime.Generator.interpolate and decode, with the first class."""
        options = self.sampling_options()
        if options.pop("cycle", False):
            options["labels"] = options["labels"][0]
        return options

    def title(self) -> str:
        """Return a description of the conditions, to append to a title."""
        parts = []
        if self.labels is not None:
            parts.append(", ".join(map(str, self.labels)))
        if self.truncation is not None:
            parts.append(f"truncation {self.truncation:g}")
        if self.mix is not None:
            parts.append(f"two styles, from layer {self.mix}")
        return "".join(f"  ·  {part}" for part in parts)


def parse(
    generator: Generator,
    label: str | None,
    labels: str | None,
    truncation: float | None,
    mix: int | None,
) -> Conditions:
    """Parse the options --label, --labels, --truncation and --mix for a generator.

    Raises ConfigError for what the generator does not support. The runtime looks up the classes.
    """
    name = Path(generator.path).name
    if label is not None and labels is not None:
        raise ConfigError("--label and --labels: expected one of them")
    classes = None
    if label is not None or labels is not None:
        if not generator.class_count:
            option = "--label" if labels is None else "--labels"
            raise ConfigError(f"{option}: {name} is not conditional and has no classes")
        names = generator.classes
        classes = (
            split_labels(labels, names) if labels is not None else [parse_label(str(label), names)]
        )
    layers = generator.style_layers
    if truncation is not None and not layers:
        raise ConfigError(f"--truncation: {name} is not style-based")
    if truncation is not None and not (math.isfinite(truncation) and truncation >= 0):
        raise ConfigError(
            f"--truncation: expected a finite number of at least 0, got {truncation:g}"
        )
    if mix is not None and not layers:
        raise ConfigError(f"--mix: {name} is not style-based")
    if mix is not None and not 1 <= mix < layers:
        raise ConfigError(f"--mix: expected a layer from 1 to {layers - 1}, got {mix}")
    return Conditions(classes, truncation, mix)


def mix_samples(
    generator: Generator,
    conditioning: Conditions,
    count: int,
    seed: int,
    first: int,
    **options: Any,
) -> Iterating[NDArray[Any]]:
    """Yield blocks of images first … first + count - 1 with mixed styles (Karras et al. 2019, 3.1).

    The layers before `conditioning.mix` take the style of the image's latent, the others that of a
    second latent, drawn from the stream `MIX_STREAM`. Both styles are truncated. `options` are
    those of runtime.Generator. Raises as `zoo.engines.open_halves`.
    """
    mapping, synthesis = open_halves(generator, **options)
    layers = generator.style_layers
    late = range(int(conditioning.mix or 0), layers)
    with mapping, synthesis:
        for start in range(0, count, _ROWS):
            rows, at = min(_ROWS, count - start), first + start
            latents = (
                noise.normals(seed, at, rows, mapping.latent_width, stream)
                for stream in (0, MIX_STREAM)
            )
            one, two = (style_mixing.styles(mapping, h, conditioning.truncation) for h in latents)
            mixture = style_mixing.mix(one, two, layers, late)
            yield synthesis.decode(mixture, seed=seed, first=at)
