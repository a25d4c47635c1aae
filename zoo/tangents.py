"""Show tangents of the data manifold: `python -m zoo.tangents --engine vae.onnx IMAGES…`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True)
@engine_options
@click.option("-k", "--directions", "k", type=COUNT, default=6, metavar="K", help="Directions.")
@click.option("--move", type=float, metavar="S", help="Also decode h ± S·v for each direction v.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run for sample:I.")
@click.option("--out", default="tangents.png", metavar="FILE", help="A .png.")
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and channels.")
def main(images: tuple[str, ...], engine: str, **options: Any) -> None:
    """Draw tangent directions of the manifold of decoded images at each image.

    These are the left singular vectors of the decoder's Jacobian ∂g/∂h at the encoder's
    μ, labelled with their singular values. Grey pixels do not change, white ones become
    brighter and black ones darker (per channel for colour images); each picture is scaled
    to its largest change. IMAGES are pictures, folders, .npy, .npz or IDX files, `seed:K`
    or `sample:I`. Needs PyTorch.
    """
    from zoo.applications.tangents import draw_tangents

    click.echo(draw_tangents(images, engine, **options))


if __name__ == "__main__":
    main()
