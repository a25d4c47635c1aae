"""Make images: `python -m zoo.sample --engine vae.onnx -n 64 --seed 0 --out samples.png`."""

from __future__ import annotations

import time
from collections.abc import Generator as Iterating
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, UINT64, Command, engine_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runtime import Generator, Stream

_POSTERIOR_ROWS = 256


@click.command(cls=Command)
@engine_options
@click.option("-n", "--count", type=COUNT, default=64, metavar="N", help="Number of images.")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run.")
@click.option("--first", type=UINT64, default=0, help="Index in the run of the first image.")
@click.option("--batch", type=COUNT, help="Images a run of the graph; never changes them.")
@click.option(
    "--out",
    default="samples.png",
    metavar="PATH",
    help="A grid .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--from", "source", metavar="IMAGE", help="Vary this image instead of the prior.")
@click.option("--resize", is_flag=True, help="Fit IMAGE to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(
    engine: str,
    count: int,
    seed: int,
    first: int,
    batch: int | None,
    out: str,
    source: str | None,
    resize: bool,
    overwrite: bool,
    verbose: bool,
    **options: Any,
) -> None:
    """Make images --first … --first + n - 1 of the run with this --seed.

    Image i of a seed is the same image whatever -n, --first, --batch and
    --instances are, so a run can be split over machines or done in parts.
    With --from, the images are drawn around that one: h = μ + σ·ε with the μ
    and σ of the encoder file beside the engine; a grid shows the image and its
    reconstruction first.
    """
    from zoo.engines import open_generator
    from zoo.images import sinks
    from zoo.progress import Progress, rate

    sinks.check(out, count, overwrite)
    started = time.perf_counter()
    with open_generator(engine, **options) as generator:
        if verbose:
            loaded = time.perf_counter() - started
            click.echo(
                f"{generator.path}: {generator.backend}, {generator.instances} instances, "
                f"loaded in {loaded * 1000:.0f} ms",
                err=True,
            )
        name = Path(generator.path).name
        last = first + count - 1
        title = f"seed {seed}  ·  sample{f's {first} to {last}' if count > 1 else f' {first}'}"
        blocks: Stream | Iterating[NDArray[Any]]
        if source is None:
            run = sinks.Run(count, generator.image_shape, first, f"{name}  ·  {title}")
            blocks = generator.stream(count, seed, first, batch)
        else:
            image, mu, logvar = _encode(generator, source, resize, **options)
            lead = [("input", image), ("reconstruction", generator.decode(mu[None])[0])]
            title = f"{name}  ·  variations of {Path(source).name}  ·  {title}"
            run = sinks.Run(count, generator.image_shape, first, title, lead)
            blocks = _variations(generator, mu, logvar, count, seed, first, batch)
        with (
            closing(blocks),
            sinks.opened(out, run, overwrite) as write,
            Progress(count, verbose) as progress,
        ):
            for block in blocks:
                write(block)
                progress.advance(len(block))
            seconds = progress.seconds
        images = "image" if count == 1 else "images"
        click.echo(
            f"{count:,} {images} in {seconds:.3g} s, {rate(count, seconds)} "
            f"({generator.backend}): {out}"
        )


def _encode(
    generator: Generator, source: str, resize: bool, **options: Any
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The image [H, W, C] of that file, and μ and log σ² [D] of its latent."""
    from zoo.engines import open_encoder
    from zoo.images.read import read_image

    image = read_image(source, generator.image_shape, resize)
    with open_encoder(generator, **{**options, "instances": 1}) as encoder:
        mu, logvar = encoder.encode(image[None])
    return image, mu[0], logvar[0]


def _variations(
    generator: Generator,
    mu: NDArray[np.float32],
    logvar: NDArray[np.float32],
    count: int,
    seed: int,
    first: int,
    batch: int | None,
) -> Iterating[NDArray[Any]]:
    rows = max(batch or 0, _POSTERIOR_ROWS)
    for start in range(0, count, rows):
        yield generator.sample(
            min(rows, count - start), seed, first + start, batch=batch, mu=mu, logvar=logvar
        )


if __name__ == "__main__":
    main()
