"""Nearest images by latent: an index file, and searching in it (Johnson, Douze & Jégou 2019).

An index is an `.npz` of: `about`, a JSON object as a string; `index`, the bytes of the
faiss index; `names` and, where there are any, `labels` and `classes`; and `pictures`,
the images themselves, unless they were left out. It is bound to the encoder by the
hash of the encoder's file, because latents of another one mean something else.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime import Encoder
from zoo.applications import vectors
from zoo.errors import ConfigError, DataError
from zoo.images import archive, arrays
from zoo.images.reading import check_regular, data_errors, sha256
from zoo.inference.inputs import Source
from zoo.inference.latents import Latents, embed_blocks
from zoo.optional import require

FORMAT = "generator-zoo index"
VERSION = 1

_PICTURE_ROWS = 1024


def build(
    encoder: Encoder,
    source: Source,
    out: str,
    kind: str = "flat",
    pictures: bool = True,
    seen: Callable[[int], None] = lambda count: None,
) -> int:
    """Write an index of all images of `source` to `out`; returns their number.

    The pictures go to the file block by block; the latents are in memory. `seen` is
    called with the number of images of each block. Raises OutputError, ConfigError
    without faiss, and what `embed_blocks` raises.
    """
    faiss = require("faiss")
    width, labels, count = encoder.latent_width, source.labels, 0
    index = vectors.empty(kind, width)
    waiting: list[Latents] = []
    with archive.create(out) as file:
        add_names = file.add_strings("names")
        add_pictures = (
            file.add_rows("pictures", np.uint8, encoder.image_shape) if pictures else None
        )
        for latents, block in embed_blocks(encoder, source):
            if index is None:
                waiting.append(latents)
            else:
                index.add(latents)
            add_names(block.names)
            if add_pictures is not None:
                add_pictures(block.images)
            count += len(latents)
            seen(len(latents))
        if index is None:
            index = vectors.inverted_lists(np.concatenate(waiting))
        file.add_array("index", faiss.serialize_index(index))
        if labels is not None:
            file.add_array("labels", labels[:count].astype(np.int64))
            file.add_array("classes", np.array(source.classes, dtype=np.str_))
        about = _about(encoder, source, kind, count, str(faiss.__version__))
        file.add_array("about", np.array(json.dumps(about, ensure_ascii=False)))
    return count


def _about(encoder: Encoder, source: Source, kind: str, count: int, version: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "count": count,
        "width": encoder.latent_width,
        "shape": list(encoder.image_shape),
        "source": source.name,
        "encoder": {
            "file": Path(encoder.path).name,
            "model": encoder.manifest["model"],
            "sha256": sha256(encoder.path),
        },
        "versions": {"generator-zoo": installed("generator-zoo"), "faiss": version},
    }


class Index:
    """An index from `build`, read from its file; only the pictures stay there.

    count: number of images; width: D; names: count strings; labels: int64 [count] or
    None; classes: their names; about: what else the file says of itself.
    Raises DataError for a file that is missing, damaged, or no index.
    """

    def __init__(self, path: str) -> None:
        require("faiss")
        self.path = Path(path)
        with data_errors(self.path):
            check_regular(self.path)
            with self.path.open("rb") as file:
                if file.read(2) != b"PK":
                    raise DataError(f"{path} is not an index of zoo.retrieve")
        with arrays.open_archive(self.path) as held:
            self.about = _checked(path, held)
            self.names = held.read("names")
            labelled = "labels" in held and "classes" in held
            self.labels = held.read("labels") if labelled else None
            self.classes = [str(name) for name in held.read("classes")] if labelled else []
            content = held.read("index")
            self.has_pictures = "pictures" in held
        self.count: int = self.about["count"]
        self.width: int = self.about["width"]
        kind = self.about["kind"]
        try:
            self._index = vectors.deserialize(content, kind, self.count, self.width)
        except DataError as error:
            raise DataError(f"the index {path} is damaged: {error}") from error
        labelled = self.labels is None or (
            self.labels.shape == (self.count,) and self.labels.dtype == np.int64
        )
        if self.names.shape != (self.count,) or self.names.dtype.kind != "U" or not labelled:
            raise DataError(f"the index {path} is damaged: its parts do not belong together")

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise ConfigError unless the index was built with that encoder's file."""
        ours, theirs = self.about["encoder"], sha256(encoder.path)
        if ours["sha256"] != theirs:
            raise ConfigError(
                f"the index {self.path} was built with {ours['file']} (SHA-256 "
                f"{ours['sha256'][:12]}…), not with {Path(encoder.path).name} ({theirs[:12]}…)"
            )

    def search(self, latents: Latents, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Euclidean distances and rows of the k nearest, [n, k] each, nearest first.

        Of equally near ones the first comes first. ConfigError for a k above `count`, and
        for latents that are not finite or of another shape than [n, width].
        """
        if not 1 <= k <= self.count:
            raise ConfigError(f"k: expected 1 to {self.count}, the images of the index, got {k}")
        queries = np.ascontiguousarray(latents, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.width or not len(queries):
            raise ConfigError(f"latents: expected shape (n, {self.width}), got {np.shape(latents)}")
        # faiss gives them no neighbours, and then reads beyond its vectors.
        if not np.isfinite(queries).all():
            raise ConfigError("latents: expected finite numbers, got NaN or infinity")
        try:
            rows = self._nearest(queries, k)
            apart = self._index.reconstruct_batch(rows.ravel()).reshape(*rows.shape, self.width)
        except RuntimeError as error:
            raise DataError(f"the index {self.path} is damaged: {error}") from error
        # For many queries faiss expands (a - b)², which loses the digits of small distances.
        apart -= queries[:, None]
        distances = np.sqrt(np.einsum("nkd,nkd->nk", apart, apart, dtype=np.float64))
        order = np.lexsort((rows, distances))
        taken = [np.take_along_axis(found, order, 1) for found in (distances, rows)]
        return taken[0].astype(np.float32), taken[1]

    def _nearest(self, queries: Latents, k: int) -> NDArray[np.int64]:
        if self.about["kind"] == "hnsw":
            self._index.hnsw.efSearch = max(64, 2 * k)
        rows: NDArray[np.int64] = self._index.search(queries, k)[1]
        if (rows < 0).any():
            # Approximate kinds may find fewer than there are; then all are looked at.
            flat = vectors.empty("flat", self.width)
            flat.add(self._index.reconstruct_n(0, self.count))
            rows = flat.search(queries, k)[1]
        return rows

    def pictures(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images uint8 [m, H, W, C] of `rows` [m]. Raises DataError where there are none."""
        if not self.has_pictures:
            raise DataError(f"the index {self.path} holds no pictures (built with --no-pictures)")
        shape = tuple(self.about["shape"])
        wanted, places = np.unique(rows, return_inverse=True)
        found = np.empty((len(wanted), *shape), np.uint8)
        with arrays.open_array(self.path, "pictures") as images:
            if images.shape != (self.count, *shape) or images.dtype != np.uint8:
                raise DataError(
                    f"the index {self.path} is damaged: its pictures are {images.description}"
                )
            for start in range(0, self.count, _PICTURE_ROWS):
                block = images.read(_PICTURE_ROWS)
                inside = (start <= wanted) & (wanted < start + len(block))
                found[inside] = block[wanted[inside] - start]
        return found[places]


def _checked(path: str, held: arrays.Archive) -> dict[str, Any]:
    """The `about` of an open index file, if it is one that this version reads."""
    about: Any = None
    if {"about", "index", "names"} <= set(held.names):
        with data_errors(Path(path), "the index"):
            about = json.loads(str(held.read("about")))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DataError(f"{path} is not an index of zoo.retrieve")
    if about.get("version") != VERSION:
        raise DataError(
            f"the index {path} is of version {about.get('version')}, and this program reads "
            f"version {VERSION}"
        )
    try:
        whole = about["kind"] in vectors.KINDS and all(
            len(about["encoder"][x]) for x in ("file", "sha256")
        )
        whole = whole and all(type(about[x]) is int and about[x] > 0 for x in ("count", "width"))
        whole = whole and [type(size) for size in about["shape"]] == [int] * 3
    except (KeyError, TypeError):
        whole = False
    if not whole:
        raise DataError(f"the index {path} is damaged: it says {about}")
    return about


__all__ = ["FORMAT", "VERSION", "Index", "build"]
