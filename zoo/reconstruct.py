"""Encode and decode images: `python -m zoo.reconstruct --engine vae.onnx IMAGES…`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, Command, engine_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SHOWN = 64
_COLUMNS = 16
_ROWS = 256


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True)
@engine_options
@click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n images.")
@click.option(
    "--out", default="reconstruction.png", metavar="FILE", help=f"A .png of up to {_SHOWN} pairs."
)
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and channels.")
def main(
    images: tuple[str, ...],
    engine: str,
    count: int | None,
    out: str,
    resize: bool,
    **options: Any,
) -> None:
    """Show originals above their reconstructions, and print how close they are.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files.
    The reconstruction decodes the encoder's μ. The PSNR is that of the mean
    squared error over all pixels of all images, 10·log10(255² / MSE).
    """

    from zoo.applications.points import short
    from zoo.data.inputs import report
    from zoo.engines import open_encoder, open_generator
    from zoo.evaluation.quality import decibels
    from zoo.images import atomic, grid
    from zoo.images.read import read_images
    from zoo.inference.latents import reconstruct

    atomic.check_kind(out, ".png", "reconstructions are shown in a .png")
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
    squared, absolute = _errors(originals, reconstructions)
    shown = min(len(originals), _SHOWN)
    with atomic.replacing(out) as temporary:
        pairs = [_pair(originals[i], reconstructions[i]) for i in range(shown)]
        labels = [short(name) for name in names[:shown]]
        grid.draw(pairs, labels, title, _COLUMNS).save(temporary, format="PNG")
    those = "1 image" if len(originals) == 1 else f"{len(originals):,} images"
    click.echo(
        f"{those}: PSNR {decibels(float(squared.mean())):.2f} dB "
        f"({decibels(float(squared.max())):.2f} to {decibels(float(squared.min())):.2f} by image), "
        f"mean absolute error {absolute.mean():.2f} of 255"
    )
    click.echo(f"{out}" + (f" (the first {shown})" if shown < len(originals) else ""))


def _errors(
    originals: NDArray[np.uint8], reconstructions: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean squared and mean absolute error of each image, [n]."""
    import numpy as np

    pixels = originals[0].size
    squared, absolute = np.empty(len(originals)), np.empty(len(originals))
    for start in range(0, len(originals), _ROWS):
        rows = slice(start, start + _ROWS)
        difference = originals[rows].astype(np.int32) - reconstructions[rows]
        squared[rows] = np.square(difference).sum((1, 2, 3)) / pixels
        absolute[rows] = np.abs(difference).sum((1, 2, 3)) / pixels
    return squared, absolute


def _pair(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Both in one tile [2·H + 1, W, C], with a white line between."""
    import numpy as np

    line = np.full((1, *original.shape[1:]), 255, np.uint8)
    return np.concatenate([original, line, reconstruction])


if __name__ == "__main__":
    main()
