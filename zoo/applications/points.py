"""Points of a generator's latent space, named by users.

They are image files, `seed:K`, `sample:I`, and rows of a file of latents: `latent:FILE` and
`latent:FILE:ROW`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Generator, noise
from zoo.engines import open_encoder
from zoo.errors import ConfigError, DataError
from zoo.images import arrays
from zoo.images.read import read_images

_ROWS = 256


@dataclass(frozen=True)
class Point:
    """Latent [D] and its origin.

    `name` is short enough for a label; `image` is the encoded picture [H, W, C] uint8, or None if
    the latent does not come from a picture.
    """

    name: str
    latent: NDArray[np.float32]
    image: NDArray[np.uint8] | None = None


def read(
    generator: Generator,
    texts: Sequence[str],
    seed: int = 0,
    resize: bool = False,
    skipped: list[tuple[str, str]] | None = None,
    **options: Any,
) -> list[Point]:
    """Read the points that `texts` name.

    Unless a file of that name exists, a text may be `seed:K` (sample 0 of the run with seed K),
    `sample:I` (sample I of the run with `seed`), `latent:FILE` (all rows of an .npy, or of the
    array `latents` of an .npz), or `latent:FILE:ROW` (one of them). Anything else is a path for
    zoo.images.read.read_images, whose images are encoded to μ. Unusable pictures are added to
    `skipped`, as by read_images. `options` are those of runtime.Encoder.

    Raises ConfigError for an invalid K or I, or without a prior to sample; DataError for invalid
    images or files of latents; and the errors of zoo.engines.open_encoder.
    """
    points: list[Point | None] = []
    images: list[NDArray[np.uint8]] = []
    names: list[str] = []
    for text in texts:
        if is_sample(text):
            points.append(sample_point(generator, text, seed))
            continue
        if text.startswith("latent:") and not os.path.exists(text):
            points += _read_stored(generator, text)
            continue

        read, file_names = read_images(
            [text], generator.image_shape, resize, skipped, among=len(texts)
        )
        if len(read):
            images.append(read)
        names += [Path(text).name] if len(read) == 1 else file_names
        points += [None] * len(read)
    if not points and skipped:
        from zoo.images.stream import no_usable_images

        raise no_usable_images(skipped)
    encoded = _encode(generator, images, names, **options)
    return [point or next(encoded) for point in points]


def read_one(
    generator: Generator, text: str, seed: int = 0, resize: bool = False, **options: Any
) -> Point:
    """Read a single point as `read`. Raises DataError if there are several."""
    points = read(generator, [text], seed, resize, **options)
    if len(points) != 1:
        raise DataError(f"{text} holds {len(points)} images, expected one")
    return points[0]


def is_sample(text: str) -> bool:
    """Return True for `seed:K` or `sample:I`, unless a file of that name exists."""
    return text.partition(":")[0] in ("seed", "sample") and not os.path.exists(text)


def sample_point(generator: Generator, text: str, seed: int) -> Point:
    """Return the point of `seed:K`, or of `sample:I` of a seed.

    Raises ConfigError for another number, and without a prior to sample.
    """
    kind, _, number = text.partition(":")
    key = int(number) if number.isdecimal() and len(number) <= 20 else -1
    if not 0 <= key < 2**64:
        raise ConfigError(f"{text}: expected {kind}:K with K from 0 to 2**64 - 1")
    if generator.manifest["role"] == "synthesis":
        raise ConfigError(
            f"{text}: {Path(generator.path).name} takes styles; use the main file of its family "
            "to draw samples"
        )
    if generator.prior == "none":
        raise ConfigError(
            f"{text}: {Path(generator.path).name} is an autoencoder, which has no prior "
            "to sample from; give image files"
        )
    own_seed, sample = (key, 0) if kind == "seed" else (seed, key)
    stream: int = generator.manifest["noise"]["streams"]["latent"]
    return Point(text, noise.normal(own_seed, sample, stream, generator.latent_width))


def _read_stored(generator: Generator, text: str) -> list[Point]:
    """Read the rows of a file of latents, or a single one."""
    location = text.partition(":")[2]
    path, _, number = location.rpartition(":")
    numbered = path and number.isdecimal() and len(number) < 20
    row = int(number) if numbered and not os.path.exists(location) else None
    file = Path(location if row is None else path)
    try:
        array = arrays.read(file, "latents")
    except DataError as error:
        raise DataError(f"{text}: expected an .npy, or an .npz with latents: {error}") from error
    latents = np.atleast_2d(array)
    width = generator.latent_width
    if latents.ndim != 2 or latents.shape[1] != width or latents.dtype.kind != "f":
        raise DataError(
            f"{file}: expected latents of floats [n, {width}] for "
            f"{Path(generator.path).name}, got {array.dtype} {list(array.shape)}"
        )
    if not len(latents):
        raise DataError(f"{file} holds no latents: {array.dtype} {list(array.shape)}")
    with np.errstate(over="ignore"):
        latents = latents.astype(np.float32)
    if not np.isfinite(latents).all():
        raise DataError(f"{file}: not all latents are finite")
    if row is not None and row >= len(latents):
        raise DataError(
            f"{file} has {len(latents)} latents, rows 0 to {len(latents) - 1}: no {row}"
        )
    rows = range(len(latents)) if row is None else [row]
    name = file.stem
    return [Point(name if len(latents) == 1 else f"{name}:{i}", latents[i]) for i in rows]


def _encode(
    generator: Generator, images: list[NDArray[np.uint8]], names: list[str], **options: Any
) -> Iterator[Point]:
    if not images:
        return

    together = images[0] if len(images) == 1 else np.concatenate(images)
    if len(together) < _ROWS:
        options["instances"] = 1
    with open_encoder(generator, **options) as encoder:
        for start in range(0, len(together), _ROWS):
            rows = slice(start, start + _ROWS)
            yield from map(Point, names[rows], encoder.embed(together[rows]), together[rows])
