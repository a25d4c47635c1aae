"""Rendering of drawn faces, in this process or in several."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import resources
from itertools import cycle
from typing import Any

import numpy as np

from zoo.data.styles import AVATAAARS, STYLES, Face, Style
from zoo.errors import DataError
from zoo.processes import PipedProcess

_BLOCK = 128
_BLOCK_BYTES = 2**22
"""Limits of the number of faces, and of their size in bytes, that a process draws at a time."""


class Renderer:
    """Renderer of faces of a style at any size. Raises `DataError` if its packages are missing."""

    def __init__(self, style: Style = AVATAAARS) -> None:
        try:
            import dicebear
            import pylunasvg

            self._style, size = _load_style(style.definition)
        except ImportError as error:
            raise missing_package(error.name or str(error)) from error
        self._avatar: Any = dicebear.Avatar
        whole = f"0 0 {size[0]} {size[1]}"
        self._view = [f'viewBox="{box}"' for box in (whole, style.view or whole)]
        self._document: Any = pylunasvg.Document

    def render(self, face: Face, size: int) -> np.ndarray:
        """Draw one face, uint8 [size, size, 3]."""
        svg = self._avatar(self._style, face.options).to_string().replace(*self._view, 1)
        bitmap = self._document.loadFromData(svg).renderToBitmap(size, size)
        # BGRA, with A = 255 everywhere since the background fills the picture.
        return np.array(bitmap)[..., 2::-1]


@cache
def _load_style(definition: str) -> tuple[Any, tuple[int, int]]:
    """Return a style of DiceBear, and the width and height of its drawings."""
    import dicebear

    text = resources.files("dicebear_styles").joinpath(f"{definition}.json").read_text("utf-8")
    document = json.loads(text)
    return dicebear.Style(document), (document["canvas"]["width"], document["canvas"]["height"])


def missing_package(name: str) -> DataError:
    """Return the error for a missing package."""
    return DataError(f"drawing faces needs {name}: pip install 'generator-zoo[faces]'")


def block_length(size: int) -> int:
    """Return the number of faces that a process draws at a time."""
    return min(max(_BLOCK_BYTES // (3 * size * size), 1), _BLOCK)


def draw(
    faces: Sequence[Face], size: int, processes: int | None = None, style: Style = AVATAAARS
) -> np.ndarray:
    """Draw faces, uint8 [n, size, size, 3], with one process per core by default."""
    length = block_length(size)
    blocks = [faces[start : start + length] for start in range(0, len(faces), length)]
    images = list(draw_blocks(blocks, size, count_workers(processes, len(blocks)), style))
    return np.concatenate(images) if images else np.empty((0, size, size, 3), np.uint8)


def count_workers(processes: int | None, blocks: int) -> int:
    """Return the number of processes for drawing blocks, by default one per core.

    It is 0 if this process can draw them as fast itself.
    """
    workers = min(processes or os.cpu_count() or 1, blocks)
    return workers if workers > 1 else 0


def draw_blocks(
    blocks: Iterable[Sequence[Face]], size: int, workers: int, style: Style = AVATAAARS
) -> Generator[np.ndarray, None, None]:
    """Yield the images uint8 [n, size, size, 3] of blocks of faces; close it when done.

    Every one of the `workers`, which are processes, is a block ahead. With 0 this process draws.
    """
    if not workers:
        renderer = Renderer(style)
        for block in blocks:
            yield np.stack([renderer.render(face, size) for face in block])
        return
    with ExitStack() as stack:
        processes = [stack.enter_context(_Worker(size, style)) for _ in range(workers)]
        pending: deque[tuple[_Worker, int]] = deque()
        for block, worker in zip(blocks, cycle(processes), strict=False):
            images = None
            if len(pending) == workers:
                # The oldest block is this worker's.
                images = worker.receive(pending.popleft()[1])
            worker.send(block)
            pending.append((worker, len(block)))
            if images is not None:
                yield images
        for worker, count in pending:
            yield worker.receive(count)


class _Worker:
    """Process that draws blocks of faces."""

    def __init__(self, size: int, style: Style) -> None:
        program = "from zoo.data import drawing; drawing.work()"
        self._size = size
        self._process = PipedProcess(program, style.name, str(size))

    def send(self, block: Sequence[Face]) -> None:
        """Begin to draw a block, after the images of the one before have been received."""
        try:
            self._process.send_line(json.dumps([face.options for face in block]))
        except BrokenPipeError:
            raise self._failure() from None

    def receive(self, count: int) -> np.ndarray:
        """Return the `count` images of the block that was sent."""
        shape = count, self._size, self._size, 3
        content = self._process.stdout.read(math.prod(shape))
        if len(content) < math.prod(shape):
            raise self._failure()
        return np.frombuffer(content, np.uint8).reshape(shape)

    def _failure(self) -> DataError:
        return DataError(f"a process that draws faces has failed: {self._process.reason()}")

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()


def work() -> None:
    """Run a worker process: draw blocks, each a line of options in JSON, to stdout."""
    # The parent process handles Ctrl-C, and ends its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    renderer, size = Renderer(STYLES[sys.argv[1]]), int(sys.argv[2])
    for line in sys.stdin:
        for options in json.loads(line):
            image = renderer.render(Face(options, frozenset()), size)
            sys.stdout.buffer.write(image.tobytes())
        sys.stdout.buffer.flush()
