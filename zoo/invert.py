"""Find the latent of an image: `python -m zoo.invert --engine dcgan-faces.onnx face.png`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, Integer, engine_options

STEPS = Integer(4, 100_000, "4 to 100000 steps")


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True)
@engine_options
@click.option("--label", metavar="CLASS", help="Class of the images, by name or number.")
@click.option("--starts", type=COUNT, default=48, metavar="S", help="Starting points per image.")
@click.option("--steps", type=STEPS, default=800, metavar="N", help="Steps from the best start.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the starts, and for sample:I.")
@click.option("--out", default="inverted.png", metavar="FILE", help="A .png of pairs.")
@click.option("--save", metavar="FILE", help="Write the latents to this .npz.")
@click.option("--threads", type=COUNT, help="CPU threads.")
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and channels.")
def main(images: tuple[str, ...], engine: str, **options: Any) -> None:
    """Find the latents that reproduce IMAGES, by gradient descent (needs PyTorch).

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, IDX files, `seed:K` or
    `sample:I`. The starting points are drawn from the prior; if the model has an encoder, its
    latent is one of them. A style-based generator is inverted in z, or, given its synthesis file,
    in w with one style for all layers. A conditional generator needs --label. PSNRs are those of
    the engine's uint8 images. The .npz of --save has `latents`, `psnr` and `names`; zoo.interpolate
    and zoo.edit read it as `latent:FILE:ROW`.
    """
    from zoo.applications.inverting import invert_images

    click.echo(invert_images(images, engine, **options))


if __name__ == "__main__":
    main()
