"""`/v1/models/{name}/sample`: images of a seed."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import SampleRequest
from zoo.serving.answers import Answer
from zoo.serving.limits import Limits
from zoo.serving.models import GeneratorModel, Model
from zoo.serving.parameters import (
    UINT64_MAX,
    Parameter,
    RequestError,
    Values,
    choice,
    classes,
    integer,
    number,
)
from zoo.serving.pool import BLOCK
from zoo.serving.route import Route


def truncation(default: float | None = 1.0) -> Parameter:
    """Return the parameter of the truncation of styles."""
    moves = "Moves the styles of a style-based model towards their mean."
    return number("truncation", 0.0, 10.0, moves, default)


def parameters(most: int) -> tuple[Parameter, ...]:
    """Return the parameters of a request for samples, of at most that many images."""
    in_turn = "Classes of a conditional model, by number or name, which its images have in turn."
    return (
        integer("n", 1, most, "Number of images.", 1),
        integer("seed", 0, UINT64_MAX, "Seed; the service draws one if missing."),
        integer("first", 0, UINT64_MAX, "Index of the first image.", 0),
        classes(in_turn),
        choice("prior", ("normal", "mixture"), "N(0, I), or the learned prior of a VAE.", "normal"),
        truncation(),
        number(
            "noise",
            0.0,
            10.0,
            "Scale of the noise in the layers of a style-based model.",
            1.0,
        ),
    )


async def _sample(model: GeneratorModel, values: Values, limits: Limits) -> Answer:
    count, seed, first = values["n"], values["seed"], values["first"]
    if first > UINT64_MAX - count + 1:
        raise RequestError("first: the indices of the images must be below 2^64")
    return Answer(
        (count, *model.generator.image_shape),
        _blocks(model, values, limits.seconds),
        {"X-Zoo-Seed": str(seed), "X-Zoo-First": str(first)},
        lambda row: {"X-Zoo-Seed": str(seed), "X-Zoo-Index": str(first + row)},
    )


async def _blocks(
    model: GeneratorModel, values: Values, seconds: float | None
) -> AsyncGenerator[NDArray[np.uint8], None]:
    """Yield the images, at most BLOCK at a time."""
    names = ("labels", "prior", "truncation", "noise")
    options: dict[str, Any] = {name: values[name] for name in names}
    if options["labels"] is not None:
        options["cycle"] = True
    for begin in range(0, values["n"], BLOCK):
        count = min(BLOCK, values["n"] - begin)
        request = SampleRequest(count, values["seed"], values["first"] + begin, **options)
        yield await model.batcher.sample(request, seconds)


def _draws(model: Model) -> bool:
    return isinstance(model, GeneratorModel) and bool(model.generator.priors)


SAMPLE = Route(
    "sample",
    "Images of a seed",
    parameters,
    _draws,
    _sample,
    draws=True,
    watched=lambda values: bool(values["n"] > BLOCK),
)
