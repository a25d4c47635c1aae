"""Encode and decode images: `python -m zoo.reconstruct --engine vae.onnx IMAGES…`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import COUNT, Command, engine_options


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True)
@engine_options
@click.option("-n", "--count", type=COUNT, metavar="N", help="Only the first n images.")
@click.option(
    "--out", default="reconstruction.png", metavar="FILE", help="A .png of up to 64 pairs."
)
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and channels.")
def main(images: tuple[str, ...], engine: str, **options: Any) -> None:
    """Show originals above their reconstructions, and print the PSNR.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files.
    The reconstruction decodes the encoder's μ. The PSNR, 10·log10(255² / MSE), is
    computed from the mean squared error over all pixels of all images.
    """
    from zoo.applications.reconstruction import compare_reconstructions

    click.echo("\n".join(compare_reconstructions(images, engine, **options)))


if __name__ == "__main__":
    main()
