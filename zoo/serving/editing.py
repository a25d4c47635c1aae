"""`edit`: images with changed attributes."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest
from zoo.applications import editing, editing_pictures
from zoo.serving.answers import Answer, Picture
from zoo.serving.decoding import (
    check_count,
    decode_blocks,
    decode_rows,
    read_points,
    resize,
    seed_of_samples,
    stack,
)
from zoo.serving.inputs import parse_amounts, pictures, points
from zoo.serving.limits import Limits
from zoo.serving.models import GeneratorModel, Model, TranslatorModel
from zoo.serving.parameters import Parameter, RequestError, Values, integer, number, words
from zoo.serving.route import Route
from zoo.serving.translating import text, translate

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]

_MOST_AMOUNT, _MOST_STEPS = 1e6, 4096


def _parameters(most: int) -> tuple[Parameter, ...]:
    amounts = {"type": "object", "minProperties": 1, "additionalProperties": {"type": "number"}}
    one = {"type": "string", "minLength": 1}
    return (
        points(
            "points",
            "What to edit, each seed:K, sample:I or a latent, as for interpolate.",
        ),
        pictures("images", "Pictures to edit, after the points."),
        resize(),
        Parameter(
            "add",
            parse_amounts,
            {"oneOf": [one, amounts]},
            "Adds α · attribute, as in Smiling=1.5,Male=-1, or an object of JSON.",
            [],
            query=one,
        ),
        words("strip", "Attributes of which each gets a strip of images over α."),
        number("low", -_MOST_AMOUNT, _MOST_AMOUNT, "α at the start of a strip.  [-2]"),
        number("high", -_MOST_AMOUNT, _MOST_AMOUNT, "α at the end of a strip.  [2]"),
        integer(
            "steps",
            1,
            min(most, _MOST_STEPS),
            "steps + 1 images per strip [8], or on the path to the edit [only the edit].",
        ),
        seed_of_samples(),
        text("to", "For a translator: target attributes, as in Blond_Hair,-Eyeglasses."),
    )


async def _edit(model: GeneratorModel | TranslatorModel, values: Values, limits: Limits) -> Answer:
    if isinstance(model, TranslatorModel):
        return await _translate(model, values, limits)
    if values["to"] is not None:
        raise RequestError("to: expected add or strip for a generator")
    directions = editing.load_directions(model.generator)
    names = values["strip"] or []
    if not (values["add"] or names):
        raise RequestError(f"add, strip: expected some of {', '.join(directions)}")
    amounts = editing.parse(values["add"], directions)
    editing.check(directions, [*amounts, *names])
    range_of_strip: Any = (values["low"], values["high"], values["steps"])
    plan = editing_pictures.choose_plan(directions, amounts, names, *range_of_strip)
    start = await read_points(model, values, limits)
    check_count(len(start) * plan.count, limits)
    unedited = stack(start)
    latents = plan.apply(unedited)
    shape = model.generator.image_shape

    async def draw(images: Images) -> Image:
        decoded = decode_blocks(model, DecodeRequest(unedited), None)
        reconstructions = np.concatenate([block async for block in decoded])
        edits = images.reshape(*latents.shape[:-1], *shape)
        title = editing_pictures.title_of(model.generator, plan)
        return await asyncio.to_thread(
            editing_pictures.draw_grid, title, start, plan, edits, reconstructions
        )

    picture = Picture(partial(editing_pictures.check_grid, start, plan, shape), draw)
    request = DecodeRequest(latents.reshape(-1, latents.shape[-1]))
    return decode_rows(model, request, limits, picture)


async def _translate(model: TranslatorModel, values: Values, limits: Limits) -> Answer:
    """Edit by a translator between domains."""
    for name in ("points", "add", "strip", "low", "high", "steps"):
        if values[name]:
            raise RequestError(f"{name}: expected only images and to for a translator")
    if not values["images"]:
        raise RequestError("images: expected pictures, got none")
    others: Values = {"corrupt": None, "masks": [], "grey": False, "edges": False, "first": 0}
    return await translate(model, {**values, **others}, limits)


def _edits(model: Model) -> bool:
    if isinstance(model, GeneratorModel):
        return bool(model.directions)
    return isinstance(model, TranslatorModel) and model.classifier is not None


EDIT = Route("edit", "Images with changed attributes", _parameters, _edits, _edit, array="images")
