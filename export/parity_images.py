"""Checks of exported translators and classifiers: images in, images or scores out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor

from export import reference
from export.checkpoint import Checkpoint
from export.checks import Check, close
from export.inputs import Inputs
from export.modules import domains, noise_widths
from export.parity import (
    FIRST,
    FOLDING_LIMIT,
    ROWS,
    SEED,
    Run,
    check_layers,
    check_runtime,
    float_check,
    image_check,
    invariance,
    levels,
)
from export.stock import Session
from zoo.models.folding import inference

Images = NDArray[np.uint8]


def check_translator(
    engine: str, path: Path, model: ModelProto, checkpoint: Checkpoint, runtime: Any
) -> list[Check]:
    """All checks of a translator file; arguments as `parity_generators.check_generator`'s."""
    network: Any = checkpoint.model
    options = network.config
    inputs = _images((options.image_size, options.image_size, options.input_channels))
    if getattr(options, "alpha", False):
        inputs[..., -1] = np.where(inputs[..., -1] < 64, 0, 255)
    more: dict[str, NDArray[Any]] = {}
    if names := domains(network):
        wanted = np.random.default_rng(4).integers(0, 2, (ROWS, len(names)))
        more["attributes"] = wanted.astype(np.float32)
    results = _check_folding(engine, checkpoint, inputs, more)
    widths = noise_widths(network)
    if widths:
        results += check_layers(engine, model, widths, {"input": inputs})
    made = levels(_translated(network, _unit(inputs), more).numpy())
    kind = _Kind("input", "image", image_check, "Translator", "translate")
    return results + _check(engine, path, kind, inputs, made, runtime, more, bool(widths))


@torch.no_grad()
def _translated(network: Any, images: Tensor, more: dict[str, NDArray[Any]]) -> Tensor:
    """What PyTorch makes of images [N, C', S, S], with the noise of the samples from FIRST on."""
    made: Tensor
    if more:
        made = network.translate(images, torch.from_numpy(more["attributes"]).to(images))
    elif noise_widths(network):
        noise = Inputs(SEED, FIRST).source(len(images), 1.0)
        made = network.translate(images, lambda *asked: noise(*asked).to(images))
    else:
        made = network.translate(images)
    return made


def _check_folding(
    engine: str, checkpoint: Checkpoint, inputs: Images, more: dict[str, NDArray[Any]]
) -> list[Check]:
    if checkpoint.trained is None:
        return []
    trained = copy.deepcopy(checkpoint.trained).double()
    images, more = _unit(inputs[:8]).double(), {name: value[:8] for name, value in more.items()}
    expected = _translated(trained, images, more).numpy()
    got = _translated(inference(trained), images, more).numpy()
    limit = FOLDING_LIMIT
    return [close(engine, "image: folding, float64", got, expected, limit, limit)]


def check_classifier(
    engine: str, path: Path, model: Any, shape: tuple[int, int, int], runtime: Any
) -> list[Check]:
    """All checks of a classifier file; arguments as those of `parity_generators.check_generator`.

    `model`: the classifier that the file was made from; `shape`: (H, W, C) of its images.
    """
    inputs = _images(shape)
    with torch.no_grad():
        expected = model.scores(_unit(inputs)).numpy()
    kind = _Kind("image", "scores", float_check, "Classifier", "classify")
    results = _check(engine, path, kind, inputs, expected, runtime)
    if getattr(model, "exposes_features", False):
        with torch.no_grad():
            features = model.features(_unit(inputs)).numpy()
        # The runtime leaves them alone.
        kind = _Kind("image", "features", float_check, "Classifier", "classify")
        results += _check(engine, path, kind, inputs, features, None)
    return results


@dataclass(frozen=True)
class _Kind:
    """The graph's tensors, how results are compared, and the runtime's class and its method."""

    input: str
    output: str
    close: Callable[[str, str, NDArray[Any], NDArray[Any]], Check]
    engine_class: str
    method: str


def _check(
    engine: str,
    path: Path,
    kind: _Kind,
    inputs: Images,
    expected: NDArray[Any],
    runtime: Any,
    more: dict[str, NDArray[Any]] | None = None,
    seeded: bool = False,
) -> list[Check]:
    """`more` goes in besides, a row for an image; `seeded`: noise of the samples from FIRST on."""
    stock = Session(path.read_bytes())

    def part(start: int, stop: int) -> dict[str, NDArray[Any]]:
        return {name: value[start:stop] for name, value in (more or {}).items()}

    def run(start: int, stop: int) -> NDArray[Any]:
        key = {}
        if seeded:
            key = {"seed": reference.int64(SEED), "first": reference.int64(FIRST + start)}
        feed = {kind.input: inputs[start:stop], **part(start, stop)}
        return stock.run(**feed, **key)[kind.output]

    whole, output = run(0, ROWS), kind.output
    results = [
        kind.close(engine, f"{output}: PyTorch", whole, expected),
        invariance(engine, f"{output}: batch invariance", run, whole),
    ]

    def ours(opened: Any, start: int, stop: int) -> NDArray[Any]:
        key = {"seed": SEED, "first": FIRST + start} if seeded else {}
        method = getattr(opened, kind.method)
        found: NDArray[Any] = method(inputs[start:stop], **part(start, stop), **key)
        return found

    runs: dict[str, Run] = {output: (ours, whole)}
    batches = f"{output}: batch invariance"
    opener = kind.engine_class
    return results + check_runtime(engine, path, runtime, opener, runs, kind.close, batches)


def _images(shape: tuple[int, int, int]) -> Images:
    """Half noise, half flat patches of many colours."""
    random = np.random.default_rng(3)
    noise = random.integers(0, 256, (ROWS // 2, *shape)).astype(np.uint8)
    height, width, channels = shape
    small = random.integers(0, 256, (ROWS - len(noise), 4, 4, channels)).astype(np.uint8)
    patches = small.repeat(-(-height // 4), 1).repeat(-(-width // 4), 2)
    return np.concatenate([noise, patches[:, :height, :width]])


def _unit(images: Images) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
