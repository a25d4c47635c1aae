"""Repair, colour or change pictures: `python -m zoo.translate --engine denoising-ae.onnx IN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zoo.cli import UINT64, Command, engine_options, source_options

if TYPE_CHECKING:
    from zoo.inference.inputs import Selection


@click.command(cls=Command)
@source_options
@engine_options
@click.option(
    "--out",
    metavar="PATH",
    help="A folder (no suffix, or a / at the end), .npy, .npz, or a .png for one picture.",
)
@click.option("--grid", metavar="FILE", help="A .png of the first inputs, outputs and truths.")
@click.option("--corrupt", metavar="SPEC", help="Damage the images first.")
@click.option("--holes", is_flag=True, help="Hide random parts of the images: --corrupt holes.")
@click.option("--mask", metavar="PATH", help="What to fill: white in this picture, folder, array.")
@click.option("--grey", is_flag=True, help="Take colour images, and make them grey first.")
@click.option("--edges", is_flag=True, help="Take whole images, and draw their edges first.")
@click.option("--to", metavar="DOMAINS", help="What to change, as in Blond_Hair,-Eyeglasses.")
@click.option("--truth", metavar="PATH", help="What should come out: pictures of the same names.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the damage and of the noise.")
@click.option("--first", type=UINT64, default=0, help="Index of the first image to take.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(selection: Selection, engine: str, **options: Any) -> None:
    """Clean, complete, colour or change images with an engine that makes images from images.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files.
    An engine that fills holes takes pictures with transparent parts (an alpha
    below 128), or whole ones and --mask or --holes.

    SPEC is gaussian:S with S the standard deviation in units of the range,
    salt-pepper:P or masking:P with P the share of the pixels, or holes; with a
    range such as gaussian:0.1-0.4 each image has its own level. Image i of a
    --seed is damaged alike, whatever --first and -n are.

    DOMAINS are attributes that images are to get, or with a minus to lose; one of a
    group, such as a hair colour, takes the place of the others. What is not named
    stays as the classifier beside the engine sees it. Without --to, --grid shows the
    images changed to every domain.

    Where the truth is known (by --truth, --corrupt, --holes, --grey or --edges), prints
    means over the images: PSNR, SSIM (Wang et al. 2004), for holes the PSNR
    inside them, and for colour made from grey the colour difference ΔE.
    """
    from zoo.applications.translation import translate_images

    click.echo("\n".join(translate_images(selection, engine, **options)))


if __name__ == "__main__":
    main()
