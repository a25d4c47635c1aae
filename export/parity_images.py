"""Checks of exported translators and classifiers: images in, images or scores out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from export.checks import Check, exact
from export.parity import BATCHES, ROWS, backends, float_check, image_check, levels
from export.stock import Session
from zoo.models.classifier import Classifier
from zoo.models.translators import Translator

Images = NDArray[np.uint8]


def check_translator(
    engine: str, path: Path, model: Translator, runtime: Any | None
) -> list[Check]:
    """All checks of a translator file; arguments as those of `parity.check_generator`."""
    options = model.config
    inputs = _images((options.image_size, options.image_size, options.input_channels))
    if options.alpha:
        inputs[..., -1] = np.where(inputs[..., -1] < 64, 0, 255)
    with torch.no_grad():
        expected = levels(model.translate(_unit(inputs)).numpy())
    kind = _Kind("input", "image", image_check, "Translator", "translate")
    return _check(engine, path, kind, inputs, expected, runtime)


def check_classifier(
    engine: str, path: Path, model: Classifier, runtime: Any | None
) -> list[Check]:
    """All checks of a classifier file; arguments as those of `parity.check_generator`."""
    size = model.config.image_size
    inputs = _images((size, size, model.config.channels))
    with torch.no_grad():
        expected = model.scores(_unit(inputs)).numpy()
        features = model.features(_unit(inputs)).numpy()
    kind = _Kind("image", "scores", float_check, "Classifier", "classify")
    results = _check(engine, path, kind, inputs, expected, runtime)
    if model.exposes_features:
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
    runtime: Any | None,
) -> list[Check]:
    stock = Session(path.read_bytes())

    def run(rows: Images) -> NDArray[Any]:
        return stock.run(**{kind.input: rows})[kind.output]

    whole, output = run(inputs), kind.output
    results = [
        kind.close(engine, f"{output}: PyTorch", whole, expected),
        _invariance(engine, f"{output}: batch invariance", run, inputs, whole),
    ]
    for backend in backends(runtime) if runtime is not None else ():
        with getattr(runtime, kind.engine_class)(path, backend=backend) as opened:
            ours = getattr(opened, kind.method)
            got = ours(inputs)
            same = exact if backend == "onnxruntime" else kind.close
            name = f"{output}: batch invariance, {backend}"
            results += [
                same(engine, f"{output}: runtime, {backend}", got, whole),
                _invariance(engine, name, ours, inputs, got),
            ]
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
