"""Make images: `python -m zoo.sample --engine vae.onnx -n 64 --seed 0 --out samples.png`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options


@click.command(cls=Command)
@engine_options
@click.option("-n", "--count", type=COUNT, default=64, metavar="N", help="Number of images.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run.")
@click.option("--first", type=UINT64, default=0, help="Index in the run of the first image.")
@click.option("--batch", type=COUNT, help="Images a run of the graph; never changes them.")
@click.option("--bucket", type=COUNT, help="On a GPU: the one batch size that is used.")
@click.option(
    "--out",
    default="samples.png",
    metavar="PATH",
    help="A grid .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--label", metavar="CLASS", help="Images of this class: its name or number.")
@click.option("--labels", metavar="A,B,…", help="Images of these classes in turn.")
@click.option("--truncation", type=float, metavar="PSI", help="Bring styles closer to their mean.")
@click.option("--mix", type=int, metavar="K", help="A second style from layer K on.")
@click.option("--from", "source", metavar="IMAGE", help="Vary this image instead of the prior.")
@click.option(
    "--spread",
    type=float,
    metavar="S",
    help="Scale of σ with --from.  [1; of an autoencoder 0.5]",
)
@click.option("--resize", is_flag=True, help="Fit IMAGE to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(engine: str, **options: Any) -> None:
    """Make images --first … --first + n - 1 of the run with this --seed.

    Image i of a seed is the same image whatever -n, --first, --batch and
    --instances are, so a run can be split over machines or done in parts.
    With --from, the images are drawn around that one: h = μ + S·σ·ε with the μ
    and σ of the encoder file beside the engine; a grid shows the image and its
    reconstruction first. An autoencoder has no prior and can only do that; a plain
    one takes the standard deviation of the training images' latents for σ.

    A conditional engine makes image i of class i mod K, if no class is asked for; with
    --labels the list's element i modulo its length. A style-based engine makes images
    closer to the average, and to one another, the smaller --truncation is below 1; with
    --mix K its layers from K on take the style of a second latent.
    """
    from zoo.applications.sampling import sample_images

    click.echo(sample_images(engine, **options))


if __name__ == "__main__":
    main()
