"""Sinks for samples: one context manager per file format.

Each yields a function `write(images)` that takes the next images of the run,
[k, H, W, C] uint8. The output appears when the body ends without an error. Memory
use does not grow with the number of images, except for a grid, whose size is limited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.errors import OutputError
from zoo.images import atomic, grid
from zoo.images.convert import display_factor, mode_of, to_pillow
from zoo.images.npy import write_header

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]
Write = Callable[[Images], None]

FORMATS = ".png (a grid), .gif, .npy, .npz, or a folder (no suffix, or a / at the end)"
_SUFFIXES = (".png", ".gif", ".npy", ".npz")


@dataclass(frozen=True)
class Run:
    """Run of samples `first` … `first + count - 1` of one seed, to be written.

    `shape` is (H, W, C) of an image. The rest is for grids: a `title`, labelled `lead` images
    [H, W, C] before the samples, the number of `columns` (None: square), and a function that
    returns the `label` of an index (default: the index).
    """

    count: int
    shape: tuple[int, int, int]
    first: int = 0
    title: str = ""
    lead: Sequence[tuple[str, Images]] = ()
    columns: int | None = None
    label: Callable[[int], str] = str

    @property
    def size(self) -> int:
        """Size of all samples in bytes."""
        return self.count * math.prod(self.shape)


def format_of(path: str) -> str:
    """Return `.png`, `.gif`, `.npy`, `.npz` or `folder`. Raises OutputError for other suffixes."""
    if path.endswith(("/", "\\")) or Path(path).is_dir():
        return "folder"
    suffix = Path(path).suffix.lower()
    if suffix in _SUFFIXES:
        return suffix
    if not suffix:
        return "folder"
    raise OutputError(f"cannot write {path}: expected {FORMATS}")


def check(path: str, count: int, overwrite: bool = False) -> None:
    """Raise OutputError if `open_sink` would, without creating anything."""
    kind = format_of(path)
    if kind == "folder":
        atomic.check_folder(path, overwrite)
        return
    atomic.check_file(path)
    if kind == ".png" and count > grid.MAX_TILES:
        grid.plan(count, 1, 1)


@contextmanager
def open_sink(path: str, run: Run, overwrite: bool = False) -> Iterator[Write]:
    """Open the sink for `path` by its suffix. Raises OutputError."""
    kind = format_of(path)
    if kind == "folder":
        manager = folder(path, run, overwrite)
    else:
        manager = _BY_SUFFIX[kind](path, run)
    with manager as write:
        yield write


@contextmanager
def npy(path: str, run: Run) -> Iterator[Write]:
    """Write one NumPy array [count, H, W, C] uint8."""
    atomic.check_free_space(path, run.size)
    with atomic.replace_file(path) as temporary, open(temporary, "xb") as file:
        yield _array_writer(file, run)


@contextmanager
def npz(path: str, run: Run) -> Iterator[Write]:
    """Write a NumPy archive with one array `images`, uncompressed."""
    import zipfile

    # An explicit ZipInfo has a fixed date, so that the same run gives the same bytes.
    member = zipfile.ZipInfo("images.npy")
    atomic.check_free_space(path, run.size)
    with (
        atomic.replace_file(path) as temporary,
        zipfile.ZipFile(temporary, "x") as archive,
        archive.open(member, "w", force_zip64=True) as file,
    ):
        yield _array_writer(file, run)


def _array_writer(file: IO[bytes], run: Run) -> Write:
    write_header(file, (run.count, *run.shape))

    def write(images: Images) -> None:
        file.write(np.ascontiguousarray(images).data)

    return write


@contextmanager
def folder(path: str, run: Run, overwrite: bool = False) -> Iterator[Write]:
    """Write one PNG per sample, named by its zero-padded index in the whole run."""
    mode_of(run.shape[2])
    digits = max(8, len(str(run.first + run.count - 1)))
    index = run.first

    with atomic.replace_folder(path, overwrite) as temporary:

        def write(images: Images) -> None:
            nonlocal index
            for image in images:
                to_pillow(image).save(temporary / f"{index:0{digits}}.png")
                index += 1

        yield write


@contextmanager
def png(path: str, run: Run) -> Iterator[Write]:
    """Draw a labelled grid of the `lead` images and the samples."""
    grid.plan(run.count + len(run.lead), *run.shape[:2])
    mode_of(run.shape[2])
    blocks: list[Images] = []
    with atomic.replace_file(path) as temporary:
        # Copied, since the caller may reuse the buffer of a block for the next one.
        yield lambda images: blocks.append(images.copy())
        draw(run, [image for block in blocks for image in block]).save(temporary, format="PNG")


def draw(run: Run, images: Sequence[Images] | Images) -> Image:
    """Draw a labelled grid of the `lead` images and all samples. Raises OutputError."""
    tiles = [*(tile for _, tile in run.lead), *images]
    labels = [label for label, _ in run.lead]
    labels += [run.label(run.first + i) for i in range(run.count)]
    return grid.draw(tiles, labels, run.title, run.columns)


@contextmanager
def gif(path: str, run: Run) -> Iterator[Write]:
    """Write an endless animation, one frame per sample, with small images enlarged."""
    from zoo.images.gif import GifWriter

    height, width, channels = run.shape
    mode_of(channels)
    with atomic.replace_file(path) as temporary, open(temporary, "xb") as file:
        animation = GifWriter(file, height, width, gif_factor(height, width))

        def write(images: Images) -> None:
            for image in images:
                animation.write(image)

        yield write
        animation.close()


def gif_factor(height: int, width: int) -> int:
    """Return the factor by which the images of a GIF are enlarged."""
    return display_factor(max(height, width), target=256)


_BY_SUFFIX = {".png": png, ".gif": gif, ".npy": npy, ".npz": npz}
