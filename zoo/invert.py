"""Which latent made an image: `python -m zoo.invert --engine dcgan-faces.onnx face.png`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import COUNT, UINT64, Command, Integer, engine_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from runtime import Generator
    from zoo.applications.conditions import Asked

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
def main(
    images: tuple[str, ...],
    engine: str,
    label: str | None,
    starts: int,
    steps: int,
    seed: int,
    out: str,
    save: str | None,
    threads: int | None,
    resize: bool,
    **options: Any,
) -> None:
    """Find the latents that make IMAGES, by descent from several starts (needs PyTorch).

    IMAGES are pictures, folders of pictures, .npy or .npz arrays, IDX files, `seed:K` or
    `sample:I`. Where the model has an encoder its latent is one of the starts; the others are drawn
    from the prior. A style-based generator is inverted in z, or, by its synthesis file, in w: one
    style for all layers. A conditional generator is told the class with --label. PSNRs are of the
    engine's uint8 images. The .npz of --save has `latents`, `psnr` and `names`; zoo.interpolate and
    zoo.edit take it as `latent:FILE:ROW`.
    """
    from zoo.applications import conditions
    from zoo.engines import open_generator
    from zoo.evaluation.quality import psnr
    from zoo.images import archive, atomic, rows

    atomic.check_kind(out, ".png", "inversions are shown in a .png")
    if save is not None:
        atomic.check_file(save)
    with open_generator(engine, **options) as generator:
        asked = conditions.ask(generator, label, None, None, None)
        of_class = asked.of_way()
        originals, names = _originals(generator, images, seed, resize, of_class)
        latents = _latents(generator, asked, originals, starts, steps, seed, threads, options)
        made = generator.decode(latents, **of_class)
    quality = psnr(originals, made)
    labels = [f"{value:.1f} dB" for value in quality]
    shorts = [rows.shortened(name) for name in names]
    picture = rows.draw(
        [
            rows.Row("images", list(originals), shorts),
            rows.Row("what their latents make", list(made), labels),
        ],
        f"{Path(generator.path).name}  ·  inverted, {starts} starts, {steps} steps",
    )
    with atomic.replacing(out) as temporary:
        picture.save(temporary, format="PNG")
    if save is not None:
        with archive.writing(save) as file:
            file.array("latents", latents)
            file.array("psnr", quality)
            file.strings("names")(names)
    those = "1 image" if len(originals) == 1 else f"{len(originals):,} images"
    click.echo(
        f"{those}: PSNR {quality.mean():.1f} dB in the mean, {quality.min():.1f} to "
        f"{quality.max():.1f}\n{out}" + ("" if save is None else f"\n{save}")
    )


def _originals(
    generator: Generator,
    texts: tuple[str, ...],
    seed: int,
    resize: bool,
    of_class: dict[str, Any],
) -> tuple[NDArray[np.uint8], list[str]]:
    """The images [n, H, W, C] that are asked for, and their names."""
    import numpy as np

    from zoo.applications import points
    from zoo.data import inputs
    from zoo.images.read import read_images

    parts, names = [], []
    skipped: list[tuple[str, str]] = []
    for text in texts:
        if points.is_drawn(text):
            point = points.read_one(generator, text, seed)
            parts.append(generator.decode(point.latent[None], **of_class))
            names.append(point.name)
            continue
        images, its_names = read_images([text], generator.image_shape, resize, skipped)
        parts.append(images)
        names += [Path(text).name] if len(images) == 1 else its_names
    inputs.report(skipped)
    return np.concatenate(parts), names


def _latents(
    generator: Generator,
    asked: Asked,
    images: NDArray[np.uint8],
    starts: int,
    steps: int,
    seed: int,
    threads: int | None,
    options: dict[str, Any],
) -> NDArray[np.float32]:
    """The latents [n, D] found."""
    import numpy as np

    from zoo.applications.inversion import invert
    from zoo.applications.spaces import space_of
    from zoo.engines import has_encoder, open_encoder
    from zoo.host import setup_threads
    from zoo.progress import Progress

    setup_threads(threads)
    path, single = Path(generator.path), {**options, "instances": 1}
    space = space_of(generator, asked, **single)
    begin = space.starts(seed, len(images) * starts)
    scale = float(begin.std())
    begin = begin.reshape(len(images), starts, -1)
    if has_encoder(path):
        with open_encoder(generator, **single) as encoder:
            own = encoder.embed(images)
        begin = np.concatenate([own[:, None], begin[:, 1:]], axis=1)
    with Progress(len(images)) as progress:
        found = invert(space.decode, images, begin, steps, scale, progress.advance)
    return space.latents(found.latents)


if __name__ == "__main__":
    main()
