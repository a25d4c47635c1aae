"""Inversion of images: their latents, and a picture of the decoded images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator
from zoo.applications import conditions, points
from zoo.applications.conditions import Conditions
from zoo.engines import has_encoder, open_encoder, open_generator
from zoo.evaluation.quality import psnr
from zoo.host import setup_threads
from zoo.images import archive, atomic, rows
from zoo.images.read import read_images
from zoo.images.stream import no_usable_images
from zoo.images.text import shorten
from zoo.inference.inputs import report
from zoo.progress import Progress, number_of_images

STARTS, STEPS = 48, 800
"""Default numbers of starting points per image, and of steps from the best one."""


def invert_images(
    images: tuple[str, ...],
    engine: str,
    *,
    label: str | None = None,
    starts: int = STARTS,
    steps: int = STEPS,
    seed: int = 0,
    out: str = "inverted.png",
    save: str | None = None,
    threads: int | None = None,
    resize: bool = False,
    **options: Any,
) -> str:
    """Find the latents that reproduce images, and draw the decoded images to `out`.

    The arguments are the options of `zoo.invert`, `options` those of runtime.Generator. Returns
    lines of text. Raises ConfigError, DataError, OutputError, TrainingError, and the errors of
    zoo.engines.open_generator.
    """
    atomic.check_suffix(out, ".png", "the picture of inversions must be a .png")
    if save is not None:
        atomic.check_file(save)
    with open_generator(engine, **options) as generator:
        conditioning = conditions.parse(generator, label, None, None, None)
        decoding = conditioning.interpolation_options()
        originals, names = _read_originals(generator, images, seed, resize, decoding)
        latents = find_latents(
            generator, originals, conditioning, starts, steps, seed, threads, **options
        )
        decoded = generator.decode(latents, **decoding)
    quality = psnr(originals, decoded)
    labels = [f"{value:.1f} dB" for value in quality]
    picture = rows.draw(
        [
            rows.Row("images", list(originals), [*map(shorten, names)]),
            rows.Row("decoded latents", list(decoded), labels),
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
    return (
        f"{number_of_images(len(originals))}: PSNR {quality.mean():.1f} dB in the mean, "
        f"{quality.min():.1f} to "
        f"{quality.max():.1f}\n{out}" + ("" if save is None else f"\n{save}")
    )


def _read_originals(
    generator: Generator,
    texts: tuple[str, ...],
    seed: int,
    resize: bool,
    decoding: dict[str, Any],
) -> tuple[NDArray[np.uint8], list[str]]:
    """Return the images [n, H, W, C] that `texts` name, and their names."""
    parts, names = [], []
    skipped: list[tuple[str, str]] = []
    for text in texts:
        if points.is_sample(text):
            point = points.read_one(generator, text, seed)
            parts.append(generator.decode(point.latent[None], **decoding))
            names.append(point.name)
            continue
        images, file_names = read_images(
            [text], generator.image_shape, resize, skipped, among=len(texts)
        )
        parts.append(images)
        names += [Path(text).name] if len(images) == 1 else file_names
    if not names:
        raise no_usable_images(skipped)
    report(skipped)
    return np.concatenate(parts), names


class Inverter:
    """Encoder of an engine that has none: inverts images, each only once.

    To invert many, it takes a quarter of the starts and half of the steps of `invert_images`.
    `options` are those of runtime.Generator. Needs PyTorch.
    """

    def __init__(self, generator: Generator, **options: Any) -> None:
        self._generator, self._options = generator, options
        self._conditions = conditions.parse(generator, None, None, None, None)
        self._latents: dict[bytes, NDArray[np.float32]] = {}

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the latents [n, D] of images uint8 [n, H, W, C]. Raises as `find_latents`."""
        keys = [image.tobytes() for image in images]
        new = {key: image for key, image in zip(keys, images, strict=True)}
        new = {key: image for key, image in new.items() if key not in self._latents}
        if new:
            latents = find_latents(
                self._generator,
                np.stack([*new.values()]),
                self._conditions,
                STARTS // 4,
                STEPS // 2,
                **self._options,
            )
            self._latents.update(zip(new, latents, strict=True))
        return np.stack([self._latents[key] for key in keys])


def find_latents(
    generator: Generator,
    images: NDArray[np.uint8],
    conditioning: Conditions,
    starts: int = STARTS,
    steps: int = STEPS,
    seed: int = 0,
    threads: int | None = None,
    **options: Any,
) -> NDArray[np.float32]:
    """Return the latents [n, D] that reproduce images uint8 [n, H, W, C].

    `options` are those of runtime.Generator. Raises as `invert_images`.
    """
    # These import PyTorch.
    from zoo.applications.inversion import invert
    from zoo.applications.spaces import open_space

    setup_threads(threads)
    path, single = Path(generator.path), {**options, "instances": 1}
    space = open_space(generator, conditioning, **single)
    points = space.starts(seed, len(images) * starts)
    scale = float(points.std())
    points = points.reshape(len(images), starts, -1)
    if has_encoder(path):
        with open_encoder(generator, **single) as encoder:
            encoded = encoder.embed(images)
        points = np.concatenate([encoded[:, None], points[:, 1:]], axis=1)
    with Progress(len(images)) as progress:
        inverted = invert(space.decode, images, points, steps, scale, progress.advance)
    return space.latents(inverted.latents)
