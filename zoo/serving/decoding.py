"""`decode` and `interpolate`: images of latents, and of the way between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest
from zoo.applications import interpolation
from zoo.applications.points import sample_point
from zoo.serving.answers import Answer
from zoo.serving.inputs import Latents, Point, latents, pictures, points
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
from zoo.serving.uploads import read_images

MOST_STEPS = 100_000


def resize() -> Parameter:
    """Return the parameter that lets pictures be converted."""
    return flag("resize", "Fit pictures to the engine's size and channels.")


def seed_of_samples() -> Parameter:
    """Return the parameter of the seed of `sample:I`."""
    return integer("seed", 0, UINT64_MAX, "Seed of the run for sample:I.", 0)


def decode_rows(
    model: GeneratorModel, request: DecodeRequest, limits: Limits, **headers: str
) -> Answer:
    """Return the answer with the images of a request, whose latents are [n, D].

    Raises RequestError for too many of them.
    """
    count = len(request.latents)
    check_count(count, limits)
    if isinstance(request.labels, list) and len(request.labels) not in (1, count):
        raise RequestError(f"labels: expected 1 or n = {count}, got {len(request.labels)}")
    blocks = _decode_blocks(model, request, limits.seconds)
    return Answer((count, *model.generator.image_shape), blocks, headers)


async def _decode_blocks(
    model: GeneratorModel, request: DecodeRequest, seconds: float | None
) -> AsyncGenerator[NDArray[np.uint8], None]:
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
) -> Latents:
    """Return the points of the parameter `name`, then those of the pictures: float32 [p, D].

    Raises RequestError, ConfigError and DataError.
    """
    rows = [_latent(model, point, values["seed"], name) for point in values[name]]
    if values.get("images"):
        if model.encoder is None:
            raise RequestError(f"images: {model.name} has no encoder to read pictures")
        shape = model.generator.image_shape
        images = await read_images(model, values, shape, limits)
        rows += list(await model.pool.run(len(images), limits.seconds, model.encoder.embed, images))
    if not rows:
        raise RequestError(f"{name}: expected seed:K, sample:I or a latent, got none")
    return np.stack(rows)


def _latent(model: GeneratorModel, point: Point, seed: int, name: str) -> Latents:
    if isinstance(point, str):
        return sample_point(model.generator, point, seed).latent
    width = model.generator.latent_width
    if len(point) != width:
        raise RequestError(f"{name}: expected latents of {width} numbers, got {len(point)}")
    return point


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
        truncation(),
    )


async def _interpolate(model: GeneratorModel, values: Values, limits: Limits) -> Answer:
    ends = await read_points(model, values, limits)
    if len(ends) < 2:
        raise RequestError("points: expected at least two, got one")
    check_count((len(ends) - 1) * values["steps"] + 1, limits)
    way = interpolation.path(ends, values["steps"], values["mode"])
    # All images have one class, as those of runtime.Generator.interpolate.
    one = values["label"]
    if one is None and model.generator.class_count:
        one = 0
    request = DecodeRequest(way, truncation=values["truncation"], labels=one)
    return decode_rows(model, request, limits)


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
