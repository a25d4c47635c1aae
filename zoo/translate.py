"""Translate images: `python -m zoo.translate --engine denoising-ae.onnx IMAGES…`."""

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
@click.option("--corrupt", metavar="SPEC", help="Corrupt the images first.")
@click.option("--holes", is_flag=True, help="Hide random parts of the images: --corrupt holes.")
@click.option("--mask", metavar="PATH", help="Picture, folder or array, white where to fill in.")
@click.option("--grey", is_flag=True, help="Convert colour images to grey first.")
@click.option("--edges", is_flag=True, help="Draw the edges of the images first.")
@click.option("--to", metavar="DOMAINS", help="Target attributes, as in Blond_Hair,-Eyeglasses.")
@click.option("--truth", metavar="PATH", help="Ground truth: pictures with the same names.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the corruption and of the noise.")
@click.option("--first", type=UINT64, default=0, help="Index of the first image.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(selection: Selection, engine: str, **options: Any) -> None:
    """Denoise, inpaint, colourise or edit images with an image-to-image engine.

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, or IDX files. An
    inpainting engine takes pictures with transparent parts (an alpha below 128), or
    opaque ones with --mask or --holes.

    SPEC is gaussian:S, where S is the standard deviation in units of the range;
    salt-pepper:P or masking:P, where P is the share of pixels; or holes. With a range
    such as gaussian:0.1-0.4 each image has its own level. Image i of a --seed is
    corrupted identically for any --first and -n.

    DOMAINS are attributes to add, or with a minus to remove; one of a group, such as a
    hair colour, replaces the others. All other attributes stay as the classifier next
    to the engine sees them. Without --to, --grid shows the images in every domain.

    If the ground truth is known (from --truth, --corrupt, --holes, --grey or --edges),
    the command prints means over the images: PSNR, SSIM (Wang et al. 2004), for
    inpainting the PSNR inside the holes, and for colourisation the difference ΔE.
    """
    from zoo.applications.translation import translate_images

    click.echo("\n".join(translate_images(selection, engine, **options)))


if __name__ == "__main__":
    main()
