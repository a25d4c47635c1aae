"""Compute latents of images: `python -m zoo.embed --engine vae.onnx IMAGES… --out latents.npz`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import Command, engine_options, source_options

if TYPE_CHECKING:
    from zoo.inference.inputs import Selection


@click.command(cls=Command)
@source_options
@engine_options
@click.option("--out", default="latents.npz", metavar="FILE", help="A .npz or .parquet file.")
@click.option("--scatter", metavar="FILE", help="Also draw a scatter plot of the latents (.png).")
@click.option("--compare-pca", is_flag=True, help="Compare with PCA of the training images.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(selection: Selection, engine: str, **options: Any) -> None:
    """Write the latents of images (the encoder's μ) with their names and labels.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files. They are
    read in blocks, so any number of them fits into memory. The engine is an encoder, or a
    generator with its encoder next to it.

    \b
    .npz      arrays latents float32 [n, D], names, labels (if known), classes
    .parquet  columns name, label (if known), z0, z1, … float32

    --scatter shows two-dimensional latents directly, and wider ones by their first two
    principal components. --compare-pca decodes the latents and prints the mean squared
    error per pixel, of values in [0, 1], next to that of a PCA with the same number of
    components, fitted to the training images of --data.
    """
    from zoo.applications.embedding import embed_images

    click.echo("\n".join(embed_images(selection, engine, **options)))


if __name__ == "__main__":
    main()
