"""Data sets, and the functions that split, resize and normalise them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import numpy as np
from PIL import Image

from zoo.errors import DataError
from zoo.images.pictures import flatten_alpha, to_plain_mode

MOST_CLASSES = 2**16
"""Limit on the number of classes, for which tables are allocated."""

_DIGESTED = 2**30

VALIDATION = 0.1
"""Share of the training images used for validation if a data set has no validation split."""

VALIDATION_SEED = 1
"""Seed of that choice, different from the one for test images."""

BY_SEED = cast("Split", None)
"""Placeholder for a validation split to be taken from the training images."""


@dataclass(frozen=True)
class Split:
    """Images uint8 [N, H, W, C] and optional labels int64 [N], attributes and inputs.

    `attributes` is int8 [N, K], +1 if image n has attribute k and else -1. `inputs` are the images
    uint8 [N, H, W, C'] from which a translator is to make `images`.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    attributes: np.ndarray | None = None
    inputs: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4:
            raise DataError(
                f"images must be uint8 [N, H, W, C], got {self.images.dtype} "
                f"{list(self.images.shape)}"
            )
        if len(self.images) == 0:
            raise DataError("the data set has no images")
        if self.labels is not None and self.labels.shape != (len(self.images),):
            raise DataError(
                f"{len(self.images)} images but labels of shape {list(self.labels.shape)}"
            )
        if self.labels is not None:
            self._check_labels(self.labels)
        if self.attributes is not None:
            self._check_attributes(self.attributes)
        if self.inputs is not None:
            same = self.inputs.ndim == 4 and self.inputs.shape[:3] == self.images.shape[:3]
            if self.inputs.dtype != np.uint8 or not same:
                raise DataError(
                    f"inputs must be uint8 {[*self.images.shape[:3], 'C']}, got "
                    f"{self.inputs.dtype} {list(self.inputs.shape)}"
                )

    def _check_labels(self, labels: np.ndarray) -> None:
        if labels.dtype.kind not in "iu":
            raise DataError(f"labels must be integers, got {labels.dtype}")
        wrong = np.flatnonzero((labels < 0) | (labels >= MOST_CLASSES))
        if len(wrong):
            raise DataError(
                f"labels must be numbers of classes, 0 to {MOST_CLASSES - 1}, got "
                f"{labels[wrong[0]]} in row {wrong[0]}"
            )

    def _check_attributes(self, attributes: np.ndarray) -> None:
        if attributes.dtype != np.int8 or attributes.ndim != 2:
            raise DataError(
                f"attributes must be int8 [N, K], got {attributes.dtype} {list(attributes.shape)}"
            )
        if len(attributes) != len(self.images):
            raise DataError(
                f"{len(self.images)} images but attributes of shape {list(attributes.shape)}"
            )
        wrong = np.argwhere((attributes != 1) & (attributes != -1))
        if len(wrong):
            row, column = wrong[0]
            raise DataError(
                f"attributes must be 1 or -1, got {attributes[row, column]} in row {row}, "
                f"column {column}"
            )

    def __len__(self) -> int:
        return len(self.images)


Stream = Callable[[int, int, int], Generator[Split, None, None]]
"""Source of training images without end, called with (first, step, count)."""


@dataclass(frozen=True)
class DataSet:
    """Named data set with training, validation and test splits.

    `classes` names the labels, `attributes` the columns of the splits' attributes. `skipped` has
    (path, reason) of each picture that could not be read. `validation` is used to choose epochs and
    options, so that the test images are not; `BY_SEED` takes the share `VALIDATION` of the training
    images, by a fixed seed. A data set with a `stream` is endless: `stream(first, step, count)`
    yields training images `first`, `first + step`, …, `count` at a time, and `train` has the first
    of them.
    """

    name: str
    train: Split
    test: Split
    classes: list[str] = field(default_factory=list)
    attributes: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    validation: Split = BY_SEED
    stream: Stream | None = None

    def __post_init__(self) -> None:
        if self.validation is BY_SEED:
            train, validation = hold_out(self.train)
            object.__setattr__(self, "train", train)
            object.__setattr__(self, "validation", validation)
        for part, split in self.parts.items():
            columns = 0 if split.attributes is None else split.attributes.shape[1]
            if columns != len(self.attributes):
                raise DataError(
                    f"{self.name}: {len(self.attributes)} attribute names but {columns} columns "
                    f"of attributes in {part}"
                )
            if (
                self.classes
                and split.labels is not None
                and split.labels.max() >= len(self.classes)
            ):
                raise DataError(
                    f"{self.name}: {len(self.classes)} classes but a label {split.labels.max()} "
                    f"in {part}"
                )
        for what, names in (("attributes", self.attributes), ("classes", self.classes)):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise DataError(f"{self.name}: {what} has {twice[0]} twice")

    @property
    def image_size(self) -> int:
        """Side of the square images, in pixels."""
        return int(self.train.images.shape[1])

    @property
    def channels(self) -> int:
        """Channels of an image: 1 (grey) or 3 (RGB)."""
        return int(self.train.images.shape[3])

    def summary(self) -> str:
        """Return a line with the name, the number of images per split, and their size."""
        training = "endless" if self.stream else f"{len(self.train):,}"
        return (
            f"{self.name}: {training} training, {len(self.validation):,} validation and "
            f"{len(self.test):,} test images, "
            f"{self.image_size}×{self.image_size}×{self.channels}"
        )

    def digest(self) -> str:
        """Return a SHA-256 of all images, labels, attributes and inputs, in hexadecimal.

        Tables of more than `_DIGESTED` bytes are subsampled: every second row, every third, ….
        """
        digest = hashlib.sha256(json.dumps([self.classes, self.attributes]).encode())
        for split in self.parts.values():
            for table in (split.images, split.labels, split.attributes, split.inputs):
                digest.update(str(None if table is None else (table.shape, table.dtype)).encode())
                if table is not None:
                    step = -(-table.nbytes // _DIGESTED) or 1
                    digest.update(np.ascontiguousarray(table[::step]).data)
        return digest.hexdigest()

    @property
    def parts(self) -> dict[str, Split]:
        """The splits by name: train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def seen(self) -> Split:
        """The training and validation images, all of which influence a training run."""
        return _concatenate(self.train, self.validation)

    def mapped(self, change: Callable[[Split], Split]) -> DataSet:
        """Return the data set with `change` applied to every split."""
        train, validation, test = map(change, self.parts.values())
        stream = self.stream and partial(_map_stream, self.stream, change)
        return replace(self, train=train, validation=validation, test=test, stream=stream)

    def without(self, names: Sequence[str]) -> DataSet:
        """Return the data set without these classes in the training and validation splits.

        The test split and the class indices stay unchanged. Raises `DataError` for unknown classes,
        and if no image would be left.
        """
        if not names:
            return self
        labels = self.train.labels
        known = self.classes if labels is not None else []
        unknown = [name for name in names if name not in known]
        if unknown or labels is None:
            raise DataError(
                f"{self.name} has no class {(unknown or names)[0]!r}; its classes: "
                f"{', '.join(known) or 'none'}"
            )
        left_out = [self.classes.index(name) for name in names]
        train, validation = (
            np.flatnonzero(~np.isin(np.asarray(split.labels), left_out))
            for split in (self.train, self.validation)
        )
        if not len(train):
            raise DataError(f"{self.name} has no training images without {', '.join(names)}")
        kept = _take(self.validation, validation) if len(validation) else BY_SEED
        return replace(self, train=_take(self.train, train), validation=kept)


def _map_stream(
    stream: Stream, change: Callable[[Split], Split], first: int, step: int, count: int
) -> Generator[Split, None, None]:
    with closing(stream(first, step, count)) as blocks:
        yield from map(change, blocks)


def as_nhwc(images: np.ndarray, source: object) -> np.ndarray:
    """Convert uint8 images [N, H, W] or [N, H, W, C] to [N, H, W, C] with 1 or 3 channels."""
    if images.dtype != np.uint8:
        raise DataError(f"{source}: images must be uint8, got {images.dtype}")
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise DataError(
            f"{source}: expected images [N, H, W] or [N, H, W, C] with 1 or 3 channels, "
            f"got shape {list(images.shape)}"
        )
    return images


def split_by_seed(data: Split, test_fraction: float = 0.1, seed: int = 0) -> tuple[Split, Split]:
    """Split randomly into (train, test), reproducibly for a seed and number of images."""
    train, test = rows_by_seed(len(data), test_fraction, seed)
    return _take(data, train), _take(data, test)


def rows_by_seed(
    count: int, test_fraction: float = 0.1, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted rows of the (train, test) splits of `split_by_seed`."""
    held_out = round(count * test_fraction)
    if not 0 < held_out < count:
        raise DataError(f"cannot hold out {test_fraction:.0%} of {count} images for the test")
    order = np.random.Generator(np.random.Philox(seed)).permutation(count)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def hold_out(train: Split, last: bool = False) -> tuple[Split, Split]:
    """Split training images into (train, validation).

    The validation split is a share `VALIDATION`, at least one image, chosen by a fixed seed; or
    with `last` the last twelfth, as views. A single image serves as both.
    """
    count = len(train)
    if count == 1:
        return train, train
    if last:
        kept = count - max(count // 12, 1)
        return _take(train, slice(kept)), _take(train, slice(kept, count))
    held_out = max(round(count * VALIDATION), 1)
    order = np.random.Generator(np.random.Philox(VALIDATION_SEED)).permutation(count)
    return _take(train, np.sort(order[held_out:])), _take(train, np.sort(order[:held_out]))


def _concatenate(*splits: Split) -> Split:
    def table(name: str) -> np.ndarray | None:
        columns = [getattr(split, name) for split in splits]
        return None if columns[0] is None else np.concatenate(columns)

    images = np.concatenate([split.images for split in splits])
    return Split(images, table("labels"), table("attributes"), table("inputs"))


def _take(data: Split, rows: np.ndarray | slice) -> Split:
    tables = (data.labels, data.attributes, data.inputs)
    return Split(data.images[rows], *(None if table is None else table[rows] for table in tables))


def fit(image: Image.Image, size: int | None, channels: int | None) -> np.ndarray:
    """Crop a picture to its central square, resize it, and return uint8 [size, size, channels].

    `size` None keeps the side of the crop; `channels` None keeps grey pictures grey and converts
    all others to RGB. Transparent pictures are composed on white.
    """
    image = flatten_alpha(to_plain_mode(image))
    if channels is None:
        channels = 1 if image.mode == "L" else 3
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    target = size or side
    if image.size != (target, target):
        box = (left, top, left + side, top + side)
        image = image.resize((target, target), Image.Resampling.LANCZOS, box=box)
    pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    return pixels.reshape(target, target, channels)


def resize(data: Split, size: int | None, channels: int | None) -> Split:
    """Return the images at `size` pixels and with `channels` channels; None keeps either.

    Images that already fit are returned without a copy.
    """
    _, height, width, have = data.images.shape
    if height == width == (size or height) and have == (channels or have):
        return data
    inputs = None if data.inputs is None else _fit_all(data.inputs, size, data.inputs.shape[3])
    images = _fit_all(data.images, size, channels or have)
    return Split(images, data.labels, data.attributes, inputs)


def _fit_all(images: np.ndarray, size: int | None, channels: int) -> np.ndarray:
    modes = (image[..., 0] if image.shape[2] == 1 else image for image in images)
    return np.stack([fit(Image.fromarray(image), size, channels) for image in modes])


def add_frame(data: Split, width: int) -> Split:
    """Return the images with a black frame of `width` pixels around them."""
    around = ((0, 0), (width, width), (width, width), (0, 0))
    inputs = None if data.inputs is None else np.pad(data.inputs, around)
    return Split(np.pad(data.images, around), data.labels, data.attributes, inputs)


def normalise(images: np.ndarray) -> np.ndarray:
    """Map uint8 images [N, H, W, C] to float32 [N, C, H, W] in [0, 1], as all models take them."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32) / np.float32(255)
