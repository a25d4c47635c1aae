"""`translate`: pictures to pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import corruption
from zoo.applications.comparison import COLUMNS, Tiles
from zoo.applications.domains import DomainTranslator
from zoo.applications.translation import hints, title_of
from zoo.data.domains import read_domains
from zoo.images import grid
from zoo.images.convert import mode_of
from zoo.images.stream import Block
from zoo.inference.translation import Preparation, translate_block
from zoo.progress import number_of_images
from zoo.serving.answers import Answer, Picture
from zoo.serving.decoding import resize
from zoo.serving.inputs import pictures
from zoo.serving.limits import Limits
from zoo.serving.models import Model, TranslatorModel
from zoo.serving.parameters import (
    UINT64_MAX,
    Parameter,
    RequestError,
    Values,
    flag,
    integer,
    show,
)
from zoo.serving.pool import BLOCK
from zoo.serving.route import Route
from zoo.serving.uploads import Images, names_of, read_images

if TYPE_CHECKING:
    from PIL.Image import Image


def _parameters(most: int) -> tuple[Parameter, ...]:
    return (
        pictures("images", "Pictures, or an array of them.", required=True),
        resize(),
        text("to", "Target attributes, as in Blond_Hair,-Eyeglasses."),
        text("corrupt", "Corrupt the pictures first: gaussian:S, salt-pepper:P, masking:P, holes."),
        pictures("masks", "Masks, white where to fill in: one, or one for each picture."),
        flag("grey", "Convert colour pictures to grey first."),
        flag("edges", "Draw the edges of the pictures first."),
        integer("seed", 0, UINT64_MAX, "Seed of the corruption and of the noise.", 0),
        integer("first", 0, UINT64_MAX, "Index of the first picture in the run of that seed.", 0),
    )


def text(name: str, description: str) -> Parameter:
    """Return the parameter of a text that is not empty."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise ValueError(f"expected a text, got {show(value)}")
        return value

    return Parameter(name, parse, {"type": "string", "minLength": 1}, description)


async def translate(model: TranslatorModel, values: Values, limits: Limits) -> Answer:
    """Translate the pictures of a request. Raises RequestError, ConfigError and DataError."""
    seed, first = values["seed"], values["first"]
    spec = values["corrupt"]
    translator = _translator(model, values["to"])
    prepare = Preparation(
        translator,
        None if spec is None else corruption.parse(spec),
        values["grey"],
        bool(values["masks"]),
        values["edges"],
    )
    with hints(prepare, model.manifest.get("task", ""), "masks, or corrupt=holes"):
        images = await read_images(model, values, prepare.source_shape, limits)
    count, masks = len(images), None
    if first > UINT64_MAX - count + 1:
        raise RequestError("first: the indices of the pictures must be below 2^64")
    if values["masks"]:
        height, width, _ = prepare.source_shape
        masks = await read_images(model, values, (height, width, 1), limits, "masks")
        if len(masks) not in (1, count):
            raise RequestError(f"masks: expected 1 or n = {count}, got {len(masks)}")
        masks = np.broadcast_to(masks, (count, height, width, 1))

    drawn = values["format"] in (None, "grid")
    names, tiles = names_of(count), Tiles(count)

    def translated() -> Iterator[Images]:
        for begin in range(0, count, BLOCK):
            rows = slice(begin, begin + BLOCK)
            part = Block(images[rows], names[rows])
            hiding = None if masks is None else masks[rows]
            done = translate_block(translator, prepare, part, seed, first + begin, hiding)
            if drawn:
                tiles.add(done)
            yield done.outputs

    known = prepare.knows_truth
    title = title_of(
        translator, number_of_images(count), prepare.corrupt, seed, values["to"], known
    )

    def check() -> None:
        height, width, channels = model.translator.image_shape
        mode_of(channels)
        grid.plan((3 if known else 2) * count, height, width, COLUMNS)

    async def draw(_: Images) -> Image:
        arranged, labels, columns = tiles.arrange()
        return await asyncio.to_thread(grid.draw, arranged, labels, title, columns)

    return Answer(
        (count, *model.translator.image_shape),
        model.pool.blocks(count, limits.seconds, translated()),
        {"X-Zoo-Seed": str(seed), "X-Zoo-First": str(first)},
        lambda row: {"X-Zoo-Index": str(first + row)},
        Picture(check, draw),
    )


def _translator(model: TranslatorModel, to: str | None) -> Any:
    """Return the translator, or one to the domains `to`. Raises RequestError and ConfigError."""
    if model.classifier is None:
        if to is not None:
            raise RequestError(f"to: {model.name} does not translate between domains")
        return model.translator
    domains = read_domains(model.translator)
    if to is None:
        raise RequestError(f"to: expected some of {', '.join(domains.names)}, got none")
    return DomainTranslator(model.translator, model.classifier, domains.parse(to))


def _translates(model: Model) -> bool:
    return isinstance(model, TranslatorModel)


TRANSLATE = Route(
    "translate", "Translations of pictures", _parameters, _translates, translate, array="images"
)
