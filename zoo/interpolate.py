"""Interpolate between two images: `python -m zoo.interpolate seed:1 seed:2 --engine vae.onnx`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import UINT64, Command, Integer, engine_options

STEPS = Integer(1, 100_000, "1 to 100000 steps")


@click.command(cls=Command)
@click.argument("a")
@click.argument("b")
@engine_options
@click.option("--steps", type=STEPS, default=10, metavar="N", help="Makes N + 1 images.")
@click.option("--mode", type=click.Choice(["linear", "spherical"]), default="linear")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run for sample:I.")
@click.option(
    "--out",
    default="interpolation.png",
    metavar="PATH",
    help="A strip .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--label", metavar="CLASS", help="Class of the images, by name or number.")
@click.option("--truncation", type=float, metavar="PSI", help="Move styles towards their mean.")
@click.option("--resize", is_flag=True, help="Fit image files to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
def main(a: str, b: str, engine: str, **options: Any) -> None:
    """Decode h_i = h_A + (h_B - h_A)·i/N, i = 0 … N, or points on the great arc.

    A and B are each an image file (its latent is the encoder's μ), `seed:K`
    (sample 0 of the run with seed K), `sample:I` (sample I of --seed) or
    `latent:FILE:ROW` (a row of a file saved by zoo.invert).
    """
    from zoo.applications.interpolation import interpolate_images

    click.echo(interpolate_images(a, b, engine, **options))


if __name__ == "__main__":
    main()
