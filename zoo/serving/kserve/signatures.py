"""Inputs, outputs and options of a model, by the role of its engine, and how it is run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import DecodeRequest, SampleRequest
from zoo.serving import sampling
from zoo.serving.kserve.tensors import TensorSpec
from zoo.serving.models import GeneratorModel
from zoo.serving.parameters import Parameter

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
    inputs = [TensorSpec("seed", "UINT64", (-1, 1)), TensorSpec("index", "UINT64", (-1, 1))]
    if generator.class_count:
        inputs.append(TensorSpec("label", "INT64", (-1, 1), optional=True, alternative="BYTES"))
    options = tuple(
        each for each in sampling.parameters(1) if each.name in ("prior", "truncation", "noise")
    )

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        keys = np.concatenate([values["seed"], values["index"]], axis=1, dtype=np.uint64)
        labels = values.get("label")
        if isinstance(labels, np.ndarray):
            labels = labels.ravel()
        request = SampleRequest(len(keys), keys=keys, labels=labels, **chosen)
        return await model.batcher.sample(request, seconds)

    return Signature(tuple(inputs), _images(model), options, run)


def _describe_decoder(model: GeneratorModel) -> Signature:
    """Images of latents, by a decoder that has no prior."""

    async def run(values: Values, chosen: Values, seconds: float | None) -> NDArray[Any]:
        return await model.batcher.decode(DecodeRequest(values["latents"]), seconds)

    latents = TensorSpec("latents", "FP32", (-1, model.generator.latent_width))
    return Signature((latents,), _images(model), (), run)


def _images(model: GeneratorModel) -> TensorSpec:
    return TensorSpec("images", "UINT8", (-1, *model.generator.image_shape))


_ROLES: dict[str, Callable[[GeneratorModel], Signature]] = {"generator": _describe_generator}


def describe(model: GeneratorModel) -> Signature:
    """Return the signature of a model."""
    return _ROLES[model.manifest["role"]](model)
