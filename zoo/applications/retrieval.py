"""Index files of images by latent, and search in them (Johnson, Douze & Jégou 2019).

An index is an `.npz` with `about`, a JSON object as a string; `index`, the serialised faiss index;
`names`; optionally `labels` and `classes`; and `pictures`, the images, unless they were omitted. It
stores the hash of the encoder's file, because latents of another encoder are not comparable.
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
    """Write an index of all images of `source` to `out`, and return their number.

    The pictures are written block by block; the latents are kept in memory. `seen` is called with
    the number of images of each block. Raises OutputError, ConfigError without faiss, and as
    `embed_blocks`.
    """
    faiss = require("faiss")
    width, labels, count = encoder.latent_width, source.labels, 0
    index = vectors.create(kind, width)
    pending: list[Latents] = []
    with archive.create(out) as file:
        add_names = file.add_strings("names")
        add_pictures = (
            file.add_rows("pictures", np.uint8, encoder.image_shape) if pictures else None
        )
        for latents, block in embed_blocks(encoder, source):
            if index is None:
                pending.append(latents)
            else:
                index.add(latents)
            add_names(block.names)
            if add_pictures is not None:
                add_pictures(block.images)
            count += len(latents)
            seen(len(latents))
        if index is None:
            index = vectors.inverted_lists(np.concatenate(pending))
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
    """Index from `build`, loaded from its file except for the pictures.

    count: number of images; width: D; names: count strings; labels: int64 [count] or None; classes:
    their names; about: all metadata. Raises DataError for a file that is missing, damaged, or not
    an index.
    """

    def __init__(self, path: str) -> None:
        require("faiss")
        self.path = Path(path)
        with data_errors(self.path):
            check_regular(self.path)
            with self.path.open("rb") as file:
                if file.read(2) != b"PK":
                    raise DataError(f"{path} is not an index of zoo.retrieve")
        with arrays.open_archive(self.path) as members:
            self.about = _read_about(path, members)
            self.names = members.read("names")
            labelled = "labels" in members and "classes" in members
            self.labels = members.read("labels") if labelled else None
            self.classes = [str(name) for name in members.read("classes")] if labelled else []
            content = members.read("index")
            self.has_pictures = "pictures" in members
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
            raise DataError(f"the index {path} is damaged: its parts are inconsistent")

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise ConfigError unless the index was built with this encoder's file."""
        ours, theirs = self.about["encoder"], sha256(encoder.path)
        if ours["sha256"] != theirs:
            raise ConfigError(
                f"the index {self.path} was built with {ours['file']} (SHA-256 "
                f"{ours['sha256'][:12]}…), not with {Path(encoder.path).name} ({theirs[:12]}…)"
            )

    def search(self, latents: Latents, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return Euclidean distances and rows of the k nearest, [n, k] each, nearest first.

        Ties are in the order of rows. Raises ConfigError for a k above `count`, and for latents
        that are not finite or not of shape [n, width].
        """
        if not 1 <= k <= self.count:
            raise ConfigError(f"k: expected 1 to {self.count}, the images of the index, got {k}")
        queries = np.ascontiguousarray(latents, np.float32)
        if queries.ndim != 2 or queries.shape[1] != self.width or not len(queries):
            raise ConfigError(f"latents: expected shape (n, {self.width}), got {np.shape(latents)}")
        # faiss finds no neighbours for these, and would then read out of bounds.
        if not np.isfinite(queries).all():
            raise ConfigError("latents: expected finite numbers, got NaN or infinity")
        try:
            rows = self._nearest(queries, k)
            apart = self._index.reconstruct_batch(rows.ravel()).reshape(*rows.shape, self.width)
        except RuntimeError as error:
            raise DataError(f"the index {self.path} is damaged: {error}") from error
        # For many queries faiss expands (a - b)², which is inaccurate for small distances.
        apart -= queries[:, None]
        distances = np.sqrt(np.einsum("nkd,nkd->nk", apart, apart, dtype=np.float64))
        order = np.lexsort((rows, distances))
        distances = np.take_along_axis(distances, order, 1).astype(np.float32)
        return distances, np.take_along_axis(rows, order, 1)

    def _nearest(self, queries: Latents, k: int) -> NDArray[np.int64]:
        if self.about["kind"] == "hnsw":
            self._index.hnsw.efSearch = max(64, 2 * k)
        rows: NDArray[np.int64] = self._index.search(queries, k)[1]
        if (rows < 0).any():
            # Approximate kinds may find fewer than k; then search exactly.
            flat = vectors.create("flat", self.width)
            flat.add(self._index.reconstruct_n(0, self.count))
            rows = flat.search(queries, k)[1]
        return rows

    def pictures(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read the images uint8 [m, H, W, C] of `rows` [m]. Raises DataError without pictures."""
        if not self.has_pictures:
            raise DataError(f"the index {self.path} holds no pictures (built with --no-pictures)")
        shape = tuple(self.about["shape"])
        unique, inverse = np.unique(rows, return_inverse=True)
        pictures = np.empty((len(unique), *shape), np.uint8)
        with arrays.open_array(self.path, "pictures") as images:
            if images.shape != (self.count, *shape) or images.dtype != np.uint8:
                raise DataError(
                    f"the index {self.path} is damaged: its pictures are {images.description}"
                )
            for start in range(0, self.count, _PICTURE_ROWS):
                block = images.read(_PICTURE_ROWS)
                inside = (start <= unique) & (unique < start + len(block))
                pictures[inside] = block[unique[inside] - start]
        return pictures[inverse]


def _read_about(path: str, members: arrays.Archive) -> dict[str, Any]:
    """Read and check `about` of an open index file."""
    about: Any = None
    if {"about", "index", "names"} <= set(members.names):
        with data_errors(Path(path), "the index"):
            about = json.loads(str(members.read("about")))
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise DataError(f"{path} is not an index of zoo.retrieve")
    if about.get("version") != VERSION:
        raise DataError(
            f"the index {path} has version {about.get('version')}, expected version {VERSION}"
        )
    try:
        valid = about["kind"] in vectors.KINDS and all(
            len(about["encoder"][x]) for x in ("file", "sha256")
        )
        valid = valid and all(type(about[x]) is int and about[x] > 0 for x in ("count", "width"))
        valid = valid and [type(size) for size in about["shape"]] == [int] * 3
    except (KeyError, TypeError):
        valid = False
    if not valid:
        raise DataError(f"the index {path} is damaged: it says {about}")
    return about
