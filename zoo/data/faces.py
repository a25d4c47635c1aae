"""Drawn faces with attributes: colour images that anybody can make, 20,000 of them as a data set.

Avataaars by Pablo Stanley, put together by DiceBear and rendered by LunaSVG (see NOTICE).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.avatars import ATTRIBUTES, VERSION, Face, describe
from zoo.data.sets import DataSet, Split
from zoo.data.sources import cache_folder
from zoo.errors import DataError
from zoo.images.atomic import replacing
from zoo.progress import Progress

COUNT = 20_000
"""Faces of the data set `faces`; face i is held out for the test iff i % 10 == 9."""

SIZE = 64
"""Side of its images, in pixels."""

_PACKAGES = ("dicebear-core", "dicebear-styles", "pylunasvg")
_VIEW = ('viewBox="0 0 280 280"', 'viewBox="24 0 232 232"')
"""What a drawing shows, and what we show of it: the head, larger."""

_BLOCK = 250
"""Faces that one process draws at a time."""


def load() -> DataSet:
    """The data set `faces`: 18,000 faces to learn from and 2,000 to measure on, 64×64 RGB.

    Drawn when it is asked for the first time, and kept in the cache folder. Raises `DataError`
    where the packages of the extra `faces` are missing, `OutputError` where the cache cannot be
    written.
    """
    path = cache_folder() / f"faces-{versions()}.npz"
    arrays = _cached(path)
    if arrays is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            arrays = make(0, COUNT, verbose=True)
            np.savez(file, images=arrays[0], attributes=arrays[1])
    held_out = np.arange(COUNT) % 10 == 9
    train, test = (
        Split(arrays[0][rows], attributes=arrays[1][rows]) for rows in (~held_out, held_out)
    )
    return DataSet("faces", train, test, attributes=list(ATTRIBUTES))


def _cached(path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """The arrays that `load` has saved; None where there are none, or damaged ones."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            images, attributes = archive["images"], archive["attributes"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    right = (COUNT, SIZE, SIZE, 3), (COUNT, len(ATTRIBUTES))
    return (images, attributes) if (images.shape, attributes.shape) == right else None


def versions() -> str:
    """What the drawings depend on, as a part of a file name: the recipe and the packages."""
    try:
        parts = [f"{name}{metadata.version(name)}" for name in _PACKAGES]
    except metadata.PackageNotFoundError as error:
        raise _missing(str(error.name)) from error
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
    the order of `ATTRIBUTES`. `processes` (default: one a core) never changes them; `verbose` shows
    progress where stderr is no terminal, too. Raises `DataError` where the packages of the extra
    `faces` are missing, or an argument is out of range.
    """
    _check("count", count, 1, 2**40)
    _check("first", first, 0, 2**64 - count)
    _check("size", size, 8, 4096)
    _check("seed", seed, 0, 2**64 - 1)
    versions()
    images = np.empty((count, size, size, 3), np.uint8)
    blocks = _blocks(first, count)
    workers = min(processes or os.cpu_count() or 1, len(blocks))
    with Progress(count, verbose) as progress:
        if workers == 1:
            renderer = Renderer()
            for block in blocks:
                images[block.start - first : block.stop - first] = renderer.draw(block, size, seed)
                progress.advance(len(block))
        else:
            _draw_in_processes(images, first, seed, workers, progress)
    attributes = np.stack([describe(seed, index).row() for index in range(first, first + count)])
    return images, attributes


class Renderer:
    """Draws faces at any size. Raises `DataError` where the packages are missing."""

    def __init__(self) -> None:
        try:
            import pylunasvg
            from dicebear import Avatar, Style

            text = resources.files("dicebear_styles").joinpath("avataaars.json").read_text("utf-8")
        except ImportError as error:
            raise _missing(error.name or str(error)) from error
        self._style = Style(json.loads(text))
        self._avatar: Any = Avatar
        self._document: Any = pylunasvg.Document

    def draw(self, indices: range, size: int, seed: int) -> np.ndarray:
        """The faces of these indices: uint8 [n, size, size, 3]."""
        return np.stack([self.render(describe(seed, index), size) for index in indices])

    def render(self, face: Face, size: int) -> np.ndarray:
        """One face, uint8 [size, size, 3]."""
        svg = self._avatar(self._style, face.options).to_string().replace(*_VIEW, 1)
        bitmap = self._document.loadFromData(svg).renderToBitmap(size, size)
        # Bytes are B, G, R, A, and A is 255 everywhere: the background fills the picture.
        return np.array(bitmap)[..., 2::-1]


def _blocks(first: int, count: int) -> list[range]:
    stop = first + count
    return [range(start, min(start + _BLOCK, stop)) for start in range(first, stop, _BLOCK)]


def _draw_in_processes(
    images: np.ndarray, first: int, seed: int, workers: int, progress: Progress
) -> None:
    """Fill `images`; worker k draws blocks k, k + workers, … and writes them to its stdout."""
    count, size = images.shape[:2]
    lock = threading.Lock()
    shares: list[tuple[int, ...]] = [(first, count, size, seed, k, workers) for k in range(workers)]
    with _worker_processes(shares) as started, ThreadPoolExecutor(workers) as pool:

        def collect(k: int) -> None:
            for block in _blocks(first, count)[k::workers]:
                part = images[block.start - first : block.stop - first]
                started[k].read_into(part)
                with lock:
                    progress.advance(len(block))

        try:
            list(pool.map(collect, range(workers)))
        except BaseException:
            # So that no thread waits for a process that has still much to draw.
            for worker in started:
                worker.stop()
            raise


class _Worker:
    """A process that draws.

    Not one of multiprocessing's, which would run the caller's main script again (spawn), or copy
    the locks of its threads (fork).
    """

    def __init__(self, share: tuple[int, ...]) -> None:
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from zoo.data import faces; faces.work()"]
            + [str(number) for number in share],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"PYTHONPATH": path},
        )

    def read_into(self, part: np.ndarray) -> None:
        """Fill a contiguous array from the process's stdout."""
        assert self._process.stdout is not None
        content = self._process.stdout.read(part.nbytes)
        if len(content) != part.nbytes:
            self.stop()
            self._stderr.seek(0)
            said = self._stderr.read().decode(errors="replace").strip().splitlines()
            raise DataError(f"a process that draws faces has failed: {' '.join(said[-1:])}")
        part[:] = np.frombuffer(content, np.uint8).reshape(part.shape)

    def stop(self) -> None:
        """End the process if it still runs."""
        self._process.kill()
        self._process.wait()


@contextmanager
def _worker_processes(shares: list[tuple[int, ...]]) -> Iterator[list[_Worker]]:
    started: list[_Worker] = []
    try:
        for share in shares:
            started.append(_Worker(share))
        yield started
    finally:
        for worker in started:
            worker.stop()


def work() -> None:
    """What a worker process does: draw the share that its arguments name, to stdout."""
    first, count, size, seed, k, workers = map(int, sys.argv[1:])
    renderer = Renderer()
    for block in _blocks(first, count)[k::workers]:
        sys.stdout.buffer.write(renderer.draw(block, size, seed).tobytes())
        sys.stdout.buffer.flush()


def _missing(name: str) -> DataError:
    return DataError(f"drawing faces needs {name}: pip install 'generator-zoo[faces]'")


def _check(name: str, value: int, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise DataError(f"{name}: expected an integer from {low} to {high}, got {value!r}")
