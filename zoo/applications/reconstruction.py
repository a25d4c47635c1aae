"""Images beside what an autoencoder makes of them, and how close these are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.engines import open_encoder, open_generator
from zoo.evaluation import quality
from zoo.images import atomic, grid
from zoo.images.read import read_images
from zoo.inference.inputs import report
from zoo.inference.latents import reconstruct
from zoo.progress import number_of_images

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
    Returns what was found, as lines of text. Raises DataError, OutputError, and the errors of
    zoo.engines.open_generator and open_encoder.
    """
    atomic.check_suffix(out, ".png", "reconstructions are shown in a .png")
    with (
        open_generator(engine, **options) as generator,
        open_encoder(generator, **options) as encoder,
    ):
        skipped: list[tuple[str, str]] = []
        originals, names = read_images(images, generator.image_shape, resize, skipped)
        report(skipped)
        originals, names = originals[:count], names[:count]
        reconstructions = reconstruct(encoder, generator, originals)
        title = f"{Path(generator.path).name}  ·  originals above reconstructions"
    squared = quality.squared_error(originals, reconstructions)
    absolute = quality.absolute_error(originals, reconstructions)
    shown = min(len(originals), _SHOWN)
    with atomic.replace_file(out) as temporary:
        pairs = [_pair(originals[i], reconstructions[i]) for i in range(shown)]
        labels = [grid.tile_label(name) for name in names[:shown]]
        grid.draw(pairs, labels, title, _COLUMNS).save(temporary, format="PNG")
    those = number_of_images(len(originals))
    said = (
        f"{those}: PSNR {quality.decibels(float(squared.mean())):.2f} dB "
        f"({quality.decibels(float(squared.max())):.2f} to "
        f"{quality.decibels(float(squared.min())):.2f} by image), "
        f"mean absolute error {absolute.mean():.2f} of 255"
    )
    return [said, out + (f" (the first {shown})" if shown < len(originals) else "")]


def _pair(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Both in one tile [2·H + 1, W, C], with a white line between."""
    line = np.full((1, *original.shape[1:]), 255, np.uint8)
    return np.concatenate([original, line, reconstruction])


__all__ = ["compare_reconstructions"]
