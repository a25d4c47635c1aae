"""Grids of images that combine the styles of pairs of sources."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator
from zoo.applications import conditions, points, style_mixing
from zoo.applications.conditions import Conditions
from zoo.applications.style_mixing import BANDS, Band
from zoo.engines import open_generator, open_halves
from zoo.errors import ConfigError
from zoo.images import atomic, rows
from zoo.images.convert import mode_of
from zoo.images.npy import write_header
from zoo.images.text import shorten
from zoo.progress import Progress

if TYPE_CHECKING:
    from PIL.Image import Image


Images = NDArray[np.uint8]
Source = tuple[str, Images]
"""Name of a point, and its image [H, W, C]."""


def mix_styles(
    engine: str,
    across: Sequence[str],
    down: Sequence[str],
    *,
    bands: str | None = None,
    seed: int = 0,
    truncation: float | None = None,
    out: str = "mixed.png",
    **options: Any,
) -> str:
    """Draw each point `down` (A) with each band of styles of each point `across` (B) to `out`.

    The arguments are the options of `zoo.mix`, `options` those of runtime.Generator. Returns a
    summary line. Raises ConfigError, DataError, OutputError, and the errors of
    zoo.engines.open_generator and open_halves.
    """
    names = None if bands is None else parse_bands(bands)
    drawn = Path(out).suffix.lower() != ".npy"
    if drawn:
        atomic.check_suffix(out, ".png", "expected a .png (the grid) or an .npy")
    else:
        atomic.check_file(out)
    with open_generator(engine, **options) as generator:
        chosen, layers = select_bands(generator, names), generator.style_layers
        conditioning = conditions.parse(generator, None, None, truncation, None)
        top, left = (points.read(generator, texts, seed, **options) for texts in (across, down))
        shape = len(chosen), len(left), len(top), *generator.image_shape
        if drawn:
            check_table(shape)
        mapping, synthesis = open_halves(generator, **options)
        with mapping, synthesis, Progress(len(chosen) * len(left) * len(top)) as progress:
            latents = [point.latent for point in (*left, *top)]
            styles = style_mixing.styles(mapping, latents, conditioning.truncation)
            a, b = styles[: len(left)], styles[len(left) :]
            blocks = _report_progress(
                style_mixing.mix_pairs(synthesis, a, b, layers, chosen), progress
            )
            if drawn:
                alone = style_mixing.mix(styles, styles, layers, ())
                labels = [point.name for point in (*left, *top)]
                own = list(zip(labels, synthesis.decode(alone), strict=True))
                title = table_title(generator, seed, conditioning)
                mixed = np.concatenate(list(blocks)).reshape(shape)
                picture = draw_table(title, chosen, own[: len(left)], own[len(left) :], mixed)
                with atomic.replace_file(out) as temporary:
                    picture.save(temporary, format="PNG")
            else:
                _save(out, shape, blocks)
    styles_of = ", ".join(band.name for band in chosen)
    return f"{progress.total:,} images, {styles_of} styles of {len(top)} in {len(left)}: {out}"


def parse_bands(text: str) -> list[str]:
    """Parse unique names of bands, as in `coarse,fine`. Raises ConfigError."""
    names = [part.strip() for part in text.split(",")]
    if not set(names) <= set(BANDS) or len(set(names)) < len(names):
        raise ConfigError(
            f"--bands: expected some of {', '.join(BANDS)} separated by commas, got {text!r}"
        )
    return names


def select_bands(generator: Generator, names: list[str] | None) -> list[Band]:
    """Return the bands of these names, or all available ones for None. Raises ConfigError."""
    layers, name = generator.style_layers, Path(generator.path).name
    if not layers:
        role = generator.manifest["role"]
        what = "its synthesis network" if role == "synthesis" else "not style-based"
        raise ConfigError(
            f"--engine: expected the main file of a style-based generator, but {name} is {what}"
        )
    available = {band.name: band for band in style_mixing.bands(layers)}
    for band in names or available:
        if band not in available:
            raise ConfigError(
                f"--bands: {name} has {layers} layers, only {' and '.join(available)}: no {band}"
            )
    return [available[band] for band in names or available]


def check_table(shape: tuple[int, ...]) -> None:
    """Raise OutputError if mixed images [bands, d, k, H, W, C] are too large for a picture."""
    bands, down, across, height, width, channels = shape
    mode_of(channels)
    rows.plan([across + 1, *[down * (across + 1)] * bands], height, width, across + 1)


def _report_progress(blocks: Iterator[Images], progress: Progress) -> Iterator[Images]:
    for block in blocks:
        progress.advance(len(block))
        yield block


def table_title(generator: Generator, seed: int, conditioning: Conditions) -> str:
    """Return the title of a table: the engine, the seed of `sample:I`, and the conditions."""
    return f"{Path(generator.path).name}  ·  seed {seed}{conditioning.title()}"


def draw_table(
    title: str,
    bands: Sequence[Band],
    left: Sequence[Source],
    top: Sequence[Source],
    mixed: Images,
) -> Image:
    """Draw sources B in a row on top, and for each band a part with sources A on the left.

    mixed: uint8 [bands, d, k, H, W, C], d and k the numbers of sources `left` (A) and `top` (B).
    """
    b_labels = [shorten(name) for name, _ in top]
    blank = np.full(mixed.shape[3:], 255, np.uint8)
    parts = [rows.Row("sources B", [blank, *(image for _, image in top)], ["", *b_labels])]
    for band, of_band in zip(bands, mixed, strict=True):
        tiles: list[Images] = []
        labels: list[str] = []
        for (name, image), images in zip(left, of_band, strict=True):
            tiles += [image, *images]
            labels += [shorten(name), *[""] * len(images)]
        parts.append(rows.Row(f"sources A with {band.title}", tiles, labels))
    return rows.draw(parts, title, 1 + len(top))


def _save(out: str, shape: tuple[int, ...], blocks: Iterator[Images]) -> None:
    """Write one array of that shape to an .npy, block by block."""
    atomic.check_free_space(out, math.prod(shape))
    with atomic.replace_file(out) as temporary, open(temporary, "xb") as file:
        write_header(file, shape)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
