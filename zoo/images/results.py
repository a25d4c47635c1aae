"""Where images go that were made from other images, and keep their names."""

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
    """Raise OutputError where `opened` would for `count` images; nothing is created."""
    kind = _format(path)
    if kind == "folder":
        atomic.check_folder(path, overwrite)
        return
    atomic.check_file(path)
    if kind == ".png" and count is not None and count != 1:
        raise OutputError(
            f"cannot write {path}: it holds one picture and these are {count:,}; "
            "give a folder, .npy or .npz"
        )


@contextmanager
def opened(path: str, shape: Shape, overwrite: bool = False) -> Iterator[Write]:
    """Gives `write(names, images)` for images [k, H, W, C] uint8 of `shape`, in order.

    `path` is a folder (no suffix, or a / at the end) for a PNG an image, named as
    the image was; a .png for one image; .npy or .npz for an array [n, H, W, C],
    in an .npz under the name images. All appears at the end, or nothing. Raises
    OutputError.
    """
    kind = _format(path)
    if kind != "folder":
        manager = _picture(path, shape) if kind == ".png" else _array(path, shape)
    else:
        manager = _folder(path, shape, overwrite)
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
def _folder(path: str, shape: Shape, overwrite: bool) -> Iterator[Write]:
    mode_of(shape[2])
    with atomic.replacing_folder(path, overwrite) as temporary:

        def write(names: Sequence[str], images: Images) -> None:
            for name, image in zip(names, images, strict=True):
                to_pillow(image).save(_free(temporary, stem(name)))

        yield write


def _free(folder: Path, base: str) -> Path:
    """A file for `base` that is not there yet: `b/a` is a.png, then b-a.png, then b-a-2.png."""
    parts = [part for part in base.split("/") if part not in ("", ".", "..")]
    flat = "-".join(parts)
    number = 1
    file = folder / f"{parts[-1]}.png"
    while file.exists():
        file = folder / (f"{flat}.png" if number == 1 else f"{flat}-{number}.png")
        number += 1
    return file


@contextmanager
def _picture(path: str, shape: Shape) -> Iterator[Write]:
    mode_of(shape[2])
    with atomic.replacing(path) as temporary:
        yield lambda names, images: to_pillow(images[0]).save(temporary, format="PNG")


@contextmanager
def _array(path: str, shape: Shape) -> Iterator[Write]:
    """The images wait in a file without a name, because their number comes before them."""
    atomic.check_file(path)
    with tempfile.TemporaryFile(dir=Path(path).resolve().parent) as waiting:
        count = 0

        def write(names: Sequence[str], images: Images) -> None:
            nonlocal count
            count += len(images)
            waiting.write(np.ascontiguousarray(images).data)

        yield write
        waiting.seek(0)
        with sinks.opened(path, sinks.Run(count, shape)) as append:
            size = int(np.prod(shape))
            while content := waiting.read(_ROWS * size):
                append(np.frombuffer(content, np.uint8).reshape(-1, *shape))


__all__ = ["check", "opened"]
