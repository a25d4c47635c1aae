"""Walk between two images: `python -m zoo.interpolate seed:1 seed:2 --engine vae.onnx`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import UINT64, Command, Integer, engine_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runtime import Generator

_COLUMNS = 16
STEPS = Integer(1, 100_000, "1 to 100000 steps")


@click.command(cls=Command)
@click.argument("a")
@click.argument("b")
@engine_options
@click.option("--steps", type=STEPS, default=10, metavar="N", help="Makes N + 1 images.")
@click.option("--mode", type=click.Choice(["linear", "spherical"]), default="linear")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run that sample:I is from.")
@click.option(
    "--out",
    default="interpolation.png",
    metavar="PATH",
    help="A strip .png, a .gif, .npy, .npz, or a folder of PNGs (no suffix, or a / at the end).",
)
@click.option("--resize", is_flag=True, help="Fit image files to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
def main(
    a: str,
    b: str,
    engine: str,
    steps: int,
    mode: str,
    seed: int,
    out: str,
    resize: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Make the images of h_i = h_A + (h_B - h_A)·i/N, i = 0 … N, or of the great arc.

    A and B are each an image file (its latent is the encoder's μ), `seed:K`
    (sample 0 of the run with seed K) or `sample:I` (sample I of --seed).
    """
    from zoo.engines import open_generator
    from zoo.images import sinks

    sinks.check(out, steps + 1, overwrite)
    with open_generator(engine, **options) as generator:
        ends = [_latent(generator, end, seed, resize, **options) for end in (a, b)]
        names = [_name(end) for end in (a, b)]
        title = f"{Path(generator.path).name}  ·  {names[0]} to {names[1]}  ·  {mode}"
        run = sinks.Run(
            steps + 1,
            generator.image_shape,
            title=title,
            columns=min(steps + 1, _COLUMNS),
            label=lambda i: f"{i}/{steps}",
        )
        with sinks.opened(out, run, overwrite) as write:
            write(generator.interpolate(ends[0], ends[1], steps, mode))
    click.echo(f"{steps + 1} images from {names[0]} to {names[1]}: {out}")


def _latent(
    generator: Generator, end: str, seed: int, resize: bool, **options: Any
) -> NDArray[np.float32]:
    """The latent [D] of one end of the way."""
    from runtime import noise
    from zoo.engines import open_encoder
    from zoo.errors import ConfigError
    from zoo.images.read import read_image

    kind, _, number = end.partition(":")
    if kind in ("seed", "sample") and not Path(end).exists():
        key = int(number) if number.isdecimal() and len(number) <= 20 else -1
        if not 0 <= key < 2**64:
            raise ConfigError(f"{end}: expected {kind}:K, K an integer of 64 bits, 0 to 2**64 - 1")
        own_seed, sample = (key, 0) if kind == "seed" else (seed, key)
        return noise.normal(own_seed, sample, _latent_stream(generator), generator.latent_width)
    image = read_image(end, generator.image_shape, resize)
    with open_encoder(generator, **{**options, "instances": 1}) as encoder:
        mu, _ = encoder.encode(image[None])
    return mu[0]


def _latent_stream(generator: Generator) -> int:
    stream: int = generator.manifest["noise"]["streams"]["latent"]
    return stream


def _name(end: str) -> str:
    kind = end.partition(":")[0]
    return end if kind in ("seed", "sample") else Path(end).name


if __name__ == "__main__":
    main()
