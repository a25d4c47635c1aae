"""Mix the styles of images: `python -m zoo.mix --engine stylegan.onnx --out mixed.png`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import UINT64, Command, engine_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from runtime import Generator
    from zoo.applications.points import Point
    from zoo.applications.style_mixing import Band
    from zoo.progress import Progress

    Images = NDArray[np.uint8]

_ACROSS = tuple(f"sample:{i}" for i in range(6))
_DOWN = tuple(f"sample:{i}" for i in range(6, 9))


def _source(name: str, help: str, default: Sequence[str]) -> Any:
    which = f"{help}; repeat.  [{default[0]} … {default[-1]}]"
    return click.option(name, multiple=True, metavar="SOURCE", help=which)


@click.command(cls=Command)
@engine_options
@_source("--across", "A source B, whose band of styles is taken", _ACROSS)
@_source("--down", "A source A, which has all other styles", _DOWN)
@click.option("--bands", metavar="A,B,…", help="Some of coarse, middle, fine.  [all there are]")
@click.option("--seed", type=UINT64, default=0, help="Seed of the run that sample:I is from.")
@click.option("--truncation", type=float, metavar="PSI", help="Bring styles closer to their mean.")
@click.option("--out", default="mixed.png", metavar="FILE", help="A .png, or an .npy.")
def main(
    engine: str,
    across: tuple[str, ...],
    down: tuple[str, ...],
    bands: str | None,
    seed: int,
    truncation: float | None,
    out: str,
    **options: Any,
) -> None:
    """Draw every image A with the coarse, the middle, or the fine styles of every image B.

    A style-based generator has two layers of each resolution. Coarse styles are those of the
    layers of 4×4 and 8×8, middle ones of 16×16 and 32×32, fine ones of 64×64 and above; a smaller
    network has not all of them. A SOURCE is `seed:K` (sample 0 of the run with seed K), `sample:I`
    (sample I of --seed), `latent:FILE` or `latent:FILE:ROW`. The layers draw no noise, so that
    images differ by their styles alone (Karras et al. 2019, figure 3).

    A .png has the sources B on top, and a part for each band with the sources A on the left; an
    .npy has the mixed images alone, [bands, down, across, H, W, C].
    """
    import numpy as np

    from zoo.applications import conditions, points, style_mixing
    from zoo.engines import open_generator, open_halves
    from zoo.images import atomic
    from zoo.progress import Progress

    names = None if bands is None else _parse(bands)
    drawn = Path(out).suffix.lower() != ".npy"
    if drawn:
        atomic.check_kind(out, ".png", "expected a .png (the grid) or an .npy")
    else:
        atomic.check_file(out)
    with open_generator(engine, **options) as generator:
        chosen, layers = _chosen(generator, names), generator.style_layers
        asked = conditions.ask(generator, None, None, truncation, None)
        top, left = (
            points.read(generator, texts, seed, **options)
            for texts in (across or _ACROSS, down or _DOWN)
        )
        shape = len(chosen), len(left), len(top), *generator.image_shape
        if drawn:
            _check_picture(shape)
        mapping, synthesis = open_halves(generator, **options)
        with mapping, synthesis, Progress(len(chosen) * len(left) * len(top)) as progress:
            latents = [point.latent for point in (*left, *top)]
            styles = style_mixing.styles(mapping, latents, asked.truncation)
            a, b = styles[: len(left)], styles[len(left) :]
            blocks = _counted(style_mixing.crossed(synthesis, a, b, layers, chosen), progress)
            if drawn:
                alone = style_mixing.mix(styles, styles, layers, ())
                own = list(zip((*left, *top), synthesis.decode(alone), strict=True))
                title = f"{Path(generator.path).name}  ·  seed {seed}{asked.title()}"
                mixed = np.concatenate(list(blocks)).reshape(shape)
                picture = _picture(title, chosen, own[: len(left)], own[len(left) :], mixed)
                with atomic.replacing(out) as temporary:
                    picture.save(temporary, format="PNG")
            else:
                _save(out, shape, blocks)
    styles_of = ", ".join(band.name for band in chosen)
    click.echo(f"{progress.total:,} images, {styles_of} styles of {len(top)} in {len(left)}: {out}")


def _parse(text: str) -> list[str]:
    """The names of bands in `text`, each once."""
    from zoo.applications.style_mixing import BANDS
    from zoo.errors import ConfigError

    names = [part.strip() for part in text.split(",")]
    if not set(names) <= set(BANDS) or len(set(names)) < len(names):
        raise ConfigError(
            f"--bands: expected some of {', '.join(BANDS)} with commas between them, got {text!r}"
        )
    return names


def _chosen(generator: Generator, names: list[str] | None) -> list[Band]:
    """The bands of those names, in their order; all that there are for None."""
    from zoo.applications.style_mixing import bands
    from zoo.errors import ConfigError

    layers, name = generator.style_layers, Path(generator.path).name
    if not layers:
        role = generator.manifest["role"]
        what = "its synthesis network" if role == "synthesis" else "not style-based"
        raise ConfigError(
            f"--engine: expected the main file of a style-based generator, and {name} is {what}"
        )
    found = {band.name: band for band in bands(layers)}
    for missing in [band for band in names or () if band not in found][:1]:
        raise ConfigError(
            f"--bands: {name} has {layers} layers, which are {' and '.join(found)}: no {missing}"
        )
    return [found[band] for band in names or found]


def _check_picture(shape: tuple[int, ...]) -> None:
    """Raise OutputError where a picture of mixed images [bands, d, k, H, W, C] could not be."""
    from zoo.images import rows
    from zoo.images.convert import mode_of

    bands, down, across, height, width, channels = shape
    mode_of(channels)
    rows.plan([across + 1, *[down * (across + 1)] * bands], height, width, across + 1)


def _counted(blocks: Iterator[Images], progress: Progress) -> Iterator[Images]:
    for block in blocks:
        progress.advance(len(block))
        yield block


def _picture(
    title: str,
    bands: Sequence[Band],
    left: Sequence[tuple[Point, Images]],
    top: Sequence[tuple[Point, Images]],
    mixed: Images,
) -> Image:
    """Sources B in a row on top, and for each band a part with the sources A on the left."""
    import numpy as np

    from zoo.images import rows

    b_labels = [rows.shortened(point.name) for point, _ in top]
    blank = np.full(mixed.shape[3:], 255, np.uint8)
    parts = [rows.Row("sources B", [blank, *(image for _, image in top)], ["", *b_labels])]
    for band, of_band in zip(bands, mixed, strict=True):
        tiles: list[Images] = []
        labels: list[str] = []
        for (point, image), images in zip(left, of_band, strict=True):
            tiles += [image, *images]
            labels += [rows.shortened(point.name), *[""] * len(images)]
        heading = f"sources A with the {band.name} styles of B ({band.sides})"
        parts.append(rows.Row(heading, tiles, labels))
    return rows.draw(parts, title, 1 + len(top))


def _save(out: str, shape: tuple[int, ...], blocks: Iterator[Images]) -> None:
    """One array of that shape in an .npy, block by block."""
    import numpy as np

    from zoo.images import atomic

    with atomic.replacing(out) as temporary, open(temporary, "xb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)


if __name__ == "__main__":
    main()
