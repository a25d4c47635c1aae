"""Comparison of images with their reconstructions by an autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator
from zoo.engines import open_encoder, open_generator
from zoo.evaluation import quality
from zoo.images import atomic, grid
from zoo.images.convert import mode_of
from zoo.images.read import read_images
from zoo.inference.inputs import report
from zoo.inference.latents import reconstruct
from zoo.progress import number_of_images

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]

_SHOWN = 64
_COLUMNS = 16


def compare_reconstructions(
    images: tuple[str, ...],
    engine: str,
    *,
    count: int | None = None,
    out: str = "reconstruction.png",
    resize: bool = False,
    **options: Any,
) -> list[str]:
    """Encode and decode the images at these paths, and draw the first ones to `out`.

    The arguments are the options of `zoo.reconstruct`, `options` those of runtime.Generator.
    Returns lines of text. Raises DataError, OutputError, and the errors of
    zoo.engines.open_generator and open_encoder.
    """
    atomic.check_suffix(out, ".png", "the picture of reconstructions must be a .png")
    with (
        open_generator(engine, **options) as generator,
        open_encoder(generator, **options) as encoder,
    ):
        skipped: list[tuple[str, str]] = []
        originals, names = read_images(images, generator.image_shape, resize, skipped)
        report(skipped)
        originals, names = originals[:count], names[:count]
        reconstructions = reconstruct(encoder, generator, originals)
        title = title_of(generator)
    squared = quality.squared_error(originals, reconstructions)
    absolute = quality.absolute_error(originals, reconstructions)
    shown = min(len(originals), _SHOWN)
    with atomic.replace_file(out) as temporary:
        picture = draw_pairs(title, names[:shown], originals[:shown], reconstructions[:shown])
        picture.save(temporary, format="PNG")
    mean, worst, best = (
        quality.decibels(float(error)) for error in (squared.mean(), squared.max(), squared.min())
    )
    summary = (
        f"{number_of_images(len(originals))}: PSNR {mean:.2f} dB "
        f"({worst:.2f} to {best:.2f} by image), mean absolute error {absolute.mean():.2f} of 255"
    )
    return [summary, out + (f" (the first {shown})" if shown < len(originals) else "")]


def title_of(generator: Generator) -> str:
    """Return the title of a picture of reconstructions."""
    return f"{Path(generator.path).name}  ·  originals above reconstructions"


def check_pairs(count: int, shape: tuple[int, int, int]) -> None:
    """Raise OutputError if `count` pairs of images [H, W, C] are too large for a picture."""
    height, width, channels = shape
    mode_of(channels)
    grid.plan(count, 2 * height + 1, width, _COLUMNS)


def draw_pairs(
    title: str, names: Sequence[str], originals: Images, reconstructions: Images
) -> Image:
    """Draw originals [n, H, W, C] uint8 above their reconstructions. Raises OutputError."""
    pairs = [_pair(*pair) for pair in zip(originals, reconstructions, strict=True)]
    return grid.draw(pairs, [grid.tile_label(name) for name in names], title, _COLUMNS)


def _pair(original: Images, reconstruction: Images) -> Images:
    """Join both in one tile [2·H + 1, W, C], separated by a white line."""
    line = np.full((1, *original.shape[1:]), 255, np.uint8)
    return np.concatenate([original, line, reconstruction])
