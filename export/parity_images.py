"""Checks of exported translators and classifiers: images in, images or scores out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.checks import Check, exact
from export.parity import BATCHES, ROWS, backends, float_check, image_check, levels
from export.stock import Session
from zoo.models.attribute_classifier import AttributeClassifier
from zoo.models.translators import Translator

Images = NDArray[np.uint8]


def check_translator(
    engine: str, path: Path, model: Translator, runtime: Any | None
) -> list[Check]:
    """All checks of a translator file; arguments as those of `parity.check_generator`."""
    options = model.config
    shape = (options.image_size, options.image_size, options.input_channels)
    inputs = _images(shape)
    if options.alpha:
        inputs[..., -1] = np.where(inputs[..., -1] < 64, 0, 255)
    with torch.no_grad():
        expected = levels(model.translate(_unit(inputs)).numpy())
    stock = Session(path.read_bytes())
    images = stock.run(input=inputs)["image"]
    results = [image_check(engine, "image: PyTorch", images, expected)]

    def run(rows: Images) -> NDArray[Any]:
        return stock.run(input=rows)["image"]

    results.append(_invariance(engine, "image: batch invariance", run, inputs, images))
    if runtime is None:
        return results
    for backend in backends(runtime):
        with runtime.Translator(path, backend=backend) as translator:
            results += _runtime(
                engine, "image", backend, translator.translate, inputs, images, image_check
            )
    return results


def check_classifier(
    engine: str, path: Path, model: AttributeClassifier, runtime: Any | None
) -> list[Check]:
    """All checks of a classifier file; arguments as those of `parity.check_generator`."""
    size = model.config.image_size
    inputs = _images((size, size, model.config.channels))
    with torch.no_grad():
        expected = model.scores(_unit(inputs)).numpy()
    stock = Session(path.read_bytes())
    scores = stock.run(image=inputs)["scores"]
    results = [float_check(engine, "scores: PyTorch", scores, expected)]

    def run(rows: Images) -> NDArray[Any]:
        return stock.run(image=rows)["scores"]

    results.append(_invariance(engine, "scores: batch invariance", run, inputs, scores))
    if runtime is None:
        return results
    for backend in backends(runtime):
        with runtime.Classifier(path, backend=backend) as classifier:
            results += _runtime(
                engine, "scores", backend, classifier.classify, inputs, scores, float_check
            )
    return results


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


def _invariance(
    engine: str,
    name: str,
    run: Callable[[Images], NDArray[Any]],
    inputs: Images,
    expected: NDArray[Any],
) -> Check:
    """The same rows in batches of other sizes, at other places of a batch."""
    got, wanted = [], []
    for batch in BATCHES:
        for start in range(batch // 2, ROWS, batch):
            got.append(run(inputs[start : start + batch]))
            wanted.append(expected[start : start + batch])
    return exact(engine, name, np.concatenate(got), np.concatenate(wanted))


def _runtime(
    engine: str,
    output: str,
    backend: str,
    run: Callable[[Images], NDArray[Any]],
    inputs: Images,
    expected: NDArray[Any],
    close: Callable[[str, str, NDArray[Any], NDArray[Any]], Check],
) -> list[Check]:
    whole = run(inputs)
    same = exact if backend == "onnxruntime" else close
    return [
        same(engine, f"{output}: runtime, {backend}", whole, expected),
        _invariance(engine, f"{output}: batch invariance, {backend}", run, inputs, whole),
    ]
