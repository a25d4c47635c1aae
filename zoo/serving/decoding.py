"""`decode` and `interpolate`: images of latents, and of the way between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest
from zoo.applications import interpolation
from zoo.applications.conditions import Conditions
from zoo.applications.points import Point, sample_point
from zoo.images import grid, sinks
from zoo.serving.answers import Answer, Picture
from zoo.serving.inputs import GivenPoint, Latents, latents, pictures, points
from zoo.serving.limits import Limits
from zoo.serving.models import GeneratorModel, Model
from zoo.serving.parameters import (
    UINT64_MAX,
    Parameter,
    RequestError,
    Values,
    choice,
    classes,
    flag,
    integer,
    label,
)
from zoo.serving.pool import BLOCK
from zoo.serving.route import Route
from zoo.serving.sampling import truncation
from zoo.serving.uploads import names_of, read_images

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]

MOST_STEPS = 100_000


def resize() -> Parameter:
    """Return the parameter that lets pictures be converted."""
    return flag("resize", "Fit pictures to the engine's size and channels.")


def seed_of_samples() -> Parameter:
    """Return the parameter of the seed of `sample:I`."""
    return integer("seed", 0, UINT64_MAX, "Seed of the run for sample:I.", 0)


def decode_rows(
    model: GeneratorModel, request: DecodeRequest, limits: Limits, picture: Picture | None = None
) -> Answer:
    """Return the answer with the images of a request, whose latents are [n, D].

    picture: that of `Answer`. Raises RequestError for too many latents.
    """
    count = len(request.latents)
    check_count(count, limits)
    if isinstance(request.labels, list) and len(request.labels) not in (1, count):
        raise RequestError(f"labels: expected 1 or n = {count}, got {len(request.labels)}")
    blocks = decode_blocks(model, request, limits.seconds)
    return Answer((count, *model.generator.image_shape), blocks, picture=picture)


async def decode_blocks(
    model: GeneratorModel, request: DecodeRequest, seconds: float | None
) -> AsyncGenerator[Images, None]:
    """Yield the images of a request, BLOCK at a time."""
    given = request.labels
    for begin in range(0, len(request.latents), BLOCK):
        rows = slice(begin, begin + BLOCK)
        own: Any = given[rows] if isinstance(given, list) and len(given) > 1 else given
        part = replace(
            request, latents=request.latents[rows], first=request.first + begin, labels=own
        )
        yield await model.batcher.decode(part, seconds)


def check_count(count: int, limits: Limits) -> None:
    """Raise RequestError for more images than an answer may have."""
    if count > limits.images:
        raise RequestError(f"expected at most {limits.images} images, got {count}")


async def read_points(
    model: GeneratorModel, values: Values, limits: Limits, name: str = "points"
) -> list[Point]:
    """Return the points of the parameter `name`, then those of the pictures.

    Raises RequestError, ConfigError and DataError.
    """
    found = [_read_point(model, point, values["seed"], name) for point in values[name]]
    if values.get("images"):
        if model.encoder is None:
            raise RequestError(f"images: {model.name} has no encoder to read pictures")
        shape = model.generator.image_shape
        images = await read_images(model, values, shape, limits)
        embed = model.encoder.embed
        embedded = await model.pool.run(len(images), limits.seconds, embed, images)
        found += map(Point, names_of(len(images)), embedded, images)
    if not found:
        raise RequestError(f"{name}: expected seed:K, sample:I or a latent, got none")
    return found


def stack(found: Sequence[Point]) -> Latents:
    """Return the latents of points, float32 [p, D]."""
    return np.stack([point.latent for point in found])


def _read_point(model: GeneratorModel, point: GivenPoint, seed: int, name: str) -> Point:
    if isinstance(point, str):
        return sample_point(model.generator, point, seed)
    width = model.generator.latent_width
    if len(point) != width:
        raise RequestError(f"{name}: expected latents of {width} numbers, got {len(point)}")
    return Point("latent", point)


def _decode_parameters(most: int) -> tuple[Parameter, ...]:
    return (
        latents("latents", "Latents [n, D]: in a query, numbers between commas, rows between ;."),
        classes("Classes of a conditional model, by number or name: one, or one for each latent."),
        truncation(),
        integer(
            "seed", 0, UINT64_MAX, "Seed of the noise in the layers; without it there is none."
        ),
        integer("first", 0, UINT64_MAX, "Index of the first image.", 0),
    )


async def _decode(model: GeneratorModel, values: Values, limits: Limits) -> Answer:
    names = ("latents", "labels", "truncation", "seed", "first")
    return decode_rows(model, DecodeRequest(**{name: values[name] for name in names}), limits)


def _interpolate_parameters(most: int) -> tuple[Parameter, ...]:
    return (
        points(
            "points",
            "Points on the way, each seed:K (sample 0 of seed K), sample:I (of the parameter seed) "
            "or a latent; in a query with commas, or around latents semicolons, between them.",
        ),
        pictures("images", "Pictures whose latents are the last points."),
        resize(),
        integer("steps", 1, min(most, MOST_STEPS), "Steps from each point to the next.", 10),
        choice("mode", ("linear", "spherical"), "Lines, or arcs of great circles.", "linear"),
        seed_of_samples(),
        Parameter(
            "label",
            label,
            {"oneOf": [{"type": "string"}, {"type": "integer"}]},
            "Class of the images of a conditional model, by number or name.",
            query={"type": "string"},
        ),
        truncation(None),
    )


async def _interpolate(model: GeneratorModel, values: Values, limits: Limits) -> Answer:
    ends = await read_points(model, values, limits)
    generator, steps, mode = model.generator, values["steps"], values["mode"]
    if len(ends) < 2:
        raise RequestError("points: expected at least two, got one")
    check_count((len(ends) - 1) * steps + 1, limits)
    way = interpolation.path(stack(ends), steps, mode)
    label, psi = values["label"], values["truncation"]
    conditioning = Conditions(None if label is None else [label], psi)
    # All images have one class, as those of runtime.Generator.interpolate.
    one = 0 if label is None and generator.class_count else label
    names = [point.name for point in ends]
    run = interpolation.run_of_path(generator, names, steps, mode, conditioning)

    async def draw(images: Images) -> Image:
        return await asyncio.to_thread(sinks.draw, run, images)

    picture = Picture(partial(grid.plan, run.count, *run.shape[:2], run.columns), draw)
    request = DecodeRequest(way, truncation=1.0 if psi is None else psi, labels=one)
    return decode_rows(model, request, limits, picture)


def _decodes(model: Model) -> bool:
    return isinstance(model, GeneratorModel)


DECODE = Route(
    "decode", "Images of latents", _decode_parameters, _decodes, _decode, array="latents"
)
INTERPOLATE = Route(
    "interpolate",
    "Images on the way through two or more points",
    _interpolate_parameters,
    _decodes,
    _interpolate,
    array="images",
)
