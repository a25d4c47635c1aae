"""`mix`: images with the styles of two points, by layer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.applications import mixing, style_mixing
from zoo.applications.conditions import Conditions
from zoo.applications.style_mixing import BANDS, Band
from zoo.serving.answers import Answer, Picture
from zoo.serving.decoding import check_count, read_points, seed_of_samples, stack
from zoo.serving.inputs import points
from zoo.serving.limits import Limits
from zoo.serving.models import GeneratorModel, Model
from zoo.serving.parameters import Parameter, RequestError, Values, show, words
from zoo.serving.route import Route
from zoo.serving.sampling import truncation

if TYPE_CHECKING:
    from PIL.Image import Image


def _parameters(most: int) -> tuple[Parameter, ...]:
    each = "each seed:K, sample:I or a latent"
    one = {"type": "integer", "minimum": 0}
    return (
        points("across", f"Sources B, which provide the styles of a band, {each}.", required=True),
        points("down", f"Sources A, which provide all other styles, {each}.", required=True),
        words("bands", f"Some of {', '.join(BANDS)}; by default all that the model has."),
        Parameter(
            "layers",
            _parse_layers,
            {"oneOf": [one, {"type": "array", "items": one}]},
            "Layers of one band of your own, or none, in the place of bands.",
            query={"type": "string", "pattern": "^[0-9]{1,9}(,[0-9]{1,9})*$"},
        ),
        seed_of_samples(),
        truncation(None),
    )


def _parse_layers(value: Any) -> list[int]:
    values = value
    if isinstance(value, str):
        values = [int(part) if part.isdecimal() else part for part in value.split(",")]
    elif isinstance(value, int):
        values = [value]
    whole = isinstance(values, list) and all(isinstance(each, int) for each in values)
    if not whole or any(isinstance(each, bool) for each in values):
        raise ValueError(f"expected numbers of layers, got {show(value)}")
    return sorted(set(values))


async def _mix(model: GeneratorModel, values: Values, limits: Limits) -> Answer:
    assert model.halves is not None
    mapping, synthesis = model.halves
    layers = model.generator.style_layers
    chosen = _bands(model, values)
    across = await read_points(model, values, limits, "across")
    down = await read_points(model, values, limits, "down")
    count = len(chosen) * len(down) * len(across)
    check_count(count, limits)
    styles = await model.pool.run(
        len(down) + len(across),
        limits.seconds,
        partial(style_mixing.styles, mapping, stack([*down, *across]), values["truncation"]),
    )
    a, b = styles[: len(down)], styles[len(down) :]

    images = style_mixing.mix_pairs(synthesis, a, b, layers, chosen)
    blocks = model.pool.blocks(count, limits.seconds, images)
    shape = len(chosen), len(down), len(across), *model.generator.image_shape

    async def draw(mixed: NDArray[np.uint8]) -> Image:
        alone = style_mixing.mix(styles, styles, layers, ())
        own = await model.pool.run(len(alone), None, synthesis.decode, alone)
        names = [point.name for point in (*down, *across)]
        sources = list(zip(names, own, strict=True))
        title = mixing.table_title(
            model.generator, values["seed"], Conditions(truncation=values["truncation"])
        )
        left, top = sources[: len(down)], sources[len(down) :]
        return await asyncio.to_thread(
            mixing.draw_table, title, chosen, left, top, mixed.reshape(shape)
        )

    picture = Picture(partial(mixing.check_table, shape), draw)
    return Answer((count, *shape[3:]), blocks, picture=picture)


def _bands(model: GeneratorModel, values: Values) -> Sequence[Band]:
    """Return the bands of a request. Raises RequestError and ConfigError."""
    bands, own = values["bands"], values["layers"]
    if own is None:
        names = None if bands is None else mixing.parse_bands(",".join(bands))
        return mixing.select_bands(model.generator, names)
    if bands is not None:
        raise RequestError("bands and layers: expected one of them, got both")
    layers = model.generator.style_layers
    if own and not 0 <= own[0] <= own[-1] < layers:
        raise RequestError(f"layers: expected numbers from 0 to {layers - 1}, got {show(own)}")
    return [Band("layers", own)]


def _mixes(model: Model) -> bool:
    return isinstance(model, GeneratorModel) and model.halves is not None


MIX = Route("mix", "Images with the styles of two points", _parameters, _mixes, _mix)
