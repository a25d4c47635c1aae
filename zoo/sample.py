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
@click.option("--batch", type=COUNT, help="Images per run of the graph; never changes them.")
@click.option("--bucket", type=COUNT, help="On a GPU: the only batch size to use.")
@click.option(
    "--out",
    default="samples.png",
    metavar="PATH",
    help="A grid .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--label", metavar="CLASS", help="Class of the images, by name or number.")
@click.option("--labels", metavar="A,B,…", help="Images of these classes in turn.")
@click.option(
    "--prior",
    type=click.Choice(["normal", "mixture"]),
    default="normal",
    help="Draw latents from N(0, I), or from the learned prior of a VAE.",
)
@click.option("--truncation", type=float, metavar="PSI", help="Move styles towards their mean.")
@click.option("--noise", type=float, metavar="S", help="Scale of the noise in the layers.  [1]")
@click.option("--mix", type=int, metavar="K", help="A second style from layer K on.")
@click.option("--from", "source", metavar="IMAGE", help="Sample around this image.")
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

    Image i of a seed is the same image for any -n, --first, --batch and --instances,
    so a run can be split over machines or resumed. With --from, images are sampled
    around the given one: h = μ + S·σ·ε with the μ and σ of the encoder file next to the
    engine; a grid shows the image and its reconstruction first. Autoencoders have no
    prior and need --from; for deterministic ones, σ is the standard deviation of the
    training images' latents.

    A conditional engine makes image i of class i mod K by default; with --labels,
    element i of the list modulo its length. For a style-based engine, --truncation
    below 1 moves images closer to the average and to one another, --noise 0 leaves out
    the noise of the layers, and with --mix K the layers from K on use the style of a
    second latent.
    """
    from zoo.applications.sampling import sample_images

    click.echo(sample_images(engine, **options))


if __name__ == "__main__":
    main()
