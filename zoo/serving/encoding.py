"""`encode` and `reconstruct`: latents of pictures, and pictures of these."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest
from zoo.applications import reconstruction
from zoo.serving import answers
from zoo.serving.answers import Answer, Picture
from zoo.serving.decoding import resize
from zoo.serving.inputs import pictures
from zoo.serving.limits import Limits
from zoo.serving.models import EncoderModel, GeneratorModel, Model
from zoo.serving.parameters import Parameter, Values
from zoo.serving.pool import BLOCK
from zoo.serving.route import Route
from zoo.serving.uploads import Images, names_of, read_images

if TYPE_CHECKING:
    from PIL.Image import Image


def _parameters(most: int) -> tuple[Parameter, ...]:
    return pictures("images", "Pictures, or an array of them.", required=True), resize()


async def _encode(model: GeneratorModel | EncoderModel, values: Values, limits: Limits) -> Answer:
    encoder = model.encoder
    assert encoder is not None
    images = await read_images(model, values, encoder.image_shape, limits)
    pairs = (np.stack(encoder.encode(part), axis=1) for part in _split(images))
    blocks = model.pool.blocks(len(images), limits.seconds, pairs)
    count, width = len(images), encoder.latent_width
    return Answer((count, 2, width), blocks, {"X-Zoo-Shape": f"{count},{width}"})


async def _reconstruct(model: GeneratorModel, values: Values, limits: Limits) -> Answer:
    assert model.encoder is not None
    images = await read_images(model, values, model.generator.image_shape, limits)
    embed = model.encoder.embed

    async def decode() -> AsyncGenerator[NDArray[np.uint8], None]:
        encoded = model.pool.blocks(len(images), limits.seconds, map(embed, _split(images)))
        async for latents in encoded:
            yield await model.batcher.decode(DecodeRequest(latents), limits.seconds)

    async def draw(reconstructions: Images) -> Image:
        title, names = reconstruction.title_of(model.generator), names_of(len(images))
        return await asyncio.to_thread(
            reconstruction.draw_pairs, title, names, images, reconstructions
        )

    shape = len(images), *model.generator.image_shape
    check = partial(reconstruction.check_pairs, len(images), model.generator.image_shape)
    return Answer(shape, decode(), picture=Picture(check, draw))


def _split(images: Images) -> Iterator[Images]:
    return (images[begin : begin + BLOCK] for begin in range(0, len(images), BLOCK))


def _encodes(model: Model) -> bool:
    return isinstance(model, EncoderModel) or _reconstructs(model)


def _reconstructs(model: Model) -> bool:
    return isinstance(model, GeneratorModel) and model.encoder is not None


ENCODE = Route(
    "encode",
    "Latents of pictures",
    _parameters,
    _encodes,
    _encode,
    array="images",
    formats=answers.LATENTS,
)
RECONSTRUCT = Route(
    "reconstruct",
    "Pictures, encoded and decoded",
    _parameters,
    _reconstructs,
    _reconstruct,
    array="images",
)
