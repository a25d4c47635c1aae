"""Drawn faces with attributes: a colour data set of 20,000 images, generated on demand.

Avataaars by Pablo Stanley, assembled by DiceBear and rendered by LunaSVG (see NOTICE).
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from zoo import cache
from zoo.data.avatars import ATTRIBUTES, VERSION, Face, describe
from zoo.data.sets import DataSet, Split
from zoo.errors import DataError, OutputError
from zoo.images.arrays import open_archive
from zoo.images.atomic import check_free_space, lock_output, replace_file
from zoo.progress import Progress

COUNT = 20_000
"""Faces of seed 0 in the data set `faces`; face i is held out for the test iff i % 10 == 9."""

VALIDATION, VALIDATION_SEED = 2_000, 2
"""Number of validation faces, and their seed."""

SIZE = 64
"""Side of the images, in pixels."""

_PACKAGES = ("dicebear-core", "dicebear-styles", "pylunasvg")
_VIEW = ('viewBox="0 0 280 280"', 'viewBox="24 0 232 232"')
"""View box of a drawing, and its replacement, which shows the head larger."""

_BLOCK = 128
_BLOCK_BYTES = 2**22
"""Limits of the number of faces, and of their size in bytes, that a process draws at a time."""


def load() -> DataSet:
    """Load `faces`: 18,000 training, 2,000 validation and 2,000 test images, 64×64 RGB.

    The faces are drawn on first use and kept in the cache folder. Raises `DataError` if the
    packages of the extra `faces` are missing, `OutputError` if the cache cannot be written, and
    `ConfigError` if there is no cache folder.
    """
    images, attributes = _load_or_draw("faces", COUNT, 0)
    held_out = np.arange(COUNT) % 10 == 9
    train, test = (
        Split(images[rows], attributes=attributes[rows]) for rows in (~held_out, held_out)
    )
    return DataSet("faces", train, test, attributes=list(ATTRIBUTES), validation=validation())


def validation() -> Split:
    """Load the validation split of `faces`, drawn with another seed. Raises as `load`."""
    images, attributes = _load_or_draw("faces-validation", VALIDATION, VALIDATION_SEED)
    return Split(images, attributes=attributes)


def _load_or_draw(name: str, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Load the first `count` faces of a seed from the cache folder, drawing them if needed."""
    path = cache.folder() / f"{name}-{versions()}.npz"
    arrays = _read_cached(path, count)
    if arrays is None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        with lock_output(path, wait=True):
            arrays = _read_cached(path, count) or _draw_and_save(path, count, seed)
    return arrays


def _draw_and_save(path: Path, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    check_free_space(path, count * (SIZE * SIZE * 3 + len(ATTRIBUTES)))
    with replace_file(path, locked=True) as temporary, temporary.open("wb") as file:
        images, attributes = make(0, count, seed=seed, verbose=True)
        np.savez(file, images=images, attributes=attributes)
    return images, attributes


def _read_cached(path: Path, count: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Read the arrays that `_draw_and_save` has written; None if missing or damaged."""
    try:
        with open_archive(path) as archive:
            images, attributes = archive.read("images"), archive.read("attributes")
    except DataError:
        return None
    expected = (count, SIZE, SIZE, 3), (count, len(ATTRIBUTES))
    return (images, attributes) if (images.shape, attributes.shape) == expected else None


def versions() -> str:
    """Return the versions that drawings depend on, as part of a file name."""
    try:
        parts = [f"{name}{metadata.version(name)}" for name in _PACKAGES]
    except metadata.PackageNotFoundError as error:
        raise _missing_package(str(error.name)) from error
    return "-".join([f"v{VERSION}", *parts])


def make(
    first: int,
    count: int,
    size: int = SIZE,
    seed: int = 0,
    processes: int | None = None,
    verbose: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw faces `first` … `first + count - 1` of `seed`, a pure function of seed and index.

    Returns images uint8 [count, size, size, 3] and their attributes int8 [count, K], +1 and -1 in
    the order of `ATTRIBUTES`. `processes` (default: one per core) never changes the result.
    `verbose` shows progress even if stderr is not a terminal. Raises `DataError` if the packages
    of the extra `faces` are missing, or an argument is out of range.
    """
    blocks = stream(first, count, size, seed, processes)
    images = np.empty((count, size, size, 3), np.uint8)
    attributes = np.empty((count, len(ATTRIBUTES)), np.int8)
    with closing(blocks), Progress(count, verbose) as progress:
        for block in blocks:
            rows = slice(progress.done, progress.done + len(block[0]))
            images[rows], attributes[rows] = block
            progress.advance(len(block[0]))
    return images, attributes


def stream(
    first: int,
    count: int,
    size: int = SIZE,
    seed: int = 0,
    processes: int | None = None,
    step: int = 1,
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    """Yield the faces of `make` in blocks, in constant memory; close the generator when done.

    With a `step` they are faces `first`, `first + step`, `first + 2 step`, ….
    """
    _check("count", count, 1, 2**40)
    _check("step", step, 1, 2**20)
    _check("first", first, 0, 2**64 - count * step)
    _check("size", size, 8, 4096)
    _check("seed", seed, 0, 2**64 - 1)
    versions()
    return _stream(first, count, step, size, seed, processes or os.cpu_count() or 1)


def _stream(
    first: int, count: int, step: int, size: int, seed: int, processes: int
) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
    with ExitStack() as stack:
        sources: list[Iterator[np.ndarray]] = []
        workers = min(processes, -(-count // _block_length(size)))
        if workers == 1:
            sources.append(_draw(_blocks(first, count, step, size), size, seed))
        else:
            for k in range(workers):
                worker = stack.enter_context(_Worker(first, count, step, size, seed, k, workers))
                sources.append(worker.read(_blocks(first, count, step, size, k, workers), size))
        for index, block in enumerate(_blocks(first, count, step, size)):
            rows = [describe(seed, face).row() for face in block]
            yield next(sources[index % workers]), np.stack(rows)


def _block_length(size: int) -> int:
    return min(max(_BLOCK_BYTES // (3 * size * size), 1), _BLOCK)


def _blocks(
    first: int, count: int, step: int, size: int, k: int = 0, workers: int = 1
) -> Iterator[range]:
    """Yield the indices of each block of worker k."""
    length, indices = _block_length(size), range(first, first + count * step, step)
    for start in range(k * length, count, workers * length):
        yield indices[start : start + length]


def _draw(blocks: Iterable[range], size: int, seed: int) -> Iterator[np.ndarray]:
    renderer = Renderer()
    for block in blocks:
        yield np.stack([renderer.render(describe(seed, index), size) for index in block])


class Renderer:
    """Renderer of faces at any size. Raises `DataError` if its packages are missing."""

    def __init__(self) -> None:
        try:
            import pylunasvg
            from dicebear import Avatar, Style

            text = resources.files("dicebear_styles").joinpath("avataaars.json").read_text("utf-8")
        except ImportError as error:
            raise _missing_package(error.name or str(error)) from error
        self._style = Style(json.loads(text))
        self._avatar: Any = Avatar
        self._document: Any = pylunasvg.Document

    def render(self, face: Face, size: int) -> np.ndarray:
        """Draw one face, uint8 [size, size, 3]."""
        svg = self._avatar(self._style, face.options).to_string().replace(*_VIEW, 1)
        bitmap = self._document.loadFromData(svg).renderToBitmap(size, size)
        # BGRA, with A = 255 everywhere since the background fills the picture.
        return np.array(bitmap)[..., 2::-1]


class _Worker:
    """Process that draws blocks k, k + workers, … and writes them to its stdout.

    A process of multiprocessing would run the caller's main script again (spawn), or copy locks
    held by its threads (fork).
    """

    def __init__(self, *share: int) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        program = "from zoo.data import faces; faces.work()"
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, *map(str, share)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"PYTHONPATH": path},
        )

    def read(self, blocks: Iterable[range], size: int) -> Iterator[np.ndarray]:
        """Yield the images of each block."""
        assert self._process.stdout is not None
        for block in blocks:
            shape = len(block), size, size, 3
            content = self._process.stdout.read(math.prod(shape))
            if len(content) < math.prod(shape):
                self._process.wait()
                self._stderr.seek(0)
                lines = self._stderr.read().decode(errors="replace").strip().splitlines()
                reason = lines[-1] if lines else f"exit code {self._process.returncode}"
                raise DataError(f"a process that draws faces has failed: {reason}")
            yield np.frombuffer(content, np.uint8).reshape(shape)

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()


def work() -> None:
    """Run a worker process: draw the blocks given by the arguments to stdout."""
    # The parent process handles Ctrl-C, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    first, count, step, size, seed, k, workers = map(int, sys.argv[1:])
    for images in _draw(_blocks(first, count, step, size, k, workers), size, seed):
        sys.stdout.buffer.write(images.tobytes())
        sys.stdout.buffer.flush()


def _missing_package(name: str) -> DataError:
    return DataError(f"drawing faces needs {name}: pip install 'generator-zoo[faces]'")


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{name}: expected an integer from {low} to {high}, got {value!r}")


__all__ = ["ATTRIBUTES", "COUNT", "SIZE", "Renderer", "load", "make", "stream", "versions"]
