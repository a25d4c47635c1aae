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
    from zoo.applications.conditions import Asked

_POSTERIOR_ROWS = 256
# Of the training images' own deviation: more leaves the codes that an autoencoder has learned.
_AUTOENCODER_SPREAD = 0.5


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
    help=f"Scale of σ with --from.  [1; of an autoencoder {_AUTOENCODER_SPREAD:g}]",
)
@click.option("--resize", is_flag=True, help="Fit IMAGE to the engine's size and channels.")
@click.option("--overwrite", is_flag=True, help="Write into a folder that is not empty.")
@click.option("-v", "--verbose", is_flag=True, help="Say more on stderr.")
def main(
    engine: str,
    count: int,
    seed: int,
    first: int,
    batch: int | None,
    bucket: int | None,
    out: str,
    label: str | None,
    labels: str | None,
    truncation: float | None,
    mix: int | None,
    source: str | None,
    spread: float | None,
    resize: bool,
    overwrite: bool,
    verbose: bool,
    **options: Any,
) -> None:
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
    import math

    from zoo.applications import conditions
    from zoo.engines import open_generator
    from zoo.errors import ConfigError
    from zoo.images import sinks
    from zoo.progress import Progress, rate

    if spread is not None and source is None:
        raise ConfigError("--spread goes with --from IMAGE")
    if spread is not None and not (math.isfinite(spread) and spread >= 0):
        raise ConfigError(f"--spread: expected a finite number of at least 0, got {spread}")
    sinks.check(out, count, overwrite)
    started = time.perf_counter()
    with open_generator(engine, bucket=bucket, **options) as generator:
        # What goes with it needs one device.
        options["device"] = options["device"].split(",")[0]
        if verbose:
            loaded = time.perf_counter() - started
            click.echo(
                f"{generator.path}: {generator.backend}, {generator.instances} instances, "
                f"loaded in {loaded * 1000:.0f} ms",
                err=True,
            )
        name = Path(generator.path).name
        if source is None and generator.prior == "none":
            raise ConfigError(
                f"{name} is an autoencoder and no generator: it has no prior, and latents between "
                "those of training images decode to nothing sensible; "
                "--from IMAGE --spread S varies an image"
            )
        asked = conditions.ask(generator, label, labels, truncation, mix)
        if mix is not None and source is not None:
            raise ConfigError("--mix does not go with --from")
        last = first + count - 1
        title = f"seed {seed}  ·  sample{f's {first} to {last}' if count > 1 else f' {first}'}"
        title += asked.title()
        blocks: Stream | Iterating[NDArray[Any]]
        if source is None:
            run = sinks.Run(count, generator.image_shape, first, f"{name}  ·  {title}")
            if mix is None:
                blocks = generator.stream(count, seed, first, batch, **asked.options())
            else:
                blocks = conditions.mixed(generator, asked, count, seed, first, **options)
        else:
            image, mu, logvar = _encode(generator, source, spread, resize, **options)
            again = generator.decode(mu[None], labels=asked.labels and asked.labels[0])[0]
            lead = [("input", image), ("reconstruction", again)]
            title = f"{name}  ·  variations of {Path(source).name}  ·  {title}"
            run = sinks.Run(count, generator.image_shape, first, title, lead)
            blocks = _variations(generator, mu, logvar, asked, count, seed, first, batch)
        with (
            closing(blocks),
            sinks.opened(out, run, overwrite) as write,
            Progress(count, verbose) as progress,
        ):
            for block in blocks:
                write(block)
                progress.advance(len(block))
            seconds = progress.seconds
        if verbose and generator.peak_device_bytes:
            held = generator.peak_device_bytes / 2**20
            others = "ONNX Runtime's" if generator.backend == "onnxruntime" else "the weights"
            click.echo(f"{held:,.1f} MiB of the GPU's memory, beside {others}", err=True)
        images = "image" if count == 1 else "images"
        click.echo(
            f"{count:,} {images} in {seconds:.3g} s, {rate(count, seconds)} "
            f"({generator.backend}): {out}"
        )


def _encode(
    generator: Generator, source: str, spread: float | None, resize: bool, **options: Any
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """The image [H, W, C] of that file, and μ and log (S·σ)² [D] of its latent."""
    import numpy as np

    from zoo.engines import open_encoder
    from zoo.images.read import read_image

    image = read_image(source, generator.image_shape, resize)
    with open_encoder(generator, **{**options, "instances": 1}) as encoder:
        mu, logvar = (part[0] for part in encoder.encode(image[None]))
        if encoder.deterministic:
            std = generator.manifest["latent"].get("std") or np.ones_like(mu)
            logvar = 2 * _log(np.asarray(std, np.float32))
            spread = _AUTOENCODER_SPREAD if spread is None else spread
    if spread is not None:
        logvar = logvar + 2 * _log(np.float32(spread))
    return image, mu, logvar


def _log(values: Any) -> Any:
    """Natural logarithm, -inf of 0, which switches the noise off."""
    import numpy as np

    with np.errstate(divide="ignore"):
        return np.log(values)


def _variations(
    generator: Generator,
    mu: NDArray[np.float32],
    logvar: NDArray[np.float32],
    asked: Asked,
    count: int,
    seed: int,
    first: int,
    batch: int | None,
) -> Iterating[NDArray[Any]]:
    rows = max(batch or 0, _POSTERIOR_ROWS)
    for start in range(0, count, rows):
        yield generator.sample(
            min(rows, count - start),
            seed,
            first + start,
            batch=batch,
            mu=mu,
            logvar=logvar,
            **asked.options(),
        )


if __name__ == "__main__":
    main()
