"""Inputs, outputs and options of a model, by the role of its engine, and how it is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest, SampleRequest
from zoo.serving import sampling
from zoo.serving.kserve.tensors import TensorSpec
from zoo.serving.models import (
    ClassifierModel,
    EncoderModel,
    GeneratorModel,
    Model,
    TranslatorModel,
)
from zoo.serving.parameters import Parameter
from zoo.serving.pool import BLOCK

Values = Mapping[str, Any]
Run = Callable[[Values, Values, float | None], Awaitable[NDArray[Any]]]
"""Computes the output of checked inputs and options, within a number of seconds."""


@dataclass(frozen=True)
class Signature:
    """What a model takes and gives; `options` are parameters of a request."""

    inputs: tuple[TensorSpec, ...]
    output: TensorSpec
    options: tuple[Parameter, ...]
    run: Run


def _describe_generator(model: GeneratorModel) -> Signature:
    """Images by seed and index: a row is an image, and the same image in every request."""
    generator = model.generator
    if not generator.priors:
        return _describe_decoder(model)
    inputs = [*_KEYS]
    if generator.class_count:
        inputs.append(TensorSpec("label", "INT64", (-1, 1), optional=True, alternative="BYTES"))
    options = tuple(
        each for each in sampling.parameters(1) if each.name in ("prior", "truncation", "noise")
    )

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        keys, labels = _join_keys(values), values.get("label")
        if isinstance(labels, np.ndarray):
            labels = labels.ravel()
        request = SampleRequest(len(keys), keys=keys, labels=labels, **chosen)
        return await model.batcher.sample(request, seconds)

    return Signature(tuple(inputs), _images(model.generator.image_shape), options, run)


def _describe_decoder(model: GeneratorModel) -> Signature:
    """Images of latents, by a decoder that has no prior."""

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        return await model.batcher.decode(DecodeRequest(values["latents"]), seconds)

    latents = TensorSpec("latents", "FP32", (-1, model.generator.latent_width))
    return Signature((latents,), _images(model.generator.image_shape), (), run)


def _describe_encoder(model: EncoderModel) -> Signature:
    """Latents of images: the means, where the encoder gives distributions."""

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        images = values["images"]
        return await _in_blocks(
            model, len(images), seconds, lambda rows: model.encoder.embed(images[rows])
        )

    latents = TensorSpec("latents", "FP32", (-1, model.encoder.latent_width))
    return Signature((_images(model.encoder.image_shape),), latents, (), run)


def _describe_classifier(model: ClassifierModel) -> Signature:
    """Scores of images, in the order of the manifest's names."""

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        images = values["images"]
        return await _in_blocks(
            model, len(images), seconds, lambda rows: model.classifier.classify(images[rows])
        )

    scores = TensorSpec("scores", "FP32", (-1, len(model.classifier.names)))
    return Signature((_images(model.classifier.image_shape),), scores, (), run)


def _describe_translator(model: TranslatorModel) -> Signature:
    """Images of images, with target attributes, and keys if layers draw noise."""
    translator = model.translator
    inputs = [_images(translator.input_shape)]
    if translator.attributes:
        inputs.append(TensorSpec("attributes", "FP32", (-1, len(translator.attributes))))
    if "noise" in model.manifest:
        inputs += _KEYS

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        images, attributes = values["images"], values.get("attributes")
        keys = _join_keys(values) if "seed" in values else None

        def translate(rows: slice) -> NDArray[Any]:
            result: NDArray[Any] = translator.translate(
                images[rows],
                None if attributes is None else attributes[rows],
                keys=None if keys is None else keys[rows],
            )
            return result

        return await _in_blocks(model, len(images), seconds, translate)

    return Signature(tuple(inputs), _images(translator.image_shape), (), run)


async def _in_blocks(
    model: Model, count: int, seconds: float | None, call: Callable[[slice], NDArray[Any]]
) -> NDArray[Any]:
    """Return the rows of `call`, computed in threads, between the blocks of other requests."""
    slices = (slice(begin, begin + BLOCK) for begin in range(0, count, BLOCK))
    async with aclosing(model.pool.blocks(count, seconds, map(call, slices))) as blocks:
        parts = [rows async for rows in blocks]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _join_keys(values: Values) -> NDArray[np.uint64]:
    return np.concatenate([values["seed"], values["index"]], axis=1, dtype=np.uint64)


def _images(shape: tuple[int, int, int]) -> TensorSpec:
    return TensorSpec("images", "UINT8", (-1, *shape))


_KEYS = (TensorSpec("seed", "UINT64", (-1, 1)), TensorSpec("index", "UINT64", (-1, 1)))

_ROLES: dict[type[Model], Callable[[Any], Signature]] = {
    GeneratorModel: _describe_generator,
    EncoderModel: _describe_encoder,
    ClassifierModel: _describe_classifier,
    TranslatorModel: _describe_translator,
}


def describe(model: Model) -> Signature:
    """Return the signature of a model."""
    return _ROLES[type(model)](model)
