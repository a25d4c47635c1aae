"""Which latent made an image: `python -m zoo.invert --engine dcgan-faces.onnx face.png`."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import COUNT, UINT64, Command, Integer, engine_options

STEPS = Integer(4, 100_000, "4 to 100000 steps")


@click.command(cls=Command)
@click.argument("images", nargs=-1, required=True)
@engine_options
@click.option("--label", metavar="CLASS", help="Class of the images: its name or number.")
@click.option("--starts", type=COUNT, default=48, metavar="S", help="Starts of each image.")
@click.option("--steps", type=STEPS, default=800, metavar="N", help="Steps of the best start.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the starts, and of sample:I.")
@click.option("--out", default="inverted.png", metavar="FILE", help="A .png of pairs.")
@click.option("--save", metavar="FILE", help="Write the latents to this .npz.")
@click.option("--threads", type=COUNT, help="CPU threads.")
@click.option("--resize", is_flag=True, help="Fit pictures to the engine's size and channels.")
def main(images: tuple[str, ...], engine: str, **options: Any) -> None:
    """Find the latents that make IMAGES, by descent from several starts (needs PyTorch).

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, IDX files, `seed:K` or
    `sample:I`. Where the model has an encoder its latent is one of the starts; the others are drawn
    from the prior. A style-based generator is inverted in z, or, by its synthesis file, in w: one
    style for all layers. A conditional generator is told the class with --label. PSNRs are of the
    engine's uint8 images. The .npz of --save has `latents`, `psnr` and `names`; zoo.interpolate and
    zoo.edit take it as `latent:FILE:ROW`.
    """
    from zoo.applications.inverting import invert_images

    click.echo(invert_images(images, engine, **options))


if __name__ == "__main__":
    main()
