"""Sinks for images made from other images, which keep the names of those."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.errors import OutputError
from zoo.images import atomic, sinks
from zoo.images.companions import stem
from zoo.images.convert import mode_of, to_pillow

Images = NDArray[np.uint8]
Shape = tuple[int, int, int]
Write = Callable[[Sequence[str], Images], None]

_ROWS = 256


def check(path: str, count: int | None = None, overwrite: bool = False) -> None:
    """Raise OutputError if `open_sink` would for `count` images, without creating anything."""
    kind = _format(path)
    if kind == "folder":
        atomic.check_folder(path, overwrite)
        return
    atomic.check_file(path)
    if kind == ".png" and count is not None and count != 1:
        raise OutputError(
            f"cannot write {path}: it holds one picture, got {count:,}; use a folder, .npy or .npz"
        )


@contextmanager
def open_sink(path: str, shape: Shape, overwrite: bool = False) -> Iterator[Write]:
    """Yield `write(names, images)` for images [k, H, W, C] uint8 of `shape`, in order.

    `path` is a folder (no suffix, or a / at the end) for one PNG per image, named after the
    input; a .png for a single image; or .npy or .npz for an array [n, H, W, C], called `images`
    in an .npz. Output appears at the end, complete or not at all. Raises OutputError.
    """
    kind = _format(path)
    if kind == "folder":
        manager = _open_folder(path, shape, overwrite)
    else:
        manager = _open_picture(path, shape) if kind == ".png" else _open_array(path, shape)
    with manager as write:
        yield write


def _format(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if path.endswith(("/", "\\")) or Path(path).is_dir() or not suffix:
        return "folder"
    if suffix in (".png", ".npy", ".npz"):
        return suffix
    raise OutputError(
        f"cannot write {path}: expected a folder (no suffix, or a / at the end), .npy, .npz, "
        "or .png for one picture"
    )


@contextmanager
def _open_folder(path: str, shape: Shape, overwrite: bool) -> Iterator[Write]:
    mode_of(shape[2])
    with atomic.replace_folder(path, overwrite) as temporary:

        def write(names: Sequence[str], images: Images) -> None:
            for name, image in zip(names, images, strict=True):
                to_pillow(image).save(_unused_file(temporary, stem(name)))

        yield write


def _unused_file(folder: Path, base: str) -> Path:
    """Return an unused file for `base`: a.png for `b/a`, else b-a.png, else b-a-2.png and so on."""
    parts = [part for part in base.split("/") if part not in ("", ".", "..")]
    flat = "-".join(parts)
    number = 1
    file = folder / f"{parts[-1]}.png"
    while file.exists():
        file = folder / (f"{flat}.png" if number == 1 else f"{flat}-{number}.png")
        number += 1
    return file


@contextmanager
def _open_picture(path: str, shape: Shape) -> Iterator[Write]:
    mode_of(shape[2])
    with atomic.replace_file(path) as temporary:
        yield lambda names, images: to_pillow(images[0]).save(temporary, format="PNG")


@contextmanager
def _open_array(path: str, shape: Shape) -> Iterator[Write]:
    # Spooled to an unnamed file, because the number of images precedes them in the output.
    atomic.check_file(path)
    with tempfile.TemporaryFile(dir=Path(path).resolve().parent) as spool:
        count = 0

        def write(names: Sequence[str], images: Images) -> None:
            nonlocal count
            count += len(images)
            spool.write(np.ascontiguousarray(images).data)

        yield write
        spool.seek(0)
        with sinks.open_sink(path, sinks.Run(count, shape)) as append:
            size = int(np.prod(shape))
            while content := spool.read(_ROWS * size):
                append(np.frombuffer(content, np.uint8).reshape(-1, *shape))
