"""Inputs, outputs and options of a model, and how it is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest, SampleRequest
from zoo.serving import sampling
from zoo.serving.kserve import layouts
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


def _run_generator(model: GeneratorModel) -> Run:
    """Images by seed and index, the same in every request, or of latents if there is no prior."""

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        if "latents" in values:
            return await model.batcher.decode(DecodeRequest(values["latents"]), seconds)
        keys, labels = _join_keys(values), values.get("label")
        if isinstance(labels, np.ndarray):
            labels = labels.ravel()
        request = SampleRequest(len(keys), keys=keys, labels=labels, **chosen)
        return await model.batcher.sample(request, seconds)

    return run


def _run_encoder(model: EncoderModel) -> Run:
    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        images = values["images"]
        return await _in_blocks(
            model, len(images), seconds, lambda rows: model.encoder.embed(images[rows])
        )

    return run


def _run_classifier(model: ClassifierModel) -> Run:
    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        images = values["images"]
        return await _in_blocks(
            model, len(images), seconds, lambda rows: model.classifier.classify(images[rows])
        )

    return run


def _run_translator(model: TranslatorModel) -> Run:
    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        images, attributes = values["images"], values.get("attributes")
        keys = _join_keys(values) if "seed" in values else None

        def translate(rows: slice) -> NDArray[Any]:
            result: NDArray[Any] = model.translator.translate(
                images[rows],
                None if attributes is None else attributes[rows],
                keys=None if keys is None else keys[rows],
            )
            return result

        return await _in_blocks(model, len(images), seconds, translate)

    return run


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


_RUNS: dict[type[Model], Callable[[Any], Run]] = {
    GeneratorModel: _run_generator,
    EncoderModel: _run_encoder,
    ClassifierModel: _run_classifier,
    TranslatorModel: _run_translator,
}


def describe(model: Model) -> Signature:
    """Return the signature of a model."""
    layout = layouts.describe(model.manifest)
    options = tuple(each for each in sampling.parameters(1) if each.name in layout.options)
    return Signature(layout.inputs, layout.output, options, _RUNS[type(model)](model))
