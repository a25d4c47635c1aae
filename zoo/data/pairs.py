"""Data sets of pairs: pictures to make (B), and those that they are made from (A).

Pairs come from two folders of equal names, from pictures that show both side by side (the layout of
the data sets of Isola et al. 2017), or from a data set whose images are reduced to their edges, or
to grey.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data.files import pictures
from zoo.data.sets import DataSet, Split, fit, split_by_seed
from zoo.errors import ConfigError, DataError
from zoo.images.convert import decoding, opened
from zoo.images.read import no_pictures

SIDE_BY_SIDE = "pairs:"
"""What a folder of side-by-side pictures is marked with, as in `pairs:facades`."""

SPLITS = ("train", "test", "val")
_LISTED = 5
_BLOCK = 256


def is_pairs(name: str) -> bool:
    """Whether a data set's name means pairs: `pairs:FOLDER` or `A_FOLDER:B_FOLDER`."""
    return name.startswith(SIDE_BY_SIDE) or (":" in name and not Path(name).exists())


def load_pairs(name: str, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load pairs; the images are B, the inputs A.

    A folder may hold `train/` and `test/` (or `val/`), else one tenth is held out by a fixed seed.
    Pictures are cropped to their central square and resized to `size` (default: the size of the
    first); `channels` is for B only. Raises `DataError`, naming the pictures, for those without a
    counterpart, of two sizes, of an odd width, or unreadable.
    """
    if name.startswith(SIDE_BY_SIDE):
        folder = _folder(Path(name.removeprefix(SIDE_BY_SIDE)), name)
        parts = _parts(folder)
        pairs = [_undivided(folder / part) for part in parts]
        title = folder.resolve().name
    else:
        a, b = (_folder(Path(text), name) for text in _two(name))
        parts = _parts(a)
        if parts != _parts(b):
            raise DataError(f"{name}: only one of the folders holds train/ and test/")
        pairs = [_matched(a / part, b / part) for part in parts]
        title = f"{a.resolve().name}-{b.resolve().name}"
    splits = []
    shapes: list[int | None] = [size, None, channels]
    for files in pairs:
        split = _read(files, *shapes)
        assert split.inputs is not None
        shapes = [split.images.shape[1], split.inputs.shape[3], split.images.shape[3]]
        splits.append(split)
    train, test = splits if len(splits) == 2 else split_by_seed(splits[0])
    return DataSet(title, train, test)


def paired(data: DataSet, task: str, direction: str = "AtoB") -> DataSet:
    """The data set with inputs for a task of `zoo.models.pix2pix`.

    "edges" and "colour" draw the inputs from the images, "pairs" takes those of the data; "BtoA"
    swaps them with the images. Raises `ConfigError` for data that do not fit the task.
    """
    if task == "pairs":
        if data.train.inputs is None:
            raise ConfigError(
                "the task pairs needs data of pairs, A_FOLDER:B_FOLDER or pairs:FOLDER; "
                f"{data.name} holds single images"
            )
        if direction == "BtoA":
            data = replace(data, train=_swapped(data.train), test=_swapped(data.test))
        return data
    if data.train.inputs is not None:
        raise ConfigError(
            f"{data.name} holds pairs, and the task {task} makes the inputs itself: set task=pairs"
        )
    if task == "colour" and data.channels != 3:
        raise ConfigError(f"colour needs images of 3 channels; {data.name} has {data.channels}")
    # Needs the compiled runtime, which reading data does not.
    from zoo import corruption
    from zoo.corruption.edges import edges

    draw = edges if task == "edges" else corruption.grey
    train, test = (replace(part, inputs=_drawn(draw, part)) for part in (data.train, data.test))
    return replace(data, train=train, test=test)


def _drawn(draw: Callable[[np.ndarray], np.ndarray], split: Split) -> np.ndarray:
    starts = range(0, len(split), _BLOCK)
    return np.concatenate([draw(split.images[start : start + _BLOCK]) for start in starts])


def _swapped(split: Split) -> Split:
    assert split.inputs is not None
    return replace(split, images=split.inputs, inputs=split.images)


def _two(name: str) -> tuple[str, str]:
    a, _, b = name.partition(":")
    if not a or not b or ":" in b:
        raise DataError(f"{name}: expected A_FOLDER:B_FOLDER or {SIDE_BY_SIDE}FOLDER")
    return a, b


def _folder(path: Path, name: str) -> Path:
    if not path.is_dir():
        raise DataError(f"{name}: {path} is not a folder")
    return path


def _parts(folder: Path) -> list[str]:
    """Names of the folders of the splits, or one for everything."""
    found = [part for part in SPLITS if (folder / part).is_dir()]
    return found[:2] if "train" in found and len(found) > 1 else ["."]


def _pictures(folder: Path) -> list[Path]:
    files = pictures(folder)
    if not files:
        raise no_pictures(folder)
    return files


def _undivided(folder: Path) -> list[tuple[Path, Path | None]]:
    return [(file, None) for file in _pictures(folder)]


def _matched(a: Path, b: Path) -> list[tuple[Path, Path | None]]:
    """The pictures of one name, whatever their kind, in two folders."""
    inputs, images = (
        {file.relative_to(folder).with_suffix("").as_posix(): file for file in _pictures(folder)}
        for folder in (a, b)
    )
    for folder, have, other in ((b, images, inputs), (a, inputs, images)):
        missing = [file for name, file in other.items() if name not in have]
        if missing:
            more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
            names = ", ".join(file.name for file in missing[:_LISTED])
            raise DataError(f"{folder} has no counterpart of {names}{more}")
    return [(inputs[name], images[name]) for name in inputs]


def _read(
    files: list[tuple[Path, Path | None]],
    size: int | None,
    input_channels: int | None,
    channels: int | None,
) -> Split:
    inputs: list[np.ndarray] = []
    images: list[np.ndarray] = []
    for first, second in files:
        a, b = _pair(first, second)
        inputs.append(fit(a, size, input_channels))
        images.append(fit(b, size, channels))
        size, input_channels, channels = *inputs[0].shape[1:], images[0].shape[2]
    return Split(np.stack(images), inputs=np.stack(inputs))


def _pair(first: Path, second: Path | None) -> tuple[Image.Image, Image.Image]:
    """Two pictures, or the left and the right half of one."""
    a = _picture(first)
    if second is not None:
        b = _picture(second)
        if a.size != b.size:
            raise DataError(
                f"{first} has {a.width}×{a.height} pixels and {second} {b.width}×{b.height}: "
                "expected pairs of one size"
            )
        return a, b
    if a.width % 2:
        raise DataError(
            f"{first}: expected two pictures side by side, so an even width, got {a.width} pixels"
        )
    half = a.width // 2
    return a.crop((0, 0, half, a.height)), a.crop((half, 0, a.width, a.height))


def _picture(file: Path) -> Image.Image:
    with decoding(file), opened(file) as picture:
        picture.load()
        return picture


__all__ = ["SIDE_BY_SIDE", "is_pairs", "load_pairs", "paired"]
