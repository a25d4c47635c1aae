"""Answers: images or latents that are computed block by block, and their formats."""

from __future__ import annotations

import io
import json
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from zoo.images import png
from zoo.images.npy import write_header
from zoo.serving.parameters import RequestError

if TYPE_CHECKING:
    from PIL.Image import Image

Images = NDArray[np.uint8]

GAP = 2
"""Pixels between the images of a grid."""

MOST_GRID = 4096
"""Images of the largest grid."""


@dataclass(frozen=True)
class Picture:
    """The picture that the format `grid` is, where the command draws more than images side by side.

    check: raises OutputError, before anything is computed, if it would be too large; draw: returns
    the picture, given all images.
    """

    check: Callable[[], object]
    draw: Callable[[Images], Awaitable[Image]]


@dataclass(frozen=True)
class Answer:
    """What a route computes.

    blocks: arrays whose rows are, in order, those of an array of `shape`: images uint8
    [n, H, W, C], or μ and log σ² of images, float32 [n, 2, D]. headers: of the answer; of_row:
    those of a row that is sent as a part of its own; picture: what the format `grid` is, if it is
    not all images side by side.
    """

    shape: tuple[int, ...]
    blocks: AsyncGenerator[NDArray[Any], None]
    headers: Mapping[str, str] = field(default_factory=dict)
    of_row: Callable[[int], Mapping[str, str]] = lambda row: {"X-Zoo-Index": str(row)}
    picture: Picture | None = None


@dataclass(frozen=True)
class Format:
    """A format of answers, whose `encode` gets all rows, at most `most`; `problem` is the error."""

    media: str
    encode: Callable[[NDArray[Any]], bytes]
    most: float = math.inf
    problem: str = ""

    def check(self, count: int) -> None:
        """Raise RequestError for too many rows."""
        if count > self.most:
            raise RequestError(f"format: {self.problem.format(count=count)}")


@dataclass(frozen=True)
class Streamed:
    """A format whose answers need not be complete before the first byte.

    start, block and end return its bytes; block gets rows, and the index of the first of them.
    sized: rows are sent as their bytes alone, so that the size is known before.
    """

    media: str
    start: Callable[[Answer], bytes] = lambda answer: b""
    block: Callable[[Answer, NDArray[Any], int], bytes] = lambda answer, rows, first: rows.tobytes()
    end: bytes = b""
    sized: bool = True


def _grid(images: Images) -> bytes:
    """Images in rows of about √n, on white."""
    count, height, width, channels = images.shape
    columns = math.isqrt(count - 1) + 1
    rows = -(-count // columns)
    shape = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, channels)
    picture = np.full(shape, 255, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + GAP), column * (width + GAP)
        picture[top : top + height, left : left + width] = image
    return png.encode(picture)


def npy_header(shape: tuple[int, ...], dtype: DTypeLike = np.uint8) -> bytes:
    """Return the header of a `.npy` file of this shape, by default of bytes."""
    file = io.BytesIO()
    write_header(file, shape, dtype)
    return file.getvalue()


def _npz(images: Images) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, images=images)
    return file.getvalue()


_BOUNDARY = "zoo-9d2f6c1e84b7a350"
"""Always the same, so that the same images are the same bytes; a PNG may hold it once in 2^64."""


def _parts(answer: Answer, images: Images, first: int) -> bytes:
    """Images as parts of a multipart answer, each with its own headers (RFC 2046, section 5.1)."""
    parts = []
    for row, image in enumerate(images, first):
        file = png.encode(image)
        headers = {
            "Content-Type": "image/png",
            "Content-Length": str(len(file)),
            **answer.of_row(row),
        }
        lines = [f"--{_BOUNDARY}", *(f"{name}: {value}" for name, value in headers.items())]
        parts += ["\r\n".join(lines).encode(), b"\r\n\r\n", file, b"\r\n"]
    return b"".join(parts)


IMAGES: dict[str, Format | Streamed] = {
    "png": Format(
        "image/png",
        lambda images: png.encode(images[0]),
        1,
        "png is of one image, got n = {count}; grid has many",
    ),
    "grid": Format(
        "image/png",
        _grid,
        MOST_GRID,
        f"a grid has at most {MOST_GRID} images, got n = {{count}}",
    ),
    "npy": Streamed("application/x-npy", lambda answer: npy_header(answer.shape)),
    "npz": Format("application/x-npz", _npz),
    "raw": Streamed("application/octet-stream"),
    "multipart": Streamed(
        f"multipart/mixed; boundary={_BOUNDARY}",
        block=_parts,
        end=f"--{_BOUNDARY}--\r\n".encode(),
        sized=False,
    ),
}
"""Formats of images [n, H, W, C]."""


def _latents_json(rows: NDArray[np.float32]) -> bytes:
    # An autoencoder's log-variance is -inf, which JSON does not know.
    logvar = rows[:, 1].tolist() if np.isfinite(rows[:, 1]).all() else None
    return json.dumps({"latents": rows[:, 0].tolist(), "logvar": logvar}, allow_nan=False).encode()


def _latents_npy(rows: NDArray[np.float32]) -> bytes:
    mu = rows[:, 0]
    return npy_header(mu.shape, mu.dtype) + mu.tobytes()


def _latents_npz(rows: NDArray[np.float32]) -> bytes:
    file = io.BytesIO()
    np.savez(file, latents=rows[:, 0], logvar=rows[:, 1])
    return file.getvalue()


LATENTS: dict[str, Format | Streamed] = {
    "json": Format("application/json", _latents_json),
    "npy": Format("application/x-npy", _latents_npy),
    "npz": Format("application/x-npz", _latents_npz),
    "raw": Format("application/octet-stream", lambda rows: rows[:, 0].tobytes()),
}
"""Formats of μ and log σ² [n, 2, D]."""
