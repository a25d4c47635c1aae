"""A classifier engine as the judge of attributes."""

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
from zoo.evaluation.features import Images, identity_of

FACES = "face-attributes.onnx"
"""The shipped judge, which knows the attributes of the data set `faces`."""


class AttributeJudge:
    """Tells which attributes an image has: those whose score is above one half.

    Raises `ConfigError` for a classifier of other attributes than those of `data`, or of images of
    another size.
    """

    def __init__(self, classifier: Classifier, data: DataSet) -> None:
        self._classifier = classifier
        path = Path(classifier.path)
        self.name, self.identity = path.name.removesuffix(".onnx"), identity_of(path)
        if classifier.kind != "multilabel" or classifier.names != list(data.attributes):
            raise ConfigError(f"{path.name} does not know the attributes of {data.name}")
        shape = data.train.images.shape[1:]
        if classifier.image_shape != shape:
            taken, had = ("×".join(map(str, s)) for s in (classifier.image_shape, shape))
            raise ConfigError(f"{path.name} takes images of {taken}, and these are {had}")

    @property
    def names(self) -> list[str]:
        """The attributes."""
        return self._classifier.names

    def __call__(self, images: Images) -> NDArray[np.bool_]:
        """Which attributes images uint8 [n, H, W, C] have, bool [n, K]."""
        return self._classifier.classify(images) > 0.5

    def __str__(self) -> str:
        return f"{self.name} {self.identity}"


def fits(data: DataSet) -> bool:
    """Whether the shipped judge may know the attributes of a data set."""
    return bool(data.attributes) and data.train.images.shape[1:] == (64, 64, 3)


@contextmanager
def shipped_judge(data: DataSet) -> Iterator[AttributeJudge | None]:
    """The shipped judge, opened; None where it does not know the attributes of the data.

    Raises `runtime.errors.Error` where it cannot be opened.
    """
    if not fits(data):
        yield None
        return

    with Classifier(resolve(FACES)) as classifier:
        judge = None
        with suppress(ConfigError):
            judge = AttributeJudge(classifier, data)
        yield judge


__all__ = ["FACES", "AttributeJudge", "fits", "shipped_judge"]
