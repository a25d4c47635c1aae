"""Latents of images, found by the inversion of a generator; pictures of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator
from zoo.applications import conditions, points
from zoo.applications.conditions import Asked
from zoo.engines import has_encoder, open_encoder, open_generator
from zoo.evaluation.quality import psnr
from zoo.host import setup_threads
from zoo.images import archive, atomic, rows
from zoo.images.read import read_images
from zoo.images.stream import no_usable_images
from zoo.images.text import shorten
from zoo.inference.inputs import report
from zoo.progress import Progress, number_of_images


def invert_images(
    images: tuple[str, ...],
    engine: str,
    *,
    label: str | None = None,
    starts: int = 48,
    steps: int = 800,
    seed: int = 0,
    out: str = "inverted.png",
    save: str | None = None,
    threads: int | None = None,
    resize: bool = False,
    **options: Any,
) -> str:
    """Find the latents that make these images, and draw what they make to `out`.

    The arguments are the options of `zoo.invert`, `options` those of runtime.Generator. Returns
    what was found, as lines of text. Raises ConfigError, DataError, OutputError, TrainingError, and
    the errors of zoo.engines.open_generator.
    """
    atomic.check_suffix(out, ".png", "inversions are shown in a .png")
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
    shorts = [shorten(name) for name in names]
    picture = rows.draw(
        [
            rows.Row("images", list(originals), shorts),
            rows.Row("what their latents make", list(made), labels),
        ],
        f"{Path(generator.path).name}  ·  inverted, {starts} starts, {steps} steps",
    )
    with atomic.replace_file(out) as temporary:
        picture.save(temporary, format="PNG")
    if save is not None:
        with archive.create(save) as file:
            file.add_array("latents", latents)
            file.add_array("psnr", quality)
            file.add_strings("names")(names)
    those = number_of_images(len(originals))
    return (
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
    parts, names = [], []
    skipped: list[tuple[str, str]] = []
    for text in texts:
        if points.is_drawn(text):
            point = points.read_one(generator, text, seed)
            parts.append(generator.decode(point.latent[None], **of_class))
            names.append(point.name)
            continue
        images, its_names = read_images(
            [text], generator.image_shape, resize, skipped, among=len(texts)
        )
        parts.append(images)
        names += [Path(text).name] if len(images) == 1 else its_names
    if not names:
        raise no_usable_images(skipped)
    report(skipped)
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
    # They import PyTorch.
    from zoo.applications.inversion import invert
    from zoo.applications.spaces import space_of

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


__all__ = ["invert_images"]
