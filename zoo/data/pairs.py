"""Data sets of pairs: target pictures (B) and the inputs that they are made from (A).

Pairs come from two folders with the same file names, from pictures that show both side by side (the
layout of Isola et al. 2017), or from a data set whose images are reduced to edges or to grey.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from zoo.data.layout import Part, find_parts
from zoo.data.pictures import Item, read_parts
from zoo.data.sets import BY_SEED, DataSet, Split, split_by_seed
from zoo.errors import ConfigError, DataError

SIDE_BY_SIDE = "pairs:"
"""Prefix for a folder of side-by-side pictures, as in `pairs:facades`."""

_LISTED = 5
_BLOCK = 256


def is_pairs(name: str) -> bool:
    """Return True if a data set's name means pairs: `pairs:FOLDER` or `A_FOLDER:B_FOLDER`."""
    return name.startswith(SIDE_BY_SIDE) or (":" in name and not os.path.exists(name))


def load_pairs(name: str, size: int | None = None, channels: int | None = None) -> DataSet:
    """Load pairs, with B as images and A as inputs.

    A folder may contain `train/` and `test/` (or `val/` etc., see `zoo.data.layout`); otherwise a
    tenth is held out by a fixed seed. Pictures are cropped to their central square and resized to
    `size` (None requires one size); `channels` applies to B only. Pairs with an unreadable picture
    are left out, and the picture is listed in `skipped`. Raises `DataError`, naming the pictures,
    if a counterpart is missing, sizes differ, or a width is odd.
    """
    if name.startswith(SIDE_BY_SIDE):
        folder = _check_folder(Path(name.removeprefix(SIDE_BY_SIDE)), name)
        parts = find_parts(folder)
        items: dict[str, list[Item]] = {}
        items = {part: [(file,) for file in whole.files] for part, whole in parts.items()}
        title = folder.resolve().name
    else:
        a, b = (_check_folder(Path(text), name) for text in _split_name(name))
        inputs, images = find_parts(a), find_parts(b)
        if inputs.keys() != images.keys():
            held = f"{_describe_parts(a, inputs)} and {_describe_parts(b, images)}"
            raise DataError(f"{name}: {held}: expected the same of both")
        items = {part: _match_pictures(inputs[part], images[part]) for part in inputs}
        title = f"{a.resolve().name}-{b.resolve().name}"
    loaded, skipped = read_parts(list(items.values()), size, [None, channels], _split_pair)
    splits = {
        part: Split(read.arrays[1], inputs=read.arrays[0])
        for part, read in zip(items, loaded, strict=True)
    }
    if "test" not in splits:
        (everything,) = splits.values()
        splits["train"], splits["test"] = split_by_seed(everything)
    validation = splits.get("validation", BY_SEED)
    return DataSet(title, splits["train"], splits["test"], skipped=skipped, validation=validation)


def make_pairs(data: DataSet, task: str, direction: str = "AtoB") -> DataSet:
    """Return the data set with inputs for a task of `zoo.models.pix2pix`.

    "edges" and "colour" compute the inputs from the images; "pairs" uses those of the data, and
    "BtoA" swaps them with the images. Raises `ConfigError` for data that do not fit the task.
    """
    if task == "pairs":
        if data.train.inputs is None:
            raise ConfigError(
                "the task pairs needs data of pairs, A_FOLDER:B_FOLDER or pairs:FOLDER; "
                f"{data.name} holds single images"
            )
        if direction == "BtoA":
            data = data.mapped(_swap)
        return data
    if data.train.inputs is not None:
        raise ConfigError(
            f"{data.name} holds pairs, but the task {task} computes its inputs: set task=pairs"
        )
    if task == "colour" and data.channels != 3:
        raise ConfigError(f"colour needs images of 3 channels; {data.name} has {data.channels}")
    # Imported here because it needs the compiled runtime, unlike reading data.
    from zoo import corruption
    from zoo.corruption.edges import edges

    draw = edges if task == "edges" else corruption.grey
    return data.mapped(lambda part: replace(part, inputs=_draw_blocks(draw, part)))


def _draw_blocks(draw: Callable[[np.ndarray], np.ndarray], split: Split) -> np.ndarray:
    starts = range(0, len(split), _BLOCK)
    return np.concatenate([draw(split.images[start : start + _BLOCK]) for start in starts])


def _swap(split: Split) -> Split:
    assert split.inputs is not None
    return replace(split, images=split.inputs, inputs=split.images)


def _split_name(name: str) -> tuple[str, str]:
    a, _, b = name.partition(":")
    if not a or not b or ":" in b:
        raise DataError(f"{name}: expected A_FOLDER:B_FOLDER or {SIDE_BY_SIDE}FOLDER")
    return a, b


def _check_folder(path: Path, name: str) -> Path:
    if not os.path.isdir(path):
        raise DataError(f"{name}: {path} is not a folder")
    return path


def _describe_parts(folder: Path, parts: dict[str, Part]) -> str:
    split = "not split" if "all" in parts else f"split into {', '.join(sorted(parts))}"
    return f"{folder} is {split}"


def _match_pictures(a: Part, b: Part) -> list[Item]:
    """Match the pictures of two folders by name, regardless of their format."""
    inputs, images = (_index_by_name(part) for part in (a, b))
    for folder, have, other in ((b.folder, images, inputs), (a.folder, inputs, images)):
        missing = [file for name, file in other.items() if name not in have]
        if missing:
            more = f" and {len(missing) - _LISTED:,} more" if len(missing) > _LISTED else ""
            names = ", ".join(file.name for file in missing[:_LISTED])
            raise DataError(f"{folder} has no counterpart of {names}{more}")
    return [(inputs[name], images[name]) for name in inputs]


def _index_by_name(part: Part) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for file in part.names:
        name = Path(file).with_suffix("").as_posix()
        if name in files:
            raise DataError(
                f"{part.folder} holds both {files[name].name} and {Path(file).name}: expected one"
            )
        files[name] = part.folder / file
    return files


def _split_pair(item: Item, found: list[Image.Image]) -> list[Image.Image]:
    """Return two pictures, or the left and the right half of one."""
    a, b = found[0], found[-1]
    if len(found) == 2:
        if a.size != b.size:
            raise DataError(
                f"{item[0]} has {a.width}×{a.height} pixels and {item[1]} {b.width}×{b.height}: "
                "expected pairs of one size"
            )
        return found
    if a.width % 2:
        raise DataError(
            f"{item[0]}: expected two pictures side by side, so an even width, got {a.width} pixels"
        )
    half = a.width // 2
    return [a.crop((0, 0, half, a.height)), a.crop((half, 0, a.width, a.height))]
