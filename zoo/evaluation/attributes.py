"""Classifier engines as judges of attributes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime import Classifier
from zoo.data import DataSet
from zoo.engines import resolve
from zoo.errors import ConfigError
from zoo.evaluation.features import Images, file_identity

FACES = "face-attributes.onnx"
"""The shipped judge, for the attributes of the data set `faces`."""


class AttributeJudge:
    """Judge of attributes: an image has those with scores above one half.

    Raises `ConfigError` for a classifier of other attributes or image sizes than those of `data`.
    """

    def __init__(self, classifier: Classifier, data: DataSet) -> None:
        self._classifier = classifier
        path = Path(classifier.path)
        self.name, self.identity = path.name.removesuffix(".onnx"), file_identity(path)
        if classifier.kind != "multilabel" or classifier.names != list(data.attributes):
            raise ConfigError(f"{path.name} does not know the attributes of {data.name}")
        shape = data.train.images.shape[1:]
        if classifier.image_shape != shape:
            expected, got = ("×".join(map(str, s)) for s in (classifier.image_shape, shape))
            raise ConfigError(f"{path.name} takes images of {expected}, got {got}")

    @property
    def names(self) -> list[str]:
        """Names of the attributes."""
        return self._classifier.names

    def __call__(self, images: Images) -> NDArray[np.bool_]:
        """Return the attributes bool [n, K] of images uint8 [n, H, W, C]."""
        return self._classifier.classify(images) > 0.5

    def __str__(self) -> str:
        return f"{self.name} {self.identity}"


def may_know(data: DataSet) -> bool:
    """Return True if the shipped judge may know the attributes of a data set."""
    return bool(data.attributes) and data.train.images.shape[1:] == (64, 64, 3)


@contextmanager
def shipped_judge(data: DataSet) -> Iterator[AttributeJudge | None]:
    """Open the shipped judge, or yield None if it does not know the attributes of the data.

    Raises `runtime.errors.Error` if it cannot be opened.
    """
    if not may_know(data):
        yield None
        return

    with Classifier(resolve(FACES)) as classifier:
        judge = None
        with suppress(ConfigError):
            judge = AttributeJudge(classifier, data)
        yield judge
